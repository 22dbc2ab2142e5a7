/* SHA-256 as a plain value. A handshake forks its transcript several times and TLS's PRF restarts
 * two keyed states again and again; libcrypto's EVP objects would allocate for each fork, its
 * older low-level functions (deprecated, but the same assembler) work in the caller's memory. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "slipway/crypto/hash.h"

#include "slipway/crypto/secret.h"
#include "slipway/util/check.h"

#include <openssl/sha.h>

#define BLOCK_BYTES 64

_Static_assert(sizeof(struct sha256_state) == sizeof(SHA256_CTX),
               "sha256_state holds a SHA256_CTX");
_Static_assert(_Alignof(struct sha256_state) == _Alignof(SHA256_CTX), "and is aligned like it");

static SHA256_CTX *context_of(struct sha256_state *state) {
    return (SHA256_CTX *)(void *)state->opaque;
}

void sha256_init(struct sha256_state *state) {
    SW_CHECK(SHA256_Init(context_of(state)) == 1);
}

void sha256_update(struct sha256_state *state, struct span bytes) {
    if (bytes.len > 0) {
        SW_CHECK(SHA256_Update(context_of(state), bytes.data, bytes.len) == 1);
    }
}

void sha256_final(struct sha256_state *state, struct sha256 *out) {
    SW_CHECK(SHA256_Final(out->b, context_of(state)) == 1);
}

void sha256_of(struct span bytes, struct sha256 *out) {
    struct sha256_state state;
    sha256_init(&state);
    sha256_update(&state, bytes);
    sha256_final(&state, out);
}

void hmac_key_init(struct hmac_key *key, struct span secret) {
    uint8_t block[BLOCK_BYTES] = {0};
    if (secret.len > BLOCK_BYTES) {
        struct sha256 short_key;
        sha256_of(secret, &short_key);
        memcpy(block, short_key.b, sizeof short_key.b);
        crypto_wipe(&short_key, sizeof short_key);
    } else if (secret.len > 0) {
        memcpy(block, secret.data, secret.len);
    }
    for (size_t i = 0; i < BLOCK_BYTES; i++) {
        block[i] ^= 0x36;
    }
    sha256_init(&key->inner);
    sha256_update(&key->inner, span_of(block, BLOCK_BYTES));
    for (size_t i = 0; i < BLOCK_BYTES; i++) {
        block[i] ^= 0x36 ^ 0x5c;
    }
    sha256_init(&key->outer);
    sha256_update(&key->outer, span_of(block, BLOCK_BYTES));
    crypto_wipe(block, sizeof block);
}

static void hmac_finish(const struct hmac_key *key, struct sha256_state *inner,
                        struct sha256 *out) {
    struct sha256_state outer = key->outer;
    sha256_final(inner, out);
    sha256_update(&outer, span_of(out->b, sizeof out->b));
    sha256_final(&outer, out);
}

void hmac_key_sign(const struct hmac_key *key, struct span message, struct sha256 *out) {
    struct sha256_state inner = key->inner;
    sha256_update(&inner, message);
    hmac_finish(key, &inner, out);
}

void hmac_sha256(struct span key, struct span message, struct sha256 *out) {
    struct hmac_key ready;
    hmac_key_init(&ready, key);
    hmac_key_sign(&ready, message, out);
    crypto_wipe(&ready, sizeof ready);
}

void prf_sha256(const struct hmac_key *key, const char *label, struct span seed_a,
                struct span seed_b, uint8_t *out, size_t len) {
    struct span label_bytes = span_text(label);
    struct sha256 a;
    struct sha256_state state = key->inner;
    sha256_update(&state, label_bytes);
    sha256_update(&state, seed_a);
    sha256_update(&state, seed_b);
    hmac_finish(key, &state, &a);
    struct sha256 block;
    for (size_t done = 0; done < len;) {
        state = key->inner;
        sha256_update(&state, span_of(a.b, sizeof a.b));
        sha256_update(&state, label_bytes);
        sha256_update(&state, seed_a);
        sha256_update(&state, seed_b);
        hmac_finish(key, &state, &block);
        size_t part = len - done < sizeof block.b ? len - done : sizeof block.b;
        memcpy(out + done, block.b, part);
        done += part;
        if (done < len) {
            hmac_key_sign(key, span_of(a.b, sizeof a.b), &a);
        }
    }
    crypto_wipe(&block, sizeof block);
    crypto_wipe(&a, sizeof a);
    crypto_wipe(&state, sizeof state);
}
