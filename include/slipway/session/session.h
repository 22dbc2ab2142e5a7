/* One device's session: DTLS records and CoAP messages on one side, the device's reports and the
 * server's wishes on the other. Pure: datagrams, time and confirmations come in; datagrams (already
 * sealed) and events come out. Runs on the loop thread.
 *
 * A session has two parts. `struct session` is small, has no pointers to anything that moves, and
 * lives as long as the association (weeks). `struct session_work` holds what only an active session
 * needs - the duplicate cache, requests under way, block-wise reassembly, a transfer - and is
 * lent by the owner when session_input asks for it and taken back when session_is_resting says so.
 *
 * Durable first, acknowledge last: an event with a ticket is acknowledged to the device only when
 * the owner confirms it (session_confirm) after the report is on disk. */
#ifndef SLIPWAY_SESSION_SESSION_H
#define SLIPWAY_SESSION_SESSION_H

#include "slipway/crypto/hash.h"
#include "slipway/dtls/session.h"
#include "slipway/model/ids.h"
#include "slipway/ota/ota.h"
#include "slipway/util/address.h"
#include "slipway/util/outbox.h"
#include "slipway/util/time.h"

#define DEVICE_MESSAGE_MAX 1152 /* the largest CoAP message, either way */
#define DESCRIBE_MAX       8192 /* a longer Describe is answered 4.13 and not reported */

/* The device's Hello: POST /h, see api/device.md. */
struct device_hello {
    struct device_id device;
    uint16_t product_id;      /* the platform id on Device OS 4 and later */
    uint16_t product_version; /* VERSION_NONE = none */
    uint16_t flags;           /* enum hello_flag */
    uint16_t platform_id;
    uint16_t system_version; /* Device OS module version, e.g. 6200; 0 = not told (before 3.0) */
    uint16_t message_max;    /* bytes; 0 = not told */
    uint32_t binary_max;     /* bytes; 0 = not told */
    uint16_t chunk_bytes;    /* 0 = not told */
};

enum hello_flag {
    HELLO_OTA_SUCCESSFUL = 0x01,
    HELLO_DIAGNOSTICS = 0x02,
    HELLO_IMMEDIATE_UPDATES = 0x04,
    HELLO_GOODBYE = 0x10,
    HELLO_DESCRIBES = 0x20,
    HELLO_COMPRESSED_OTA = 0x40,
    HELLO_OTA_V3 = 0x80
};

enum describe_kind { DESCRIBE_SYSTEM = 1, DESCRIBE_APPLICATION = 2, DESCRIBE_METRICS = 4 };

enum session_event_kind {
    SESSION_EVENT_HELLO,       /* .hello; ticket */
    SESSION_EVENT_DESCRIBE,    /* .describe, complete; ticket */
    SESSION_EVENT_RESUMED,     /* first authentic word of a session that moved or slept, no Hello */
    SESSION_EVENT_UPDATES,     /* .updates: the device told enabled or forced; ticket */
    SESSION_EVENT_PUBLISH,     /* .publish: any other event of the device; ticket */
    SESSION_EVENT_SUBSCRIBE,   /* .prefix of the events that it wants; ticket */
    SESSION_EVENT_GOODBYE,     /* it leaves on purpose; ticket */
    SESSION_EVENT_TRANSFER,    /* .transfer: the update under way moved on; ticket only on COMMIT */
    SESSION_EVENT_ANSWER,      /* .answer: to session_request */
    SESSION_EVENT_UNREACHABLE, /* a request of ours was never acknowledged; the association stays */
    SESSION_EVENT_CLOSED       /* close_notify or a fatal alert: forget the association */
};

enum session_transfer {
    SESSION_TRANSFER_ACCEPTED,  /* 2.01: chunks follow; .offset is where the device resumed */
    SESSION_TRANSFER_VERIFYING, /* all chunks acknowledged, UpdateFinish sent */
    /* The device has everything and has checked it. Confirming the ticket makes it apply the
     * update. Also raised when this process does not know the transfer (it was restarted, or the
     * transfer was cancelled): confirm only if the update is open on disk, else refuse. */
    SESSION_TRANSFER_COMMIT,
    SESSION_TRANSFER_COMMITTED, /* our acknowledgement of the 2.04 was sent */
    SESSION_TRANSFER_FAILED     /* .failure, .device_error */
};

