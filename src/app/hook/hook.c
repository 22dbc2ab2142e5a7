/* Webhooks as their owners make and change them. What could go wrong with each event (a template
 * without an end, an address without a host) is refused here instead. */
#include "slipway/app/hook.h"

#include "slipway/app/template.h"
#include "slipway/crypto/secret.h"
#include "slipway/util/hex.h"

#include "app/internal.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int no_hook(struct app_tx *tx) {
    return app_fail(tx, SW_E_NOT_FOUND, "not_found", NULL, "Webhook not found");
}

static bool is_url(const char *url) {
    size_t scheme = strncmp(url, "http://", 7) == 0 ? 7 : strncmp(url, "https://", 8) == 0 ? 8 : 0;
    if (scheme == 0 || strchr("/?#:@", url[scheme]) != NULL) {
        return false;
    }
    for (const char *c = url; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~' || *c == '\\') {
            return false;
        }
    }
    /* An event decides what is sent, never where to. */
    const char *host = url + scheme;
    return memchr(host, '{', strcspn(host, "/?#")) == NULL;
}

/* What is wrong with the first bad template in a value. */
static const char *first_fault(const json_t *value) {
    const char *why = json_is_string(value) ? template_fault(json_string_value(value)) : NULL;
    if (json_is_object(value)) {
        const char *key = NULL;
        json_t *inside = NULL;
        json_object_foreach((json_t *)(uintptr_t)value, key, inside) {
            why = why != NULL ? why : template_fault(key);
            why = why != NULL ? why : first_fault(inside);
        }
    }
    for (size_t i = 0; why == NULL && i < json_array_size(value); i++) {
        why = first_fault(json_array_get(value, i));
    }
    return why;
}

static int check_templates(struct app_tx *tx, const struct app_hook *hook) {
    const char *field = NULL;
    json_t *value = NULL;
    const char *why = template_fault(hook->row.url);
    int code =
        why == NULL ? SW_OK : app_fail(tx, SW_E_INPUT, "invalid_request", "url", "url: %s", why);
    json_t *spec = json_loads(hook->spec, 0, NULL);
    json_object_foreach(spec, field, value) {
        why = code == SW_OK ? first_fault(value) : NULL;
        if (why != NULL) {
            code = app_fail(tx, SW_E_INPUT, "invalid_request", field, "%s: %s", field, why);
        }
    }
    json_decref(spec);
    return code;
}

/* Copies a text that was given; one that is not keeps what the record has. */
static int take(struct app_tx *tx, const char *field, const char *text, char *out, size_t cap) {
    struct app_text_rule rule = {.field = field, .required = true};
    return text == NULL ? SW_OK : app_take_text(tx, &rule, text, out, cap);
}

static int apply(struct app_tx *tx, const struct app_hook_edit *edit, struct app_hook *whole) {
    struct hook *hook = &whole->row;
    static const struct app_text_rule name_rule = {.field = "name"};
    int code = edit->name == NULL
                   ? SW_OK
                   : app_take_text(tx, &name_rule, edit->name, hook->name, sizeof hook->name);
    code = code != SW_OK ? code : take(tx, "event", edit->event, hook->event, sizeof hook->event);
    code = code != SW_OK ? code : take(tx, "url", edit->url, hook->url, sizeof hook->url);
    code = code != SW_OK ? code
                         : take(tx, "requestType", edit->method, hook->method, sizeof hook->method);
    code = code != SW_OK ? code
                         : take(tx, "secret", edit->secret, whole->secret, sizeof whole->secret);
    if (code != SW_OK) {
        return code;
    }
    if (!is_url(hook->url)) {
        return app_fail(tx, SW_E_INPUT, "invalid_request", "url",
                        "url: must be a whole address that begins with http:// or https://, its "
                        "host without templates");
    }
    if (strlen(whole->secret) < HOOK_SECRET_MIN) {
        return app_fail(tx, SW_E_RANGE, "invalid_request", "secret",
                        "secret: must be at least %d bytes long", HOOK_SECRET_MIN);
    }
    if (edit->spec != NULL) {
        if (strlen(edit->spec) >= sizeof whole->spec) {
            return app_fail(tx, SW_E_RANGE, "invalid_request", "json",
                            "json: headers, query and templates must not exceed %zu bytes in all",
                            sizeof whole->spec - 1);
        }
        (void)snprintf(whole->spec, sizeof whole->spec, "%s", edit->spec);
    }
    code = check_templates(tx, whole);
    if (code != SW_OK) {
        return code;
    }
    if (edit->has_device) {
        hook->has_device = edit->device != NULL;
        hook->device = edit->device != NULL ? *edit->device : (struct device_id){0};
    }
    if (edit->has_disabled) {
        hook->is_disabled = edit->is_disabled;
        if (!hook->is_disabled) {
            hook->failures = 0;
            hook->failing_ms = 0;
            hook->next_ms = tx->now.ms;
        }
    }
    hook->updated_ms = tx->now.ms;
    return app_hook_seal(tx, whole);
}

