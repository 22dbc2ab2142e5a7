/* DTLS 1.2 handshakes (RFC 6347 section 4.2), both roles, sans-I/O: datagrams, time and entropy
 * come in, datagrams and one event come out. The state of a running handshake is the caller's
 * memory and is needed only until its end; what remains is a struct dtls_session.
 *
 * Device OS profile: ECDHE_ECDSA_AES_128_CCM_8, P-256, raw public keys, and *no Certificate message
 * from the server*; chosen when a ClientHello offers extension 254 with raw keys and no
 * extension 54, or is in every respect that of Device OS 3.0, which has no connection ids (see
 * docs/dtls.md). Every other client is spoken to as the RFCs say, with the credentials that the
 * endpoint has. */
#ifndef SLIPWAY_DTLS_HANDSHAKE_H
#define SLIPWAY_DTLS_HANDSHAKE_H

#include "slipway/crypto/certificate.h"
#include "slipway/crypto/key.h"
#include "slipway/dtls/session.h"
#include "slipway/util/address.h"
#include "slipway/util/outbox.h"
#include "slipway/util/time.h"

#define DTLS_HANDSHAKE_ENTROPY 64 /* bytes that starting a handshake consumes */
#define DTLS_COOKIE_SECRET     32

/* What a client keeps of an association to shorten its next handshake with the same server
 * (RFC 5246 section 7.3). Holds a secret: wipe it. */
struct dtls_resumable {
    uint8_t id[32]; /* as the server gave it */
    uint8_t id_len; /* 0 = nothing to resume */
    uint8_t proof;  /* enum dtls_proof */
    bool has_extended_master;
    uint16_t suite;
    struct hmac_key master;
    struct p256_point peer_key;
};

/* One side's settings and keys: shared by its handshakes, owned by one thread. */
struct dtls_endpoint;

struct dtls_endpoint_config {
    bool is_server;
    const struct crypto_key *key; /* borrowed for the endpoint's life */
    size_t mtu;                   /* largest datagram to send, 508..1400; 0 = 1232 */
    /* Client: the server's raw key (copied). In the Device OS role its ServerKeyExchange signature
     * is the only proof of the server, and no Certificate is accepted; in the standard one NULL
     * means that the owner holds dtls_handshake_peer against what it knows. */
    const struct p256_point *pinned;
    /* Client: ask for this form of connection id in the other direction (device: DRAFT05, empty).
     */
    uint8_t cid_form;
    bool is_device_os_30; /* Client: speak as Device OS 3.0 does, without connection ids */
    /* Server: ask the owner for the keys of PSK clients (DTLS_EVENT_NEED_PSK). */
    bool accepts_psk;
    /* Client: offer PSK suites with this identity and key; borrowed for the endpoint's life. */
    struct span psk_identity, psk_key;
    /* X.509: own certificates in PEM, own one first (empty = none to show; copied), and the
     * authorities behind the peer's (NULL = X.509 peers are refused; borrowed). Raw keys are
     * used instead wherever both sides name them. */
    struct span certificates;
    const struct crypto_key *certificate_key; /* of the first one; NULL = `key`; borrowed */
    struct crypto_trust *trust;
    const char *server_name; /* client: must be in the server's certificate; NULL = any */
    /* Client: try to resume this; NULL = full handshakes. Borrowed for the endpoint's life. */
    const struct dtls_resumable *resume;
    /* Offer or accept this suite only (IANA number); 0 = whatever the credentials allow. */
    uint16_t only_suite;
    /* Server: how many sessions of standard clients can be resumed by session id; 0 = none. A slot
     * takes about 600 bytes. Not with PSKs: their handshakes are as short, and a key that the owner
     * takes away must not go on living here. */
    size_t resumption_slots;
};

/* Our certificates as they go into a Certificate message may take this much, with 3 bytes each. */
#define DTLS_CHAIN_MAX 2048
/* NULL: out of memory, or no certificates of that size in PEM. */
struct dtls_endpoint *dtls_endpoint_new(const struct dtls_endpoint_config *config);
void dtls_endpoint_free(struct dtls_endpoint *endpoint);
/* The secret under which cookies are made; the one before it stays valid. Call every few minutes.
 */
void dtls_endpoint_rotate_cookie(struct dtls_endpoint *endpoint,
                                 const uint8_t secret[DTLS_COOKIE_SECRET]);
/* The wall clock against which certificates are held; before it is told they all fail. */
void dtls_endpoint_tell_time(struct dtls_endpoint *endpoint, wall_time now);
struct dtls_crypto *dtls_endpoint_crypto(struct dtls_endpoint *endpoint);

/* Server, before any memory is spent on a peer (RFC 6347 section 4.2.1): what to do with a datagram
 * whose first message is a ClientHello. */
