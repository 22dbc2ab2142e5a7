#include "store/cache.h"

#include "store/wanted.h"

#include <stdlib.h>
#include <string.h>

static void cache_empty(struct cache *cache) {
    for (size_t i = 0; i < CACHE_PRODUCTS; i++) {
        free(cache->products[i]);
        cache->products[i] = NULL;
    }
    for (size_t i = 0; i < CACHE_OWNERS; i++) {
        free(cache->owners[i]);
        cache->owners[i] = NULL;
    }
    for (size_t i = 0; i < CACHE_SETS; i++) {
        free(cache->sets[i]);
        cache->sets[i] = NULL;
    }
    for (size_t i = 0; i < CACHE_WANTED; i++) {
        wanted_free(cache->wanted[i]);
        cache->wanted[i] = NULL;
    }
}

void cache_free(struct cache *cache) {
    if (cache != NULL) {
        cache_empty(cache);
        free(cache);
    }
}

struct cache *cache_of(struct store *store) {
    if (!store->has_view || (store->cache != NULL && store->cache->is_checked)) {
        return store->has_view ? store->cache : NULL;
    }
    int64_t generation = 0;
    int code = stmt_int(store, stmt(store, STMT_GENERATION, NULL), 0, &generation, NULL);
    if (code != SW_OK || generation == 0) {
        return NULL;
    }
    if (store->cache == NULL) {
        store->cache = calloc(1, sizeof *store->cache);
        if (store->cache == NULL) {
            return NULL;
        }
    } else if (store->cache->generation != generation) {
        cache_empty(store->cache);
    }
    store->cache->generation = generation;
    store->cache->is_checked = true;
    return store->cache;
}
