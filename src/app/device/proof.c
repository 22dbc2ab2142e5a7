/* Who may speak for a device. A PSK is kept sealed under the key file that seals sessions, with its
 * device's id authenticated, so that a row cannot be moved to another device. The seal's nonce is
 * new with every key that is set: it names the key without telling anything of it. */
#include "slipway/app/proof.h"

#include "slipway/app/fleet.h"
#include "slipway/crypto/secret.h"
#include "slipway/store/fleet.h"

#include "app/internal.h"

#include <string.h>

#define PLAIN_BYTES (1 + APP_PSK_MAX) /* the length, then the key, then zeroes */
_Static_assert(PLAIN_BYTES + SEAL_OVERHEAD == STORE_SEALED_PSK_BYTES, "a PSK fits its column");
_Static_assert(APP_PSK_STAMP_BYTES == SEAL_NONCE_BYTES, "the nonce is the stamp");

int app_proof_device(struct span name, struct device_id *out) {
    const uint8_t *dot = name.len == 0 ? NULL : memchr(name.data, '.', name.len);
    size_t len = dot == NULL ? name.len : (size_t)(dot - name.data);
    return device_id_parse((const char *)name.data, len, out);
}

/* What the seal is bound to; other secrets under the same key have contexts of other lengths. */
static struct span psk_context(const struct device_id *id, uint8_t out[3 + DEVICE_ID_BYTES]) {
    static const uint8_t use[3] = {'p', 's', 'k'};
    memcpy(out, use, sizeof use);
    memcpy(out + 3, id->b, DEVICE_ID_BYTES);
    return span_of(out, 3 + DEVICE_ID_BYTES);
}

int app_psk_find(struct app_tx *tx, struct span identity, struct app_psk *out) {
    uint8_t sealed[STORE_SEALED_PSK_BYTES] = {0};
    uint8_t plain[PLAIN_BYTES];
    uint8_t context[3 + DEVICE_ID_BYTES];
    struct device_id id = {{0}};
    *out = (struct app_psk){.len = 0};
    bool is_id = app_proof_device(identity, &id) == SW_OK;
    int found = store_psk_get(tx->store, &id, sealed, tx->fault);
    if (found != SW_OK && found != SW_E_NOT_FOUND) {
        return found;
    }
    /* Zeroes take as long to be refused as a key takes to be opened. */
    int len = tx->app->options.seal_key == NULL
                  ? SW_E_STATE
                  : crypto_unseal(tx->app->options.seal_key, psk_context(&id, context),
                                  span_of(sealed, sizeof sealed), plain, sizeof plain);
    if (is_id && found == SW_OK && len >= SW_OK && plain[0] >= APP_PSK_MIN &&
        plain[0] <= APP_PSK_MAX) {
        out->len = plain[0];
        memcpy(out->key, plain + 1, APP_PSK_MAX);
        out->device = id;
        memcpy(out->stamp, sealed, APP_PSK_STAMP_BYTES);
    }
    crypto_wipe(plain, sizeof plain);
    return SW_OK;
}

/* Whoever is connected with the proof that was just changed is not any more. */
static int end_sessions(struct app_tx *tx, const struct device_id *id, uint16_t product_id) {
    int code = store_session_delete_device(tx->store, id, tx->fault);
    return code == SW_OK ? app_tell_device(tx, APP_NOTICE_FORGET, id, product_id) : code;
}

int app_device_psk_set(struct app_tx *tx, uint16_t product_id, const struct device_id *id,
                       struct span key) {
    struct device device;
    if (key.len < APP_PSK_MIN || key.len > APP_PSK_MAX) {
        return app_fail(tx, SW_E_RANGE, "invalid_request", "psk", "psk must have %d to %d bytes",
                        APP_PSK_MIN, APP_PSK_MAX);
    }
    int code = app_device_get(tx, product_id, id, &device);
    if (code == SW_OK && tx->app->options.seal_key == NULL) {
        code = fault_set(tx->fault, SW_E_STATE, "there is no key to seal PSKs with");
    }
    if (code != SW_OK) {
        return code;
    }
    uint8_t plain[PLAIN_BYTES] = {(uint8_t)key.len};
    uint8_t nonce[SEAL_NONCE_BYTES], context[3 + DEVICE_ID_BYTES];
    uint8_t sealed[STORE_SEALED_PSK_BYTES];
    memcpy(plain + 1, key.data, key.len);
    app_entropy(tx->app, nonce, sizeof nonce);
    code = crypto_seal(tx->app->options.seal_key, nonce, psk_context(id, context),
                       span_of(plain, sizeof plain), sealed, sizeof sealed);
    crypto_wipe(plain, sizeof plain);
    code = code < 0 ? fault_set(tx->fault, code, "a PSK cannot be sealed")
                    : store_psk_set(tx->store, id, sealed, tx->now.ms, tx->fault);
    return code == SW_OK ? end_sessions(tx, id, product_id) : code;
}

