/* Equal-sized items in slabs of 64, bounded, zeroed when taken. The lowest slabs are filled first
 * and empty ones go back to the system, so that memory follows the load down again. An item's
 * address and number stay the same while it is taken. */
#ifndef SLIPWAY_GATEWAY_TABLE_POOL_H
#define SLIPWAY_GATEWAY_TABLE_POOL_H

#include "slipway/util/error.h"

#include <stddef.h>
#include <stdint.h>

#define POOL_SLAB 64U
#define POOL_NONE UINT32_MAX

struct pool_slab {
    uint8_t *items; /* NULL when given back */
    uint64_t taken; /* bit n: item n is */
};

struct pool {
    size_t item_bytes;
    uint32_t max, count;
    struct pool_slab *slabs;
    uint32_t slab_count, slab_cap;
    uint32_t hint;  /* no slab below this one has room */
    uint32_t empty; /* slabs that have memory and nothing in it */
};

/* item_bytes is a multiple of 16. */
void pool_init(struct pool *pool, size_t item_bytes, uint32_t max);
void pool_close(struct pool *pool);
/* POOL_NONE at the limit or without memory. */
uint32_t pool_take(struct pool *pool);
void pool_give(struct pool *pool, uint32_t number);
/* The item of that number; NULL if it is not taken. */
void *pool_item(const struct pool *pool, uint32_t number);
/* That item will be used soon. */
void pool_prefetch(const struct pool *pool, uint32_t number);
/* The first taken number at or after `from`; POOL_NONE at the end. */
uint32_t pool_next(const struct pool *pool, uint32_t from);

#endif
