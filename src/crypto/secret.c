#include "slipway/crypto/secret.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#define SEAL_TAG_BYTES 16
#define SCRYPT_N       16384
#define SCRYPT_R       8
#define SCRYPT_P       1
#define SCRYPT_MEMORY  (UINT64_C(64) * 1024 * 1024)

_Static_assert(SEAL_OVERHEAD == SEAL_NONCE_BYTES + SEAL_TAG_BYTES, "nonce and tag");

bool crypto_equal(const void *a, const void *b, size_t len) {
    return CRYPTO_memcmp(a, b, len) == 0;
}

void crypto_wipe(void *secret, size_t len) {
    OPENSSL_cleanse(secret, len);
}

void *crypto_alloc(size_t len) {
    return OPENSSL_zalloc(len);
}

void crypto_free(void *memory, size_t len) {
    OPENSSL_clear_free(memory, len);
}

int crypto_seal(const uint8_t key[SEAL_KEY_BYTES], const uint8_t nonce[SEAL_NONCE_BYTES],
                struct span context, struct span plain, uint8_t *out, size_t cap) {
    if (cap < SEAL_OVERHEAD || plain.len > cap - SEAL_OVERHEAD) {
        return SW_E_FULL;
    }
    if (plain.len > INT_MAX || context.len > INT_MAX) {
        return SW_E_RANGE;
    }
    uint8_t *text = out + SEAL_NONCE_BYTES;
    uint8_t none = 0;
    int part = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    /* libcrypto ends a message at a NULL input, so an empty one needs an address. */
    bool done =
        ctx != NULL && EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
        (context.len == 0 ||
         EVP_EncryptUpdate(ctx, NULL, &part, context.data, (int)context.len) == 1) &&
        EVP_EncryptUpdate(ctx, text, &part, plain.len == 0 ? &none : plain.data, (int)plain.len) ==
            1 &&
        EVP_EncryptFinal_ex(ctx, text + plain.len, &part) == 1 &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_BYTES, text + plain.len) == 1;
    EVP_CIPHER_CTX_free(ctx);
    if (!done) {
        return SW_E_CRYPTO;
    }
    memcpy(out, nonce, SEAL_NONCE_BYTES);
    return SW_OK;
}

int crypto_unseal(const uint8_t key[SEAL_KEY_BYTES], struct span context, struct span sealed,
                  uint8_t *out, size_t cap) {
    if (sealed.len < SEAL_OVERHEAD || sealed.len > INT_MAX || context.len > INT_MAX) {
        return SW_E_INPUT;
    }
    size_t len = sealed.len - SEAL_OVERHEAD;
    if (cap < len) {
        return SW_E_FULL;
    }
    const uint8_t *text = sealed.data + SEAL_NONCE_BYTES;
    uint8_t tag[SEAL_TAG_BYTES];
    memcpy(tag, text + len, sizeof tag);
    uint8_t none = 0;
    int part = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool ready = ctx != NULL &&
                 EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, sealed.data) == 1 &&
                 (context.len == 0 ||
                  EVP_DecryptUpdate(ctx, NULL, &part, context.data, (int)context.len) == 1) &&
                 EVP_DecryptUpdate(ctx, len == 0 ? &none : out, &part, text, (int)len) == 1 &&
                 EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_BYTES, tag) == 1;
    bool authentic = ready && EVP_DecryptFinal_ex(ctx, &none, &part) == 1;
    EVP_CIPHER_CTX_free(ctx);
    if (!authentic && len > 0) {
        crypto_wipe(out, len);
    }
    if (!ready) {
        return SW_E_CRYPTO;
    }
    return authentic ? SW_OK : SW_E_AUTH;
}

int crypto_scrypt(struct span password, struct span salt, uint8_t out[32]) {
    static const uint8_t none;
    const uint8_t *secret = password.len == 0 ? &none : password.data;
    return EVP_PBE_scrypt((const char *)secret, password.len, salt.data, salt.len, SCRYPT_N,
                          SCRYPT_R, SCRYPT_P, SCRYPT_MEMORY, out, 32) == 1
               ? SW_OK
               : SW_E_CRYPTO;
}
