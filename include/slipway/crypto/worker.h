/* What one thread reuses of libcrypto: cipher contexts, a key generator, a key to copy the curve
 * from. Making them anew for each record or handshake would cost more than the work itself. */
#ifndef SLIPWAY_CRYPTO_WORKER_H
#define SLIPWAY_CRYPTO_WORKER_H

#include "slipway/util/error.h"
#include "slipway/util/span.h"

struct crypto_worker; /* heap; one thread */

struct crypto_worker *crypto_worker_new(void);         /* NULL if libcrypto fails */
void crypto_worker_free(struct crypto_worker *worker); /* accepts NULL */

/* The AEADs of RFC 6655 (CCM) and RFC 5288 (GCM), with AES-128. */
enum aead { AEAD_AES128_CCM_8, AEAD_AES128_CCM, AEAD_AES128_GCM, AEAD_COUNT };
#define AEAD_KEY_BYTES   16
#define AEAD_NONCE_BYTES 12
#define AEAD_SALT_BYTES  4 /* of the nonce; the others stand in front of a record's text */
#define AEAD_SENT_BYTES  8
#define AEAD_TAG_MAX     16

/* What belongs to one message; never use a nonce twice with one key. */
struct aead_use {
    enum aead aead;
    const uint8_t *key;   /* AEAD_KEY_BYTES */
    const uint8_t *nonce; /* AEAD_NONCE_BYTES */
    struct span associated;
};

size_t aead_tag_bytes(enum aead aead);
/* Writes plain.len bytes and the tag to out, which may be plain.data. SW_E_CRYPTO if libcrypto
 * fails. */
int aead_seal(struct crypto_worker *worker, const struct aead_use *use, struct span plain,
              uint8_t *out) SW_NODISCARD;
/* The same for a record of DTLS 1.2, in place: fragment has the last AEAD_SENT_BYTES of the nonce,
 * `len` bytes of text, and room for the tag. Cheaper when what is authenticated is the 13 bytes of
 * RFC 5246 section 6.2.3.3, and again when one record after the other has the same key. */
int aead_seal_record(struct crypto_worker *worker, const struct aead_use *use, uint8_t *fragment,
                     size_t len) SW_NODISCARD;
/* Writes sealed.len less the tag to out (it may not overlap). SW_E_INPUT if shorter than a tag;
 * SW_E_AUTH if it does not authenticate, and out is then wiped. */
int aead_open(struct crypto_worker *worker, const struct aead_use *use, struct span sealed,
              uint8_t *out) SW_NODISCARD;

#endif
