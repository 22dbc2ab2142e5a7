/* Makes certificates of any kind, also wrong ones, for tests of how they are checked. */
#ifndef TEST_CRYPTO_ISSUE_H
#define TEST_CRYPTO_ISSUE_H

#include "slipway/util/span.h"
#include "slipway/util/writer.h"

#include <openssl/x509.h>

#define ISSUE_NOON_S INT64_C(1800000000) /* in 2027 */
#define ISSUE_YEAR_S INT64_C(31557600)

struct issued {
    EVP_PKEY *key;
    X509 *certificate;
};

struct issue {
    const char *subject;             /* its commonName */
    const char *key;                 /* "P-256", "P-384", ...; "RSA", "ED25519"; NULL = P-256 */
    bool is_explicit, is_compressed; /* how the curve, the point is written */
    const struct issued *issuer;     /* NULL = itself */
    const char *digest;              /* of the signature; NULL = SHA256, where there is one */
    int64_t from_s, until_s;         /* 0 = a year before, after noon */
    const char *extensions[5];       /* as in the configuration of openssl, "name=value" */
};

#define ISSUE_CA     "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"
#define ISSUE_CLIENT "basicConstraints=critical,CA:FALSE", "extendedKeyUsage=clientAuth"

void issue(const struct issue *wanted, struct issued *out);
/* Replaces the key in it, or anything else, and then signs it again. */
void issue_sign(const struct issued *one, const struct issued *issuer, const char *digest);
void issued_free(struct issued *one);
/* Appends it with its length, as in a certificate_list. */
void issued_write(const struct issued *one, struct writer *w);
/* As PEM text that lives until the next call. */
struct span issued_pem(const struct issued *one);

#endif
