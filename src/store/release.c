#include "store/internal.h"

#include "slipway/store/catalog.h"

/* A target is replaced, not changed: its row is that of one release. */
static int set_target(struct store *store, enum stmt_name insert, uint16_t product_id,
                      int64_t group_id, uint16_t version, bool immediate, int64_t now_ms,
                      struct fault *fault) {
    sqlite3_stmt *q = stmt(store, insert, fault);
    bind_int(q, ":product", product_id);
    if (group_id != 0) {
        bind_int(q, ":group", group_id);
    }
    bind_int(q, ":version", version);
    bind_int(q, ":immediate", immediate);
    bind_int(q, ":now", now_ms);
    return stmt_run_one(store, q, fault);
}

int store_target_default(struct store *store, uint16_t product_id, uint16_t version, bool immediate,
                         int64_t now_ms, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_TARGET_CLEAR_DEFAULT, fault);
    bind_int(q, ":product", product_id);
    int code = stmt_do(store, q, fault);
    if (code != SW_OK || version == 0) {
        return code;
    }
    return set_target(store, STMT_TARGET_SET_DEFAULT, product_id, 0, version, immediate, now_ms,
                      fault);
}

int store_target_group(struct store *store, const struct group *group, uint16_t version,
                       bool immediate, int64_t now_ms, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_TARGET_CLEAR_GROUP, fault);
    bind_int(q, ":group", group->id);
    int code = stmt_do(store, q, fault);
    if (code != SW_OK || version == 0) {
        return code;
    }
    return set_target(store, STMT_TARGET_SET_GROUP, group->product_id, group->id, version,
                      immediate, now_ms, fault);
}

int store_release_insert(struct store *store, const struct release *release, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_RELEASE_INSERT, fault);
    bind_int(q, ":product", release->product_id);
    bind_int(q, ":version", release->version);
    bind_int(q, ":change", release->is_default_set ? 1 : release->is_default_cleared ? -1 : 0);
    bind_int(q, ":immediate", release->immediate);
    bind_int(q, ":untested", release->untested);
    bind_text(q, ":groups", release->groups);
    bind_text(q, ":by", release->by);
    bind_int(q, ":now", release->at_ms);
    return stmt_run_one(store, q, fault);
}

static void read_release(sqlite3_stmt *q, void *row) {
    struct release *r = (struct release *)row;
    r->id = col_int(q, 0);
    r->product_id = col_u16(q, 1);
    r->version = col_u16(q, 2);
    r->is_default_set = col_int(q, 3) > 0;
    r->is_default_cleared = col_int(q, 3) < 0;
    r->immediate = col_bool(q, 4);
    r->untested = col_bool(q, 5);
    col_text(q, 6, r->groups, sizeof r->groups);
    col_text(q, 7, r->by, sizeof r->by);
    r->at_ms = col_int(q, 8);
}

int store_release_list(struct store *store, uint16_t product_id, uint16_t version,
                       int64_t before_id, size_t max, struct release **items, size_t *count,
                       struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_RELEASE_LIST, fault);
    bind_int(q, ":product", product_id);
    bind_int(q, ":version", version);
    bind_int(q, ":before", before_id > 0 ? before_id : INT64_MAX);
    bind_int(q, ":max", (int64_t)max);
    return stmt_all(store, q, read_release, sizeof **items, items, count, fault);
}
