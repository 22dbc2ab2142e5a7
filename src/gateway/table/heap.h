/* Deadlines of numbered things: a heap of four children a node, each thing in it at most once. */
#ifndef SLIPWAY_GATEWAY_TABLE_HEAP_H
#define SLIPWAY_GATEWAY_TABLE_HEAP_H

#include "slipway/util/error.h"
#include "slipway/util/time.h"

#include <stddef.h>

#define HEAP_OUT UINT32_MAX

struct heap_item {
    mono_time deadline;
    uint32_t thing;
};

struct heap {
    struct heap_item *items;
    uint32_t count, cap;
    /* Tells the owner where a thing now is (HEAP_OUT: not in the heap). */
    void (*placed)(void *ctx, uint32_t thing, uint32_t at);
    void *ctx;
};

void heap_init(struct heap *heap, void (*placed)(void *ctx, uint32_t thing, uint32_t at),
               void *ctx);
void heap_close(struct heap *heap);
/* Adds the thing (at == HEAP_OUT) or moves it; MONO_NEVER takes it out. SW_E_MEMORY: unchanged. */
int heap_set(struct heap *heap, uint32_t thing, uint32_t at, mono_time deadline) SW_NODISCARD;
void heap_remove(struct heap *heap, uint32_t at); /* HEAP_OUT is accepted */
/* The earliest; HEAP_OUT when empty. */
uint32_t heap_first(const struct heap *heap);
mono_time heap_deadline(const struct heap *heap); /* MONO_NEVER when empty */

#endif
