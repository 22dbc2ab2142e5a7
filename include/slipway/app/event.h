/* The event log: append-only, read by cursor. */
#ifndef SLIPWAY_APP_EVENT_H
#define SLIPWAY_APP_EVENT_H

#include "slipway/app/app.h"

/* What somebody published through REST (coreid "api"). SW_E_RANGE names the field. */
struct app_publish {
    uint16_t product_id; /* 0 = none */
    const char *name;
    struct span data; /* at most 1024 bytes */
    uint32_t ttl_s;
    const char *user;
};
int app_event_publish(struct app_tx *tx, const struct app_publish *publish) SW_NODISCARD;

/* Reading from a cursor on. */
struct app_event_query {
    int64_t after_id;
    int64_t until_id;               /* 0 = no limit */
    uint16_t product_id;            /* 0 = all */
    const struct device_id *device; /* NULL = all */
    const char *prefix;             /* of the name; NULL = all */
    uint32_t max;                   /* 0 = 100 */
};
struct event_list {
    struct event *items; /* free(); ascending */
    size_t count;
    int64_t last_id; /* go on from here: past what was looked at, also when nothing matched */
};
int app_event_list(struct app_tx *tx, const struct app_event_query *query,
                   struct event_list *out) SW_NODISCARD;
/* The newest event's id; 0 = none yet. */
int app_event_last(struct app_tx *tx, int64_t *id) SW_NODISCARD;
/* Drops what is past the age and size limits, a bounded number at a time. A write job. */
int app_event_prune(struct app_tx *tx, uint32_t *count) SW_NODISCARD;

#endif
