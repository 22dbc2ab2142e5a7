/* P-256 keys. A public key is its 65-byte uncompressed point; a private key is an object of
 * libcrypto's that is loaded once and shared by all handshakes of a thread. */
#ifndef SLIPWAY_CRYPTO_KEY_H
#define SLIPWAY_CRYPTO_KEY_H

#include "slipway/crypto/hash.h"
#include "slipway/crypto/worker.h"
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
/* From unencrypted PEM text (SEC1 or PKCS#8); NULL if it is not a P-256 private key. */
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
/* From a PEM public key ("BEGIN PUBLIC KEY") as particle-cli sends it. SW_E_INPUT if it is none or
 * its point is not on the curve. */
int p256_point_from_pem(struct span pem, struct p256_point *out) SW_NODISCARD;
/* The same form, with a NUL; returns the text's length or SW_E_FULL. */
int p256_point_to_pem(const struct p256_point *point, char *out, size_t cap) SW_NODISCARD;

#define ECDSA_SIGNATURE_MAX 72 /* DER of a P-256 signature */

/* ECDSA over a SHA-256 digest, DER. Returns the length or SW_E_CRYPTO. The nonce is libcrypto's. */
int crypto_sign(const struct crypto_key *key, const struct sha256 *digest,
                uint8_t out[ECDSA_SIGNATURE_MAX]) SW_NODISCARD;
/* SW_OK; SW_E_INPUT if the point is not on the curve; SW_E_AUTH if the signature is not valid. */
int crypto_verify(struct crypto_worker *worker, const struct p256_point *signer,
                  const struct sha256 *digest, struct span signature) SW_NODISCARD;

/* A key for one key exchange; NULL if libcrypto fails. Free it with crypto_key_free. */
struct crypto_key *crypto_key_ephemeral(struct crypto_worker *worker);
#define ECDH_SECRET_BYTES 32
/* ECDH: the shared X coordinate. SW_E_INPUT if the peer's point is not on the curve. */
int crypto_agree(struct crypto_worker *worker, const struct crypto_key *own,
                 const struct p256_point *peer, uint8_t out[ECDH_SECRET_BYTES]) SW_NODISCARD;

#endif