struct session_event {
    enum session_event_kind kind;
    uint32_t ticket; /* 0 = needs no confirmation */
    union {
        struct device_hello hello;
        struct {
            uint8_t kind; /* one enum describe_kind; Device OS 3.0 to 3.2 may add several */
            uint16_t content_format; /* 42 = protobuf; 0xFFFF = none told */
            struct span bytes;       /* valid until the next call on this session */
        } describe;
        struct {
            bool is_forced; /* else it is about `enabled` */
            bool value;
        } updates;
        struct {
            struct span name, data; /* valid until the next call on this session */
            uint16_t content_format;
        } publish;
        struct span prefix; /* valid until the next call on this session */
        struct {
            uint32_t cloud_reason, reset_reason, sleep_s, network_reason;
        } goodbye;
        struct {
            enum session_transfer step;
            enum ota_failure failure;
            int32_t device_error;
            uint32_t offset;
        } transfer;
        struct {
            uint32_t request; /* as session_request returned */
            uint8_t code;     /* CoAP code; 0 = no answer in time */
            struct span payload;
        } answer;
    } u;
};

#define SESSION_EVENTS_MAX 8

/* What one call produced. Clear it (session_out_clear) between calls; datagrams go to
 * session->peer. The outbox should have room for at least four datagrams of SESSION_DATAGRAM_MAX
 * bytes. */
#define SESSION_DATAGRAM_MAX (DEVICE_MESSAGE_MAX + 64)
struct session_out {
    struct outbox box;
    size_t event_count;
    struct session_event events[SESSION_EVENTS_MAX];
};
void session_out_clear(struct session_out *out);

/* Read freely; write only is_trusted. */
struct session {
    struct dtls_session dtls;
    struct address peer;
    struct device_id device;   /* zero until the first Hello; then it stays */
    mono_time heard;           /* last authentic record */
    mono_time granted;         /* last reservation of sequence numbers */
    mono_time greeted;         /* when its Hello was acknowledged, until its next word; else 0 */
    mono_time quiet_looked;    /* when session_tick last found the device silent */
    struct session_work *work; /* lent; NULL when idle */
    uint64_t seq_in_missed;    /* one past the newest number that hit seq_in_limit */
    uint32_t ticket;           /* the next one */
    uint32_t binary_max;       /* from the Hello, as are the next three */
    uint16_t hello_flags;      /* enum hello_flag */
    uint16_t message_max;
    uint16_t chunk_bytes;
    uint16_t coap_id;         /* our next message id, below SESSION_CHUNK_ID_FIRST */
    uint16_t chunk_id;        /* the same for chunks: SESSION_CHUNK_ID_FIRST and above */
    uint16_t seq_in_stride;   /* numbers to reserve at a time; grows with traffic */
    uint16_t rtt_ms;          /* of our requests' acknowledgements, smoothed; 0 = not known */
    uint16_t ping_s;          /* silence after which the device pings, as it did; 0 = not known */
    uint16_t ping_id;         /* message id of its last ping */
    uint16_t flag_ids[2];     /* message ids of its last words on updates: enabled, forced */
    uint16_t doubt;           /* so many numbers below seq_in_top may be new: see session_knock */
    uint16_t knocked;         /* knocks so far */
    uint8_t coap_token;       /* our next 1-byte token */
    bool is_known : 1;        /* a Hello of this session was confirmed */
    bool updates_enabled : 1; /* what the device said last; assumed true after a Hello */
    bool updates_forced : 1;  /* assumed false after a Hello */
    bool is_resumed : 1;      /* next authentic word raises RESUMED */
    bool is_moving : 1;       /* the device marks its records as those of a resumed session */
    bool is_trusted : 1;      /* set by the owner when it recognised the device: session_offer,
                                 _tell_* and _request answer SW_E_DENIED without it */
    bool is_unsaved : 1;      /* something that outlives the process changed */
    bool is_reserving : 1;    /* between session_reserve_due and session_reserved */
    bool has_flag_ids : 1;    /* of this connection; one that is 0 came not yet */
    bool is_doubtful : 1;     /* restored after a crash, and the device's numbers not known since */
    bool is_hello_due : 1;    /* one waits, numbered seq_in_top - doubt - 1, */
    bool is_hello_kept : 1;   /* until that is on disk, as it is now */
};
#define SESSION_CHUNK_ID_FIRST 0x8000

