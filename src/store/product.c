#include "store/cache.h"

#include "slipway/store/catalog.h"

#include <stdlib.h>
#include <string.h>

static void read_product(sqlite3_stmt *q, void *row) {
    struct product *p = (struct product *)row;
    p->id = col_u16(q, 0);
    p->platform_id = col_u16(q, 1);
    col_text(q, 2, p->name, sizeof p->name);
    col_text(q, 3, p->slug, sizeof p->slug);
    col_text(q, 4, p->description, sizeof p->description);
    p->quarantine = col_bool(q, 5);
    p->enforce_tested = col_bool(q, 6);
    p->device_count = col_u32(q, 7);
    p->created_ms = col_int(q, 8);
    p->updated_ms = col_int(q, 9);
    p->default_version = col_u16(q, 10);
    p->default_immediate = col_bool(q, 11);
}

int store_product_insert(struct store *store, const struct product *product, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_PRODUCT_INSERT, fault);
    bind_int(q, ":id", product->id);
    bind_text(q, ":slug", product->slug);
    bind_text(q, ":name", product->name);
    bind_text(q, ":description", product->description);
    bind_int(q, ":platform", product->platform_id);
    bind_int(q, ":quarantine", product->quarantine);
    bind_int(q, ":enforce", product->enforce_tested);
    bind_int(q, ":now", product->created_ms);
    return stmt_run_one(store, q, fault);
}

static struct product **cache_slot(struct cache *cache, uint16_t id) {
    return &cache->products[id % CACHE_PRODUCTS];
}

static void keep(struct store *store, const struct product *product) {
    struct cache *cache = cache_of(store);
    struct product **slot = cache != NULL ? cache_slot(cache, product->id) : NULL;
    if (slot != NULL && (*slot != NULL || (*slot = malloc(sizeof **slot)) != NULL)) {
        **slot = *product;
    }
}

/* NULL if it is not in the cache. */
static const struct product *kept_product(struct store *store, uint16_t id) {
    struct cache *cache = cache_of(store);
    const struct product *kept = cache != NULL ? *cache_slot(cache, id) : NULL;
    return kept != NULL && kept->id == id ? kept : NULL;
}

int store_product_get(struct store *store, uint16_t id, struct product *out, struct fault *fault) {
    const struct product *kept = kept_product(store, id);
    if (kept != NULL) {
        *out = *kept;
        return SW_OK;
    }
    sqlite3_stmt *q = stmt(store, STMT_PRODUCT_GET, fault);
    bind_int(q, ":id", id);
    int code = stmt_one(store, q, read_product, out, fault);
    if (code == SW_OK) {
        keep(store, out);
    }
    return code;
}

int store_product_default(struct store *store, uint16_t id, uint16_t *version,
                          struct fault *fault) {
    const struct product *kept = kept_product(store, id);
    struct product product;
    int code = SW_OK;
    if (kept == NULL) {
        code = store_product_get(store, id, &product, fault);
        kept = &product;
    }
    *version = code == SW_OK ? kept->default_version : 0;
    return code;
}

int store_product_by_slug(struct store *store, const char *slug, struct product *out,
                          struct fault *fault) {
    const struct cache *cache = cache_of(store);
    for (size_t i = 0; cache != NULL && i < CACHE_PRODUCTS; i++) {
        if (cache->products[i] != NULL && strcmp(cache->products[i]->slug, slug) == 0) {
            *out = *cache->products[i];
            return SW_OK;
        }
    }
    sqlite3_stmt *q = stmt(store, STMT_PRODUCT_BY_SLUG, fault);
    bind_text(q, ":slug", slug);
    int code = stmt_one(store, q, read_product, out, fault);
    if (code == SW_OK) {
        keep(store, out);
    }
    return code;
}

int store_product_list(struct store *store, struct product **items, size_t *count,
                       struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_PRODUCT_LIST, fault);
    return stmt_all(store, q, read_product, sizeof **items, items, count, fault);
}

int store_product_update(struct store *store, const struct product *product, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_PRODUCT_UPDATE, fault);
    bind_int(q, ":id", product->id);
    bind_text(q, ":name", product->name);
    bind_text(q, ":description", product->description);
    bind_int(q, ":quarantine", product->quarantine);
    bind_int(q, ":enforce", product->enforce_tested);
    bind_int(q, ":now", product->updated_ms);
    return stmt_run_one(store, q, fault);
}

int store_product_last_id(struct store *store, int64_t *id, struct fault *fault) {
    return stmt_int(store, stmt(store, STMT_PRODUCT_LAST_ID, fault), 0, id, fault);
}

int store_product_welcoming(struct store *store, uint16_t platform_id, uint16_t *id,
                            struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_PRODUCT_WELCOMING, fault);
    bind_int(q, ":platform", platform_id);
    int64_t found = 0;
    int code = stmt_int(store, q, 0, &found, fault);
    *id = (uint16_t)found;
    return code;
}
