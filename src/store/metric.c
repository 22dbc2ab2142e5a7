#include "slipway/store/metric.h"

#include "store/internal.h"

static void read_row(sqlite3_stmt *q, void *row) {
    struct store_metric_row *m = (struct store_metric_row *)row;
    m->bucket = col_int(q, 0);
    m->all = col_int(q, 1);
    m->good = col_int(q, 2);
    m->bad = col_int(q, 3);
}

static void bind_device(sqlite3_stmt *q, const struct store_metric_filter *filter) {
    bind_int(q, ":product", filter->product_id);
    bind_int(q, ":any",
             filter->version < 0 && filter->system_version == 0 && filter->group_id == 0);
    bind_int(q, ":version", filter->version);
    bind_int(q, ":system", filter->system_version);
    bind_int(q, ":group", filter->group_id);
}

static void bind_span(sqlite3_stmt *q, const struct store_metric_filter *filter) {
    bind_int(q, ":start", filter->start_ms);
    bind_int(q, ":end", filter->end_ms);
    bind_int(q, ":bucket", filter->bucket_ms);
}

int store_metric_events(struct store *store, enum store_metric_of of,
                        const struct store_metric_filter *filter, struct store_metric_row **items,
                        size_t *count, struct fault *fault) {
    static const enum stmt_name names[] = {[STORE_METRIC_EVENTS] = STMT_METRIC_EVENTS,
                                           [STORE_METRIC_STATUS] = STMT_METRIC_STATUS,
                                           [STORE_METRIC_HOOKS] = STMT_METRIC_HOOKS};
    sqlite3_stmt *q = stmt(store, names[of], fault);
    bind_device(q, filter);
    bind_span(q, filter);
    bind_int(q, ":after", filter->after_id);
    return stmt_all(store, q, read_row, sizeof **items, items, count, fault);
}

int store_metric_calls(struct store *store, bool is_variable,
                       const struct store_metric_filter *filter, struct store_metric_row **items,
                       size_t *count, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_METRIC_CALLS, fault);
    bind_text(q, ":kind", is_variable ? "variable" : "function");
    bind_device(q, filter);
    bind_span(q, filter);
    return stmt_all(store, q, read_row, sizeof **items, items, count, fault);
}

int store_metric_online(struct store *store, const struct store_metric_filter *filter,
                        int64_t *count, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_METRIC_ONLINE, fault);
    bind_device(q, filter);
    return stmt_int(store, q, 0, count, fault);
}

static void read_product(sqlite3_stmt *q, void *row) {
    struct store_metric_product *p = (struct store_metric_product *)row;
    p->product_id = col_u16(q, 0);
    p->online = col_int(q, 1);
}

int store_metric_products(struct store *store, struct store_metric_product **items, size_t *count,
                          struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_DEVICE_ONLINE_COUNTS, fault);
    return stmt_all(store, q, read_product, sizeof **items, items, count, fault);
}

int store_event_since(struct store *store, int64_t at_ms, int64_t *id, struct fault *fault) {
    int64_t low = 0, high = 0;
    int code = stmt_int(store, stmt(store, STMT_EVENT_FIRST, fault), 0, &low, fault);
    if (code == SW_OK) {
        code = stmt_int(store, stmt(store, STMT_EVENT_LAST, fault), 0, &high, fault);
    }
    high++;
    while (code == SW_OK && low < high) {
        int64_t middle = low + (high - low) / 2;
        int64_t found_ms = INT64_MAX;
        sqlite3_stmt *q = stmt(store, STMT_EVENT_TIME, fault);
        bind_int(q, ":id", middle);
        code = stmt_int(store, q, INT64_MAX, &found_ms, fault);
        if (found_ms < at_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *id = low;
    return code;
}

int store_call_count(struct store *store, const struct store_call *call, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_CALL_COUNT, fault);
    bind_int(q, ":product", call->product_id);
    bind_text(q, ":kind", call->is_variable ? "variable" : "function");
    bind_int(q, ":hour", call->hour_ms);
    bind_int(q, ":num", call->device_num);
    bind_int(q, ":good", !call->has_failed);
    bind_int(q, ":bad", call->has_failed);
    return stmt_do(store, q, fault);
}

int store_call_prune(struct store *store, int64_t before_ms, uint32_t max, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_CALL_PRUNE, fault);
    bind_int(q, ":before", before_ms);
    bind_int(q, ":max", max);
    return stmt_do(store, q, fault);
}
