#include "gateway/table/heap.h"

#include "slipway/util/check.h"

#include <stdlib.h>

void heap_init(struct heap *heap, void (*placed)(void *ctx, uint32_t thing, uint32_t at),
               void *ctx) {
    *heap = (struct heap){.placed = placed, .ctx = ctx};
}

void heap_close(struct heap *heap) {
    free(heap->items);
    heap->items = NULL;
    heap->count = heap->cap = 0;
}

static void heap_put(struct heap *heap, uint32_t at, struct heap_item item) {
    heap->items[at] = item;
    heap->placed(heap->ctx, item.thing, at);
}

static void heap_up(struct heap *heap, uint32_t at, struct heap_item item) {
    while (at > 0) {
        uint32_t parent = (at - 1) / 4;
        if (heap->items[parent].deadline.us <= item.deadline.us) {
            break;
        }
        heap_put(heap, at, heap->items[parent]);
        at = parent;
    }
    heap_put(heap, at, item);
}

static void heap_down(struct heap *heap, uint32_t at, struct heap_item item) {
    for (;;) {
        uint32_t first = at * 4 + 1;
        if (first >= heap->count) {
            break;
        }
        uint32_t best = first;
        for (uint32_t child = first + 1; child < first + 4 && child < heap->count; child++) {
            if (heap->items[child].deadline.us < heap->items[best].deadline.us) {
                best = child;
            }
        }
        if (heap->items[best].deadline.us >= item.deadline.us) {
            break;
        }
        heap_put(heap, at, heap->items[best]);
        at = best;
    }
    heap_put(heap, at, item);
}

int heap_set(struct heap *heap, uint32_t thing, uint32_t at, mono_time deadline) {
    if (deadline.us == MONO_NEVER.us) {
        heap_remove(heap, at);
        return SW_OK;
    }
    struct heap_item item = {.deadline = deadline, .thing = thing};
    if (at == HEAP_OUT) {
        if (heap->count == heap->cap) {
            uint32_t cap = heap->cap == 0 ? 64 : heap->cap * 2;
            struct heap_item *items = realloc(heap->items, cap * sizeof *items);
            if (items == NULL) {
                return SW_E_MEMORY;
            }
            heap->items = items;
            heap->cap = cap;
        }
        heap_up(heap, heap->count++, item);
        return SW_OK;
    }
    SW_CHECK(at < heap->count && heap->items[at].thing == thing);
    if (deadline.us < heap->items[at].deadline.us) {
        heap_up(heap, at, item);
    } else {
        heap_down(heap, at, item);
    }
    return SW_OK;
}

void heap_remove(struct heap *heap, uint32_t at) {
    if (at == HEAP_OUT) {
        return;
    }
    SW_CHECK(at < heap->count);
    heap->placed(heap->ctx, heap->items[at].thing, HEAP_OUT);
    struct heap_item last = heap->items[--heap->count];
    if (at == heap->count) {
        return;
    }
    if (at > 0 && last.deadline.us < heap->items[(at - 1) / 4].deadline.us) {
        heap_up(heap, at, last);
    } else {
        heap_down(heap, at, last);
    }
}

uint32_t heap_first(const struct heap *heap) {
    return heap->count == 0 ? HEAP_OUT : heap->items[0].thing;
}

mono_time heap_deadline(const struct heap *heap) {
    return heap->count == 0 ? MONO_NEVER : heap->items[0].deadline;
}
