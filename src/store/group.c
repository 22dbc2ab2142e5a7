#include "store/internal.h"

#include "slipway/store/catalog.h"

void read_group_name(sqlite3_stmt *q, void *row) {
    col_text(q, 0, (char *)row, GROUP_NAME_BYTES);
}

static void read_group(sqlite3_stmt *q, void *row) {
    struct group *g = (struct group *)row;
    g->id = col_int(q, 0);
    g->product_id = col_u16(q, 1);
    col_text(q, 2, g->name, sizeof g->name);
    col_text(q, 3, g->description, sizeof g->description);
    col_text(q, 4, g->color, sizeof g->color);
    g->device_count = col_u32(q, 5);
    g->created_ms = col_int(q, 6);
    g->updated_ms = col_int(q, 7);
    g->version = col_u16(q, 8);
    g->immediate = col_bool(q, 9);
}

int store_group_insert(struct store *store, const struct group *group, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_GROUP_INSERT, fault);
    bind_int(q, ":product", group->product_id);
    bind_text(q, ":name", group->name);
    bind_text(q, ":description", group->description);
    bind_text(q, ":color", group->color);
    bind_int(q, ":now", group->created_ms);
    return stmt_run_one(store, q, fault);
}

int store_group_get(struct store *store, uint16_t product_id, const char *name, struct group *out,
                    struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_GROUP_GET, fault);
    bind_int(q, ":product", product_id);
    bind_text(q, ":name", name);
    return stmt_one(store, q, read_group, out, fault);
}

int store_group_list(struct store *store, uint16_t product_id, const char *part,
                     struct group **items, size_t *count, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_GROUP_LIST, fault);
    bind_int(q, ":product", product_id);
    bind_text(q, ":part", part);
    return stmt_all(store, q, read_group, sizeof **items, items, count, fault);
}

int store_group_update(struct store *store, const struct group *group, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_GROUP_UPDATE, fault);
    bind_int(q, ":id", group->id);
    bind_text(q, ":name", group->name);
    bind_text(q, ":description", group->description);
    bind_text(q, ":color", group->color);
    bind_int(q, ":now", group->updated_ms);
    return stmt_run_one(store, q, fault);
}

int store_group_delete(struct store *store, int64_t id, struct fault *fault) {
    int code = store_group_empty(store, id, fault);
    if (code != SW_OK) {
        return code;
    }
    sqlite3_stmt *q = stmt(store, STMT_GROUP_DELETE, fault);
    bind_int(q, ":id", id);
    return stmt_run_one(store, q, fault);
}
