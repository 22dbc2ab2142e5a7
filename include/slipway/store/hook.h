/* Rows of webhooks and of what is queued for them. Conventions as in store/catalog.h. */
#ifndef SLIPWAY_STORE_HOOK_H
#define SLIPWAY_STORE_HOOK_H

#include "slipway/store/record.h"
#include "slipway/store/store.h"

#define HOOK_URL_BYTES    1025
#define HOOK_SPEC_BYTES   8193
#define HOOK_SECRET_BYTES 129
#define HOOK_METHOD_BYTES 8
#define HOOK_SEALED_BYTES (28 + HOOK_SECRET_BYTES + HOOK_SPEC_BYTES)
#define HOOK_LOG_BYTES    257
#define HOOK_LOG_KEPT     10 /* of deliveries, and as many of failures */

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
    uint8_t sealed[HOOK_SEALED_BYTES]; /* secret and spec; opaque here */
    size_t sealed_len;
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

/* The ids of all of them; free(). */
int store_hook_ids(struct store *store, int64_t **ids, size_t *count,
                   struct fault *fault) SW_NODISCARD;
/* What an earlier version stored as it was: a JSON object of spec and secret; free(). NOT_FOUND:
 * nothing. Storing it sealed ends that. */
int store_hook_plain(struct store *store, int64_t id, uint8_t **json, size_t *len,
                     struct fault *fault) SW_NODISCARD;
int store_hook_seal(struct store *store, int64_t id, struct span sealed,
                    struct fault *fault) SW_NODISCARD;

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
/* No pause goes on for longer than until latest_ms: such a one began before the clock was set back,
 * and is over. */
struct store_hook_time {
    int64_t now_ms, latest_ms;
};
/* Hooks with a queue whose time has come, those that waited longest first: up to max ids. */
int store_hook_ready(struct store *store, const struct store_hook_time *time, uint32_t max,
                     int64_t *ids, size_t *count, struct fault *fault) SW_NODISCARD;
/* When the next of those whose time is to come may be tried; INT64_MAX = there is none. */
int store_hook_next(struct store *store, const struct store_hook_time *time, int64_t *next_ms,
                    struct fault *fault) SW_NODISCARD;

/* One row of a hook's history. */
struct hook_log {
    int64_t at_ms;
    bool is_failed;
    uint16_t status; /* 0 = no answer */
    int64_t delivery_id;
    char event[EVENT_NAME_BYTES];
    bool has_device;
    struct device_id device;
    char text[HOOK_LOG_BYTES];
};
/* Of each kind the newest HOOK_LOG_KEPT stay. */
int store_hook_log_add(struct store *store, int64_t hook_id, const struct hook_log *log,
                       struct fault *fault) SW_NODISCARD;
/* The newest first; free(). */
int store_hook_log_list(struct store *store, int64_t hook_id, bool is_failed,
                        struct hook_log **items, size_t *count, struct fault *fault) SW_NODISCARD;

#endif