int app_device_psk_remove(struct app_tx *tx, uint16_t product_id, const struct device_id *id) {
    struct device device;
    int code = app_device_get(tx, product_id, id, &device);
    if (code != SW_OK) {
        return code;
    }
    code = store_psk_delete(tx->store, id, tx->fault);
    if (code == SW_E_NOT_FOUND) {
        return app_fail(tx, code, "not_found", "psk", "This device has no pre-shared key.");
    }
    return code == SW_OK ? end_sessions(tx, id, product_id) : code;
}

static int check_key(struct app_tx *tx, const struct device_id *id, const struct p256_point *key,
                     bool may_bind, enum app_proof_verdict *out) {
    struct p256_point bound;
    bool has_other = false;
    int code = store_key_get(tx->store, id, &bound, tx->fault);
    if (code == SW_OK) {
        *out = crypto_equal(bound.b, key->b, sizeof bound.b) ? APP_PROOF_OWN : APP_PROOF_OTHER;
        return SW_OK;
    }
    *out = APP_PROOF_OTHER;
    if (code != SW_E_NOT_FOUND || !may_bind) {
        return code == SW_E_NOT_FOUND ? SW_OK : code;
    }
    if (tx->app->options.key_policy == APP_KEY_STRICT) {
        *out = APP_PROOF_UNBOUND;
        return SW_OK;
    }
    code = store_proof_has(tx->store, id, &has_other, tx->fault);
    if (code != SW_OK || has_other) {
        return code;
    }
    *out = APP_PROOF_OWN;
    return store_key_set(tx->store, id, key, true, tx->now.ms, tx->fault);
}

/* The handshake proved that the peer has the key; that it has not been replaced since is left. */
static int check_psk(struct app_tx *tx, const struct app_proof *proof,
                     enum app_proof_verdict *out) {
    uint8_t sealed[STORE_SEALED_PSK_BYTES];
    int code = store_psk_get(tx->store, &proof->u.named.device, sealed, tx->fault);
    bool is_current =
        code == SW_OK && memcmp(sealed, proof->u.named.stamp, APP_PSK_STAMP_BYTES) == 0;
    *out = is_current ? APP_PROOF_OWN : APP_PROOF_OTHER;
    return code == SW_E_NOT_FOUND ? SW_OK : code;
}

static int check(struct app_tx *tx, const struct device_id *id, const struct app_proof *proof,
                 bool may_bind, enum app_proof_verdict *out) {
    *out = APP_PROOF_OTHER;
    if (proof->kind == APP_PROOF_RAW_KEY) {
        return check_key(tx, id, &proof->u.key, may_bind, out);
    }
    if (!device_id_equal(id, &proof->u.named.device)) {
        return SW_OK; /* it says that it is another one than it proved to be */
    }
    if (proof->kind == APP_PROOF_PSK) {
        return check_psk(tx, proof, out);
    }
    if (proof->kind == APP_PROOF_CERTIFICATE) {
        /* The authority has registered it: this is enough for either policy. */
        *out = APP_PROOF_OWN;
        return may_bind ? store_certificate_seen(tx->store, id, tx->now.ms, tx->fault) : SW_OK;
    }
    return SW_OK;
}

int app_proof_check(struct app_tx *tx, const struct device_id *id, const struct app_proof *proof,
                    enum app_proof_verdict *out) {
    return check(tx, id, proof, true, out);
}

int app_proof_check_again(struct app_tx *tx, const struct device_id *id,
                          const struct app_proof *proof, enum app_proof_verdict *out) {
    return check(tx, id, proof, false, out);
}
