/* Rows of webhooks and of what is queued for them. Conventions as in store/catalog.h. */
#ifndef SLIPWAY_STORE_HOOK_H
#define SLIPWAY_STORE_HOOK_H

#include "slipway/store/record.h"
#include "slipway/store/store.h"

#define HOOK_URL_BYTES    1025
#define HOOK_SPEC_BYTES   8193
#define HOOK_SECRET_BYTES 129
#define HOOK_METHOD_BYTES 8

struct hook {
    int64_t id;
    char uid[UID_DIGITS + 1];
    uint16_t product_id; /* 0 = events of every product */
    bool has_device;     /* only those of one device */
    struct device_id device;
    char name[NAME_BYTES];
    char event[EVENT_NAME_BYTES]; /* what the names of events begin with */
    char url[HOOK_URL_BYTES];
    char method[HOOK_METHOD_BYTES];
    char spec[HOOK_SPEC_BYTES]; /* a JSON object: headers, query, json, form, body, auth, ... */
    char secret[HOOK_SECRET_BYTES];
    bool is_disabled;
    uint32_t queued;
    uint32_t dropped; /* events that found the queue full */
    uint32_t sent;
    uint32_t failed;    /* attempts */
    uint32_t failures;  /* attempts since the last success */
    int64_t failing_ms; /* since when; 0 = it works */
    int64_t next_ms;    /* no attempt before */
    char last_error[REASON_BYTES];
    int64_t last_error_ms;
    int64_t created_ms, updated_ms;
};

/* created_ms is the time; sets hook->id. SW_E_EXISTS: the uid is taken. */
int store_hook_insert(struct store *store, struct hook *hook, struct fault *fault) SW_NODISCARD;
int store_hook_get(struct store *store, int64_t id, struct hook *out,
                   struct fault *fault) SW_NODISCARD;
int store_hook_by_uid(struct store *store, const char *uid, struct hook *out,
                      struct fault *fault) SW_NODISCARD;
int store_hook_list(struct store *store, uint16_t product_id, struct hook **items, size_t *count,
                    struct fault *fault) SW_NODISCARD;
int store_hook_count(struct store *store, uint16_t product_id, int64_t *count,
                     struct fault *fault) SW_NODISCARD;
/* What its owner may change. */
int store_hook_edit(struct store *store, const struct hook *hook, struct fault *fault) SW_NODISCARD;
/* How its deliveries go: is_disabled, sent, failed, failures, failing_ms, next_ms, last_error. */
int store_hook_progress(struct store *store, const struct hook *hook,
                        struct fault *fault) SW_NODISCARD;
int store_hook_delete(struct store *store, int64_t id, struct fault *fault) SW_NODISCARD;

/* Queues the event for every hook that wants it; one whose queue holds queue_max counts it as
 * dropped instead. */
int store_hook_offer(struct store *store, const struct event *event, uint32_t queue_max,
                     struct fault *fault) SW_NODISCARD;
/* Queues it for one hook, whatever it wants. */
int store_hook_queue(struct store *store, int64_t hook_id, int64_t event_id,
                     struct fault *fault) SW_NODISCARD;

struct store_delivery {
    int64_t id;
    uint32_t attempts; /* that failed */
    struct event event;
};
/* The oldest of a hook's queue; SW_E_NOT_FOUND: it is empty. */
int store_delivery_first(struct store *store, int64_t hook_id, struct store_delivery *out,
                         struct fault *fault) SW_NODISCARD;
int store_delivery_failed(struct store *store, int64_t id, struct fault *fault) SW_NODISCARD;
int store_delivery_delete(struct store *store, int64_t id, struct fault *fault) SW_NODISCARD;
int store_delivery_delete_all(struct store *store, int64_t hook_id,
                              struct fault *fault) SW_NODISCARD;
/* Hooks with a queue whose time has come, those that waited longest first: up to max ids. */
int store_hook_ready(struct store *store, int64_t now_ms, uint32_t max, int64_t *ids, size_t *count,
                     struct fault *fault) SW_NODISCARD;
/* When the next of those whose time is to come may be tried; INT64_MAX = there is none. */
int store_hook_next(struct store *store, int64_t now_ms, int64_t *next_ms,
                    struct fault *fault) SW_NODISCARD;

#endif
