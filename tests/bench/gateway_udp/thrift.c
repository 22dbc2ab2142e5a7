#include "gateway_udp/thrift.h"

#include "slipway/util/check.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/obj_mac.h>

static struct crypto_key *one;
static BIGNUM *order, *base_x; /* of the curve, of its base point */

struct crypto_key *__real_crypto_key_ephemeral(struct crypto_worker *worker);
struct crypto_key *__wrap_crypto_key_ephemeral(struct crypto_worker *worker);
void __real_crypto_key_free(struct crypto_key *key);
void __wrap_crypto_key_free(struct crypto_key *key);
int __real_crypto_agree(struct crypto_worker *worker, const struct crypto_key *own,
                        const struct p256_point *peer, uint8_t out[ECDH_SECRET_BYTES]);
int __wrap_crypto_agree(struct crypto_worker *worker, const struct crypto_key *own,
                        const struct p256_point *peer, uint8_t out[ECDH_SECRET_BYTES]);
int __real_crypto_sign(const struct crypto_key *key, const struct sha256 *digest,
                       uint8_t out[ECDSA_SIGNATURE_MAX]);
int __wrap_crypto_sign(const struct crypto_key *key, const struct sha256 *digest,
                       uint8_t out[ECDSA_SIGNATURE_MAX]);
int __real_crypto_verify(struct crypto_worker *worker, const struct p256_point *signer,
                         const struct sha256 *digest, struct span signature);
int __wrap_crypto_verify(struct crypto_worker *worker, const struct p256_point *signer,
                         const struct sha256 *digest, struct span signature);

void thrift_begin(void) {
    static const uint8_t scalar[32] = {[31] = 1};
    if (one != NULL) {
        return;
    }
    struct crypto_key *key = crypto_key_from_scalar(scalar);
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    SW_CHECK(key != NULL && group != NULL);
    order = BN_dup(EC_GROUP_get0_order(group));
    base_x = BN_bin2bn(crypto_key_point(key)->b + 1, ECDH_SECRET_BYTES, NULL);
    SW_CHECK(order != NULL && base_x != NULL);
    EC_GROUP_free(group);
    one = key;
}

const struct crypto_key *thrift_key(void) {
    return one;
}

struct crypto_key *__wrap_crypto_key_ephemeral(struct crypto_worker *worker) {
    return one != NULL ? one : __real_crypto_key_ephemeral(worker);
}

void __wrap_crypto_key_free(struct crypto_key *key) {
    if (key == NULL || key != one) {
        __real_crypto_key_free(key);
    }
}

int __wrap_crypto_agree(struct crypto_worker *worker, const struct crypto_key *own,
                        const struct p256_point *peer, uint8_t out[ECDH_SECRET_BYTES]) {
    if (own != one) {
        return __real_crypto_agree(worker, own, peer, out);
    }
    memcpy(out, peer->b + 1, ECDH_SECRET_BYTES);
    return SW_OK;
}

/* With the nonce 1 as well: r is the base point's x, s = digest + r. */
int __wrap_crypto_sign(const struct crypto_key *key, const struct sha256 *digest,
                       uint8_t out[ECDSA_SIGNATURE_MAX]) {
    if (key != one) {
        return __real_crypto_sign(key, digest, out);
    }
    ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *s = BN_bin2bn(digest->b, SHA256_BYTES, NULL);
    BN_CTX *ctx = BN_CTX_new();
    SW_CHECK(signature != NULL && s != NULL && ctx != NULL &&
             BN_mod_add(s, s, base_x, order, ctx) == 1 &&
             ECDSA_SIG_set0(signature, BN_dup(base_x), s) == 1);
    int len = i2d_ECDSA_SIG(signature, &out);
    ECDSA_SIG_free(signature);
    BN_CTX_free(ctx);
    return len;
}

int __wrap_crypto_verify(struct crypto_worker *worker, const struct p256_point *signer,
                         const struct sha256 *digest, struct span signature) {
    return one != NULL ? SW_OK : __real_crypto_verify(worker, signer, digest, signature);
}
