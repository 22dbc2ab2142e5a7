/* Certificates of a peer, next to libcrypto's own reading of them: whoever is let in would be let
 * in by X509_verify_cert over a d2i_X509 of the same bytes, and whoever that lets in with a key
 * that is ours to take is let in. The first byte says what the rest is: a certificate_list (even),
 * or what stands inside the signature of one certificate (odd), which the authority then signs, so
 * that what the checks behind the signature see is anything at all. */
#include "crypto/leaf.h"
#include "fuzz.h"
#include "slipway/crypto/certificate.h"
#include "slipway/crypto/key.h"
#include "slipway/util/reader.h"
#include "slipway/util/writer.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define LIST_MAX   65536
#define CHAIN_MAX  6
#define NOON_S     1800000000
#define AUTH_LEVEL 2

static struct crypto_key *signer;
static struct crypto_trust *trust;
static struct crypto_worker *worker;
static X509_STORE *store;

/* Its name is what the certificates of the corpus have as their issuer. */
static void make_authority(void) {
    static const uint8_t scalar[32] = {[31] = 7};
    static char pem[2048];
    signer = crypto_key_from_scalar(scalar);
    worker = crypto_worker_new();
    SW_CHECK(signer != NULL && worker != NULL && crypto_key_to_pem(signer, pem, sizeof pem) > 0);
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    X509 *authority = X509_new();
    X509_NAME *name = X509_NAME_new();
    X509_EXTENSION *is_ca = X509V3_EXT_nconf(NULL, NULL, "basicConstraints", "critical,CA:TRUE");
    SW_CHECK(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                        (const unsigned char *)"authority", -1, -1, 0) == 1 &&
             X509_set_version(authority, 2) == 1 && X509_set_subject_name(authority, name) == 1 &&
             X509_set_issuer_name(authority, name) == 1 && X509_set_pubkey(authority, key) == 1 &&
             ASN1_TIME_set(X509_getm_notBefore(authority), 0) != NULL &&
             ASN1_TIME_set(X509_getm_notAfter(authority), INT64_C(4000000000)) != NULL &&
             X509_add_ext(authority, is_ca, -1) == 1 &&
             X509_sign(authority, key, EVP_sha256()) > 0);
    char *text = NULL;
    bio = BIO_new(BIO_s_mem());
    SW_CHECK(PEM_write_bio_X509(bio, authority) == 1);
    long len = BIO_get_mem_data(bio, &text);
    trust = crypto_trust_from_pem(span_of(text, (size_t)len));
    store = X509_STORE_new();
    SW_CHECK(trust != NULL && store != NULL && X509_STORE_add_cert(store, authority) == 1);
    BIO_free(bio);
    X509_EXTENSION_free(is_ca);
    X509_NAME_free(name);
    X509_free(authority);
    EVP_PKEY_free(key);
}

static void write_tag(struct writer *w, uint8_t tag, size_t len) {
    writer_u8(w, tag);
    writer_u8(w, 0x82);
    writer_u16(w, (uint16_t)len);
}

/* A list of one certificate around what is to be signed. */
static struct span sign(struct span tbs, uint8_t out[LIST_MAX]) {
    static const uint8_t algorithm[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                        0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
    uint8_t signature[ECDSA_SIGNATURE_MAX];
    struct sha256 digest;
    sha256_of(tbs, &digest);
    int len = crypto_sign(signer, &digest, signature);
    SW_CHECK(len > 0);
    size_t body = tbs.len + sizeof algorithm + 4 + 1 + (size_t)len;
    struct writer w = writer_of(out, LIST_MAX);
    writer_u24(&w, (uint32_t)(4 + body));
    write_tag(&w, 0x30, body);
    writer_bytes(&w, tbs);
    writer_bytes(&w, span_of(algorithm, sizeof algorithm));
    write_tag(&w, 0x03, 1 + (size_t)len);
    writer_u8(&w, 0);
    writer_bytes(&w, span_of(signature, (size_t)len));
    SW_CHECK(writer_status(&w) == SW_OK);
    return writer_span(&w);
}

/* Whether such a key is a named one of the two curves, and written as we take it. */
static bool has_key_for_us(const X509 *leaf) {
    const EVP_PKEY *key = X509_get0_pubkey(leaf);
    const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(leaf);
    char group[32];
    size_t len = 0;
    int is_explicit = 1;
    if (key == NULL || EVP_PKEY_is_a(key, "EC") != 1 || bits->data[0] != 0x04 ||
        (bits->flags & 7) != 0 || /* bits of its last byte that are not meant */
        EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group,
                                       &len) != 1 ||
        EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
                               &is_explicit) != 1 ||
        is_explicit != 0) {
        return false;
    }
    return (strcmp(group, SN_X9_62_prime256v1) == 0 && bits->length == P256_POINT_BYTES) ||
           (strcmp(group, SN_secp384r1) == 0 && bits->length == P384_POINT_BYTES);
}

struct verdict {
    bool is_valid, has_key;
};

/* libcrypto's, by itself. */
static struct verdict judge(struct span list) {
    struct verdict verdict = {.is_valid = false};
    STACK_OF(X509) *chain = sk_X509_new_null();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    struct reader r = reader_of(list);
    bool is_well_formed = reader_left(&r) > 0;
    while (is_well_formed && reader_left(&r) > 0) {
        struct span der = reader_vector24(&r);
        const unsigned char *at = der.data;
        X509 *one = der.len == 0 ? NULL : d2i_X509(NULL, &at, (long)der.len);
        is_well_formed = one != NULL && sk_X509_push(chain, one) > 0 && at == der.data + der.len &&
                         sk_X509_num(chain) <= CHAIN_MAX;
    }
    if (is_well_formed) {
        X509 *leaf = sk_X509_value(chain, 0);
        SW_CHECK(X509_STORE_CTX_init(ctx, store, leaf, chain) == 1 &&
                 X509_STORE_CTX_set_default(ctx, "ssl_client") == 1);
        X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(ctx), NOON_S);
        X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(ctx), AUTH_LEVEL);
        verdict.is_valid = X509_verify_cert(ctx) == 1;
        verdict.has_key = has_key_for_us(leaf);
    }
    X509_STORE_CTX_free(ctx);
    sk_X509_pop_free(chain, X509_free);
    ERR_clear_error();
    return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t room[LIST_MAX];
    if (signer == NULL) {
        make_authority();
    }
    if (size == 0 || size > LIST_MAX / 2) {
        return 0;
    }
    struct span rest = span_of(data + 1, size - 1);
    struct span list = data[0] % 2 == 0 ? rest : sign(rest, room);
    struct certificate_check check = {.now = {.ms = INT64_C(1000) * NOON_S}, .is_client = true};
    struct crypto_certified *certified;
    int status = crypto_trust_verify(trust, list, &check, &certified);
    SW_CHECK(ERR_peek_error() == 0);
    struct verdict verdict = judge(list);
    if (status == SW_OK && !(verdict.is_valid && verdict.has_key)) {
        /* Only for a point that is not on the curve, and nobody can sign as that. */
        struct sha256 digest = {{0}};
        SW_CHECK(crypto_certified_check(certified, worker, &digest, span_text("any")) ==
                 SW_E_INPUT);
    }
    SW_CHECK(status == SW_OK || !(verdict.is_valid && verdict.has_key));
    if (status == SW_OK) {
        crypto_certified_free(certified);
    }
    return 0;
}
