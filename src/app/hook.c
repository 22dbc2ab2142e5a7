/* A hook that fails is tried again with growing pauses, with its oldest event first: the pause
 * belongs to the hook, not to each event, so that a receiver that is down is asked once at a time,
 * however much waits for it. */
#include "slipway/app/hook.h"

#include "slipway/crypto/secret.h"
#include "slipway/store/journal.h"
#include "slipway/util/hex.h"

#include "app/internal.h"

#include <stdio.h>
#include <string.h>

#define BACKOFF_MAX_MS (INT64_C(3600) * 1000)

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
    return true;
}

/* Copies a text that was given; one that is not keeps what the record has. */
static int take(struct app_tx *tx, const char *field, const char *text, char *out, size_t cap) {
    struct app_text_rule rule = {.field = field, .required = true};
    return text == NULL ? SW_OK : app_take_text(tx, &rule, text, out, cap);
}

static int apply(struct app_tx *tx, const struct app_hook_edit *edit, struct hook *hook) {
    static const struct app_text_rule name_rule = {.field = "name"};
    int code = edit->name == NULL
                   ? SW_OK
                   : app_take_text(tx, &name_rule, edit->name, hook->name, sizeof hook->name);
    code = code != SW_OK ? code : take(tx, "event", edit->event, hook->event, sizeof hook->event);
    code = code != SW_OK ? code : take(tx, "url", edit->url, hook->url, sizeof hook->url);
    code = code != SW_OK ? code
                         : take(tx, "requestType", edit->method, hook->method, sizeof hook->method);
    code =
        code != SW_OK ? code : take(tx, "secret", edit->secret, hook->secret, sizeof hook->secret);
    if (code != SW_OK) {
        return code;
    }
    if (!is_url(hook->url)) {
        return app_fail(tx, SW_E_INPUT, "invalid_request", "url",
                        "url: must be a whole address that begins with http:// or https://");
    }
    if (strlen(hook->secret) < HOOK_SECRET_MIN) {
        return app_fail(tx, SW_E_RANGE, "invalid_request", "secret",
                        "secret: must be at least %d bytes long", HOOK_SECRET_MIN);
    }
    if (edit->spec != NULL) {
        if (strlen(edit->spec) >= sizeof hook->spec) {
            return app_fail(tx, SW_E_RANGE, "invalid_request", "json",
                            "json: headers, query and templates must not exceed %zu bytes in all",
                            sizeof hook->spec - 1);
        }
        (void)snprintf(hook->spec, sizeof hook->spec, "%s", edit->spec);
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
    return SW_OK;
}

int app_hook_create(struct app_tx *tx, uint16_t product_id, const struct app_hook_edit *edit,
                    struct hook *out) {
    int64_t count = 0;
    *out = (struct hook){
        .product_id = product_id, .method = "POST", .spec = "{}", .created_ms = tx->now.ms};
    uint8_t uid[UID_DIGITS / 2], secret[HOOK_SECRET_DIGITS / 2];
    app_entropy(tx->app, uid, sizeof uid);
    hex_encode(span_of(uid, sizeof uid), out->uid, sizeof out->uid);
    app_entropy(tx->app, secret, sizeof secret);
    hex_encode(span_of(secret, sizeof secret), out->secret, sizeof out->secret);
    crypto_wipe(secret, sizeof secret);
    int code = store_hook_count(tx->store, product_id, &count, tx->fault);
    if (code == SW_OK && count >= HOOKS_MAX) {
        return app_fail(tx, SW_E_RANGE, "invalid_request", NULL, "There are %d webhooks already",
                        HOOKS_MAX);
    }
    code = code != SW_OK ? code : apply(tx, edit, out);
    return code != SW_OK ? code : store_hook_insert(tx->store, out, tx->fault);
}

int app_hook_get(struct app_tx *tx, uint16_t product_id, const char *uid, struct hook *out) {
    int code = store_hook_by_uid(tx->store, uid, out, tx->fault);
    bool is_foreign = code == SW_OK && out->product_id != product_id;
    return code == SW_E_NOT_FOUND || is_foreign ? no_hook(tx) : code;
}

int app_hook_edit(struct app_tx *tx, uint16_t product_id, const char *uid,
                  const struct app_hook_edit *edit, struct hook *out) {
    int code = app_hook_get(tx, product_id, uid, out);
    code = code != SW_OK ? code : apply(tx, edit, out);
    code = code != SW_OK ? code : store_hook_edit(tx->store, out, tx->fault);
    return code == SW_OK && out->is_disabled
               ? store_delivery_delete_all(tx->store, out->id, tx->fault)
               : code;
}

int app_hook_delete(struct app_tx *tx, uint16_t product_id, const char *uid) {
    struct hook hook;
    int code = app_hook_get(tx, product_id, uid, &hook);
    return code != SW_OK ? code : store_hook_delete(tx->store, hook.id, tx->fault);
}

int app_hook_list(struct app_tx *tx, uint16_t product_id, struct hook_list *out) {
    *out = (struct hook_list){.count = 0};
    return store_hook_list(tx->store, product_id, &out->items, &out->count, tx->fault);
}

/* --- sending --- */

/* "word/name of the event", which no hook is ever queued for. */
static int append_about(struct app_tx *tx, const struct event *about, const char *word,
                        const char *data) {
    struct event event = {.product_id = about->product_id,
                          .has_device = about->has_device,
                          .device = about->device,
                          .version = about->version,
                          .ttl_s = about->ttl_s,
                          .has_data = data != NULL};
    (void)snprintf(event.name, sizeof event.name, "%s/%.*s", word, EVENT_NAME_BYTES - 12,
                   about->name);
    (void)snprintf(event.data, sizeof event.data, "%s", data != NULL ? data : "");
    event.data_len = strlen(event.data);
    return app_append_event(tx, &event);
}

int app_hook_test(struct app_tx *tx, uint16_t product_id, const char *uid, const char *data,
                  const char *user) {
    struct hook hook;
    int code = app_hook_get(tx, product_id, uid, &hook);
    if (code != SW_OK) {
        return code;
    }
    if (hook.is_disabled) {
        return app_fail(tx, SW_E_STATE, "disabled", NULL, "The webhook is disabled");
    }
    if (hook.queued >= tx->app->options.hook_queue_max) {
        return app_fail(tx, SW_E_STATE, "queue_full", NULL, "The webhook's queue is full");
    }
    struct event event = {.product_id = product_id, .ttl_s = 60, .has_data = true};
    (void)snprintf(event.name, sizeof event.name, "hook-test/%.*s", EVENT_NAME_BYTES - 12,
                   hook.event);
    (void)snprintf(event.data, sizeof event.data, "%s", data);
    event.data_len = strlen(event.data);
    (void)snprintf(event.user, sizeof event.user, "%s", user);
    code = app_append_event(tx, &event);
    return code != SW_OK ? code : store_hook_queue(tx->store, hook.id, event.id, tx->fault);
}

int app_hook_ready(struct app_tx *tx, struct app_hook_ready *ready) {
    int code =
        store_hook_ready(tx->store, tx->now.ms, ready->max, ready->ids, &ready->count, tx->fault);
    return code != SW_OK ? code
                         : store_hook_next(tx->store, tx->now.ms, &ready->next_ms, tx->fault);
}

int app_hook_job(struct app_tx *tx, int64_t hook_id, struct app_hook_job *out) {
    int code = store_hook_get(tx->store, hook_id, &out->hook, tx->fault);
    return code != SW_OK ? code
                         : store_delivery_first(tx->store, hook_id, &out->delivery, tx->fault);
}

static int64_t backoff_ms(const struct app *app, uint32_t failures) {
    int64_t pause_ms = app->options.hook_retry_ms;
    for (uint32_t n = 1; n < failures && pause_ms < BACKOFF_MAX_MS; n++) {
        pause_ms *= 3;
    }
    return pause_ms < BACKOFF_MAX_MS ? pause_ms : BACKOFF_MAX_MS;
}

static int settle_sent(struct app_tx *tx, struct app_hook_job *job) {
    struct hook *hook = &job->hook;
    hook->sent++;
    hook->failures = 0;
    hook->failing_ms = 0;
    hook->next_ms = tx->now.ms;
    int code = store_delivery_delete(tx->store, job->delivery.id, tx->fault);
    return code != SW_OK ? code : append_about(tx, &job->delivery.event, "hook-sent", NULL);
}

static int settle_failed(struct app_tx *tx, struct app_hook_job *job,
                         struct app_hook_outcome *outcome) {
    const struct app_options *options = &tx->app->options;
    struct hook *hook = &job->hook;
    hook->failed++;
    hook->failures++;
    hook->failing_ms = hook->failing_ms == 0 ? tx->now.ms : hook->failing_ms;
    hook->last_error_ms = tx->now.ms;
    (void)snprintf(hook->last_error, sizeof hook->last_error, "%s", outcome->reason);
    hook->next_ms = tx->now.ms + (outcome->is_final ? 0 : backoff_ms(tx->app, hook->failures));
    int code = append_about(tx, &job->delivery.event, "hook-error", outcome->reason);
    if (code != SW_OK) {
        return code;
    }
    if (tx->now.ms - hook->failing_ms >= options->hook_disable_ms) {
        hook->is_disabled = true;
        outcome->was_disabled = true;
        code = append_about(tx, &job->delivery.event, "hook-error",
                            "disabled: it failed for too long");
        return code != SW_OK ? code : store_delivery_delete_all(tx->store, hook->id, tx->fault);
    }
    bool is_over = outcome->is_final || job->delivery.attempts + 1 >= options->hook_attempts_max;
    return is_over ? store_delivery_delete(tx->store, job->delivery.id, tx->fault)
                   : store_delivery_failed(tx->store, job->delivery.id, tx->fault);
}

int app_hook_settle(struct app_tx *tx, struct app_hook_outcomes *outcomes) {
    for (size_t i = 0; i < outcomes->count; i++) {
        struct app_hook_outcome *outcome = &outcomes->items[i];
        struct app_hook_job job;
        outcome->was_disabled = false;
        int code = app_hook_job(tx, outcome->hook_id, &job);
        /* It was deleted or disabled meanwhile, or the event is past its age. */
        if (code == SW_E_NOT_FOUND || (code == SW_OK && job.delivery.id != outcome->delivery_id)) {
            continue;
        }
        if (code == SW_OK) {
            code = outcome->is_sent ? settle_sent(tx, &job) : settle_failed(tx, &job, outcome);
        }
        code = code != SW_OK ? code : store_hook_progress(tx->store, &job.hook, tx->fault);
        if (code != SW_OK) {
            return code;
        }
    }
    return SW_OK;
}
