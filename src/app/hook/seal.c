/* What a webhook keeps to itself, at rest: secret, NUL and spec as one sealed text, bound to the
 * webhook's id so that no row can stand in for another. */
#include "slipway/store/hook.h"

#include "app/internal.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLAIN_MAX     (HOOK_SECRET_BYTES + HOOK_SPEC_BYTES)
#define CONTEXT_BYTES (UID_DIGITS + 16)

static struct span context_of(const struct hook *row, char out[CONTEXT_BYTES]) {
    (void)snprintf(out, CONTEXT_BYTES, "webhook %s", row->uid);
    return span_text(out);
}

int app_hook_seal(struct app_tx *tx, struct app_hook *hook) {
    uint8_t plain[PLAIN_MAX], nonce[SEAL_NONCE_BYTES];
    char context[CONTEXT_BYTES];
    struct hook *row = &hook->row;
    size_t secret_len = strlen(hook->secret) + 1, spec_len = strlen(hook->spec);
    if (tx->app->options.seal_key == NULL) {
        return app_fail(tx, SW_E_STATE, "unavailable", NULL, "There is no key to seal webhooks");
    }
    memcpy(plain, hook->secret, secret_len);
    memcpy(plain + secret_len, hook->spec, spec_len);
    app_entropy(tx->app, nonce, sizeof nonce);
    int code = crypto_seal(tx->app->options.seal_key, nonce, context_of(row, context),
                           span_of(plain, secret_len + spec_len), row->sealed, sizeof row->sealed);
    crypto_wipe(plain, sizeof plain);
    row->sealed_len = secret_len + spec_len + SEAL_OVERHEAD;
    return code < 0 ? fault_set(tx->fault, code, "a webhook cannot be sealed") : SW_OK;
}

static bool unseal(const struct app *app, struct app_hook *hook) {
    uint8_t plain[PLAIN_MAX];
    char context[CONTEXT_BYTES];
    const struct hook *row = &hook->row;
    if (app->options.seal_key == NULL || row->sealed_len <= SEAL_OVERHEAD ||
        crypto_unseal(app->options.seal_key, context_of(row, context),
                      span_of(row->sealed, row->sealed_len), plain, sizeof plain) < 0) {
        return false;
    }
    size_t len = row->sealed_len - SEAL_OVERHEAD;
    const uint8_t *end = memchr(plain, 0, len < sizeof hook->secret ? len : sizeof hook->secret);
    size_t secret_len = end != NULL ? (size_t)(end - plain) + 1 : 0;
    bool is_whole = end != NULL && len - secret_len < sizeof hook->spec;
    if (is_whole) {
        memcpy(hook->secret, plain, secret_len);
        memcpy(hook->spec, plain + secret_len, len - secret_len);
        hook->spec[len - secret_len] = '\0';
    }
    crypto_wipe(plain, sizeof plain);
    return is_whole;
}

void app_hook_unseal(const struct app *app, struct app_hook *hook) {
    if (!unseal(app, hook)) {
        hook->secret[0] = '\0';
        (void)snprintf(hook->spec, sizeof hook->spec, "{}");
        hook->row.is_disabled = true;
    }
}

static int seal_plain(struct app_tx *tx, struct app_hook *hook, const uint8_t *json, size_t len) {
    json_t *plain = json_loadb((const char *)json, len, 0, NULL);
    const char *spec = json_string_value(json_object_get(plain, "spec"));
    const char *secret = json_string_value(json_object_get(plain, "secret"));
    int code = SW_E_INPUT;
    if (spec != NULL && secret != NULL && strlen(spec) < sizeof hook->spec &&
        strlen(secret) < sizeof hook->secret) {
        (void)snprintf(hook->spec, sizeof hook->spec, "%s", spec);
        (void)snprintf(hook->secret, sizeof hook->secret, "%s", secret);
        code = app_hook_seal(tx, hook);
    }
    json_decref(plain);
    return code != SW_OK
               ? fault_set(tx->fault, code, "a webhook cannot be sealed")
               : store_hook_seal(tx->store, hook->row.id,
                                 span_of(hook->row.sealed, hook->row.sealed_len), tx->fault);
}

static int recover(struct app_tx *tx, int64_t id) {
    struct app_hook hook;
    uint8_t *json = NULL;
    size_t len = 0;
    int code = store_hook_get(tx->store, id, &hook.row, tx->fault);
    if (code != SW_OK) {
        return code;
    }
    code = store_hook_plain(tx->store, id, &json, &len, tx->fault);
    if (code == SW_OK) {
        code = seal_plain(tx, &hook, json, len);
        crypto_wipe(json, len);
        free(json);
        return code;
    }
    bool was_disabled = hook.row.is_disabled;
    if (code != SW_E_NOT_FOUND || unseal(tx->app, &hook) || was_disabled) {
        return code == SW_E_NOT_FOUND ? SW_OK : code;
    }
    hook.row.is_disabled = true;
    hook.row.last_error_ms = tx->now.ms;
    (void)snprintf(hook.row.last_error, sizeof hook.row.last_error,
                   "sealed with another key: set its secret and settings");
    code = store_hook_progress(tx->store, &hook.row, tx->fault);
    return code != SW_OK ? code : store_delivery_delete_all(tx->store, id, tx->fault);
}

int app_hooks_recover(struct app_tx *tx) {
    int64_t *ids = NULL;
    size_t count = 0;
    int code = store_hook_ids(tx->store, &ids, &count, tx->fault);
    for (size_t i = 0; code == SW_OK && i < count; i++) {
        code = recover(tx, ids[i]);
    }
    free(ids);
    return code;
}
