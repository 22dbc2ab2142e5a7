/* A client and a server in memory with a network between them that a test can spoil. */
#ifndef TESTS_DTLS_PAIR_H
#define TESTS_DTLS_PAIR_H

#include "slipway/dtls/handshake.h"
#include "slipway/util/rng.h"

#define PAIR_QUEUE 64

struct pair_datagram {
    bool to_server;
    size_t len;
    uint8_t bytes[1500];
};

struct pair {
    struct crypto_key *server_key, *client_key;
    struct dtls_endpoint *server, *client;
    struct dtls_handshake server_hs, client_hs;
    bool has_server, server_up, client_up, server_failed, client_failed;
    const char *server_why, *client_why;
    struct dtls_session server_session, client_session;
    struct address peer;
    mono_time now;
    struct rng rng;
    struct pair_datagram queue[PAIR_QUEUE];
    size_t queued;
    unsigned loss, duplication, disorder; /* percent */
    unsigned delivered, server_sent, client_sent;
    struct span psk; /* the server's answer to NEED_PSK; data NULL = not yet */
    bool needs_psk;
    /* Changes a datagram on its way; NULL = none. */
    void (*tamper)(struct pair *pair, struct pair_datagram *datagram);
    void *tamper_context;
    unsigned tamper_at; /* for the tamper function */
};

struct pair_setup {
    struct dtls_endpoint_config client, server;
    bool wrong_pin, keyless_client;
    struct span server_key, client_key; /* PEM; empty = fresh ones */
};

/* The certificates of tests/data/dtls/pki, for both sides of a setup; free pki->trust. */
struct pair_pki {
    char authority[4096], server[4096], client[4096], server_key[2048], client_key[2048];
    struct crypto_trust *trust;
};
void pair_load_pki(struct pair_pki *pki, struct pair_setup *setup, const char *client);

/* Device OS profile; pair_setup_device is the usual argument. */
extern const struct pair_setup pair_setup_device;
void pair_open(struct pair *pair, const struct pair_setup *setup, uint64_t seed);
void pair_close(struct pair *pair);
void pair_start(struct pair *pair);
/* Delivers what is queued; false if there was nothing. */
bool pair_deliver(struct pair *pair);
/* Moves time to the next deadline; false if there is none. */
bool pair_tick(struct pair *pair);
/* Until both are established or failed, or so many steps were taken. */
void pair_run(struct pair *pair, unsigned steps);
void pair_push(struct pair *pair, bool to_server, const uint8_t *bytes, size_t len);

#endif