enum dtls_hello {
    DTLS_HELLO_DROP,  /* malformed or unacceptable; *why says so */
    DTLS_HELLO_REPLY, /* written to out, keep nothing: a HelloVerifyRequest, or an alert when *why
                         says what for */
    DTLS_HELLO_ACCEPT /* the cookie proves the address: start a handshake with it */
};
enum dtls_hello dtls_server_hello(struct dtls_endpoint *endpoint, const struct address *peer,
                                  struct span datagram, struct outbox *out, const char **why);

enum dtls_event {
    DTLS_EVENT_NONE,
    DTLS_EVENT_ESTABLISHED, /* dtls_handshake_session may be called; keep the handshake for a while
                               to repeat its last flight when the peer repeats its own */
    DTLS_EVENT_FAILED,      /* over; *why says so; an alert may be in the outbox */
    DTLS_EVENT_NEED_PSK     /* server: look step.psk_identity up, then dtls_handshake_psk */
};

struct dtls_step {
    enum dtls_event event;
    const char *why;          /* static text; FAILED only */
    size_t consumed;          /* bytes of the datagram taken; the rest belongs to the new session */
    struct span psk_identity; /* NEED_PSK only; lives in the handshake until it is closed */
};

/* Fixed size so that callers can pool it; the layout is private. */
#define DTLS_HANDSHAKE_BYTES 8192
struct dtls_handshake {
    _Alignas(16) uint8_t opaque[DTLS_HANDSHAKE_BYTES];
};

/* Server: starts on an accepted ClientHello. cid_in is the id for the peer's records; the caller
 * must route datagrams with it here (the client's Finished already carries it). An error comes with
 * FAILED in *step. */
int dtls_handshake_accept(struct dtls_handshake *hs, struct dtls_endpoint *endpoint,
                          struct span datagram, const uint8_t cid_in[DTLS_CID_BYTES],
                          const uint8_t entropy[DTLS_HANDSHAKE_ENTROPY], mono_time now,
                          struct outbox *out, struct dtls_step *step) SW_NODISCARD;
/* Client: sends the first ClientHello. */
int dtls_handshake_connect(struct dtls_handshake *hs, struct dtls_endpoint *endpoint,
                           const uint8_t entropy[DTLS_HANDSHAKE_ENTROPY], mono_time now,
                           struct outbox *out) SW_NODISCARD;
/* Any later datagram of this association, also those that come after it was established and before
 * the handshake is freed (it repeats its last flight). Junk is ignored without an event. */
void dtls_handshake_input(struct dtls_handshake *hs, struct dtls_endpoint *endpoint,
                          struct span datagram, mono_time now, struct outbox *out,
                          struct dtls_step *step);
/* Due at dtls_handshake_deadline: retransmits the flight, or fails after the last time. */
void dtls_handshake_timer(struct dtls_handshake *hs, struct dtls_endpoint *endpoint, mono_time now,
                          struct outbox *out, struct dtls_step *step);
mono_time dtls_handshake_deadline(const struct dtls_handshake *hs); /* MONO_NEVER when none */
/* The answer to NEED_PSK, at once or later: the key of 1..64 bytes, or an empty span if nobody has
 * that identity (the peer cannot tell it from a wrong key, RFC 4279 section 2). */
#define DTLS_PSK_MAX          64
#define DTLS_PSK_IDENTITY_MAX 128
void dtls_handshake_psk(struct dtls_handshake *hs, struct dtls_endpoint *endpoint, struct span key,
                        mono_time now, struct outbox *out, struct dtls_step *step);
/* Whether the datagram repeats the ClientHello that this handshake began with. If not, and
 * dtls_server_hello accepts it, the peer has started anew. */
bool dtls_handshake_is_repeat(const struct dtls_handshake *hs, struct span datagram);

/* After ESTABLISHED. The session's limits are both DTLS_SEQUENCE_MAX: the owner lowers them. */
void dtls_handshake_session(const struct dtls_handshake *hs, struct dtls_session *out);
/* Client, after ESTABLISHED: what may be resumed later; id_len is 0 if the server keeps nothing. */
void dtls_handshake_resumable(const struct dtls_handshake *hs, struct dtls_resumable *out);
/* The peer's raw public key, proved by its signature; NULL if it showed none (PSK, X.509). */
const struct p256_point *dtls_handshake_peer(const struct dtls_handshake *hs);

/* How the peer proved who it is, after ESTABLISHED. */
enum dtls_proof { DTLS_PROOF_NONE, DTLS_PROOF_RAW_KEY, DTLS_PROOF_PSK, DTLS_PROOF_CERTIFICATE };
struct dtls_identity {
    enum dtls_proof proof;
    struct span name;  /* PSK identity, or see crypto_certified_name; lives in the handshake */
    bool is_device_os; /* the profile of Device OS was spoken */
    bool is_resumed;   /* by session id: the proof is the first handshake's */
};
void dtls_handshake_identity(const struct dtls_handshake *hs, struct dtls_identity *out);
/* Wipes it; it may then be reused. Accepts one that was never started (zeroes). */
void dtls_handshake_close(struct dtls_handshake *hs);

#endif
