#include "issue.h"

#include "slipway/util/check.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

static EVP_PKEY *key_of(const struct issue *wanted) {
    const char *kind = wanted->key == NULL ? "P-256" : wanted->key;
    if (strcmp(kind, "RSA") == 0) {
        return EVP_RSA_gen(2048);
    }
    EVP_PKEY *key =
        strcmp(kind, "ED25519") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, kind) : EVP_EC_gen(kind);
    if (wanted->is_explicit) {
        SW_CHECK(EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING,
                                                OSSL_PKEY_EC_ENCODING_EXPLICIT) == 1);
    }
    if (wanted->is_compressed) {
        SW_CHECK(EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                                OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_COMPRESSED) ==
                 1);
    }
    return key;
}

static void add_extension(X509 *certificate, X509V3_CTX *ctx, const char *text) {
    char name[64];
    const char *value = strchr(text, '=');
    SW_CHECK(value != NULL && (size_t)(value - text) < sizeof name);
    memcpy(name, text, (size_t)(value - text));
    name[value - text] = '\0';
    X509_EXTENSION *extension = X509V3_EXT_nconf(NULL, ctx, name, value + 1);
    SW_CHECK(extension != NULL && X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

void issue_sign(const struct issued *one, const struct issued *issuer, const char *digest) {
    bool has_digest = EVP_PKEY_is_a(issuer->key, "ED25519") == 0;
    const EVP_MD *md = has_digest ? EVP_get_digestbyname(digest == NULL ? "SHA256" : digest) : NULL;
    SW_CHECK(X509_sign(one->certificate, issuer->key, md) > 0);
}

void issue(const struct issue *wanted, struct issued *out) {
    static int64_t serial = 1;
    const struct issued *issuer = wanted->issuer == NULL ? out : wanted->issuer;
    out->key = key_of(wanted);
    out->certificate = X509_new();
    X509_NAME *name = X509_NAME_new();
    X509 *x = out->certificate;
    SW_CHECK(out->key != NULL && x != NULL && name != NULL && X509_set_version(x, 2) == 1 &&
             ASN1_INTEGER_set_int64(X509_get_serialNumber(x), serial++) == 1 &&
             X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                        (const unsigned char *)wanted->subject, -1, -1, 0) == 1 &&
             X509_set_subject_name(x, name) == 1 && X509_set_pubkey(x, out->key) == 1 &&
             X509_set_issuer_name(x, X509_get_subject_name(issuer->certificate)) == 1);
    X509_NAME_free(name);
    int64_t from_s = wanted->from_s != 0 ? wanted->from_s : ISSUE_NOON_S - ISSUE_YEAR_S;
    int64_t until_s = wanted->until_s != 0 ? wanted->until_s : ISSUE_NOON_S + ISSUE_YEAR_S;
    SW_CHECK(ASN1_TIME_set(X509_getm_notBefore(x), from_s) != NULL &&
             ASN1_TIME_set(X509_getm_notAfter(x), until_s) != NULL);
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer->certificate, x, NULL, NULL, 0);
    for (size_t i = 0; i < sizeof wanted->extensions / sizeof wanted->extensions[0]; i++) {
        if (wanted->extensions[i] != NULL) {
            add_extension(x, &ctx, wanted->extensions[i]);
        }
    }
    issue_sign(out, issuer, wanted->digest);
}

void issued_free(struct issued *one) {
    EVP_PKEY_free(one->key);
    X509_free(one->certificate);
    *one = (struct issued){.key = NULL};
}

void issued_write(const struct issued *one, struct writer *w) {
    unsigned char *der = NULL;
    int len = i2d_X509(one->certificate, &der);
    SW_CHECK(len > 0);
    writer_u24(w, (uint32_t)len);
    writer_bytes(w, span_of(der, (size_t)len));
    OPENSSL_free(der);
}

struct span issued_pem(const struct issued *one) {
    static char pem[8192];
    char *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    SW_CHECK(bio != NULL && PEM_write_bio_X509(bio, one->certificate) == 1);
    long len = BIO_get_mem_data(bio, &text);
    SW_CHECK(len > 0 && (size_t)len <= sizeof pem);
    memcpy(pem, text, (size_t)len);
    BIO_free(bio);
    return span_of(pem, (size_t)len);
}
