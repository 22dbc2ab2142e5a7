#include "slipway/app/metric.h"

#include "slipway/store/catalog.h"
#include "slipway/store/metric.h"

#include "app/internal.h"

#include <stdlib.h>

static int read_rows(struct app_tx *tx, enum app_metric metric,
                     const struct store_metric_filter *filter, struct store_metric_row **rows,
                     size_t *count) {
    switch (metric) {
    case APP_METRIC_ONLINE:
        return store_metric_events(tx->store, STORE_METRIC_STATUS, filter, rows, count, tx->fault);
    case APP_METRIC_EVENTS:
        return store_metric_events(tx->store, STORE_METRIC_EVENTS, filter, rows, count, tx->fault);
    case APP_METRIC_INTEGRATION:
        return store_metric_events(tx->store, STORE_METRIC_HOOKS, filter, rows, count, tx->fault);
    case APP_METRIC_FUNCTIONS:
        return store_metric_calls(tx->store, false, filter, rows, count, tx->fault);
    case APP_METRIC_VARIABLES:
        return store_metric_calls(tx->store, true, filter, rows, count, tx->fault);
    case APP_METRICS:
        break;
    }
    return SW_E_INPUT;
}

static void add_rows(const struct store_metric_row *rows, size_t count, enum app_metric metric,
                     struct app_metric_list *out) {
    for (size_t i = 0; i < count; i++) {
        if (rows[i].bucket >= 0 && rows[i].bucket < (int64_t)out->count) {
            struct app_metric_point *point = &out->items[rows[i].bucket];
            point->good += metric == APP_METRIC_EVENTS ? rows[i].all : rows[i].good;
            point->bad += rows[i].bad;
        }
    }
}

/* The log tells of changes: how many were online then follows from how many are now, backwards. */
static void walk_back(struct app_metric_list *out, int64_t online) {
    for (size_t i = out->count; i-- > 0;) {
        int64_t came = out->items[i].good, went = out->items[i].bad;
        out->items[i].good = online > 0 ? online : 0;
        out->items[i].bad = 0;
        online -= came - went;
    }
}

/* What changed between the last bucket's end and now. */
static int changes_since(struct app_tx *tx, const struct store_metric_filter *filter,
                         int64_t *change) {
    struct store_metric_filter later = *filter;
    struct store_metric_row *rows = NULL;
    size_t count = 0;
    later.start_ms = filter->end_ms;
    later.end_ms = INT64_MAX;
    later.bucket_ms = INT64_MAX;
    *change = 0;
    int code = store_event_since(tx->store, later.start_ms, &later.after_id, tx->fault);
    later.after_id--;
    if (code == SW_OK) {
        code = read_rows(tx, APP_METRIC_ONLINE, &later, &rows, &count);
    }
    for (size_t i = 0; i < count; i++) {
        *change += rows[i].good - rows[i].bad;
    }
    free(rows);
    return code;
}

static int read_filter(struct app_tx *tx, const struct app_metric_query *query,
                       struct store_metric_filter *out) {
    int64_t bucket_ms = query->bucket_ms;
    *out = (struct store_metric_filter){.product_id = query->product_id,
                                        .start_ms = query->start_ms / bucket_ms * bucket_ms,
                                        .end_ms =
                                            (query->end_ms + bucket_ms - 1) / bucket_ms * bucket_ms,
                                        .bucket_ms = bucket_ms,
                                        .version = query->version,
                                        .system_version = query->system_version};
    if (query->group == NULL) {
        return SW_OK;
    }
    struct group group;
    int code = store_group_get(tx->store, query->product_id, query->group, &group, tx->fault);
    out->group_id = group.id;
    return code == SW_E_NOT_FOUND ? app_no_group(tx, query->group) : code;
}

int app_metric_read(struct app_tx *tx, const struct app_metric_query *query,
                    struct app_metric_list *out) {
    struct store_metric_filter filter;
    struct store_metric_row *rows = NULL;
    size_t row_count = 0;
    *out = (struct app_metric_list){.count = 0};
    int code = read_filter(tx, query, &filter);
    if (code != SW_OK) {
        return code;
    }
    int64_t count = (filter.end_ms - filter.start_ms) / filter.bucket_ms;
    if (count < 1 || count > METRIC_BUCKETS_MAX) {
        return app_fail(tx, SW_E_RANGE, "invalid_request", "bucket_size",
                        "bucket_size: there may be 1 to %d buckets between start_date and end_date",
                        METRIC_BUCKETS_MAX);
    }
    out->items = calloc((size_t)count, sizeof *out->items);
    if (out->items == NULL) {
        return fault_set(tx->fault, SW_E_MEMORY, "out of memory for a metric");
    }
    out->count = (size_t)count;
    for (size_t i = 0; i < out->count; i++) {
        out->items[i].at_ms = filter.start_ms + (int64_t)i * filter.bucket_ms;
    }
    code = store_event_since(tx->store, filter.start_ms, &filter.after_id, tx->fault);
    filter.after_id--;
    if (code == SW_OK) {
        code = read_rows(tx, query->metric, &filter, &rows, &row_count);
    }
    add_rows(rows, row_count, query->metric, out);
    free(rows);
    if (code == SW_OK && query->metric == APP_METRIC_ONLINE) {
        int64_t online = 0, change = 0;
        code = store_metric_online(tx->store, &filter, &online, tx->fault);
        if (code == SW_OK) {
            code = changes_since(tx, &filter, &change);
        }
        walk_back(out, online - change);
    }
    if (code != SW_OK) {
        free(out->items);
        *out = (struct app_metric_list){.count = 0};
    }
    return code;
}

/* --- counting calls --- */

struct count_job {
    struct store_job job; /* first */
    struct store_call call;
};

static int run_count(struct store_job *job, struct store *store, struct fault *fault) {
    return store_call_count(store, &((const struct count_job *)job)->call, fault);
}

static void count_done(struct store_job *job, int code, const struct fault *fault) {
    (void)code;
    (void)fault;
    free(job);
}

void app_call_count(struct app *app, const struct app_call *call) {
    struct count_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        return;
    }
    int64_t now_ms = app->options.now(app->options.world_arg).ms;
    job->job.run = run_count;
    job->job.done = count_done;
    job->call = (struct store_call){.product_id = call->product_id,
                                    .device_num = call->device_num,
                                    .is_variable = call->is_variable,
                                    .has_failed = call->has_failed,
                                    .hour_ms = now_ms - now_ms % METRIC_HOUR_MS};
    if (app_submit_job(app, &job->job) != SW_OK) {
        free(job);
    }
}

int app_call_prune(struct app_tx *tx) {
    const struct app_options *options = &tx->app->options;
    return store_call_prune(tx->store, tx->now.ms - options->events_age_ms, options->calls_max,
                            tx->fault);
}
