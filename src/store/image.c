#include "store/internal.h"

#include "slipway/store/catalog.h"

#include <stdlib.h>
#include <string.h>

static const char *const kind_names[IMAGE_KINDS] = {
    [IMAGE_KIND_PRODUCT] = "product",
    [IMAGE_KIND_ONE_OFF] = "one_off",
    [IMAGE_KIND_SYSTEM] = "system",
};

void store_read_image(sqlite3_stmt *q, void *row) {
    struct image_record *image = (struct image_record *)row;
    char kind[16];
    image->id = col_int(q, 0);
    col_text(q, 1, kind, sizeof kind);
    for (int i = 0; i < IMAGE_KINDS; i++) {
        if (strcmp(kind, kind_names[i]) == 0) {
            image->kind = (enum image_kind)i;
        }
    }
    image->platform_id = col_u16(q, 2);
    image->function = col_u8(q, 3);
    image->index = col_u8(q, 4);
    image->module_version = col_u16(q, 5);
    image->product_version = col_u16(q, 6);
    image->flags = col_u8(q, 7);
    image->dependency_count = 0;
    for (int at = 8; at <= 11; at += 3) {
        if (col_u8(q, at) != MODULE_NONE) {
            image->dependencies[image->dependency_count++] =
                (struct module_dependency){.function = col_u8(q, at),
                                           .index = col_u8(q, at + 1),
                                           .version = col_u16(q, at + 2)};
        }
    }
    image->size = col_u32(q, 14);
    (void)col_blob(q, 15, image->module_hash.b, sizeof image->module_hash.b);
    (void)col_blob(q, 16, image->file_hash.b, sizeof image->file_hash.b);
    col_text(q, 17, image->name, sizeof image->name);
    image->created_ms = col_int(q, 18);
}

static void bind_needs(sqlite3_stmt *q, const struct image_record *image) {
    struct module_dependency needs[2] = {{0}, {0}};
    for (size_t i = 0; i < image->dependency_count && i < 2; i++) {
        needs[i] = image->dependencies[i];
    }
    bind_int(q, ":need1_function", needs[0].function);
    bind_int(q, ":need1_idx", needs[0].index);
    bind_int(q, ":need1_version", needs[0].version);
    bind_int(q, ":need2_function", needs[1].function);
    bind_int(q, ":need2_idx", needs[1].index);
    bind_int(q, ":need2_version", needs[1].version);
}

int store_image_insert(struct store *store, struct image_record *image, struct span bytes,
                       struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_IMAGE_INSERT, fault);
    bind_text(q, ":kind", kind_names[image->kind]);
    bind_int(q, ":platform", image->platform_id);
    bind_int(q, ":function", image->function);
    bind_int(q, ":idx", image->index);
    bind_int(q, ":module_version", image->module_version);
    bind_int(q, ":product_version", image->product_version);
    bind_int(q, ":flags", image->flags);
    bind_needs(q, image);
    bind_int(q, ":size", image->size);
    bind_blob(q, ":module_hash", image->module_hash.b, sizeof image->module_hash.b);
    bind_blob(q, ":file_hash", image->file_hash.b, sizeof image->file_hash.b);
    bind_text(q, ":name", image->name);
    bind_int(q, ":now", image->created_ms);
    int code = stmt_run_one(store, q, fault);
    if (code != SW_OK) {
        return code;
    }
    image->id = sqlite3_last_insert_rowid(store->db);
    q = stmt(store, STMT_IMAGE_DATA_INSERT, fault);
    bind_int(q, ":id", image->id);
    bind_blob(q, ":bytes", bytes.data, bytes.len);
    return stmt_run_one(store, q, fault);
}

int store_image_get(struct store *store, int64_t id, struct image_record *out,
                    struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_IMAGE_GET, fault);
    bind_int(q, ":id", id);
    return stmt_one(store, q, store_read_image, out, fault);
}

int store_image_load(struct store *store, int64_t id, uint8_t **bytes, size_t *size,
                     struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_IMAGE_DATA, fault);
    bind_int(q, ":id", id);
    return stmt_bytes(store, q, bytes, size, fault);
}

int store_image_find_system(struct store *store, uint16_t platform_id,
                            const struct module_dependency *need, struct image_record *out,
                            struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_IMAGE_SYSTEM_FIND, fault);
    bind_int(q, ":platform", platform_id);
    bind_int(q, ":function", need->function);
    bind_int(q, ":idx", need->index);
    bind_int(q, ":version", need->version);
    return stmt_one(store, q, store_read_image, out, fault);
}

int store_image_list_system(struct store *store, uint16_t platform_id, struct image_record **items,
                            size_t *count, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_IMAGE_SYSTEM_LIST, fault);
    bind_int(q, ":first", platform_id);
    bind_int(q, ":last", platform_id == 0 ? UINT16_MAX : platform_id);
    return stmt_all(store, q, store_read_image, sizeof **items, items, count, fault);
}

int store_image_delete(struct store *store, int64_t id, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_IMAGE_DELETE, fault);
    bind_int(q, ":id", id);
    return stmt_run_one(store, q, fault);
}

int store_image_needed(struct store *store, int64_t id, int64_t *count, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_IMAGE_NEEDED, fault);
    bind_int(q, ":id", id);
    return stmt_int(store, q, 0, count, fault);
}

int store_image_forget_one_offs(struct store *store, int64_t before_ms, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_IMAGE_FORGET_ONE_OFFS, fault);
    bind_int(q, ":before", before_ms);
    return stmt_do(store, q, fault);
}