/* The part of an active session. The layout is private to src/session. */
#define SESSION_WORK_BYTES 18432
struct session_work {
    _Alignas(16) uint8_t opaque[SESSION_WORK_BYTES];
};

/* Fresh, after a handshake. */
void session_init(struct session *session, const struct dtls_session *dtls,
                  const struct address *peer, mono_time now);
/* Lends and takes back the working part. attach wipes it first; detach SW_CHECKs that the session
 * rests: nothing is under way. What the device said lately may still come again then, and would be
 * told again. */
void session_attach(struct session *session, struct session_work *work);
struct session_work *session_detach(struct session *session);
bool session_is_resting(const struct session *session);
/* session_rest is a detach that writes down what those messages were, in session_trace_bytes; who
 * keeps that until session_trace_until and gives it to session_recall, right after an attach, has
 * lost nothing. session_trace_bytes is 0 when there is nothing to keep. */
size_t session_trace_bytes(const struct session *session, mono_time now);
mono_time session_trace_until(const struct session *session);
struct session_work *session_rest(struct session *session, struct writer *trace);
void session_recall(struct session *session, struct span trace);
/* Wipes secrets; detaches whatever is there and returns it. */
struct session_work *session_close(struct session *session);

/* One datagram that was routed here. SW_OK also for junk (counted by the caller through *why, which
 * is NULL when it was taken). Keep-alives and time requests need no work.
 *   SW_E_STATE  needs a session_work: attach one and give the same datagram again
 *   SW_E_LIMIT  authentic, but past what is reserved: reserve, then give it again
 *   SW_E_FULL   *out has no room: clear it and give the same datagram again
 *   SW_E_REPLAY authentic, but it may have been accepted before a crash: see session_knock
 * Afterwards ask session_reserve_due and session_deadline. */
int session_input(struct session *session, struct dtls_crypto *crypto, const struct address *from,
                  struct span datagram, mono_time now, wall_time wall, struct session_out *out,
                  const char **why) SW_NODISCARD;
/* The report behind a ticket is durable: acknowledge it. Unknown tickets are ignored. */
void session_confirm(struct session *session, struct dtls_crypto *crypto, uint32_t ticket,
                     mono_time now, struct session_out *out);
/* The report could not be kept: stay silent, the device will repeat it. */
void session_refuse(struct session *session, uint32_t ticket);
/* Retransmissions, transfer, expiry. Call at session_deadline, with a work or without (which is at
 * once when the outbox was too small for all that is due), and after session_reserved. Cheap when
 * nothing is due. */
void session_tick(struct session *session, struct dtls_crypto *crypto, mono_time now,
                  struct session_out *out);
mono_time session_deadline(const struct session *session); /* MONO_NEVER when nothing waits */

/* --- the server's wishes. SW_E_STATE without an attached work or a confirmed Hello (a restored
 * session has one), SW_E_DENIED unless is_trusted, SW_E_BUSY when one of the kind is under way or
 * the session is doubtful, SW_E_RANGE for what no device could take --- */
struct session_offer {
    struct span image; /* borrowed until the transfer ends or the session closes */
    struct sha256 file_hash;
    uint16_t chunk_bytes;     /* 0 = the device's own wish, or 512 if no protocol has that */
    uint16_t outstanding_max; /* 0 = default */
    uint32_t rate_bytes_s;    /* 0 = no pacing; less than OTA_RATE_MIN counts as that */
    bool is_metered;          /* chunks go out only as session_grant lets them */
    bool discard;             /* Discard-Data */
    bool is_asset;            /* Module-Function 9 */
};
int session_offer(struct session *session, struct dtls_crypto *crypto,
                  const struct session_offer *offer, mono_time now,
                  struct session_out *out) SW_NODISCARD;
/* Cancels a running transfer with UpdateFinish + Cancel-Update; FAILED (CANCELLED) is in *out. */
void session_cancel(struct session *session, struct dtls_crypto *crypto, bool discard,
                    mono_time now, struct session_out *out);
