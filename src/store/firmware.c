#include "store/internal.h"

#include "slipway/store/catalog.h"

static void read_firmware(sqlite3_stmt *q, void *row) {
    struct firmware *f = (struct firmware *)row;
    store_read_image(q, &f->image);
    f->id = col_int(q, 19);
    col_text(q, 20, f->uid, sizeof f->uid);
    f->product_id = col_u16(q, 21);
    f->version = col_u16(q, 22);
    col_text(q, 23, f->title, sizeof f->title);
    col_text(q, 24, f->description, sizeof f->description);
    f->mandatory = col_bool(q, 25);
    col_text(q, 26, f->uploaded_by, sizeof f->uploaded_by);
    f->uploaded_ms = col_int(q, 27);
    f->updated_ms = col_int(q, 28);
    f->released_ms = col_int(q, 29);
    f->product_default = !col_is_null(q, 30);
    f->device_count = col_u32(q, 31);
    f->group_count = col_u32(q, 32);
    f->immediate = f->product_default ? col_bool(q, 30) : col_bool(q, 33);
    f->tested_ms = col_int(q, 34);
    f->bundle_bytes = col_u32(q, 35);
}

int store_firmware_insert(struct store *store, const struct firmware *firmware,
                          struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_FIRMWARE_INSERT, fault);
    bind_text(q, ":uid", firmware->uid);
    bind_int(q, ":product", firmware->product_id);
    bind_int(q, ":version", firmware->version);
    bind_int(q, ":image", firmware->image.id);
    bind_text(q, ":title", firmware->title);
    bind_text(q, ":description", firmware->description);
    bind_int(q, ":mandatory", firmware->mandatory);
    bind_text(q, ":by", firmware->uploaded_by);
    bind_int(q, ":now", firmware->uploaded_ms);
    return stmt_run_one(store, q, fault);
}

int store_firmware_get(struct store *store, uint16_t product_id, uint16_t version,
                       struct firmware *out, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_FIRMWARE_GET, fault);
    bind_int(q, ":product", product_id);
    bind_int(q, ":version", version);
    return stmt_one(store, q, read_firmware, out, fault);
}

int store_firmware_list(struct store *store, uint16_t product_id, struct firmware **items,
                        size_t *count, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_FIRMWARE_LIST, fault);
    bind_int(q, ":product", product_id);
    return stmt_all(store, q, read_firmware, sizeof **items, items, count, fault);
}

int store_firmware_update(struct store *store, const struct firmware *firmware,
                          struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_FIRMWARE_UPDATE, fault);
    bind_int(q, ":id", firmware->id);
    bind_text(q, ":title", firmware->title);
    bind_text(q, ":description", firmware->description);
    bind_int(q, ":mandatory", firmware->mandatory);
    bind_int(q, ":now", firmware->updated_ms);
    return stmt_run_one(store, q, fault);
}

int store_firmware_delete(struct store *store, const struct firmware *firmware,
                          struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_FIRMWARE_DELETE, fault);
    bind_int(q, ":id", firmware->id);
    int code = stmt_run_one(store, q, fault);
    return code == SW_OK ? store_image_delete(store, firmware->image.id, fault) : code;
}

static sqlite3_stmt *stmt_at(struct store *store, enum stmt_name name, uint16_t product_id,
                             uint16_t version, int64_t now_ms, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, name, fault);
    bind_int(q, ":product", product_id);
    bind_int(q, ":version", version);
    bind_int(q, ":now", now_ms);
    return q;
}

int store_firmware_mark_released(struct store *store, uint16_t product_id, uint16_t version,
                                 int64_t now_ms, struct fault *fault) {
    return stmt_run_one(
        store, stmt_at(store, STMT_FIRMWARE_RELEASED, product_id, version, now_ms, fault), fault);
}

int store_firmware_touch(struct store *store, uint16_t product_id, uint16_t version, int64_t now_ms,
                         struct fault *fault) {
    return stmt_run_one(
        store, stmt_at(store, STMT_FIRMWARE_TOUCH, product_id, version, now_ms, fault), fault);
}

int store_firmware_mark_tested(struct store *store, uint16_t product_id, uint16_t version,
                               int64_t now_ms, struct fault *fault) {
    return stmt_do(store, stmt_at(store, STMT_FIRMWARE_TESTED, product_id, version, now_ms, fault),
                   fault);
}

int store_firmware_locks(struct store *store, uint16_t product_id, uint16_t version, int64_t *count,
                         struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_FIRMWARE_LOCKS, fault);
    bind_int(q, ":product", product_id);
    bind_int(q, ":version", version);
    return stmt_int(store, q, 0, count, fault);
}

int store_firmware_groups(struct store *store, uint16_t product_id, uint16_t version,
                          char (**names)[GROUP_NAME_BYTES], size_t *count, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_FIRMWARE_GROUPS, fault);
    bind_int(q, ":product", product_id);
    bind_int(q, ":version", version);
    return stmt_all(store, q, read_group_name, sizeof **names, names, count, fault);
}
