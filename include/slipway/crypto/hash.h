/* SHA-256 and HMAC-SHA-256. Any thread; no shared state. */
#ifndef SLIPWAY_CRYPTO_HASH_H
#define SLIPWAY_CRYPTO_HASH_H

#include "slipway/util/span.h"

#define SHA256_BYTES 32

struct sha256 {
    uint8_t b[SHA256_BYTES];
};

/* A running hash by value: copy it to fork the state (handshake transcripts do). */
struct sha256_state {
    uint32_t opaque[28]; /* holds libcrypto's SHA256_CTX */
};

void sha256_init(struct sha256_state *state);
void sha256_update(struct sha256_state *state, struct span bytes);
void sha256_final(struct sha256_state *state, struct sha256 *out); /* state may not be used on */
void sha256_of(struct span bytes, struct sha256 *out);
void hmac_sha256(struct span key, struct span message, struct sha256 *out);

/* A key made ready: the two hash states after its inner and outer block, so that each use saves two
 * of four compressions (RFC 2104 section 4). Holds the secret: wipe it. */
struct hmac_key {
    struct sha256_state inner, outer;
};

void hmac_key_init(struct hmac_key *key, struct span secret);
void hmac_key_sign(const struct hmac_key *key, struct span message, struct sha256 *out);

/* The PRF of TLS 1.2 with SHA-256 (RFC 5246 section 5): len bytes to out. The seed is the
 * concatenation of both parts; either may be empty. */
void prf_sha256(const struct hmac_key *key, const char *label, struct span seed_a,
                struct span seed_b, uint8_t *out, size_t len);

#endif
