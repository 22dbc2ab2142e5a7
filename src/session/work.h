/* The inside of an active session: what is lent to it as struct session_work, and how the parts of
 * this module speak to each other. */
#ifndef SLIPWAY_SESSION_WORK_PRIVATE_H
#define SLIPWAY_SESSION_WORK_PRIVATE_H

#include "slipway/coap/block.h"
#include "slipway/coap/message.h"
#include "slipway/coap/retry.h"
#include "slipway/coap/seen.h"
#include "slipway/ota/legacy.h"
#include "slipway/session/session.h"

/* --- what we ask of the device: at most one exchange in each lane --- */

enum lane { LANE_UPDATE, LANE_TELL, LANE_REQUEST, LANES };

enum exchange_state {
    EXCHANGE_FREE,
    EXCHANGE_QUEUED,   /* written, not yet sent */
    EXCHANGE_SENT,     /* sent, not acknowledged: retransmitting */
    EXCHANGE_AWAITING, /* acknowledged; the answer comes as a message of its own */
    EXCHANGE_STATES
};

extern const struct fsm exchange_fsm;

enum exchange_kind {
    EXCHANGE_PING,
    EXCHANGE_PENDING,  /* event updates/pending */
    EXCHANGE_FORCED,   /* event updates/forced */
    EXCHANGE_EVENT,    /* another event */
    EXCHANGE_CALL,     /* function, variable, signal */
    EXCHANGE_DESCRIBE, /* GET /d */
    EXCHANGE_START,    /* UpdateStart, or UpdateBegin of the legacy protocol */
    EXCHANGE_CHUNK,    /* of the legacy protocol's slow form */
    EXCHANGE_FINISH,   /* UpdateFinish, or UpdateDone */
    EXCHANGE_CANCEL
};

struct exchange {
    uint8_t state; /* enum exchange_state; only exchange_move writes it */
    uint8_t kind;  /* enum exchange_kind */
    uint8_t token;
    bool has_token;
    uint8_t detail;   /* PENDING, FORCED: the value told; DESCRIBE: enum describe_kind; PING: the
                         number of the probe that it belongs to, or 0 */
    uint16_t id;      /* message id */
    uint16_t len;     /* bytes of the message, kept for retransmission */
    uint32_t request; /* as the owner knows it; 0 = it did not ask */
    struct coap_retry retry;
    mono_time sent;
    mono_time deadline; /* QUEUED, AWAITING */
};

/* --- what the device reported and the owner has not confirmed yet --- */

#define REPORTS_MAX         16
#define EVENT_NAME_MAX      64
#define GATHERING_MS        60000
#define CONTENT_FORMAT_NONE 0xffff

enum report_state { REPORT_FREE, REPORT_OPEN, REPORT_CONFIRMED };

struct report {
    uint8_t state; /* enum report_state; CONFIRMED waits for room to acknowledge it */
    uint8_t kind;  /* enum session_event_kind */
    bool is_con;   /* else there is nothing to acknowledge */
    uint16_t id;
    uint32_t ticket;
    mono_time deadline;
};

/* --- a Describe in several blocks --- */

struct gathering {
    struct coap_assembly assembly;
    mono_time deadline; /* when a sender that stopped is given up; MONO_NEVER when closed */
    uint16_t content_format;
    uint16_t last_id;  /* of the message that completed it */
    uint8_t kind;      /* enum describe_kind */
    bool is_requested; /* blocks of an answer to GET /d, else of POST /d */
    uint8_t etag_len;
    uint8_t etag[8];
};

/* --- an update --- */

enum transfer_version { TRANSFER_NONE, TRANSFER_LEGACY, TRANSFER_V3 };

enum probe_state { PROBE_NONE, PROBE_WAITING, PROBE_PINGING, PROBE_MISSED };

struct probe {
    uint8_t state;  /* enum probe_state */
    uint8_t number; /* of the ping that counts; never 0 */
    uint8_t times;  /* that this request was made anew */
    mono_time acknowledged;
    mono_time at; /* WAITING, MISSED */
};

struct transfer {
    uint8_t version; /* enum transfer_version */
    uint8_t token;   /* of UpdateFinish; legacy: of the fast form's chunks too */
    bool is_starved; /* a chunk is due, and `granted` does not cover it */
    uint32_t granted;
    struct span image;
    mono_time deadline; /* of a commit that nobody confirms */
    struct probe probe;
    union {
        struct ota v3;
        struct ota_legacy legacy;
    } u;
};

#define CHUNK_HEADER_MAX  24
#define CHUNK_MESSAGE_MAX (CHUNK_HEADER_MAX + OTA_CHUNK_MAX)

enum wish { WISH_NONE, WISH_FALSE, WISH_TRUE };

struct work {
    mono_time deadline; /* nothing is due before */
    struct exchange lanes[LANES];
    struct report reports[REPORTS_MAX];
    uint8_t report_count;
    uint8_t wish_pending, wish_forced; /* enum wish */
    bool wish_ping;
    uint8_t wish_describe; /* bits of enum describe_kind that got lost */
    struct transfer transfer;
    struct gathering gathering;
    struct coap_seen seen;
    uint8_t update_message[CHUNK_MESSAGE_MAX];
    uint8_t tell_message[64];
    uint8_t request_message[DEVICE_MESSAGE_MAX];
    uint8_t event_name[EVENT_NAME_MAX];
    uint8_t describe[DESCRIBE_MAX];
    uint8_t plain[DTLS_RECORD_MAX];
};

_Static_assert(sizeof(struct work) <= SESSION_WORK_BYTES, "a session's work grew too large");
_Static_assert(sizeof(struct session) <= 256, "a session at rest grew too large");

