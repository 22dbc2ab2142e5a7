/* X.509: verified by libcrypto against configured authorities, nothing of it re-invented here. Keys
 * of certificates may be on P-256 or P-384. */
#ifndef SLIPWAY_CRYPTO_CERTIFICATE_H
#define SLIPWAY_CRYPTO_CERTIFICATE_H

#include "slipway/crypto/hash.h"
#include "slipway/crypto/worker.h"
#include "slipway/util/error.h"
#include "slipway/util/span.h"
#include "slipway/util/time.h"

#define CERTIFICATE_NAME_MAX 128

/* The authorities that are trusted; heap. It remembers the last 1,024 lists of clients that it
 * verified, for as long as they are valid: reading a certificate and verifying its chain costs
 * more than all else of a handshake, and devices come back. For one thread. */
struct crypto_trust;
/* From PEM text with one or more certificates; NULL if there is none or one is malformed. */
struct crypto_trust *crypto_trust_from_pem(struct span pem);
void crypto_trust_free(struct crypto_trust *trust); /* accepts NULL */

/* The public key of a certificate that verified; heap. */
struct crypto_certified;
void crypto_certified_free(struct crypto_certified *certified); /* accepts NULL */
/* ECDSA over a SHA-256 digest: SW_OK; SW_E_INPUT if its point is not on P-256; SW_E_AUTH. */
int crypto_certified_check(const struct crypto_certified *certified, struct crypto_worker *worker,
                           const struct sha256 *digest, struct span signature) SW_NODISCARD;
/* Who it is: the first dNSName of the subjectAltName if there is one, else the last commonName of
 * the subject; printable ASCII. Empty if there is neither. Lives as long as certified. */
struct span crypto_certified_name(const struct crypto_certified *certified);

struct certificate_check {
    wall_time now;    /* against which validity is held */
    bool is_client;   /* the certificate is a TLS client's; else a server's */
    const char *host; /* a server's name that must be in it; NULL = any */
};

/* `list` is the certificate_list of RFC 5246 section 7.4.2 without its outer length: each
 * certificate with 3 bytes of length, the peer's own first. On success the caller frees *out.
 *   SW_E_INPUT      malformed, or none
 *   SW_E_NOT_FOUND  no authority of ours stands behind it
 *   SW_E_RANGE      expired, or not yet valid
 *   SW_E_DENIED     for another purpose or host, or with a key that is not an uncompressed point on
 *                   a named one of the two curves (RFC 5480, RFC 8422 section 5.3)
 *   SW_E_AUTH       a signature does not verify or is weaker than 112 bits, or another reason */
int crypto_trust_verify(struct crypto_trust *trust, struct span list,
                        const struct certificate_check *check,
                        struct crypto_certified **out) SW_NODISCARD;

/* Certificates in PEM, own one first, as such a list. Returns its length, SW_E_INPUT if there is
 * none or one is malformed, SW_E_FULL. */
int certificate_list_from_pem(struct span pem, uint8_t *out, size_t cap) SW_NODISCARD;
/* Whether the first certificate of such a text is for that key. */
struct crypto_key;
bool certificate_is_of_key(struct span pem, const struct crypto_key *key);

#endif
