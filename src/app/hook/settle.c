/* What is due for webhooks and what became of it. A hook that fails is tried again with growing
 * pauses, with its oldest event first: the pause belongs to the hook, not to each event, so that a
 * receiver that is down is asked once at a time, however much waits for it. */
#include "slipway/app/hook.h"

#include "slipway/store/journal.h"

#include "app/internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define BACKOFF_MAX_MS   (INT64_C(3600) * 1000)
#define CHUNK_NAME_BYTES 5 /* "/9999", at most */

/* The length of a text cut to max bytes between two of its characters. */
static size_t cut(const char *text, size_t len, size_t max) {
    if (len <= max) {
        return len;
    }
    size_t at = max;
    while (at > 0 && max - at < 3 && ((unsigned char)text[at] & 0xC0) == 0x80) {
        at--;
    }
    return ((unsigned char)text[at] & 0xC0) == 0x80 ? max : at;
}

/* The system's own names stay its own, whoever makes a topic of what. */
static bool is_reserved(const char *topic) {
    return strncasecmp(topic, "spark", 5) == 0 || strncasecmp(topic, "particle", 8) == 0;
}

/* "word/NAME", or the topic that its webhook gives it, with room for what append_part adds. */
static void name_of(char out[EVENT_NAME_BYTES], const char *topic, const char *word,
                    const char *name) {
    char whole[EVENT_NAME_BYTES + 16];
    const char *text = topic;
    if (topic == NULL || topic[0] == '\0' || is_reserved(topic)) {
        (void)snprintf(whole, sizeof whole, "%s/%s", word, name);
        text = whole;
    }
    size_t len = cut(text, strlen(text), EVENT_NAME_BYTES - 1 - CHUNK_NAME_BYTES);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        out[i] = c < 0x20 || c == 0x7f ? '?' : text[i];
    }
    out[len] = '\0';
}

static int append(struct app_tx *tx, const struct event *about, const char *name, const char *data,
                  size_t len) {
    struct event event = {.product_id = about->product_id,
                          .has_device = about->has_device,
                          .device = about->device,
                          .version = about->version,
                          .ttl_s = about->ttl_s,
                          .has_data = data != NULL,
                          .data_len = len};
    (void)snprintf(event.name, sizeof event.name, "%s", name);
    if (len > 0) {
        memcpy(event.data, data, len);
    }
    return app_append_quietly(tx, &event);
}

/* "name/0", "name/1", ... with the text's parts. */
static int append_parts(struct app_tx *tx, const struct event *about, const char *name,
                        const char *text, size_t len) {
    char part_name[EVENT_NAME_BYTES + CHUNK_NAME_BYTES + 8];
    int code = SW_OK;
    size_t at = 0;
    for (unsigned n = 0; code == SW_OK && at < len; n++) {
        size_t part = cut(text + at, len - at, HOOK_CHUNK_BYTES);
        (void)snprintf(part_name, sizeof part_name, "%s/%u", name, n);
        code = append(tx, about, part_name, text + at, part);
        at += part;
        if (code == SW_OK && about->has_device) {
            code = app_tell_published(tx);
        }
    }
    return code;
}

static int append_error(struct app_tx *tx, const struct event *about, const char *topic,
                        const char *why) {
    char name[EVENT_NAME_BYTES];
    name_of(name, topic, "hook-error", about->name);
    return append_parts(tx, about, name, why, strlen(why));
}

int app_hook_test(struct app_tx *tx, uint16_t product_id, const char *uid, const char *data,
                  const char *user) {
    struct app_hook hook;
    int code = app_hook_get(tx, product_id, uid, &hook);
    if (code != SW_OK) {
        return code;
    }
    if (hook.row.is_disabled) {
        return app_fail(tx, SW_E_STATE, "disabled", NULL, "The webhook is disabled");
    }
    if (hook.row.queued >= tx->app->options.hook_queue_max) {
        return app_fail(tx, SW_E_STATE, "queue_full", NULL, "The webhook's queue is full");
    }
    struct event event = {.product_id = product_id, .ttl_s = 60, .has_data = true};
    (void)snprintf(event.name, sizeof event.name, "hook-test/%.*s", EVENT_NAME_BYTES - 12,
                   hook.row.event);
    (void)snprintf(event.data, sizeof event.data, "%s", data);
    event.data_len = strlen(event.data);
    (void)snprintf(event.user, sizeof event.user, "%s", user);
    code = app_append_quietly(tx, &event);
    return code != SW_OK ? code : store_hook_queue(tx->store, hook.row.id, event.id, tx->fault);
}

