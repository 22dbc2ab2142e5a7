#include "slipway/store/hook.h"

#include "slipway/store/journal.h"

#include "store/internal.h"

#include <stdlib.h>
#include <string.h>

static void read_hook(sqlite3_stmt *q, void *row) {
    struct hook *h = (struct hook *)row;
    h->id = col_int(q, 0);
    col_text(q, 1, h->uid, sizeof h->uid);
    h->product_id = col_u16(q, 2);
    h->has_device = col_blob(q, 3, h->device.b, sizeof h->device.b);
    col_text(q, 4, h->name, sizeof h->name);
    col_text(q, 5, h->event, sizeof h->event);
    col_text(q, 6, h->url, sizeof h->url);
    col_text(q, 7, h->method, sizeof h->method);
    const void *sealed = sqlite3_column_blob(q, 8);
    int len = sqlite3_column_bytes(q, 8);
    h->sealed_len = len > 0 && (size_t)len <= sizeof h->sealed ? (size_t)len : 0;
    if (h->sealed_len > 0) {
        memcpy(h->sealed, sealed, h->sealed_len);
    }
    h->is_disabled = col_bool(q, 9);
    h->queued = col_u32(q, 10);
    h->dropped = col_u32(q, 11);
    h->sent = col_u32(q, 12);
    h->failed = col_u32(q, 13);
    h->failures = col_u32(q, 14);
    h->failing_ms = col_int(q, 15);
    h->next_ms = col_int(q, 16);
    col_text(q, 17, h->last_error, sizeof h->last_error);
    h->last_error_ms = col_int(q, 18);
    h->created_ms = col_int(q, 19);
    h->updated_ms = col_int(q, 20);
}

static void bind_owned(sqlite3_stmt *q, const struct hook *hook) {
    if (hook->has_device) {
        bind_blob(q, ":device", hook->device.b, sizeof hook->device.b);
    }
    bind_text(q, ":name", hook->name);
    bind_text(q, ":event", hook->event);
    bind_text(q, ":url", hook->url);
    bind_text(q, ":method", hook->method);
    bind_blob(q, ":sealed", hook->sealed, hook->sealed_len);
    bind_int(q, ":disabled", hook->is_disabled);
}

int store_hook_insert(struct store *store, struct hook *hook, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_HOOK_INSERT, fault);
    bind_text(q, ":uid", hook->uid);
    bind_int(q, ":product", hook->product_id);
    bind_owned(q, hook);
    bind_int(q, ":now", hook->created_ms);
    int code = stmt_run_one(store, q, fault);
    hook->id = sqlite3_last_insert_rowid(store->db);
    return code;
}

int store_hook_get(struct store *store, int64_t id, struct hook *out, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_HOOK_GET, fault);
    bind_int(q, ":id", id);
    return stmt_one(store, q, read_hook, out, fault);
}

int store_hook_by_uid(struct store *store, const char *uid, struct hook *out, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_HOOK_BY_UID, fault);
    bind_text(q, ":uid", uid);
    return stmt_one(store, q, read_hook, out, fault);
}

int store_hook_list(struct store *store, uint16_t product_id, struct hook **items, size_t *count,
                    struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_HOOK_LIST, fault);
    bind_int(q, ":product", product_id);
    return stmt_all(store, q, read_hook, sizeof **items, items, count, fault);
}

int store_hook_count(struct store *store, uint16_t product_id, int64_t *count,
                     struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_HOOK_COUNT, fault);
    bind_int(q, ":product", product_id);
    return stmt_int(store, q, 0, count, fault);
}

int store_hook_edit(struct store *store, const struct hook *hook, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_HOOK_EDIT, fault);
    bind_owned(q, hook);
    bind_int(q, ":failures", hook->failures);
    bind_int(q, ":failing", hook->failing_ms);
    bind_int(q, ":next", hook->next_ms);
    bind_int(q, ":now", hook->updated_ms);
    bind_int(q, ":id", hook->id);
    return stmt_run_one(store, q, fault);
}

int store_hook_progress(struct store *store, const struct hook *hook, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_HOOK_PROGRESS, fault);
    bind_int(q, ":disabled", hook->is_disabled);
    bind_int(q, ":sent", hook->sent);
    bind_int(q, ":failed", hook->failed);
    bind_int(q, ":failures", hook->failures);
    bind_int(q, ":failing", hook->failing_ms);
    bind_int(q, ":next", hook->next_ms);
    bind_text(q, ":error", hook->last_error);
    bind_int(q, ":error_ms", hook->last_error_ms);
    bind_int(q, ":id", hook->id);
    return stmt_run_one(store, q, fault);
}

static int run_by_id(struct store *store, enum stmt_name name, int64_t id, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, name, fault);
    bind_int(q, ":id", id);
    return stmt_run_one(store, q, fault);
}

int store_hook_delete(struct store *store, int64_t id, struct fault *fault) {
    return run_by_id(store, STMT_HOOK_DELETE, id, fault);
}

static void read_id(sqlite3_stmt *q, void *row) {
    *(int64_t *)row = col_int(q, 0);
}

int store_hook_ids(struct store *store, int64_t **ids, size_t *count, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_HOOK_EVERY, fault);
    return stmt_all(store, q, read_id, sizeof **ids, ids, count, fault);
}

int store_hook_plain(struct store *store, int64_t id, uint8_t **json, size_t *len,
                     struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_HOOK_PLAIN, fault);
    bind_int(q, ":id", id);
    return stmt_bytes(store, q, json, len, fault);
}

int store_hook_seal(struct store *store, int64_t id, struct span sealed, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_HOOK_SEAL, fault);
    bind_blob(q, ":sealed", sealed.data, sealed.len);
    bind_int(q, ":id", id);
    return stmt_run_one(store, q, fault);
}

