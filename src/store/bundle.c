#include "store/internal.h"

#include "slipway/store/catalog.h"

int store_bundle_insert(struct store *store, int64_t image_id, struct span bytes,
                        struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_BUNDLE_INSERT, fault);
    bind_int(q, ":id", image_id);
    bind_int(q, ":size", (int64_t)bytes.len);
    bind_blob(q, ":bytes", bytes.data, bytes.len);
    return stmt_run_one(store, q, fault);
}

int store_bundle_load(struct store *store, int64_t image_id, uint8_t **bytes, size_t *size,
                      struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_BUNDLE_BYTES, fault);
    bind_int(q, ":id", image_id);
    return stmt_bytes(store, q, bytes, size, fault);
}

int store_bundle_add(struct store *store, int64_t image_id, uint32_t place, int64_t asset_id,
                     struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_BUNDLE_ASSET_INSERT, fault);
    bind_int(q, ":id", image_id);
    bind_int(q, ":place", place);
    bind_int(q, ":asset", asset_id);
    return stmt_run_one(store, q, fault);
}

int store_bundle_assets(struct store *store, int64_t image_id, struct image_record **items,
                        size_t *count, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_BUNDLE_ASSETS, fault);
    bind_int(q, ":id", image_id);
    return stmt_all(store, q, store_read_image, sizeof **items, items, count, fault);
}

int store_bundle_of_version(struct store *store, uint16_t product_id, uint16_t version,
                            int64_t *image_id, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_BUNDLE_OF_VERSION, fault);
    bind_int(q, ":product", product_id);
    bind_int(q, ":version", version);
    return stmt_int(store, q, 0, image_id, fault);
}
