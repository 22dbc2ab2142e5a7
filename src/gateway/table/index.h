/* A hash index from 32-bit hashes to slot numbers, many slots to a hash allowed: the caller
 * compares the slots' own keys. It grows and shrinks without a pause: each change moves a few
 * entries of the old array into the new one. */
#ifndef SLIPWAY_GATEWAY_TABLE_INDEX_H
#define SLIPWAY_GATEWAY_TABLE_INDEX_H

#include "slipway/util/error.h"

#include <stddef.h>
#include <stdint.h>

struct index_entry {
    uint32_t hash;
    uint32_t slot_plus; /* slot + 2; 0 = never used, 1 = removed */
};

struct index_array {
    struct index_entry *entries; /* mask + 1 of them; NULL when there is none */
    uint32_t mask;
    uint32_t live, used; /* used counts the removed ones too */
};

struct index {
    struct index_array young; /* where additions go */
    struct index_array old;   /* being emptied, else without entries */
    uint32_t moved;           /* entries of old before this one are done */
};

void index_init(struct index *index);
void index_close(struct index *index);
/* SW_E_MEMORY: nothing changed. */
int index_add(struct index *index, uint32_t hash, uint32_t slot) SW_NODISCARD;
/* That pair must be there. */
void index_remove(struct index *index, uint32_t hash, uint32_t slot);
uint32_t index_count(const struct index *index);

/* for (s = index_first(i, hash, &c); s != INDEX_NONE; s = index_next(i, hash, &c)): every slot of
 * that hash. Nothing may be added or removed meanwhile. */
struct index_cursor {
    uint32_t at, steps;
    uint8_t in_old;
};
#define INDEX_NONE UINT32_MAX
/* That hash will be asked for soon. */
void index_prefetch(const struct index *index, uint32_t hash);
uint32_t index_first(const struct index *index, uint32_t hash, struct index_cursor *cursor);
uint32_t index_next(const struct index *index, uint32_t hash, struct index_cursor *cursor);

#endif
