/* P-256 keys by libcrypto, on the paths that are cheap in OpenSSL 3.0: its generic decoders take
 * longer for one SubjectPublicKeyInfo (86 us) than signing and generating a key together, while
 * taking the point out by hand and copying the curve's parameters costs 4 us. */
#include "slipway/crypto/key.h"

#include "crypto/worker.h"
#include "slipway/crypto/secret.h"
#include "slipway/util/check.h"

#include <limits.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

struct crypto_key {
    EVP_PKEY *pkey;
    EVP_PKEY_CTX *signer; /* NULL for ephemeral keys, which never sign */
    struct p256_point point;
};

/* RFC 5480: SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING of 66 bytes }. */
static const uint8_t spki_head[P256_SPKI_BYTES - P256_POINT_BYTES] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};

void p256_spki_encode(const struct p256_point *point, uint8_t out[P256_SPKI_BYTES]) {
    memcpy(out, spki_head, sizeof spki_head);
    memcpy(out + sizeof spki_head, point->b, sizeof point->b);
}

int p256_spki_decode(struct span spki, struct p256_point *out) {
    if (spki.len != P256_SPKI_BYTES || memcmp(spki.data, spki_head, sizeof spki_head) != 0 ||
        spki.data[sizeof spki_head] != 0x04) {
        memset(out, 0, sizeof *out);
        return SW_E_INPUT;
    }
    memcpy(out->b, spki.data + sizeof spki_head, sizeof out->b);
    return SW_OK;
}

/* Takes pkey in, also when it fails. */
static struct crypto_key *key_of(EVP_PKEY *pkey, bool signs) {
    struct crypto_key *key = pkey == NULL ? NULL : crypto_alloc(sizeof *key);
    if (key == NULL) {
        EVP_PKEY_free(pkey);
        return NULL;
    }
    key->pkey = pkey;
    size_t len = 0;
    bool ready = EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, key->point.b,
                                                 sizeof key->point.b, &len) == 1 &&
                 len == sizeof key->point.b && key->point.b[0] == 0x04;
    if (ready && signs) {
        key->signer = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
        ready = key->signer != NULL && EVP_PKEY_sign_init(key->signer) == 1;
    }
    if (!ready) {
        crypto_key_free(key);
        return NULL;
    }
    return key;
}

void crypto_key_free(struct crypto_key *key) {
    if (key != NULL) {
        EVP_PKEY_CTX_free(key->signer);
        EVP_PKEY_free(key->pkey);
        crypto_free(key, sizeof *key);
    }
}

struct crypto_key *crypto_key_generate(void) {
    return key_of(EVP_EC_gen("P-256"), true);
}

struct crypto_key *crypto_key_ephemeral(struct crypto_worker *worker) {
    EVP_PKEY *pkey = NULL;
    if (EVP_PKEY_generate(worker->generator, &pkey) != 1) {
        return NULL;
    }
    return key_of(pkey, false);
}

static EVP_PKEY *pkey_of_scalar(const EC_GROUP *group, const BIGNUM *scalar) {
    EVP_PKEY *pkey = NULL;
    uint8_t point_bytes[P256_POINT_BYTES];
    OSSL_PARAM *params = NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EC_POINT *point = EC_POINT_new(group);
    if (builder == NULL || ctx == NULL || point == NULL ||
        EC_POINT_mul(group, point, scalar, NULL, NULL, NULL) != 1 ||
        EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, point_bytes,
                           sizeof point_bytes, NULL) != sizeof point_bytes ||
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point_bytes,
                                         sizeof point_bytes) != 1 ||
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, scalar) != 1) {
        goto out;
    }
    params = OSSL_PARAM_BLD_to_param(builder);
    if (params == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_KEYPAIR, params) != 1) {
        pkey = NULL;
    }
out:
    EC_POINT_free(point);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    EVP_PKEY_CTX_free(ctx);
    return pkey;
}

struct crypto_key *crypto_key_from_scalar(const uint8_t scalar[32]) {
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    BIGNUM *number = BN_secure_new();
    struct crypto_key *key = NULL;
    if (group != NULL && number != NULL && BN_bin2bn(scalar, 32, number) != NULL &&
        !BN_is_zero(number) && BN_cmp(number, EC_GROUP_get0_order(group)) < 0) {
        BN_set_flags(number, BN_FLG_CONSTTIME);
        key = key_of(pkey_of_scalar(group, number), true);
    }
    BN_clear_free(number);
    EC_GROUP_free(group);
    return key;
}

/* Without it libcrypto would ask for a passphrase at the terminal. */
static int no_passphrase(char *buffer, int size, int writes, void *context) {
    (void)buffer;
    (void)size;
    (void)writes;
    (void)context;
    return -1;
}

static bool is_p256(const EVP_PKEY *pkey) {
    char group[32];
    size_t len = 0;
    return EVP_PKEY_is_a(pkey, "EC") == 1 &&
           EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group,
                                          &len) == 1 &&
           strcmp(group, "prime256v1") == 0;
}

struct crypto_key *crypto_key_from_pem(struct span pem) {
    if (pem.len == 0 || pem.len > INT_MAX) {
        return NULL;
    }
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    EVP_PKEY *pkey = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    ERR_clear_error();
    if (pkey == NULL || !is_p256(pkey) ||
        EVP_PKEY_set_utf8_string_param(pkey, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                       OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED) != 1) {
        EVP_PKEY_free(pkey);
        return NULL;
    }
    return key_of(pkey, true);
}

