/* AEAD over contexts that stay: fetching a cipher and making a context cost as much as sealing a
 * record. Setting another key in a context that exists costs a tenth of it, which the records of a
 * run save; each further call into libcrypto costs a few hundredths, so that its own form for the
 * records of TLS, one call to announce and one to seal, saves another tenth. */
#include "crypto/worker.h"

#include "slipway/crypto/secret.h"
#include "slipway/util/check.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>

#define TLS_ASSOCIATED 13

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
        worker->seal[i].ctx = cipher_context((enum aead)i, 1);
        worker->open[i].ctx = cipher_context((enum aead)i, 0);
        worker->record[i].ctx = cipher_context((enum aead)i, 1);
        ready = ready && worker->seal[i].ctx != NULL && worker->open[i].ctx != NULL &&
                worker->record[i].ctx != NULL;
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
        EVP_CIPHER_CTX_free(worker->seal[i].ctx);
        EVP_CIPHER_CTX_free(worker->open[i].ctx);
        EVP_CIPHER_CTX_free(worker->record[i].ctx);
    }
    EVP_PKEY_CTX_free(worker->generator);
    EVP_PKEY_CTX_free(worker->verifier);
    EVP_PKEY_free(worker->peer);
    crypto_free(worker, sizeof *worker);
}

/* The key if it must be set; NULL if it is set already. */
static const uint8_t *key_for(const struct cipher *cipher, const uint8_t *key) {
    return cipher->has_key && crypto_equal(cipher->key, key, AEAD_KEY_BYTES) ? NULL : key;
}

static int keyed(struct cipher *cipher, const uint8_t *key, bool done) {
    cipher->has_key = done;
    if (done && key != NULL) {
        memcpy(cipher->key, key, AEAD_KEY_BYTES);
    }
    return done ? SW_OK : SW_E_CRYPTO;
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
    struct cipher *cipher = &worker->seal[use->aead];
    const uint8_t *key = key_for(cipher, use->key);
    EVP_CIPHER_CTX *ctx = cipher->ctx;
    int part = 0;
    bool done =
        EVP_EncryptInit_ex(ctx, NULL, NULL, key, use->nonce) == 1 &&
        tell_length(ctx, use->aead, plain.len) &&
        EVP_EncryptUpdate(ctx, NULL, &part, use->associated.data, (int)use->associated.len) == 1 &&
        EVP_EncryptUpdate(ctx, out, &part, plain.len == 0 ? &none : plain.data, (int)plain.len) ==
            1 &&
        (use->aead != AEAD_AES128_GCM || EVP_EncryptFinal_ex(ctx, out + plain.len, &part) == 1) &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, (int)aeads[use->aead].tag_bytes,
                            out + plain.len) == 1;
    return keyed(cipher, key, done);
}

/* libcrypto puts the sent part of the nonce in front by itself, from the record's number. */
static bool is_tls_form(const struct aead_use *use) {
    return use->aead != AEAD_AES128_GCM && use->associated.len == TLS_ASSOCIATED &&
           memcmp(use->nonce + AEAD_SALT_BYTES, use->associated.data, AEAD_SENT_BYTES) == 0;
}

static int seal_tls(struct cipher *cipher, const struct aead_use *use, uint8_t *fragment,
                    size_t len) {
    uint8_t associated[TLS_ASSOCIATED], salt[AEAD_SALT_BYTES];
    size_t counted = AEAD_SENT_BYTES + len; /* it takes the part of the nonce off again */
    memcpy(associated, use->associated.data, sizeof associated);
    memcpy(salt, use->nonce, sizeof salt);
    associated[TLS_ASSOCIATED - 2] = (uint8_t)(counted >> 8);
    associated[TLS_ASSOCIATED - 1] = (uint8_t)counted;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_AAD, associated,
                                          sizeof associated),
        OSSL_PARAM_construct_end(),
        OSSL_PARAM_construct_end(),
    };
    const uint8_t *key = key_for(cipher, use->key);
    if (key != NULL || memcmp(cipher->salt, salt, sizeof salt) != 0) {
        params[1] = OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED, salt,
                                                      sizeof salt);
        memcpy(cipher->salt, salt, sizeof salt);
    }
    int whole = (int)(counted + aeads[use->aead].tag_bytes);
    bool done = (key == NULL || EVP_EncryptInit_ex(cipher->ctx, NULL, NULL, key, NULL) == 1) &&
                EVP_CIPHER_CTX_set_params(cipher->ctx, params) == 1 &&
                EVP_Cipher(cipher->ctx, fragment, fragment, (unsigned)whole) == whole;
    return keyed(cipher, key, done);
}

int aead_seal_record(struct crypto_worker *worker, const struct aead_use *use, uint8_t *fragment,
                     size_t len) {
    SW_CHECK(use->aead < AEAD_COUNT && len <= UINT16_MAX - AEAD_SENT_BYTES - AEAD_TAG_MAX);
    uint8_t *text = fragment + AEAD_SENT_BYTES;
    return is_tls_form(use) ? seal_tls(&worker->record[use->aead], use, fragment, len)
                            : aead_seal(worker, use, span_of(text, len), text);
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
    struct cipher *cipher = &worker->open[use->aead];
    const uint8_t *key = key_for(cipher, use->key);
    EVP_CIPHER_CTX *ctx = cipher->ctx;
    int part = 0;
    bool is_gcm = use->aead == AEAD_AES128_GCM;
    bool ready =
        (is_gcm || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, (int)tag_bytes, tag) == 1) &&
        EVP_DecryptInit_ex(ctx, NULL, NULL, key, use->nonce) == 1 &&
        tell_length(ctx, use->aead, len) &&
        EVP_DecryptUpdate(ctx, NULL, &part, use->associated.data, (int)use->associated.len) == 1;
    if (keyed(cipher, key, ready) != SW_OK) {
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
