#include "slipway/crypto/certificate.h"

#include "crypto/leaf.h"
#include "slipway/crypto/key.h"
#include "slipway/crypto/secret.h"
#include "slipway/util/reader.h"
#include "slipway/util/writer.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define CHAIN_MAX  6    /* certificates that a peer may show */
#define AUTH_LEVEL 2    /* of libcrypto's: 112 bits, so no SHA-1, no RSA below 2048 bits */
#define KNOWN_MAX  1024 /* lists that are remembered, each where its hash says */

/* A list that was verified: what it said, and when all of its chain is valid. */
struct known {
    struct sha256 list;
    int64_t from_s, until_s; /* since 1970 */
    struct crypto_certified *certified;
};

struct crypto_trust {
    X509_STORE *store;
    struct leaf_reader leaves;
    struct known known[KNOWN_MAX];
};

struct crypto_certified {
    unsigned holders;
    EVP_PKEY *pkey;          /* NULL if it is on P-256, which has a shorter way */
    struct p256_point point; /* then; whether it is on the curve is seen when it is used */
    uint8_t name_len;
    char name[CERTIFICATE_NAME_MAX];
};

typedef bool certificate_fn(X509 *certificate, void *context);

/* Gives each certificate of the text in turn; the number of them, or -1 if one is malformed or
 * refused. */
static int each_certificate(struct span pem, certificate_fn *take, void *context) {
    int count = 0;
    BIO *bio = pem.len == 0 || pem.len > INT_MAX ? NULL : BIO_new_mem_buf(pem.data, (int)pem.len);
    while (bio != NULL && count >= 0) {
        X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (certificate == NULL) {
            unsigned long error = ERR_peek_last_error();
            if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE) {
                count = -1;
            }
            break;
        }
        count = take(certificate, context) ? count + 1 : -1;
        X509_free(certificate);
    }
    BIO_free(bio);
    ERR_clear_error();
    return count;
}

static bool add_to_store(X509 *certificate, void *context) {
    return X509_STORE_add_cert((X509_STORE *)context, certificate) == 1;
}

struct crypto_trust *crypto_trust_from_pem(struct span pem) {
    struct crypto_trust *trust = crypto_alloc(sizeof *trust);
    if (trust == NULL) {
        return NULL;
    }
    trust->store = X509_STORE_new();
    if (!leaf_reader_init(&trust->leaves) || trust->store == NULL ||
        each_certificate(pem, add_to_store, trust->store) <= 0) {
        crypto_trust_free(trust);
        return NULL;
    }
    return trust;
}

void crypto_trust_free(struct crypto_trust *trust) {
    if (trust != NULL) {
        for (size_t i = 0; i < KNOWN_MAX; i++) {
            crypto_certified_free(trust->known[i].certified);
        }
        X509_STORE_free(trust->store);
        leaf_reader_close(&trust->leaves);
        crypto_free(trust, sizeof *trust);
    }
}

static bool add_to_list(X509 *certificate, void *context) {
    struct writer *w = context;
    unsigned char *der = NULL;
    int len = i2d_X509(certificate, &der);
    if (len <= 0) {
        return false;
    }
    writer_u24(w, (uint32_t)len);
    writer_bytes(w, span_of(der, (size_t)len));
    OPENSSL_free(der);
    return true;
}

int certificate_list_from_pem(struct span pem, uint8_t *out, size_t cap) {
    struct writer w = writer_of(out, cap);
    if (each_certificate(pem, add_to_list, &w) <= 0) {
        return SW_E_INPUT;
    }
    return writer_status(&w) == SW_OK ? (int)w.at : SW_E_FULL;
}

struct ownership {
    const struct crypto_key *key;
    unsigned seen;
    bool is_own;
};

static bool compare_key(X509 *certificate, void *context) {
    struct ownership *ownership = context;
    const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(certificate);
    if (ownership->seen++ == 0) {
        ownership->is_own =
            bits != NULL && bits->length == P256_POINT_BYTES &&
            memcmp(bits->data, crypto_key_point(ownership->key)->b, P256_POINT_BYTES) == 0;
    }
    return true;
}

bool certificate_is_of_key(struct span pem, const struct crypto_key *key) {
    struct ownership ownership = {.key = key};
    return each_certificate(pem, compare_key, &ownership) > 0 && ownership.is_own;
}

void crypto_certified_free(struct crypto_certified *certified) {
    if (certified != NULL && --certified->holders == 0) {
        EVP_PKEY_free(certified->pkey);
        crypto_free(certified, sizeof *certified);
    }
}

