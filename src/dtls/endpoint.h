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
};

/* What a server chose of a ClientHello. */
struct choice {
    const struct suite *suite;
    bool is_device_os; /* no Certificate of ours */
    bool server_raw, client_raw;
    uint8_t cid_form; /* enum dtls_cid_form; NONE = no ids */
    struct span cid;  /* of records to the client */
};

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