int app_hook_ready(struct app_tx *tx, struct app_hook_ready *ready) {
    struct store_hook_time time = {.now_ms = tx->now.ms, .latest_ms = tx->now.ms + BACKOFF_MAX_MS};
    int code = store_hook_ready(tx->store, &time, ready->max, ready->ids, &ready->count, tx->fault);
    return code != SW_OK ? code : store_hook_next(tx->store, &time, &ready->next_ms, tx->fault);
}

int app_hook_job(struct app_tx *tx, int64_t hook_id, struct app_hook_job *out) {
    int code = store_hook_get(tx->store, hook_id, &out->hook.row, tx->fault);
    if (code != SW_OK) {
        return code;
    }
    app_hook_unseal(tx->app, &out->hook);
    return store_delivery_first(tx->store, hook_id, &out->delivery, tx->fault);
}

static int64_t backoff_ms(const struct app *app, uint32_t failures) {
    int64_t pause_ms = app->options.hook_retry_ms;
    for (uint32_t n = 1; n < failures && pause_ms < BACKOFF_MAX_MS; n++) {
        pause_ms *= 3;
    }
    return pause_ms < BACKOFF_MAX_MS ? pause_ms : BACKOFF_MAX_MS;
}

static int settle_sent(struct app_tx *tx, struct app_hook_job *job,
                       const struct app_hook_outcome *outcome) {
    const struct event *about = &job->delivery.event;
    struct hook *hook = &job->hook.row;
    char name[EVENT_NAME_BYTES];
    hook->sent++;
    hook->failures = 0;
    hook->failing_ms = 0;
    hook->next_ms = tx->now.ms;
    name_of(name, NULL, "hook-sent", about->name);
    int code = store_delivery_delete(tx->store, job->delivery.id, tx->fault);
    code = code != SW_OK ? code : append(tx, about, name, NULL, 0);
    if (code == SW_OK && outcome->reason[0] != '\0') { /* sent, but nothing to make of the answer */
        code = append_error(tx, about, outcome->error_topic, outcome->reason);
    }
    if (code == SW_OK && outcome->answer != NULL) {
        name_of(name, outcome->topic, "hook-response", about->name);
        code = append_parts(tx, about, name, outcome->answer, outcome->answer_len);
    }
    return code;
}

static int settle_failed(struct app_tx *tx, struct app_hook_job *job,
                         struct app_hook_outcome *outcome) {
    const struct app_options *options = &tx->app->options;
    const struct event *about = &job->delivery.event;
    struct hook *hook = &job->hook.row;
    hook->failed++;
    hook->failures++;
    hook->failing_ms = hook->failing_ms == 0 ? tx->now.ms : hook->failing_ms;
    hook->last_error_ms = tx->now.ms;
    (void)snprintf(hook->last_error, sizeof hook->last_error, "%s", outcome->reason);
    hook->next_ms = tx->now.ms + (outcome->is_final ? 0 : backoff_ms(tx->app, hook->failures));
    int code = append_error(tx, about, outcome->error_topic, outcome->reason);
    if (code != SW_OK) {
        return code;
    }
    if (tx->now.ms - hook->failing_ms >= options->hook_disable_ms) {
        hook->is_disabled = true;
        outcome->was_disabled = true;
        code = append_error(tx, about, outcome->error_topic, "disabled: it failed for too long");
        return code != SW_OK ? code : store_delivery_delete_all(tx->store, hook->id, tx->fault);
    }
    bool is_over = outcome->is_final || job->delivery.attempts + 1 >= options->hook_attempts_max;
    return is_over ? store_delivery_delete(tx->store, job->delivery.id, tx->fault)
                   : store_delivery_failed(tx->store, job->delivery.id, tx->fault);
}

static int write_log(struct app_tx *tx, const struct app_hook_job *job,
                     const struct app_hook_outcome *outcome) {
    const struct event *about = &job->delivery.event;
    struct hook_log log = {.at_ms = tx->now.ms,
                           .is_failed = !outcome->is_sent,
                           .status = outcome->status,
                           .delivery_id = job->delivery.id,
                           .has_device = about->has_device,
                           .device = about->device};
    bool has_answer = outcome->is_sent && outcome->answer != NULL;
    const char *text = has_answer ? outcome->answer : outcome->reason;
    size_t len = cut(text, has_answer ? outcome->answer_len : strlen(text), sizeof log.text - 1);
    memcpy(log.text, text, len);
    (void)snprintf(log.event, sizeof log.event, "%s", about->name);
    return store_hook_log_add(tx->store, job->hook.row.id, &log, tx->fault);
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
            code = outcome->is_sent ? settle_sent(tx, &job, outcome)
                                    : settle_failed(tx, &job, outcome);
        }
        code = code != SW_OK ? code : write_log(tx, &job, outcome);
        code = code != SW_OK ? code : store_hook_progress(tx->store, &job.hook.row, tx->fault);
        if (code != SW_OK) {
            return code;
        }
    }
    return SW_OK;
}
