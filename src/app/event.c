#include "slipway/app/event.h"

#include "slipway/store/hook.h"
#include "slipway/store/journal.h"

#include "app/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int app_append_quietly(struct app_tx *tx, struct event *event) {
    event->at_ms = tx->now.ms;
    int code = store_event_append(tx->store, event, tx->fault);
    if (code == SW_OK) {
        tx->app->event_id = event->id;
    }
    return code;
}

int app_tell_published(struct app_tx *tx) {
    const struct app_notice notice = {.kind = APP_NOTICE_PUBLISHED, .event_id = tx->app->event_id};
    return app_tell(tx, &notice);
}

/* Appends it with the time of the transaction, and queues it for the webhooks that want it. */
static int append(struct app_tx *tx, struct event *event) {
    int code = app_append_quietly(tx, event);
    /* Neither is what pretends to tell of webhooks told to them. */
    return code != SW_OK || strncmp(event->name, "hook-", 5) == 0
               ? code
               : store_hook_offer(tx->store, event, tx->app->options.hook_queue_max, tx->fault);
}

int app_append(struct app_tx *tx, uint16_t product_id, const struct device *device,
               const char *name, const char *data, const char *user) {
    struct event event = {.product_id = product_id, .ttl_s = 60};
    if (device != NULL) {
        event.has_device = true;
        event.device = device->id;
        event.version = device->is_safe_mode ? 0 : device->running_version;
    }
    (void)snprintf(event.name, sizeof event.name, "%s", name);
    (void)snprintf(event.user, sizeof event.user, "%s", user != NULL ? user : "");
    if (data != NULL) {
        event.has_data = true;
        (void)snprintf(event.data, sizeof event.data, "%s", data);
        event.data_len = strlen(event.data);
    }
    return append(tx, &event);
}

int app_append_told(struct app_tx *tx, const struct device *device, struct span name,
                    struct span data) {
    struct event event = {.product_id = device->product_id,
                          .has_device = true,
                          .device = device->id,
                          .version = device->is_safe_mode ? 0 : device->running_version,
                          .ttl_s = 60};
    size_t name_len = name.len < sizeof event.name ? name.len : sizeof event.name - 1;
    if (name_len > 0) {
        memcpy(event.name, name.data, name_len);
    }
    event.has_data = data.len > 0;
    event.data_len = data.len < sizeof event.data ? data.len : sizeof event.data - 1;
    if (event.data_len > 0) {
        memcpy(event.data, data.data, event.data_len);
    }
    return append(tx, &event);
}

int app_event_publish(struct app_tx *tx, const struct app_publish *publish) {
    static const struct app_text_rule name_rule = {.field = "name", .required = true};
    struct event event = {.product_id = publish->product_id, .ttl_s = publish->ttl_s};
    int code = app_take_text(tx, &name_rule, publish->name, event.name, sizeof event.name);
    if (code != SW_OK) {
        return code;
    }
    if (strncmp(event.name, "spark", 5) == 0 || strncmp(event.name, "particle", 8) == 0 ||
        strncmp(event.name, "slipway/", 8) == 0) {
        return app_fail(tx, SW_E_RANGE, "invalid_request", "name",
                        "name: names that begin with spark, particle or slipway/ are the system's "
                        "own");
    }
    if (publish->data.len >= sizeof event.data) {
        return app_fail(tx, SW_E_RANGE, "invalid_request", "data",
                        "data must be at most %zu bytes long", sizeof event.data - 1);
    }
    event.has_data = publish->data.data != NULL;
    event.data_len = publish->data.len;
    if (publish->data.len > 0) {
        memcpy(event.data, publish->data.data, publish->data.len);
    }
    (void)snprintf(event.user, sizeof event.user, "%s", publish->user != NULL ? publish->user : "");
    code = append(tx, &event);
    return code == SW_OK ? app_tell_published(tx) : code;
}

int app_event_last(struct app_tx *tx, int64_t *id) {
    return store_event_last(tx->store, id, tx->fault);
}

static bool matches(const struct event *event, const struct app_event_query *query) {
    if (query->prefix != NULL && strncmp(event->name, query->prefix, strlen(query->prefix)) != 0) {
        return false;
    }
    return query->device == NULL || query->product_id == 0 ||
           event->product_id == query->product_id;
}

int app_event_list(struct app_tx *tx, const struct app_event_query *query, struct event_list *out) {
    *out = (struct event_list){.last_id = query->after_id};
    struct store_event_filter filter = {.after_id = query->after_id,
                                        .until_id =
                                            query->until_id > 0 ? query->until_id : INT64_MAX,
                                        .product_id = query->product_id,
                                        .device = query->device,
                                        .max = query->max > 0 ? query->max : 100};
    int code = store_event_list(tx->store, &filter, &out->items, &out->count, tx->fault);
    if (code != SW_OK) {
        return code;
    }
    if (out->count == filter.max) {
        out->last_id = out->items[out->count - 1].id;
    } else {
        /* All there is was looked at: the cursor moves past the events of others too. */
        int64_t last = 0;
        code = query->until_id > 0 ? SW_OK : store_event_last(tx->store, &last, tx->fault);
        last = query->until_id > 0 ? query->until_id : last;
        out->last_id = last > out->last_id ? last : out->last_id;
    }
    size_t kept = 0;
    for (size_t i = 0; i < out->count; i++) {
        if (matches(&out->items[i], query)) {
            if (kept != i) {
                out->items[kept] = out->items[i];
            }
            kept++;
        }
    }
    out->count = kept;
    return code;
}

int app_event_prune(struct app_tx *tx, uint32_t *count) {
    int64_t last = 0;
    int code = store_event_last(tx->store, &last, tx->fault);
    if (code != SW_OK) {
        return code;
    }
    const struct app_options *options = &tx->app->options;
    int64_t kept = options->events_max < INT64_MAX ? (int64_t)options->events_max : INT64_MAX;
    int64_t floor = last > kept ? last - kept : 0;
    return store_event_prune(tx->store, floor, tx->now.ms - options->events_age_ms, 10000, count,
                             tx->fault);
}