struct span crypto_certified_name(const struct crypto_certified *certified) {
    return span_of(certified->name, certified->name_len);
}

int crypto_certified_check(const struct crypto_certified *certified, struct crypto_worker *worker,
                           const struct sha256 *digest, struct span signature) {
    if (certified->pkey == NULL) {
        return crypto_verify(worker, &certified->point, digest, signature);
    }
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, certified->pkey, NULL);
    bool valid =
        ctx != NULL && EVP_PKEY_verify_init(ctx) == 1 &&
        EVP_PKEY_verify(ctx, signature.data, signature.len, digest->b, sizeof digest->b) == 1;
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    return valid ? SW_OK : SW_E_AUTH;
}

/* Names are logged and compared as text: what is not printable ASCII is no name. */
static bool take_name(struct crypto_certified *certified, const unsigned char *text, int len) {
    if (text == NULL || len <= 0 || len > CERTIFICATE_NAME_MAX) {
        return false;
    }
    for (int i = 0; i < len; i++) {
        if (text[i] <= 0x20 || text[i] >= 0x7f) {
            return false;
        }
    }
    memcpy(certified->name, text, (size_t)len);
    certified->name_len = (uint8_t)len;
    return true;
}

static bool name_from_alternatives(struct crypto_certified *certified, const X509 *leaf) {
    bool found = false;
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && !found; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS) {
            found = take_name(certified, ASN1_STRING_get0_data(name->d.dNSName),
                              ASN1_STRING_length(name->d.dNSName));
        }
    }
    GENERAL_NAMES_free(names);
    return found;
}

static void name_from_subject(struct crypto_certified *certified, const X509 *leaf) {
    const X509_NAME *subject = X509_get_subject_name(leaf);
    int last = -1;
    for (int i = X509_NAME_get_index_by_NID(subject, NID_commonName, -1); i >= 0;
         i = X509_NAME_get_index_by_NID(subject, NID_commonName, i)) {
        last = i;
    }
    if (last < 0) {
        return;
    }
    unsigned char *text = NULL;
    int len =
        ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last)));
    (void)take_name(certified, text, len);
    OPENSSL_free(text);
}

/* leaf_read has recognised the key: its length tells which of the two curves it is on. */
static bool take_key(struct crypto_certified *certified, const X509 *leaf) {
    const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(leaf);
    if (bits->length == P256_POINT_BYTES) {
        memcpy(certified->point.b, bits->data, P256_POINT_BYTES);
        return true;
    }
    unsigned char *spki = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &spki);
    const unsigned char *at = spki;
    certified->pkey = len > 0 ? d2i_PUBKEY(NULL, &at, len) : NULL;
    OPENSSL_free(spki);
    return certified->pkey != NULL;
}

static int certified_of(const X509 *leaf, struct crypto_certified **out) {
    struct crypto_certified *certified = crypto_alloc(sizeof *certified);
    if (certified == NULL) {
        return SW_E_MEMORY;
    }
    certified->holders = 1;
    if (!take_key(certified, leaf)) {
        crypto_certified_free(certified);
        return SW_E_DENIED;
    }
    if (!name_from_alternatives(certified, leaf)) {
        name_from_subject(certified, leaf);
    }
    *out = certified;
    return SW_OK;
}

static int status_of(int verify_error) {
    switch (verify_error) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return SW_E_NOT_FOUND;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return SW_E_RANGE;
    case X509_V_ERR_INVALID_PURPOSE:
    case X509_V_ERR_HOSTNAME_MISMATCH:
        return SW_E_DENIED;
    default:
        return SW_E_AUTH;
    }
}

/* --- what is remembered --- */

static int64_t seconds_of(const ASN1_TIME *epoch, const ASN1_TIME *time, int64_t otherwise) {
    int days = 0, seconds = 0;
    return ASN1_TIME_diff(&days, &seconds, epoch, time) == 1 ? days * INT64_C(86400) + seconds
                                                             : otherwise;
}

/* When each certificate of the chain is valid; never, where that cannot be told. */
static void take_validity(const STACK_OF(X509) * chain, struct known *known) {
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    known->from_s = epoch == NULL ? INT64_MAX : INT64_MIN;
    known->until_s = INT64_MAX;
    for (int i = 0; epoch != NULL && i < sk_X509_num(chain); i++) {
        const X509 *one = sk_X509_value(chain, i);
        int64_t from_s = seconds_of(epoch, X509_get0_notBefore(one), INT64_MAX);
        int64_t until_s = seconds_of(epoch, X509_get0_notAfter(one), INT64_MIN);
        known->from_s = from_s > known->from_s ? from_s : known->from_s;
        known->until_s = until_s < known->until_s ? until_s : known->until_s;
    }
    ASN1_TIME_free(epoch);
}

