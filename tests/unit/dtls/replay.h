/* A server whose answers depend on nothing but what it is given: time, address, entropy and even
 * libcrypto's randomness are fixed. A client that has spoken to it once can so be played again, to
 * the byte, and with a byte changed. Used by the program that records and by the tests that play.
 */
#ifndef TESTS_DTLS_REPLAY_H
#define TESTS_DTLS_REPLAY_H

#include "slipway/dtls/handshake.h"

#define REPLAY_IDENTITY "device-12"
#define REPLAY_PSK      "0123456789abcdef"
#define REPLAY_WORD     "hello" /* what each client says once it may */

struct replay {
    struct crypto_key *key;
    struct crypto_trust *trust;
    struct dtls_endpoint *server;
    struct dtls_handshake hs;
    mono_time now;
    /* Of the client: */
    bool is_running, is_established;
    const char *why; /* of a handshake that failed, or a hello that was refused; else NULL */
    struct dtls_session session;
    enum dtls_proof proof;
    char name[CERTIFICATE_NAME_MAX + 1];
    struct p256_point peer; /* with a raw key */
    char heard[64];
};

/* pki: the folder tests/data/dtls/pki. From here on libcrypto's random bytes are always the same,
 * except while replay_is_random is set. */
extern bool replay_is_random;
void replay_open(struct replay *replay, const char *pki);
void replay_close(struct replay *replay);
/* As if no client had ever spoken; *replay->now starts anew. */
void replay_forget(struct replay *replay);
/* One datagram of the client, routed as a server does; what it answers goes to out. */
void replay_take(struct replay *replay, struct span datagram, struct outbox *out);

#endif
