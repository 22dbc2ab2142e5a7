#include "gateway/table/pool.h"

#include "slipway/util/check.h"

#include <stdlib.h>
#include <string.h>

#define CACHE_LINE 64
/* Empty slabs are kept as long as they are few beside those in use: items that come and go cost no
 * system call, in a storm of them either. */
#define POOL_EMPTY_KEPT(count) (1U + (count) / (8U * POOL_SLAB))

void pool_init(struct pool *pool, size_t item_bytes, uint32_t max) {
    SW_CHECK(item_bytes % 16 == 0 && item_bytes > 0);
    *pool = (struct pool){.item_bytes = item_bytes, .max = max};
}

void pool_close(struct pool *pool) {
    for (uint32_t n = 0; n < pool->slab_count; n++) {
        free(pool->slabs[n].items);
    }
    free(pool->slabs);
    pool->slabs = NULL;
    pool->slab_count = pool->slab_cap = pool->count = pool->hint = pool->empty = 0;
}

static int pool_grow(struct pool *pool) {
    if (pool->slab_count == pool->slab_cap) {
        uint32_t cap = pool->slab_cap == 0 ? 16 : pool->slab_cap * 2;
        struct pool_slab *slabs = realloc(pool->slabs, cap * sizeof *slabs);
        if (slabs == NULL) {
            return SW_E_MEMORY;
        }
        pool->slabs = slabs;
        pool->slab_cap = cap;
    }
    pool->slabs[pool->slab_count++] = (struct pool_slab){0};
    return SW_OK;
}

uint32_t pool_take(struct pool *pool) {
    if (pool->count >= pool->max) {
        return POOL_NONE;
    }
    while (pool->hint < pool->slab_count && pool->slabs[pool->hint].taken == UINT64_MAX) {
        pool->hint++;
    }
    if (pool->hint == pool->slab_count && pool_grow(pool) != SW_OK) {
        return POOL_NONE;
    }
    struct pool_slab *slab = &pool->slabs[pool->hint];
    if (slab->items == NULL) {
        slab->items = malloc(pool->item_bytes * POOL_SLAB);
        if (slab->items == NULL) {
            return POOL_NONE;
        }
    } else if (slab->taken == 0) {
        pool->empty--;
    }
    uint32_t bit = (uint32_t)__builtin_ctzll(~slab->taken);
    slab->taken |= UINT64_C(1) << bit;
    pool->count++;
    memset(slab->items + bit * pool->item_bytes, 0, pool->item_bytes);
    return pool->hint * POOL_SLAB + bit;
}

/* The highest go first: the lowest are the next to be filled. */
static void pool_trim(struct pool *pool) {
    for (uint32_t at = pool->slab_count; at > 0 && pool->empty > POOL_EMPTY_KEPT(pool->count);
         at--) {
        struct pool_slab *slab = &pool->slabs[at - 1];
        if (slab->items != NULL && slab->taken == 0) {
            free(slab->items);
            slab->items = NULL;
            pool->empty--;
        }
    }
}

void pool_give(struct pool *pool, uint32_t number) {
    SW_CHECK(pool_item(pool, number) != NULL);
    struct pool_slab *slab = &pool->slabs[number / POOL_SLAB];
    slab->taken &= ~(UINT64_C(1) << (number % POOL_SLAB));
    pool->count--;
    if (number / POOL_SLAB < pool->hint) {
        pool->hint = number / POOL_SLAB;
    }
    if (slab->taken == 0) {
        pool->empty++;
        pool_trim(pool);
    }
}

void *pool_item(const struct pool *pool, uint32_t number) {
    uint32_t at = number / POOL_SLAB;
    if (at >= pool->slab_count ||
        (pool->slabs[at].taken & (UINT64_C(1) << (number % POOL_SLAB))) == 0) {
        return NULL;
    }
    return pool->slabs[at].items + (number % POOL_SLAB) * pool->item_bytes;
}

void pool_prefetch(const struct pool *pool, uint32_t number) {
    const uint8_t *item = pool_item(pool, number);
    for (size_t at = 0; item != NULL && at < pool->item_bytes; at += CACHE_LINE) {
        __builtin_prefetch(item + at, 1);
    }
}

uint32_t pool_next(const struct pool *pool, uint32_t from) {
    for (uint32_t at = from / POOL_SLAB; at < pool->slab_count; at++) {
        uint64_t bits = pool->slabs[at].taken;
        if (at == from / POOL_SLAB) {
            bits &= UINT64_MAX << (from % POOL_SLAB);
        }
        if (bits != 0) {
            return at * POOL_SLAB + (uint32_t)__builtin_ctzll(bits);
        }
    }
    return POOL_NONE;
}
