/* Open addressing with linear probing, at most three quarters full. A change of size allocates the
 * new array zeroed (the kernel hands out zero pages lazily, so that is cheap at any size) and then
 * every addition or removal carries INDEX_STRIDE entries over, so that the old array is empty long
 * before the new one fills. */
#include "gateway/table/index.h"

#include "slipway/util/check.h"

#include <stdbool.h>
#include <stdlib.h>

#define INDEX_MIN    64U
#define INDEX_STRIDE 16U
#define FREE_SLOT    0U
#define GONE_SLOT    1U

void index_init(struct index *index) {
    *index = (struct index){0};
}

void index_close(struct index *index) {
    free(index->young.entries);
    free(index->old.entries);
    *index = (struct index){0};
}

uint32_t index_count(const struct index *index) {
    return index->young.live + index->old.live;
}

static void array_put(struct index_array *array, uint32_t hash, uint32_t slot_plus) {
    uint32_t at = hash & array->mask;
    while (array->entries[at].slot_plus > GONE_SLOT) {
        at = (at + 1) & array->mask;
    }
    if (array->entries[at].slot_plus == FREE_SLOT) {
        array->used++;
    }
    array->entries[at] = (struct index_entry){.hash = hash, .slot_plus = slot_plus};
    array->live++;
}

static bool array_remove(struct index_array *array, uint32_t hash, uint32_t slot_plus) {
    if (array->entries == NULL) {
        return false;
    }
    uint32_t at = hash & array->mask;
    while (array->entries[at].slot_plus != FREE_SLOT) {
        if (array->entries[at].slot_plus == slot_plus && array->entries[at].hash == hash) {
            /* Nothing probes past an entry that is followed by a free one. */
            if (array->entries[(at + 1) & array->mask].slot_plus == FREE_SLOT) {
                array->entries[at].slot_plus = FREE_SLOT;
                array->used--;
            } else {
                array->entries[at].slot_plus = GONE_SLOT;
            }
            array->live--;
            return true;
        }
        at = (at + 1) & array->mask;
    }
    return false;
}

static void index_carry(struct index *index, uint32_t entries) {
    if (index->old.entries == NULL) {
        return;
    }
    for (uint32_t n = 0; n < entries && index->moved <= index->old.mask; n++, index->moved++) {
        struct index_entry *entry = &index->old.entries[index->moved];
        if (entry->slot_plus > GONE_SLOT) {
            array_put(&index->young, entry->hash, entry->slot_plus);
            entry->slot_plus = GONE_SLOT;
            index->old.live--;
        }
    }
    if (index->moved > index->old.mask) {
        SW_CHECK(index->old.live == 0);
        free(index->old.entries);
        index->old = (struct index_array){0};
        index->moved = 0;
    }
}

static int index_resize(struct index *index, uint32_t size) {
    struct index_entry *entries = calloc(size, sizeof *entries);
    if (entries == NULL) {
        return SW_E_MEMORY;
    }
    index_carry(index, UINT32_MAX);
    index->old = index->young;
    index->moved = 0;
    index->young = (struct index_array){.entries = entries, .mask = size - 1};
    return SW_OK;
}

int index_add(struct index *index, uint32_t hash, uint32_t slot) {
    SW_CHECK(slot < UINT32_MAX - 2);
    uint32_t size = index->young.entries == NULL ? 0 : index->young.mask + 1;
    if (index->young.used + index->old.live + 1 > size - size / 4) {
        /* Mostly removed entries: the same size again is enough. */
        uint32_t live = index_count(index) + 1;
        uint32_t want = INDEX_MIN;
        while (want / 2 < live) {
            want *= 2;
        }
        int status = index_resize(index, want);
        if (status != SW_OK) {
            return status;
        }
    }
    array_put(&index->young, hash, slot + 2);
    index_carry(index, INDEX_STRIDE);
    return SW_OK;
}

void index_remove(struct index *index, uint32_t hash, uint32_t slot) {
    bool removed =
        array_remove(&index->young, hash, slot + 2) || array_remove(&index->old, hash, slot + 2);
    SW_CHECK(removed);
    index_carry(index, INDEX_STRIDE);
    uint32_t size = index->young.mask + 1;
    if (index->old.entries == NULL && size > INDEX_MIN && index->young.live < size / 8) {
        /* Giving memory back may fail: then it is not given back. */
        (void)!index_resize(index, size / 4 < INDEX_MIN ? INDEX_MIN : size / 4);
    }
}

static uint32_t index_walk(const struct index *index, uint32_t hash, struct index_cursor *cursor) {
    for (;;) {
        const struct index_array *array = cursor->in_old != 0 ? &index->old : &index->young;
        while (array->entries != NULL && cursor->steps <= array->mask) {
            const struct index_entry *entry = &array->entries[cursor->at & array->mask];
            cursor->at++;
            cursor->steps++;
            if (entry->slot_plus == FREE_SLOT) {
                break;
            }
            if (entry->slot_plus > GONE_SLOT && entry->hash == hash) {
                return entry->slot_plus - 2;
            }
        }
        if (cursor->in_old != 0) {
            return INDEX_NONE;
        }
        *cursor = (struct index_cursor){.at = hash, .in_old = 1};
    }
}

uint32_t index_first(const struct index *index, uint32_t hash, struct index_cursor *cursor) {
    *cursor = (struct index_cursor){.at = hash};
    return index_walk(index, hash, cursor);
}

uint32_t index_next(const struct index *index, uint32_t hash, struct index_cursor *cursor) {
    return index_walk(index, hash, cursor);
}

void index_prefetch(const struct index *index, uint32_t hash) {
    if (index->young.entries != NULL) {
        __builtin_prefetch(&index->young.entries[hash & index->young.mask]);
    }
}