int app_hook_create(struct app_tx *tx, uint16_t product_id, const struct app_hook_edit *edit,
                    struct app_hook *out) {
    int64_t count = 0;
    struct hook *row = &out->row;
    *out = (struct app_hook){
        .row = {.product_id = product_id, .method = "POST", .created_ms = tx->now.ms},
        .spec = "{}"};
    uint8_t uid[UID_DIGITS / 2], secret[HOOK_SECRET_DIGITS / 2];
    app_entropy(tx->app, uid, sizeof uid);
    hex_encode(span_of(uid, sizeof uid), row->uid, sizeof row->uid);
    app_entropy(tx->app, secret, sizeof secret);
    hex_encode(span_of(secret, sizeof secret), out->secret, sizeof out->secret);
    crypto_wipe(secret, sizeof secret);
    int code = store_hook_count(tx->store, product_id, &count, tx->fault);
    if (code == SW_OK && count >= HOOKS_MAX) {
        return app_fail(tx, SW_E_RANGE, "invalid_request", NULL, "There are %d webhooks already",
                        HOOKS_MAX);
    }
    code = code != SW_OK ? code : apply(tx, edit, out);
    return code != SW_OK ? code : store_hook_insert(tx->store, row, tx->fault);
}

int app_hook_get(struct app_tx *tx, uint16_t product_id, const char *uid, struct app_hook *out) {
    int code = store_hook_by_uid(tx->store, uid, &out->row, tx->fault);
    if (code == SW_E_NOT_FOUND || (code == SW_OK && out->row.product_id != product_id)) {
        return no_hook(tx);
    }
    if (code == SW_OK) {
        app_hook_unseal(tx->app, out);
    }
    return code;
}

int app_hook_edit(struct app_tx *tx, uint16_t product_id, const char *uid,
                  const struct app_hook_edit *edit, struct app_hook *out) {
    const struct app_hook *seen = edit->seen;
    int code = app_hook_get(tx, product_id, uid, out);
    if (code == SW_OK && seen != NULL &&
        (strcmp(seen->spec, out->spec) != 0 || strcmp(seen->row.url, out->row.url) != 0)) {
        return app_fail(tx, SW_E_CONFLICT, "conflict", NULL,
                        "The webhook was changed meanwhile: read it again");
    }
    code = code != SW_OK ? code : apply(tx, edit, out);
    code = code != SW_OK ? code : store_hook_edit(tx->store, &out->row, tx->fault);
    return code == SW_OK && out->row.is_disabled
               ? store_delivery_delete_all(tx->store, out->row.id, tx->fault)
               : code;
}

int app_hook_delete(struct app_tx *tx, uint16_t product_id, const char *uid) {
    struct app_hook hook;
    int code = app_hook_get(tx, product_id, uid, &hook);
    return code != SW_OK ? code : store_hook_delete(tx->store, hook.row.id, tx->fault);
}

int app_hook_list(struct app_tx *tx, uint16_t product_id, struct hook_list *out) {
    struct hook *rows = NULL;
    *out = (struct hook_list){.count = 0};
    size_t count = 0;
    int code = store_hook_list(tx->store, product_id, &rows, &count, tx->fault);
    if (code == SW_OK && count > 0) {
        out->items = calloc(count, sizeof *out->items);
        code = out->items == NULL ? SW_E_MEMORY : SW_OK;
    }
    for (size_t i = 0; code == SW_OK && i < count; i++) {
        out->items[i].row = rows[i];
        app_hook_unseal(tx->app, &out->items[i]);
        out->count++;
    }
    free(rows);
    return code;
}

int app_hook_log(struct app_tx *tx, int64_t hook_id, bool is_failed, struct hook_log_list *out) {
    *out = (struct hook_log_list){.count = 0};
    return store_hook_log_list(tx->store, hook_id, is_failed, &out->items, &out->count, tx->fault);
}