static struct known *known_of(struct crypto_trust *trust, const struct sha256 *list) {
    return &trust->known[(list->b[0] | (size_t)list->b[1] << 8) % KNOWN_MAX];
}

static void remember(struct crypto_trust *trust, const struct known *fresh,
                     struct crypto_certified *certified) {
    struct known *known = known_of(trust, &fresh->list);
    crypto_certified_free(known->certified);
    *known = *fresh;
    known->certified = certified;
    certified->holders++;
}

static struct crypto_certified *recall(struct crypto_trust *trust, const struct sha256 *list,
                                       wall_time now) {
    struct known *known = known_of(trust, list);
    int64_t now_s = now.ms / 1000;
    if (known->certified == NULL || memcmp(known->list.b, list->b, SHA256_BYTES) != 0 ||
        now_s <= known->from_s || now_s >= known->until_s) {
        return NULL;
    }
    known->certified->holders++;
    return known->certified;
}

static int verify_chain(const struct crypto_trust *trust, X509 *leaf, STACK_OF(X509) * others,
                        const struct certificate_check *check, struct known *out) {
    int status = SW_E_CRYPTO;
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    if (ctx != NULL && X509_STORE_CTX_init(ctx, trust->store, leaf, others) == 1 &&
        X509_STORE_CTX_set_default(ctx, check->is_client ? "ssl_client" : "ssl_server") == 1) {
        X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
        X509_VERIFY_PARAM_set_time(param, check->now.ms / 1000);
        X509_VERIFY_PARAM_set_depth(param, CHAIN_MAX);
        X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
        if (check->host == NULL || X509_VERIFY_PARAM_set1_host(param, check->host, 0) == 1) {
            bool valid = X509_verify_cert(ctx) == 1;
            status = valid ? SW_OK : status_of(X509_STORE_CTX_get_error(ctx));
            take_validity(valid ? X509_STORE_CTX_get0_chain(ctx) : NULL, out);
        }
    }
    X509_STORE_CTX_free(ctx);
    return status;
}

/* The peer's own certificate first, read as such; those between it and an authority as libcrypto
 * reads them, as their keys verify signatures. */
static X509 *read_certificate(const struct crypto_trust *trust, struct span der, bool is_own) {
    if (is_own) {
        return leaf_read(&trust->leaves, der);
    }
    const unsigned char *at = der.data;
    X509 *certificate = d2i_X509(NULL, &at, (long)der.len);
    if (certificate != NULL && at != der.data + der.len) {
        X509_free(certificate);
        certificate = NULL;
    }
    return certificate;
}

static int read_chain(const struct crypto_trust *trust, struct span list, STACK_OF(X509) * chain) {
    struct reader r = reader_of(list);
    while (reader_left(&r) > 0) {
        struct span der = reader_vector24(&r);
        X509 *certificate = NULL;
        if (!r.failed && der.len > 0 && sk_X509_num(chain) < CHAIN_MAX) {
            certificate = read_certificate(trust, der, sk_X509_num(chain) == 0);
        }
        if (certificate == NULL || sk_X509_push(chain, certificate) <= 0) {
            X509_free(certificate);
            return SW_E_INPUT;
        }
    }
    return sk_X509_num(chain) == 0 ? SW_E_INPUT : SW_OK;
}

int crypto_trust_verify(struct crypto_trust *trust, struct span list,
                        const struct certificate_check *check, struct crypto_certified **out) {
    bool is_remembered = check->is_client && check->host == NULL;
    struct known fresh = {.certified = NULL};
    sha256_of(list, &fresh.list);
    *out = is_remembered ? recall(trust, &fresh.list, check->now) : NULL;
    if (*out != NULL) {
        return SW_OK;
    }
    STACK_OF(X509) *chain = sk_X509_new_null();
    int status = chain == NULL ? SW_E_MEMORY : read_chain(trust, list, chain);
    if (status == SW_OK) {
        X509 *leaf = sk_X509_value(chain, 0);
        status = X509_get0_pubkey(leaf) == NULL ? SW_E_DENIED
                                                : verify_chain(trust, leaf, chain, check, &fresh);
        if (status == SW_OK) {
            status = certified_of(leaf, out);
        }
        if (status == SW_OK && is_remembered) {
            remember(trust, &fresh, *out);
        }
    }
    sk_X509_pop_free(chain, X509_free);
    ERR_clear_error();
    return status;
}
