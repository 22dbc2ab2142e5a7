/* One device's session: DTLS records and CoAP messages on one side, the device's reports and the
 * server's wishes on the other. Pure: datagrams, time and confirmations come in; datagrams (already
 * sealed) and events come out. Runs on the loop thread.
 *
 * A session has two parts. `struct session` is small, has no pointers to anything that moves, and
 * lives as long as the association (weeks). `struct session_work` holds what only an active session
 * needs - the duplicate cache, requests under way, block-wise reassembly, a transfer - and is
 * lent by the owner when session_input asks for it and taken back when session_is_idle says so.
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
#define DESCRIBE_MAX       16384

/* The device's Hello (device-protocol: POST /h). */
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

int device_hello_decode(struct span payload, struct device_hello *out, const char **why) SW_NODISCARD;

enum describe_kind { DESCRIBE_SYSTEM = 1, DESCRIBE_APPLICATION = 2, DESCRIBE_METRICS = 4 };

enum session_event_kind {
    SESSION_EVENT_HELLO,     /* .hello; ticket */
    SESSION_EVENT_DESCRIBE,  /* .describe, complete; ticket */
    SESSION_EVENT_RESUMED,   /* first authentic word of a session that moved or slept, no Hello */
    SESSION_EVENT_UPDATES,   /* .updates: the device told enabled or forced; ticket */
    SESSION_EVENT_PUBLISH,   /* .publish: any other event of the device; ticket */
    SESSION_EVENT_GOODBYE,   /* it leaves on purpose; ticket */
    SESSION_EVENT_TRANSFER,  /* .transfer: the update under way moved on; ticket only on COMMIT */
    SESSION_EVENT_ANSWER,    /* .answer: to session_request */
    SESSION_EVENT_UNREACHABLE, /* our requests got no answer; the association stays */
    SESSION_EVENT_CLOSED     /* close_notify or a fatal alert: forget the association */
};

enum session_transfer {
    SESSION_TRANSFER_ACCEPTED, /* 2.01: chunks follow; .offset is where the device resumed */
    SESSION_TRANSFER_VERIFYING, /* all chunks acknowledged, UpdateFinish sent */
    SESSION_TRANSFER_COMMIT,    /* 2.04: confirming the ticket makes the device apply it */
    SESSION_TRANSFER_COMMITTED, /* our acknowledgement of the 2.04 was sent */
    SESSION_TRANSFER_FAILED     /* .failure, .device_error */
};

