/* An established DTLS 1.2 association: everything that is needed to protect and open records, as
 * one plain value without pointers. Copy it, store it, restore it.
 *
 * Sources: RFC 6347 section 4.1 (records, anti-replay), RFC 5288 / RFC 6655 (AEAD suites), RFC 9146
 * (connection ids), draft-ietf-tls-dtls-connection-id-05 (the form that Device OS speaks). */
#ifndef SLIPWAY_DTLS_SESSION_H
#define SLIPWAY_DTLS_SESSION_H

#include "slipway/util/error.h"
#include "slipway/util/span.h"
#include "slipway/util/writer.h"

#define DTLS_CID_BYTES     8  /* of the ids that we choose */
#define DTLS_CID_BYTES_MAX 16 /* of a peer's; a client that wants longer ones goes without */
#define DTLS_RECORD_MAX    1400
#define DTLS_SEQUENCE_MAX  ((UINT64_C(1) << 48) - 1)

enum dtls_content {
    DTLS_CHANGE_CIPHER_SPEC = 20,
    DTLS_ALERT = 21,
    DTLS_HANDSHAKE = 22,
    DTLS_APPLICATION_DATA = 23,
    DTLS_CID = 25,       /* RFC 9146, and Device OS's draft form */
    DTLS_CID_MOVED = 253 /* Device OS: type 25 from a resumed session; authenticated as 25 */
};

/* How records carry connection ids. Each direction has an id only if its receiver chose one. */
enum dtls_cid_form {
    DTLS_CID_NONE = 0,
    DTLS_CID_RFC9146 = 54, /* by its extension number */
    DTLS_CID_DRAFT05 = 254
};

struct dtls_session {
    uint8_t key_in[16], key_out[16];
    uint8_t salt_in[4], salt_out[4];
    /* Outgoing: the next sequence number, and the first one that is not reserved. Sealing at the
     * limit is refused (SW_E_LIMIT), so that a number is never used before it is known durably
     * that it may have been. */
    uint64_t seq_out, seq_out_limit;
    /* Incoming: newest authentic number + 1; bit n of the window: number top-1-n was seen; and the
     * first number that may not be accepted yet (same reason, other direction). */
    uint64_t seq_in_top, seq_in_window, seq_in_limit;
    uint8_t cid_in[DTLS_CID_BYTES];      /* ours: in records that we receive */
    uint8_t cid_out[DTLS_CID_BYTES_MAX]; /* the peer's */
    uint8_t cid_in_len, cid_out_len;     /* 0 = records of that direction carry none */
    uint8_t cid_form;                    /* enum dtls_cid_form */
    uint8_t is_server;
    uint16_t suite; /* IANA number, e.g. 0xC0AE */
    uint16_t epoch; /* 1 */
};

/* Cipher contexts, one set per thread, shared by all its sessions. Heap. */
struct dtls_crypto;
struct dtls_crypto *dtls_crypto_new(void); /* NULL: out of memory */
void dtls_crypto_free(struct dtls_crypto *crypto);

/* What a datagram is, from its first record's header alone. */
enum dtls_kind {
    DTLS_KIND_NOISE,     /* drop silently, one-byte keep-alives included */
    DTLS_KIND_HANDSHAKE, /* epoch 0, types 20..22: by address, or a new ClientHello */
    DTLS_KIND_PLAIN,     /* types 20..23, epoch 1: look up by address */
    DTLS_KIND_CID,       /* types 25, 253: look up by cid */
    DTLS_KIND_MOVED_30,  /* type 254 of Device OS 3.0: look up by trailing device id */
    DTLS_KIND_PROBE      /* type 252: echo unchanged, rate-limited */
};

struct dtls_sorted {
    enum dtls_kind kind;
    struct span cid;    /* kind CID: DTLS_CID_BYTES bytes */
    bool is_moved;      /* outer type 253: the first words of a resumed session */
    bool is_hello;      /* kind HANDSHAKE and the first message is a ClientHello */
    bool has_cookie;    /* which has a cookie, good or not */
    struct span device; /* kind MOVED_30: 12 bytes of device id */
};

void dtls_sort(struct span datagram, struct dtls_sorted *out);

struct dtls_opened {
    uint8_t type;        /* enum dtls_content, the inner one */
    struct span content; /* in the caller's plain buffer */
    size_t consumed; /* bytes of the datagram that this record took; > 0 also on error if known */
    uint64_t sequence;
    bool is_newest; /* newer than all before it: may move the peer's address (RFC 9146 section 6) */
};

/* Opens the first record of the datagram into plain (cap >= DTLS_RECORD_MAX). The session changes
 * only when the record is authentic and new.
 *   SW_OK        out filled
 *   SW_E_INPUT   not a record of this session's form and epoch
 *   SW_E_REPLAY  seen before or older than the window
 *   SW_E_AUTH    does not authenticate
 *   SW_E_LIMIT   authentic and new, but at or past seq_in_limit: reserve, then give it again */
int dtls_open(struct dtls_crypto *crypto, struct dtls_session *session, struct span datagram,
              uint8_t *plain, size_t cap, struct dtls_opened *out) SW_NODISCARD;

/* Seals one record of the given type and appends it to out. SW_E_LIMIT at seq_out_limit (nothing
 * written), SW_E_FULL when out has no room, SW_E_RANGE when content is longer than
 * DTLS_RECORD_MAX - 64. */
int dtls_seal(struct dtls_crypto *crypto, struct dtls_session *session, uint8_t type,
              struct span content, struct writer *out) SW_NODISCARD;

/* The same, and a record with a connection id is marked as one of a resumed session (type 253):
 * what Device OS does after a sleep or restart until it is answered. */
int dtls_seal_moved(struct dtls_crypto *crypto, struct dtls_session *session, uint8_t type,
                    struct span content, struct writer *out) SW_NODISCARD;

/* Seals a close_notify (RFC 5246 section 7.2.1): the peer forgets the association. */
int dtls_seal_close(struct dtls_crypto *crypto, struct dtls_session *session,
                    struct writer *out) SW_NODISCARD;
/* Whether an opened record ends the association: close_notify or a fatal alert. */
bool dtls_is_end(const struct dtls_opened *opened);
/* Seals what the protocol itself answers to an opened record: a close_notify to one of the peer's
 * (RFC 5246 section 7.2.1), and to a wish for another handshake the warning no_renegotiation
 * (section 7.2.2): a server to a ClientHello, a client to a HelloRequest. At most one for each
 * record that is the newest, and shorter than it. SW_E_NOT_FOUND: there is nothing to answer. Else
 * as dtls_seal. */
int dtls_seal_answer(struct dtls_crypto *crypto, struct dtls_session *session,
                     const struct dtls_opened *opened, struct writer *out) SW_NODISCARD;

/* Bytes that sealing adds to a content of that length, at most. */
size_t dtls_overhead(const struct dtls_session *session);

/* A fixed, versioned form for storage; the secrets in it are NOT sealed here. */
#define DTLS_SESSION_STORED_MAX 160
/* SW_E_FULL. */
int dtls_session_encode(const struct dtls_session *session, struct writer *out) SW_NODISCARD;
/* Zeroes *out on an error: SW_E_VERSION for an unknown form, SW_E_INPUT if it is malformed,
 * SW_E_RANGE if no session can be so. */
int dtls_session_decode(struct span stored, struct dtls_session *out) SW_NODISCARD;

#endif