struct wanting {
    int64_t id;
    int64_t queued;
};

static void read_wanting(sqlite3_stmt *q, void *row) {
    struct wanting *wanting = (struct wanting *)row;
    wanting->id = col_int(q, 0);
    wanting->queued = col_int(q, 1);
}

int store_hook_offer(struct store *store, const struct event *event, uint32_t queue_max,
                     struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_HOOK_WANTING, fault);
    bind_int(q, ":product", event->product_id);
    bind_text(q, ":name", event->name);
    if (event->has_device) {
        bind_blob(q, ":device", event->device.b, sizeof event->device.b);
    }
    size_t count = 0;
    struct wanting *items;
    int code = stmt_all(store, q, read_wanting, sizeof *items, &items, &count, fault);
    for (size_t i = 0; code == SW_OK && i < count; i++) {
        code = items[i].queued < queue_max
                   ? store_hook_queue(store, items[i].id, event->id, fault)
                   : run_by_id(store, STMT_HOOK_DROPPED, items[i].id, fault);
    }
    free(items);
    return code;
}

int store_hook_queue(struct store *store, int64_t hook_id, int64_t event_id, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_DELIVERY_INSERT, fault);
    bind_int(q, ":hook", hook_id);
    bind_int(q, ":event", event_id);
    return stmt_run_one(store, q, fault);
}

struct first {
    int64_t id, event_id;
    uint32_t attempts;
};

static void read_first(sqlite3_stmt *q, void *row) {
    struct first *first = (struct first *)row;
    first->id = col_int(q, 0);
    first->event_id = col_int(q, 1);
    first->attempts = col_u32(q, 2);
}

int store_delivery_first(struct store *store, int64_t hook_id, struct store_delivery *out,
                         struct fault *fault) {
    struct first first;
    sqlite3_stmt *q = stmt(store, STMT_DELIVERY_FIRST, fault);
    bind_int(q, ":hook", hook_id);
    int code = stmt_one(store, q, read_first, &first, fault);
    if (code != SW_OK) {
        return code;
    }
    struct store_event_filter filter = {
        .after_id = first.event_id - 1, .until_id = first.event_id, .max = 1};
    struct event *events = NULL;
    size_t count = 0;
    code = store_event_list(store, &filter, &events, &count, fault);
    if (code == SW_OK && count == 0) {
        code = SW_E_NOT_FOUND;
    }
    if (code == SW_OK) {
        *out =
            (struct store_delivery){.id = first.id, .attempts = first.attempts, .event = events[0]};
    }
    free(events);
    return code;
}

int store_delivery_failed(struct store *store, int64_t id, struct fault *fault) {
    return run_by_id(store, STMT_DELIVERY_FAILED, id, fault);
}

int store_delivery_delete(struct store *store, int64_t id, struct fault *fault) {
    return run_by_id(store, STMT_DELIVERY_DELETE, id, fault);
}

int store_delivery_delete_all(struct store *store, int64_t hook_id, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_DELIVERY_DELETE_ALL, fault);
    bind_int(q, ":hook", hook_id);
    return stmt_do(store, q, fault);
}

int store_hook_ready(struct store *store, const struct store_hook_time *time, uint32_t max,
                     int64_t *ids, size_t *count, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_HOOK_READY, fault);
    bind_int(q, ":now", time->now_ms);
    bind_int(q, ":latest", time->latest_ms);
    bind_int(q, ":max", max);
    int code;
    *count = 0;
    while ((code = stmt_next(store, q, fault)) == 1) {
        ids[(*count)++] = col_int(q, 0);
    }
    return code;
}

int store_hook_next(struct store *store, const struct store_hook_time *time, int64_t *next_ms,
                    struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_HOOK_NEXT, fault);
    bind_int(q, ":now", time->now_ms);
    bind_int(q, ":latest", time->latest_ms);
    return stmt_int(store, q, INT64_MAX, next_ms, fault);
}

int store_hook_log_add(struct store *store, int64_t hook_id, const struct hook_log *log,
                       struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_HOOK_LOG_INSERT, fault);
    bind_int(q, ":hook", hook_id);
    bind_int(q, ":now", log->at_ms);
    bind_int(q, ":failed", log->is_failed);
    bind_int(q, ":status", log->status);
    bind_int(q, ":delivery", log->delivery_id);
    bind_text(q, ":event", log->event);
    if (log->has_device) {
        bind_blob(q, ":device", log->device.b, sizeof log->device.b);
    }
    bind_text(q, ":text", log->text);
    int code = stmt_run_one(store, q, fault);
    if (code != SW_OK) {
        return code;
    }
    q = stmt(store, STMT_HOOK_LOG_TRIM, fault);
    bind_int(q, ":hook", hook_id);
    bind_int(q, ":failed", log->is_failed);
    bind_int(q, ":kept", HOOK_LOG_KEPT);
    return stmt_do(store, q, fault);
}

static void read_log(sqlite3_stmt *q, void *row) {
    struct hook_log *log = (struct hook_log *)row;
    log->at_ms = col_int(q, 0);
    log->is_failed = col_bool(q, 1);
    log->status = col_u16(q, 2);
    log->delivery_id = col_int(q, 3);
    col_text(q, 4, log->event, sizeof log->event);
    log->has_device = col_blob(q, 5, log->device.b, sizeof log->device.b);
    col_text(q, 6, log->text, sizeof log->text);
}

int store_hook_log_list(struct store *store, int64_t hook_id, bool is_failed,
                        struct hook_log **items, size_t *count, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_HOOK_LOG_LIST, fault);
    bind_int(q, ":hook", hook_id);
    bind_int(q, ":failed", is_failed);
    return stmt_all(store, q, read_log, sizeof **items, items, count, fault);
}
