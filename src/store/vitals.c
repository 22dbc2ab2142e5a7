#include "slipway/store/vitals.h"

#include "store/internal.h"

#include <string.h>

static void read_vitals(sqlite3_stmt *q, void *row) {
    struct vitals *v = (struct vitals *)row;
    v->id = col_int(q, 0);
    v->at_ms = col_int(q, 1);
    v->session_s = col_int(q, 2);
    size_t len = (size_t)sqlite3_column_bytes(q, 3);
    v->len = len < sizeof v->bytes ? len : sizeof v->bytes;
    if (v->len > 0) {
        memcpy(v->bytes, sqlite3_column_blob(q, 3), v->len);
    }
}

int store_vitals_append(struct store *store, int64_t device_num, const struct vitals *row,
                        uint32_t max, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_VITALS_INSERT, fault);
    bind_int(q, ":num", device_num);
    bind_int(q, ":now", row->at_ms);
    bind_int(q, ":session", row->session_s);
    bind_blob(q, ":bytes", row->bytes, row->len);
    int code = stmt_run_one(store, q, fault);
    if (code != SW_OK) {
        return code;
    }
    q = stmt(store, STMT_VITALS_TRIM, fault);
    bind_int(q, ":num", device_num);
    bind_int(q, ":max", max);
    return stmt_do(store, q, fault);
}

int store_vitals_list(struct store *store, int64_t device_num, int64_t start_ms, int64_t end_ms,
                      struct vitals **items, size_t *count, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_VITALS_LIST, fault);
    bind_int(q, ":num", device_num);
    bind_int(q, ":start", start_ms);
    bind_int(q, ":end", end_ms);
    return stmt_all(store, q, read_vitals, sizeof **items, items, count, fault);
}

int store_vitals_last(struct store *store, int64_t device_num, struct vitals *out,
                      struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_VITALS_LAST, fault);
    bind_int(q, ":num", device_num);
    return stmt_one(store, q, read_vitals, out, fault);
}

int store_vitals_prune(struct store *store, uint64_t max, int64_t before_ms, uint32_t look,
                       struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_VITALS_PRUNE, fault);
    bind_int(q, ":max", max < INT64_MAX ? (int64_t)max : INT64_MAX);
    bind_int(q, ":before", before_ms);
    bind_int(q, ":look", look);
    return stmt_do(store, q, fault);
}
