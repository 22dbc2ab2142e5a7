/* Reads peers' own certificates without having libcrypto decode the key in them: its decoders of
 * keys (OSSL_DECODER) take six times as long as all the rest of a certificate, and the key is
 * used as a point anyway. All else of such a certificate is libcrypto's. */
#ifndef CRYPTO_LEAF_H
#define CRYPTO_LEAF_H

#include "slipway/util/span.h"

#include <openssl/provider.h>
#include <openssl/x509.h>

#define P384_POINT_BYTES 97 /* 04 || X || Y */

struct leaf_reader {
    OSSL_LIB_CTX *context; /* knows one decoder of keys and no algorithm */
    OSSL_PROVIDER *provider;
};

bool leaf_reader_init(struct leaf_reader *reader); /* false if libcrypto fails; close it as well */
void leaf_reader_close(struct leaf_reader *reader);

/* The certificate, if it is one altogether; else NULL. Its X509_get0_pubkey is NULL unless its key
 * is an uncompressed point on P-256 or P-384, given as a named curve (RFC 5480); whether the point
 * is on the curve is not checked. That EVP_PKEY can be asked of what kind it is and nothing else:
 * no signature verifies with it, as none is made with a peer's own certificate. */
X509 *leaf_read(const struct leaf_reader *reader, struct span der);

#endif