/* Sequence numbers of the device that are reserved at a time, at first. */
#define STRIDE_FIRST    16
#define STRIDE_RESTORED 8
/* Our own that are reserved at a time, at most: while chunks go out. So many message ids may be
 * used before a crash that its session does not know of; behind them are those of knocks. */
#define OUT_BLOCK_MAX 4096
#define KNOCK_IDS     1024

#define STALLED_MS 20 /* when to look again after there was no room */

/* One call's surroundings. */
struct turn {
    struct session *session;
    struct work *work; /* NULL when none is lent */
    struct dtls_crypto *crypto;
    mono_time now;
    struct session_out *out;
};

static inline struct work *work_of(const struct session *session) {
    return (struct work *)(void *)session->work;
}

/* --- session.c --- */
bool session_was_never_saved(const struct session *session);
/* SW_OK, SW_E_STATE, SW_E_BUSY: see session_offer. */
static inline int session_may_ask(const struct session *session) {
    return session->work == NULL || !session->is_known ? SW_E_STATE
           : session->is_doubtful                      ? SW_E_BUSY
                                                       : SW_OK;
}

/* --- turn.c: what goes out --- */
bool turn_has_room(const struct session_out *out);
/* SW_OK, SW_E_FULL, SW_E_LIMIT. */
int turn_send(struct turn *t, struct span message) SW_NODISCARD;
/* An acknowledgement: empty, or with a code, the device's token and a payload. Whether it was sent.
 */
bool turn_reply(struct turn *t, uint16_t id, uint8_t code, struct span token, struct span payload);
/* An empty one that is remembered for the device's duplicates. */
void turn_acknowledge(struct turn *t, uint16_t id);
struct session_event *turn_event(struct turn *t, enum session_event_kind kind);
/* An event that is acknowledged when confirmed; NULL when too many are open. id of a message. */
struct session_event *turn_report(struct turn *t, enum session_event_kind kind, uint16_t id,
                                  bool is_con);
bool report_is_open(const struct work *work, uint16_t id);
void turn_flush(struct turn *t); /* everything that is due, and the next deadline */

/* --- exchange.c --- */
struct coap_writer exchange_open(struct turn *t, enum lane lane, enum exchange_kind kind,
                                 bool has_token, uint8_t coap_code, struct writer *message);
/* SW_E_RANGE, and the lane stays free, if it did not fit. */
int exchange_queue(struct turn *t, enum lane lane, struct writer *message) SW_NODISCARD;
void exchange_free(struct exchange *exchange);
/* An acknowledged request once more, as a new one: with another id and another token. */
void exchange_renew(struct turn *t, enum lane lane);
void exchange_transmit(struct turn *t);
void exchange_expire(struct turn *t);
mono_time exchange_deadline(const struct turn *t);
/* ACK or RST for one of ours; whether it was. */
bool exchange_acknowledged(struct turn *t, const struct coap_message *message);
/* A response that came as a message of its own; whether its token was one of ours. */
bool exchange_answered(struct turn *t, const struct coap_message *message);
void exchange_abandon(struct turn *t); /* the device began anew: end everything under way */
/* Acknowledges an answer that came as a confirmable message of its own. */
void exchange_settle(struct turn *t, const struct coap_message *message);

/* --- probe.c --- */
void probe_acknowledged(struct turn *t);         /* UpdateStart, UpdateFinish */
void probe_end(struct probe *probe);             /* it was answered */
uint8_t probe_number(const struct probe *probe); /* for the ping that is sent now; 0 = no probe */
void probe_answered(struct turn *t, uint8_t number);
mono_time probe_step(struct turn *t); /* when to call it again */

/* --- request.c --- */
void request_wishes(struct turn *t);
void request_answer(struct turn *t, struct exchange *exchange, uint8_t code, struct span payload);
void request_described(struct turn *t, struct exchange *exchange,
                       const struct coap_message *message);

/* --- describe.c --- */
void describe_posted(struct turn *t, const struct coap_message *message, const char **why);
bool gathering_is_busy(const struct turn *t, uint8_t kind, bool is_requested);
void gathering_close(struct gathering *gathering);

/* --- knock.c --- */
/* A record that dtls_open refused as a repetition, in a session that is doubtful or waits for its
 * Hello. SW_OK: it answers a knock, which ends the doubt, or is a Hello; *opened is filled as
 * dtls_open would. SW_E_LIMIT: a Hello to be given again. SW_E_STATE: the
 * same, with a work. SW_E_REPLAY: authentic, and later than
 * any before it since the crash. SW_E_AUTH: neither. */
int knock_listen(struct turn *t, struct span datagram, uint8_t *plain,
                 struct dtls_opened *opened) SW_NODISCARD;

/* A Hello came whose number is to be on disk first. */
void knock_hello(struct session *session);
bool is_hello(const struct coap_message *message);

/* --- device.c: what the device says of its own accord --- */
bool device_needs_work(const struct coap_message *message);
/* An error with the device's token, if it waits for any. */
void device_refuse(struct turn *t, const struct coap_message *message, uint8_t code);
void device_request(struct turn *t, const struct coap_message *message, wall_time wall,
                    const char **why);

/* --- update.c --- */
void update_pump(struct turn *t, mono_time *deadline);
void update_answered(struct turn *t, struct exchange *exchange, const struct coap_message *message);
void update_chunk_acked(struct turn *t, const struct coap_message *message);
void update_missing(struct turn *t, const struct coap_message *message);
void update_commit_confirmed(struct turn *t);
void update_commit_again(struct turn *t, const struct coap_message *message);
void update_abort(struct turn *t, enum ota_failure failure);
/* RST; whether it was for a chunk of the transfer that is under way. */
bool update_reset(struct turn *t, uint16_t id);
void update_expire(struct turn *t);

#endif
