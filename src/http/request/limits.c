#include "http/request/limits.h"

#include <stdlib.h>

int limits_init(struct limits *limits, uint32_t allowed, uint64_t seed) {
    *limits = (struct limits){.seed = seed, .allowed = allowed};
    if (allowed == 0) {
        return SW_OK;
    }
    limits->slots = calloc(LIMITS_SLOTS, sizeof *limits->slots);
    return limits->slots != NULL ? SW_OK : SW_E_MEMORY;
}

void limits_close(struct limits *limits) {
    free((void *)(uintptr_t)limits->slots);
    limits->slots = NULL;
}

/* FNV-1a with a secret start, so that nobody outside can choose whose slot to share. */
static uint64_t address_hash(uint64_t seed, struct span address) {
    uint64_t hash = seed ^ 0xcbf29ce484222325U;
    for (size_t i = 0; i < address.len; i++) {
        hash = (hash ^ address.data[i]) * 0x100000001b3U;
    }
    return hash ^ (hash >> 29);
}

unsigned limits_take(struct limits *limits, struct span address, mono_time now) {
    if (limits->allowed == 0) {
        return 0;
    }
    const int64_t window_us = (int64_t)LIMITS_WINDOW_MS * 1000;
    uint64_t window = (uint64_t)(now.us / window_us) & 0xffffffffU;
    _Atomic uint64_t *slot = &limits->slots[address_hash(limits->seed, address) % LIMITS_SLOTS];
    uint64_t seen = atomic_load_explicit(slot, memory_order_relaxed);
    uint64_t next = 0;
    do {
        uint32_t count = seen >> 32 == window ? (uint32_t)seen : 0;
        if (count >= limits->allowed) {
            return (unsigned)((window_us - now.us % window_us) / 1000000) + 1;
        }
        next = window << 32 | (count + 1);
    } while (!atomic_compare_exchange_weak_explicit(slot, &seen, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    return 0;
}
