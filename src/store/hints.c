/* Buckets of eight slots, each bucket one line of the cache. A slot is a word, so that readers and
 * writers need no lock: 24 bits of the id's hash, and the number. A larger table is put in the
 * place of one that became too small; the old one stays for those who may still look at it, until
 * the end: all of them together are a third of the last. */
#include "store/hints.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define BUCKET_SLOTS 8
#define LINE_BYTES   64
#define NUM_BITS     40
#define SLOTS_MIN    4096
#define TABLES_MAX   8 /* each at least four times as large as the one before */

struct table {
    uint64_t buckets; /* a power of two */
    _Atomic uint64_t *slots;
};

struct hints {
    struct table tables[TABLES_MAX];
    _Atomic(struct table *) current; /* NULL at first */
};

struct hints *hints_new(void) {
    return calloc(1, sizeof(struct hints));
}

void hints_free(struct hints *hints) {
    for (size_t i = 0; hints != NULL && i < TABLES_MAX; i++) {
        free(hints->tables[i].slots);
    }
    free(hints);
}

bool hints_make_room(struct hints *hints, uint64_t devices) {
    const struct table *old = atomic_load_explicit(&hints->current, memory_order_relaxed);
    uint64_t have = old != NULL ? old->buckets * BUCKET_SLOTS : 0;
    devices = devices < HINTS_DEVICES_MAX ? devices : HINTS_DEVICES_MAX;
    if (devices <= have) {
        return false;
    }
    uint64_t slots = have > 0 ? 4 * have : SLOTS_MIN;
    while (slots < 2 * devices) {
        slots *= 2;
    }
    struct table *next = &hints->tables[old != NULL ? old - hints->tables + 1 : 0];
    next->buckets = slots / BUCKET_SLOTS;
    next->slots = aligned_alloc(LINE_BYTES, slots * sizeof *next->slots);
    if (next->slots == NULL) {
        return false;
    }
    memset(next->slots, 0, slots * sizeof *next->slots);
    atomic_store_explicit(&hints->current, next, memory_order_release);
    return true;
}

static uint64_t hash_of(const struct device_id *id) {
    uint64_t high = 0;
    uint32_t low = 0;
    memcpy(&high, id->b, sizeof high);
    memcpy(&low, id->b + sizeof high, sizeof low);
    uint64_t hash = (high ^ ((uint64_t)low << 32 | low)) * UINT64_C(0x9E3779B97F4A7C15);
    hash = (hash ^ hash >> 29) * UINT64_C(0xBF58476D1CE4E5B9);
    return hash ^ hash >> 32;
}

static _Atomic uint64_t *bucket_of(const struct table *table, uint64_t hash) {
    return table->slots + (hash & (table->buckets - 1)) * BUCKET_SLOTS;
}

void hints_learn(struct hints *hints, const struct device_id *id, int64_t num) {
    const struct table *table =
        hints != NULL ? atomic_load_explicit(&hints->current, memory_order_acquire) : NULL;
    if (table == NULL || num <= 0 || num >> NUM_BITS != 0) {
        return;
    }
    uint64_t hash = hash_of(id);
    uint64_t tag = hash >> NUM_BITS;
    _Atomic uint64_t *bucket = bucket_of(table, hash);
    size_t at = (uint64_t)num % BUCKET_SLOTS; /* of a full bucket, whichever this is */
    for (size_t i = 0; i < BUCKET_SLOTS; i++) {
        uint64_t slot = atomic_load_explicit(&bucket[i], memory_order_relaxed);
        if (slot == 0 || slot >> NUM_BITS == tag) {
            at = i;
            break;
        }
    }
    atomic_store_explicit(&bucket[at], tag << NUM_BITS | (uint64_t)num, memory_order_relaxed);
}

int64_t hints_find(const struct hints *hints, const struct device_id *id) {
    const struct table *table =
        hints != NULL ? atomic_load_explicit(&hints->current, memory_order_acquire) : NULL;
    if (table == NULL) {
        return 0;
    }
    uint64_t hash = hash_of(id);
    uint64_t tag = hash >> NUM_BITS;
    const _Atomic uint64_t *bucket = bucket_of(table, hash);
    for (size_t i = 0; i < BUCKET_SLOTS; i++) {
        uint64_t slot = atomic_load_explicit(&bucket[i], memory_order_relaxed);
        if (slot != 0 && slot >> NUM_BITS == tag) {
            return (int64_t)(slot & ((UINT64_C(1) << NUM_BITS) - 1));
        }
    }
    return 0;
}
