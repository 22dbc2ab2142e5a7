/* The inside of a crypto_worker, for the files of this module. */
#ifndef CRYPTO_WORKER_PRIVATE_H
#define CRYPTO_WORKER_PRIVATE_H

#include "slipway/crypto/worker.h"

#include <openssl/evp.h>

struct crypto_worker {
    EVP_CIPHER_CTX *seal[AEAD_COUNT], *open[AEAD_COUNT];
    EVP_PKEY_CTX *generator; /* makes P-256 keys */
    EVP_PKEY *peer;          /* a P-256 key whose public point is set anew for each use */
    EVP_PKEY_CTX *verifier;  /* bound to peer, and so to whatever point it has */
};

#endif
