/* The inside of a crypto_worker, for the files of this module. */
#ifndef CRYPTO_WORKER_PRIVATE_H
#define CRYPTO_WORKER_PRIVATE_H

#include "slipway/crypto/worker.h"

#include <openssl/evp.h>

/* A context and the key that is set in it. */
struct cipher {
    EVP_CIPHER_CTX *ctx;
    bool has_key;
    uint8_t key[AEAD_KEY_BYTES];
    uint8_t salt[AEAD_SALT_BYTES]; /* of `record` only */
};

struct crypto_worker {
    struct cipher seal[AEAD_COUNT], open[AEAD_COUNT];
    struct cipher record[AEAD_COUNT]; /* seals in libcrypto's own form for TLS; CCM only */
    EVP_PKEY_CTX *generator;          /* makes P-256 keys */
    EVP_PKEY *peer;                   /* a P-256 key whose public point is set anew for each use */
    EVP_PKEY_CTX *verifier;           /* bound to peer, and so to whatever point it has */
};

#endif
