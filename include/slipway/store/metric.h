/* Sums over what was logged and counted. Conventions as in store/catalog.h. */
#ifndef SLIPWAY_STORE_METRIC_H
#define SLIPWAY_STORE_METRIC_H

#include "slipway/store/store.h"

/* start_ms <= time < end_ms, cut into buckets of bucket_ms from start_ms on. The conditions on
 * devices are those of now. */
struct store_metric_filter {
    uint16_t product_id;
    int64_t start_ms, end_ms, bucket_ms;
    int64_t after_id;        /* of events: only later ones are looked at */
    int32_t version;         /* that a device runs; -1 = any */
    uint16_t system_version; /* 0 = any */
    int64_t group_id;        /* 0 = any */
};
/* Buckets without anything have no row; in no order. */
struct store_metric_row {
    int64_t bucket; /* 0 = the first */
    int64_t all, good, bad;
};
enum store_metric_of {
    STORE_METRIC_EVENTS, /* all */
    STORE_METRIC_STATUS, /* good: devices came online, bad: they went, or the server did */
    STORE_METRIC_HOOKS   /* good: sent, bad: failed */
};
int store_metric_events(struct store *store, enum store_metric_of of,
                        const struct store_metric_filter *filter, struct store_metric_row **items,
                        size_t *count, struct fault *fault) SW_NODISCARD;
int store_metric_calls(struct store *store, bool is_variable,
                       const struct store_metric_filter *filter, struct store_metric_row **items,
                       size_t *count, struct fault *fault) SW_NODISCARD;
/* Devices that are online now. */
int store_metric_online(struct store *store, const struct store_metric_filter *filter,
                        int64_t *count, struct fault *fault) SW_NODISCARD;
/* The same for every product that has any. */
struct store_metric_product {
    uint16_t product_id;
    int64_t online;
};
int store_metric_products(struct store *store, struct store_metric_product **items, size_t *count,
                          struct fault *fault) SW_NODISCARD;
/* The first event that is not older, by halving: the log is in the order of time. Its id, or that
 * after the last. */
int store_event_since(struct store *store, int64_t at_ms, int64_t *id,
                      struct fault *fault) SW_NODISCARD;

struct store_call {
    uint16_t product_id;
    bool is_variable, has_failed;
    int64_t hour_ms, device_num;
};
int store_call_count(struct store *store, const struct store_call *call,
                     struct fault *fault) SW_NODISCARD;
/* Drops the hours before that time, and the oldest beyond max rows. */
int store_call_prune(struct store *store, int64_t before_ms, uint32_t max,
                     struct fault *fault) SW_NODISCARD;

#endif
