/* One side's settings, and what a server answers to a ClientHello by them. */
#ifndef DTLS_ENDPOINT_H
#define DTLS_ENDPOINT_H

#include "dtls/message.h"
#include "dtls/suite.h"
#include "slipway/crypto/hash.h"
#include "slipway/dtls/handshake.h"

struct dtls_endpoint {
    struct dtls_endpoint_config config;
    struct p256_point pinned;
    struct dtls_crypto *crypto;
    struct hmac_key cookie_keys[2]; /* the present and the one before */
    unsigned cookie_key_count;
    wall_time wall;
    struct resumption *resumption; /* config.resumption_slots of them; NULL if none */
    size_t chain_len;              /* 0 = no certificates of our own */
    uint8_t chain[DTLS_CHAIN_MAX]; /* as in a Certificate message, without its outer length */
};

/* What is left of a handshake so that its client may shorten the next one (RFC 5246 section 7.3).
 */
struct resumption {
    uint8_t id[SESSION_ID_MAX];
    mono_time made;
    bool is_used, has_extended_master;
    uint16_t suite;
    uint8_t proof; /* enum dtls_proof */
    uint8_t name_len;
    struct hmac_key master;
    struct p256_point peer_key;
    uint8_t name[DTLS_PSK_IDENTITY_MAX];
};

/* The slot that may hold the id; it is taken over by whoever comes next. NULL without slots. */
struct resumption *resumption_slot(const struct dtls_endpoint *endpoint, struct span id);
/* The session of that id if the hello may resume it now; else NULL. */
const struct resumption *resumption_find(const struct dtls_endpoint *endpoint,
                                         const struct client_hello *hello, mono_time now);

/* What a server chose of a ClientHello. */
struct choice {
    const struct suite *suite;
    bool is_device_os;           /* no Certificate of ours */
    bool server_raw, client_raw; /* raw keys; else X.509 */
    uint8_t cid_form;            /* enum dtls_cid_form; NONE = no ids */
    struct span cid;             /* of records to the client */
};

/* The private key behind our own raw key or certificate. */
const struct crypto_key *endpoint_key(const struct dtls_endpoint *endpoint, bool is_raw);

/* SW_OK, or SW_E_DENIED with the alert that says so. */
int endpoint_choose(const struct dtls_endpoint *endpoint, const struct client_hello *hello,
                    struct choice *out, uint8_t *alert, const char **why) SW_NODISCARD;

/* The ClientHello that begins a datagram, whole in its record. */
struct hello_datagram {
    uint16_t record_version;
    uint64_t record_sequence;
    struct fragment message;
    struct client_hello hello;
};
int hello_datagram_parse(struct span datagram, struct hello_datagram *out,
                         const char **why) SW_NODISCARD;

#endif
