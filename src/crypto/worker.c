/* AEAD over contexts that stay: fetching a cipher and making a context cost as much as sealing a
 * record, setting another key in a context that exists costs a few percent of it. */
#include "crypto/worker.h"

#include "slipway/crypto/secret.h"
#include "slipway/util/check.h"

#include <limits.h>
#include <openssl/ec.h>

static const struct {
    const char *name;
    size_t tag_bytes;
} aeads[AEAD_COUNT] = {
    [AEAD_AES128_CCM_8] = {"AES-128-CCM", 8},
    [AEAD_AES128_CCM] = {"AES-128-CCM", 16},
    [AEAD_AES128_GCM] = {"AES-128-GCM", 16},
};

size_t aead_tag_bytes(enum aead aead) {
    SW_CHECK(aead < AEAD_COUNT);
    return aeads[aead].tag_bytes;
}

static EVP_CIPHER_CTX *cipher_context(enum aead aead, int encrypts) {
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, aeads[aead].name, NULL);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool ready =
        cipher != NULL && ctx != NULL &&
        EVP_CipherInit_ex(ctx, cipher, NULL, NULL, NULL, encrypts) == 1 &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, AEAD_NONCE_BYTES, NULL) == 1 &&
        (aead == AEAD_AES128_GCM || encrypts == 0 ||
         EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, (int)aeads[aead].tag_bytes, NULL) == 1);
    EVP_CIPHER_free(cipher);
    if (!ready) {
        EVP_CIPHER_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

struct crypto_worker *crypto_worker_new(void) {
    struct crypto_worker *worker = crypto_alloc(sizeof *worker);
    if (worker == NULL) {
        return NULL;
    }
    bool ready = true;
    for (size_t i = 0; i < AEAD_COUNT; i++) {
        worker->seal[i] = cipher_context((enum aead)i, 1);
        worker->open[i] = cipher_context((enum aead)i, 0);
        ready = ready && worker->seal[i] != NULL && worker->open[i] != NULL;
    }
    worker->peer = EVP_EC_gen("P-256");
    worker->generator = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    ready = ready && worker->peer != NULL && worker->generator != NULL &&
            EVP_PKEY_keygen_init(worker->generator) == 1 &&
            EVP_PKEY_CTX_set_group_name(worker->generator, "P-256") == 1;
    worker->verifier = ready ? EVP_PKEY_CTX_new_from_pkey(NULL, worker->peer, NULL) : NULL;
    ready = worker->verifier != NULL && EVP_PKEY_verify_init(worker->verifier) == 1;
    if (!ready) {
        crypto_worker_free(worker);
        return NULL;
    }
    return worker;
}

void crypto_worker_free(struct crypto_worker *worker) {
    if (worker == NULL) {
        return;
    }
    for (size_t i = 0; i < AEAD_COUNT; i++) {
        EVP_CIPHER_CTX_free(worker->seal[i]);
        EVP_CIPHER_CTX_free(worker->open[i]);
    }
    EVP_PKEY_CTX_free(worker->generator);
    EVP_PKEY_CTX_free(worker->verifier);
    EVP_PKEY_free(worker->peer);
    crypto_free(worker, sizeof *worker);
}

/* CCM puts the message's length into its first block, so it must be told before anything else. */
static bool tell_length(EVP_CIPHER_CTX *ctx, enum aead aead, size_t len) {
    int part = 0;
    return aead == AEAD_AES128_GCM || EVP_CipherUpdate(ctx, NULL, &part, NULL, (int)len) == 1;
}

int aead_seal(struct crypto_worker *worker, const struct aead_use *use, struct span plain,
              uint8_t *out) {
    SW_CHECK(use->aead < AEAD_COUNT && plain.len <= INT_MAX - AEAD_TAG_MAX);
    static const uint8_t none;
    EVP_CIPHER_CTX *ctx = worker->seal[use->aead];
    int part = 0;
    bool done =
        EVP_EncryptInit_ex(ctx, NULL, NULL, use->key, use->nonce) == 1 &&
        tell_length(ctx, use->aead, plain.len) &&
        EVP_EncryptUpdate(ctx, NULL, &part, use->associated.data, (int)use->associated.len) == 1 &&
        EVP_EncryptUpdate(ctx, out, &part, plain.len == 0 ? &none : plain.data, (int)plain.len) ==
            1 &&
        (use->aead != AEAD_AES128_GCM || EVP_EncryptFinal_ex(ctx, out + plain.len, &part) == 1) &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, (int)aeads[use->aead].tag_bytes,
                            out + plain.len) == 1;
    return done ? SW_OK : SW_E_CRYPTO;
}

int aead_open(struct crypto_worker *worker, const struct aead_use *use, struct span sealed,
              uint8_t *out) {
    SW_CHECK(use->aead < AEAD_COUNT && sealed.len <= INT_MAX);
    size_t tag_bytes = aeads[use->aead].tag_bytes;
    if (sealed.len < tag_bytes) {
        return SW_E_INPUT;
    }
    size_t len = sealed.len - tag_bytes;
    uint8_t tag[AEAD_TAG_MAX];
    memcpy(tag, sealed.data + len, tag_bytes);
    EVP_CIPHER_CTX *ctx = worker->open[use->aead];
    int part = 0;
    bool is_gcm = use->aead == AEAD_AES128_GCM;
    bool ready =
        (is_gcm || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, (int)tag_bytes, tag) == 1) &&
        EVP_DecryptInit_ex(ctx, NULL, NULL, use->key, use->nonce) == 1 &&
        tell_length(ctx, use->aead, len) &&
        EVP_DecryptUpdate(ctx, NULL, &part, use->associated.data, (int)use->associated.len) == 1;
    if (!ready) {
        return SW_E_CRYPTO;
    }
    bool authentic = EVP_DecryptUpdate(ctx, out, &part, sealed.data, (int)len) == 1;
    if (is_gcm) {
        uint8_t none[AEAD_TAG_MAX];
        authentic = authentic &&
                    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, (int)tag_bytes, tag) == 1 &&
                    EVP_DecryptFinal_ex(ctx, none, &part) == 1;
    }
    if (!authentic && len > 0) {
        crypto_wipe(out, len);
    }
    return authentic ? SW_OK : SW_E_AUTH;
}
