/* P-256 keys. A public key is its 65-byte uncompressed point; a private key is an object of
 * libcrypto's that is loaded once and shared by all handshakes of a thread. */
#ifndef SLIPWAY_CRYPTO_KEY_H
#define SLIPWAY_CRYPTO_KEY_H

#include "slipway/util/error.h"
#include "slipway/util/span.h"

#define P256_POINT_BYTES 65 /* 04 || X || Y */
#define P256_SPKI_BYTES  91 /* SubjectPublicKeyInfo DER of such a point */

struct p256_point {
    uint8_t b[P256_POINT_BYTES];
};

struct crypto_key; /* private key; heap */

/* A new random key; NULL if libcrypto fails. The caller frees it. */
struct crypto_key *crypto_key_generate(void);
/* From a 32-byte big-endian scalar (tests, simulated devices); NULL unless 0 < d < n. */
struct crypto_key *crypto_key_from_scalar(const uint8_t scalar[32]);
/* From PEM text (SEC1 or PKCS#8); NULL if it is not a P-256 private key. */
struct crypto_key *crypto_key_from_pem(struct span pem);
void crypto_key_free(struct crypto_key *key); /* accepts NULL */

/* PKCS#8 PEM with a NUL; returns the text's length or SW_E_FULL. */
int crypto_key_to_pem(const struct crypto_key *key, char *out, size_t cap) SW_NODISCARD;
const struct p256_point *crypto_key_point(const struct crypto_key *key);

/* The fixed DER form of a P-256 SubjectPublicKeyInfo (RFC 5480), written without an encoder. */
void p256_spki_encode(const struct p256_point *point, uint8_t out[P256_SPKI_BYTES]);
/* SW_E_INPUT unless it is exactly that form; the point itself is not checked here. */
int p256_spki_decode(struct span spki, struct p256_point *out) SW_NODISCARD;
/* Whether the point is on the curve and not infinity. */
bool p256_point_is_valid(const struct p256_point *point);
/* From a PEM public key ("BEGIN PUBLIC KEY") as particle-cli sends it. */
int p256_point_from_pem(struct span pem, struct p256_point *out) SW_NODISCARD;

#endif
