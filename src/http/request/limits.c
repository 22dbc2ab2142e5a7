#include "http/request/limits.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

void limits_place(const char *address, char out[LIMITS_PLACE_BYTES]) {
    struct in6_addr ip;
    (void)snprintf(out, LIMITS_PLACE_BYTES, "%s", address[0] != '\0' ? address : "?");
    if (inet_pton(AF_INET6, address, &ip) == 1 && !IN6_IS_ADDR_V4MAPPED(&ip)) {
        memset(ip.s6_addr + 8, 0, 8);
        (void)inet_ntop(AF_INET6, &ip, out, LIMITS_PLACE_BYTES);
    }
}

unsigned limits_take(struct limits *limits, const char *address, mono_time now) {
    if (limits->allowed == 0) {
        return 0;
    }
    char place[LIMITS_PLACE_BYTES];
    limits_place(address, place);
    const int64_t window_us = (int64_t)LIMITS_WINDOW_MS * 1000;
    uint64_t window = (uint64_t)(now.us / window_us) & 0xffffffffU;
    _Atomic uint64_t *slot =
        &limits->slots[address_hash(limits->seed, span_text(place)) % LIMITS_SLOTS];
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