struct session_event {
    enum session_event_kind kind;
    uint32_t ticket; /* 0 = needs no confirmation */
    union {
        struct device_hello hello;
        struct {
            uint8_t kind;            /* one enum describe_kind */
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

/* What one call produced. Clear it (session_out_clear) between calls; datagrams go to session->peer. */
struct session_out {
    struct outbox box;
    size_t event_count;
    struct session_event events[SESSION_EVENTS_MAX];
};
void session_out_clear(struct session_out *out);

/* Which words of a device are awaited, known or void. Flags reset with each boot. */
struct session {
    struct dtls_session dtls;
    struct address peer;
    struct device_id device;   /* zero until the Hello */
    mono_time heard;           /* last authentic record */
    struct session_work *work; /* lent; NULL when idle */
    uint16_t coap_id;          /* our next message id */
    uint8_t coap_token;        /* our next 1-byte token */
    uint8_t is_known : 1;         /* a Hello of this session was confirmed */
    uint8_t updates_enabled : 1;  /* what the device said last; assumed true at a fresh session */
    uint8_t updates_forced : 1;
    uint8_t is_resumed : 1;       /* next authentic word raises RESUMED */
    uint8_t is_trusted : 1;       /* the owner recognised the device: requests may be sent */
};

/* The part of an active session; about 8 KiB. The layout is private to src/session. */
#define SESSION_WORK_BYTES 12288
struct session_work {
    _Alignas(16) uint8_t opaque[SESSION_WORK_BYTES];
};

/* Fresh, after a handshake. Limits of the sequence numbers are as in *dtls. */
void session_init(struct session *session, const struct dtls_session *dtls,
                  const struct address *peer, mono_time now);
/* Lends and takes back the working part. attach wipes it first. detach SW_CHECKs session_is_idle. */
void session_attach(struct session *session, struct session_work *work, mono_time now);
struct session_work *session_detach(struct session *session);
bool session_is_idle(const struct session *session, mono_time now);
/* Wipes secrets; detaches whatever is there and returns it. */
struct session_work *session_close(struct session *session);

/* One datagram that was routed here. SW_OK also for junk (counted by the caller through *why, which
 * is NULL when it was taken).
 *   SW_E_STATE  needs a session_work: attach one and give the same datagram again
 *   SW_E_LIMIT  authentic, but past what is reserved: reserve, then give it again */
int session_input(struct session *session, struct dtls_crypto *crypto, const struct address *from,
                  struct span datagram, mono_time now, wall_time wall, struct session_out *out,
                  const char **why) SW_NODISCARD;
/* The report behind a ticket is durable: acknowledge it. Unknown tickets are ignored. */
void session_confirm(struct session *session, struct dtls_crypto *crypto, uint32_t ticket,
                     mono_time now, struct session_out *out);
/* The report could not be kept: stay silent, the device will repeat it. */
void session_refuse(struct session *session, uint32_t ticket);
/* Retransmissions, transfer, expiry. Call at session_deadline, and again at once while the outbox
 * came back full. */
void session_tick(struct session *session, struct dtls_crypto *crypto, mono_time now,
                  struct session_out *out);
mono_time session_deadline(const struct session *session); /* MONO_NEVER when nothing waits */

/* --- the server's wishes; all need an attached work, a confirmed Hello or a resumed session, and
 * answer SW_E_BUSY when one of the kind is under way --- */
struct session_offer {
    struct span image; /* borrowed until the transfer ends or the session closes */
    struct sha256 file_hash;
    uint16_t chunk_bytes;     /* 0 = the device's own wish, else 512 */
    uint16_t outstanding_max; /* 0 = default */
    uint32_t rate_bytes_s;    /* 0 = no pacing */
    bool discard;             /* Discard-Data */
    bool is_asset;            /* Module-Function 9 */
};
int session_offer(struct session *session, struct dtls_crypto *crypto,
                  const struct session_offer *offer, mono_time now,
                  struct session_out *out) SW_NODISCARD;
/* Cancels a running transfer with UpdateFinish + Cancel-Update. */
void session_cancel(struct session *session, struct dtls_crypto *crypto, bool discard,
                    mono_time now, struct session_out *out);
/* The running transfer, for progress; NULL when there is none. Its acceptance also as a question: */
const struct ota *session_transfer(const struct session *session);

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
int session_request(struct session *session, struct dtls_crypto *crypto,
                    enum session_request_kind kind, struct span name, struct span argument,
                    mono_time now, struct session_out *out, uint32_t *request) SW_NODISCARD;

/* --- sequence numbers and storage --- */
/* Whether the session should be saved with raised limits, and to which. Writing the encoded form
 * durably comes first; then session_reserved. */
struct session_reserve {
    uint64_t seq_out_limit, seq_in_limit;
};
bool session_reserve_due(const struct session *session, mono_time now, struct session_reserve *want);
void session_reserved(struct session *session, const struct session_reserve *granted);

/* Secrets inside: seal before storing. With `limits` given, the form says that numbers below them
 * may have been used; else (a clean stop) the exact state. */
#define SESSION_STORED_MAX 256
int session_encode(const struct session *session, const struct session_reserve *limits,
                   struct writer *out) SW_NODISCARD;
/* Restored: nothing below the stored limits is sent or accepted again; the next word raises RESUMED. */
int session_decode(struct span stored, mono_time now, struct session *out) SW_NODISCARD;

#endif