/* The running transfer of either protocol version; false when there is none. */
struct session_progress {
    enum ota_state state;
    uint32_t bytes, bytes_total; /* with the device for certain; of the whole file */
    uint64_t chunks_sent, chunks_resent;
    uint32_t granted; /* bytes of chunks that may still go out; SESSION_UNMETERED = any */
    bool is_starved;  /* a chunk is due, and too little is granted for it */
};
bool session_progress(const struct session *session, struct session_progress *out);
/* What may go out of the running transfer from now on, in place of what was left: a whole chunk
 * needs as many bytes. Then call session_tick. Nothing happens without a transfer. */
#define SESSION_UNMETERED UINT32_MAX
void session_grant(struct session *session, uint32_t bytes, mono_time now);

/* Events to the device, exactly as it understands them. */
int session_tell_pending(struct session *session, struct dtls_crypto *crypto, bool pending,
                         mono_time now, struct session_out *out) SW_NODISCARD;
int session_tell_forced(struct session *session, struct dtls_crypto *crypto, bool forced,
                        mono_time now, struct session_out *out) SW_NODISCARD;
int session_ping(struct session *session, struct dtls_crypto *crypto, mono_time now,
                 struct session_out *out) SW_NODISCARD;

enum session_request_kind {
    SESSION_REQUEST_FUNCTION, /* name, argument -> 4-byte big-endian result */
    SESSION_REQUEST_VARIABLE, /* name */
    SESSION_REQUEST_DESCRIBE, /* kind in argument[0]: 1, 2 or 4, never together */
    SESSION_REQUEST_SIGNAL,   /* argument[0]: 1 or 0 */
    SESSION_REQUEST_EVENT     /* name, argument as data */
};
/* *request: what the ANSWER will name, never 0. One at a time. SW_E_DENIED also for an event that
 * is reserved for the server's own words. */
int session_request(struct session *session, struct dtls_crypto *crypto,
                    enum session_request_kind kind, struct span name, struct span argument,
                    mono_time now, struct session_out *out, uint32_t *request) SW_NODISCARD;

/* Nobody waits for the answer any more: no ANSWER will be told, and another request may be made. */
void session_abandon(struct session *session, uint32_t request, mono_time now);

/* --- sequence numbers and storage --- */
/* Whether the session should be saved now, and with which limits: encode it with *want in the same
 * turn, write that durably, then call session_reserved. False while such a save is under way, and
 * before the Hello (a session that was never saved needs no limits: a crash forgets its keys).
 * Limits may also go down, when a device has fallen silent: what a restart would refuse of it
 * should be little. They then hold from this call on. */
struct session_reserve {
    uint64_t seq_out_limit, seq_in_limit;
    bool is_waiting; /* in doubt about what is below, and for nothing above */
};
bool session_reserve_due(struct session *session, mono_time now, struct session_reserve *want);
/* NULL: it could not be saved; session_reserve_due asks again. Then call session_tick. */
void session_reserved(struct session *session, const struct session_reserve *granted,
                      mono_time now);

/* After a crash it is not known which of the numbers below the stored limit were accepted; records
 * with them are refused, and the session is doubtful until one above it comes, or a *knock* is
 * answered: a ping whose message id was never used before the crash. Its acknowledgement was sent
 * after the crash, so all that its device says from there on is new. Appends one to *record, to be
 * sent to where a record came from that was refused with SW_E_REPLAY: it is smaller than any. Each
 * such refusal is for a number of its own, so a record that is repeated buys no second knock.
 * A device answers no ping before its Hello is acknowledged. So a Hello of a session that may be
 * stored is taken only when its number is on disk (until then it meets SW_E_LIMIT), and one among
 * the doubtful numbers is new.
 *   SW_E_STATE  neither doubtful nor to be resumed
 *   SW_E_LIMIT  no numbers are reserved */
int session_knock(struct session *session, struct dtls_crypto *crypto,
                  struct writer *record) SW_NODISCARD;

/* Secrets inside: seal before storing. With `limits` given, the form says that numbers below them
 * may have been used; else (a clean stop) the exact state. SW_E_FULL when out has no room for
 * SESSION_STORED_MAX bytes. */
#define SESSION_STORED_MAX 256
int session_encode(const struct session *session, const struct session_reserve *limits,
                   struct writer *out) SW_NODISCARD;
/* Restored: nothing below the stored limits is sent or accepted again; the next word raises
 * RESUMED. SW_E_VERSION for the form of another program, SW_E_INPUT or SW_E_RANGE for one that is
 * damaged. */
int session_decode(struct span stored, mono_time now, struct session *out) SW_NODISCARD;

#endif
