/* How a fleet does over time, in buckets of equal length: from the log of events, and for calls
 * from counters by the hour. Both are bounded, so the far past may be missing. */
#ifndef SLIPWAY_APP_METRIC_H
#define SLIPWAY_APP_METRIC_H

#include "slipway/app/app.h"

enum app_metric {
    APP_METRIC_ONLINE,      /* good: devices online at the bucket's end */
    APP_METRIC_EVENTS,      /* good: events */
    APP_METRIC_INTEGRATION, /* good: sent, bad: failed attempts */
    APP_METRIC_FUNCTIONS,   /* good: answered, bad: not */
    APP_METRIC_VARIABLES,
    APP_METRICS
};

#define METRIC_BUCKETS_MAX 1000
#define METRIC_HOUR_MS     INT64_C(3600000)

struct app_metric_query {
    enum app_metric metric;
    uint16_t product_id;
    int64_t start_ms, end_ms; /* moved outwards to whole buckets */
    int64_t bucket_ms;        /* calls: whole hours */
    /* Only devices that are so now. */
    int32_t version;         /* -1 = any */
    uint16_t system_version; /* 0 = any */
    const char *group;       /* NULL = any */
};
struct app_metric_point {
    int64_t at_ms; /* the bucket's beginning */
    int64_t good, bad;
};
struct app_metric_list {
    struct app_metric_point *items; /* free(); every bucket, also empty ones */
    size_t count;
};
/* SW_E_RANGE: no buckets or too many; SW_E_NOT_FOUND: no such group. May read the whole log of a
 * product: not on an epoll thread. For readers. */
int app_metric_read(struct app_tx *tx, const struct app_metric_query *query,
                    struct app_metric_list *out) SW_NODISCARD;

/* Counts one call, some time soon; when there is no room it is not counted. Any thread. */
struct app_call {
    uint16_t product_id;
    int64_t device_num;
    bool is_variable, has_failed;
};
void app_call_count(struct app *app, const struct app_call *call);
/* Drops what is past the limits. A write job. */
int app_call_prune(struct app_tx *tx) SW_NODISCARD;

#endif