/* What was written into a memory BIO, as a string; gives its length. */
static int text_of_bio(BIO *bio, char *out, size_t cap) {
    char *text = NULL;
    long len = BIO_get_mem_data(bio, &text);
    if (len <= 0 || (size_t)len >= cap) {
        return SW_E_FULL;
    }
    memcpy(out, text, (size_t)len);
    out[len] = '\0';
    return (int)len;
}

int crypto_key_to_pem(const struct crypto_key *key, char *out, size_t cap) {
    BIO *bio = BIO_new(BIO_s_secmem());
    bool is_written = bio != NULL &&
                      PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL) == 1;
    int status = is_written ? text_of_bio(bio, out, cap) : SW_E_CRYPTO;
    BIO_free(bio);
    return status;
}

const struct p256_point *crypto_key_point(const struct crypto_key *key) {
    return &key->point;
}

int p256_point_from_pem(struct span pem, struct p256_point *out) {
    memset(out, 0, sizeof *out);
    if (pem.len == 0 || pem.len > INT_MAX) {
        return SW_E_INPUT;
    }
    char *name = NULL;
    char *header = NULL;
    unsigned char *der = NULL;
    long der_len = 0;
    int status = SW_E_INPUT;
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    if (bio != NULL && PEM_read_bio(bio, &name, &header, &der, &der_len) == 1 &&
        strcmp(name, "PUBLIC KEY") == 0) {
        status = p256_spki_decode(span_of(der, (size_t)der_len), out);
        if (status == SW_OK && !p256_point_is_valid(out)) {
            memset(out, 0, sizeof *out);
            status = SW_E_INPUT;
        }
    }
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    BIO_free(bio);
    ERR_clear_error();
    return status;
}

int p256_point_to_pem(const struct p256_point *point, char *out, size_t cap) {
    uint8_t spki[P256_SPKI_BYTES];
    BIO *bio = BIO_new(BIO_s_mem());
    p256_spki_encode(point, spki);
    bool is_written = bio != NULL && PEM_write_bio(bio, "PUBLIC KEY", "", spki, sizeof spki) > 0;
    int status = is_written ? text_of_bio(bio, out, cap) : SW_E_CRYPTO;
    BIO_free(bio);
    return status;
}

bool p256_point_is_valid(const struct p256_point *point) {
    if (point->b[0] != 0x04) {
        return false;
    }
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *decoded = group == NULL ? NULL : EC_POINT_new(group);
    /* Decoding checks the curve's equation; P-256 has cofactor 1, so there are no small groups. */
    bool valid = decoded != NULL &&
                 EC_POINT_oct2point(group, decoded, point->b, sizeof point->b, NULL) == 1 &&
                 EC_POINT_is_at_infinity(group, decoded) == 0;
    EC_POINT_free(decoded);
    EC_GROUP_free(group);
    ERR_clear_error();
    return valid;
}

/* Puts the point into the worker's key: making a key for it, and a context for that, would cost
 * more than the decoding. The decoding refuses points that are not on the curve (RFC 8422
 * section 5.11). */
static bool set_peer(struct crypto_worker *worker, const struct p256_point *point) {
    bool done = point->b[0] == 0x04 &&
                EVP_PKEY_set1_encoded_public_key(worker->peer, point->b, sizeof point->b) == 1;
    ERR_clear_error();
    return done;
}

int crypto_sign(const struct crypto_key *key, const struct sha256 *digest,
                uint8_t out[ECDSA_SIGNATURE_MAX]) {
    SW_CHECK(key->signer != NULL);
    size_t len = ECDSA_SIGNATURE_MAX;
    if (EVP_PKEY_sign(key->signer, out, &len, digest->b, sizeof digest->b) != 1) {
        ERR_clear_error();
        return SW_E_CRYPTO;
    }
    return (int)len;
}

int crypto_verify(struct crypto_worker *worker, const struct p256_point *signer,
                  const struct sha256 *digest, struct span signature) {
    if (!set_peer(worker, signer)) {
        return SW_E_INPUT;
    }
    bool valid = EVP_PKEY_verify(worker->verifier, signature.data, signature.len, digest->b,
                                 sizeof digest->b) == 1;
    ERR_clear_error();
    return valid ? SW_OK : SW_E_AUTH;
}

int crypto_agree(struct crypto_worker *worker, const struct crypto_key *own,
                 const struct p256_point *peer, uint8_t out[ECDH_SECRET_BYTES]) {
    if (!set_peer(worker, peer)) {
        return SW_E_INPUT;
    }
    size_t len = ECDH_SECRET_BYTES;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, own->pkey, NULL);
    /* Validating the peer again (the last argument) would be a second scalar multiplication, for
     * the order only: the curve has cofactor 1 and the decoding has checked the equation. */
    bool done = ctx != NULL && EVP_PKEY_derive_init(ctx) == 1 &&
                EVP_PKEY_derive_set_peer_ex(ctx, worker->peer, 0) == 1 &&
                EVP_PKEY_derive(ctx, out, &len) == 1 && len == ECDH_SECRET_BYTES;
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    return done ? SW_OK : SW_E_CRYPTO;
}
