#include "slipway/store/journal.h"

#include "store/internal.h"

#include <string.h>

static void read_event(sqlite3_stmt *q, void *row) {
    struct event *e = (struct event *)row;
    e->id = col_int(q, 0);
    e->at_ms = col_int(q, 1);
    e->product_id = col_u16(q, 2);
    e->has_device = col_blob(q, 3, e->device.b, sizeof e->device.b);
    col_text(q, 4, e->name, sizeof e->name);
    e->has_data = !col_is_null(q, 5);
    const void *data = sqlite3_column_blob(q, 5);
    size_t len = (size_t)sqlite3_column_bytes(q, 5);
    e->data_len = len < sizeof e->data ? len : sizeof e->data - 1;
    if (e->data_len > 0) {
        memcpy(e->data, data, e->data_len);
    }
    e->data[e->data_len] = '\0';
    e->version = col_u16(q, 6);
    e->ttl_s = col_u32(q, 7);
    col_text(q, 8, e->user, sizeof e->user);
}

int store_event_append(struct store *store, struct event *event, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_EVENT_INSERT, fault);
    bind_int(q, ":now", event->at_ms);
    bind_int(q, ":product", event->product_id);
    if (event->has_device) {
        bind_blob(q, ":device", event->device.b, sizeof event->device.b);
    }
    bind_text(q, ":name", event->name);
    if (event->has_data) {
        bind_blob(q, ":data", event->data, event->data_len);
    }
    bind_int(q, ":version", event->version);
    bind_int(q, ":ttl", event->ttl_s);
    bind_text(q, ":user", event->user);
    int code = stmt_run_one(store, q, fault);
    event->id = sqlite3_last_insert_rowid(store->db);
    return code;
}

int store_event_last(struct store *store, int64_t *id, struct fault *fault) {
    return stmt_int(store, stmt(store, STMT_EVENT_LAST, fault), 0, id, fault);
}

int store_event_list(struct store *store, const struct store_event_filter *filter,
                     struct event **items, size_t *count, struct fault *fault) {
    sqlite3_stmt *q = NULL;
    if (filter->device != NULL) {
        q = stmt(store, STMT_EVENT_OF_DEVICE, fault);
        bind_blob(q, ":device", filter->device->b, sizeof filter->device->b);
    } else if (filter->product_id != 0) {
        q = stmt(store, STMT_EVENT_OF_PRODUCT, fault);
        bind_int(q, ":product", filter->product_id);
    } else {
        q = stmt(store, STMT_EVENT_ALL, fault);
    }
    bind_int(q, ":after", filter->after_id);
    bind_int(q, ":until", filter->until_id);
    bind_int(q, ":max", filter->max);
    return stmt_all(store, q, read_event, sizeof **items, items, count, fault);
}

int store_event_prune(struct store *store, int64_t floor_id, int64_t before_ms, uint32_t max,
                      uint32_t *count, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_EVENT_PRUNE, fault);
    bind_int(q, ":floor", floor_id);
    bind_int(q, ":before", before_ms);
    bind_int(q, ":max", max);
    int code = stmt_run(store, q, fault);
    *count = code < 0 ? 0 : (uint32_t)code;
    return code < 0 ? code : SW_OK;
}
