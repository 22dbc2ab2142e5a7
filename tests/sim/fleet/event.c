#include "world.h"

#include "slipway/util/check.h"

#include <stdlib.h>

struct world_event *world_event_new(struct world *world, enum world_event_kind kind, mono_time due,
                                    struct span bytes) {
    struct world_event *event = calloc(1, sizeof *event + bytes.len);
    SW_CHECK(event != NULL);
    event->due = due;
    event->order = world->order++;
    event->kind = kind;
    event->server = world->server;
    event->len = bytes.len;
    if (bytes.len > 0) {
        memcpy(event->bytes, bytes.data, bytes.len);
    }
    return event;
}

static bool is_earlier(const struct world_event *a, const struct world_event *b) {
    return a->due.us != b->due.us ? a->due.us < b->due.us : a->order < b->order;
}

static void swap(struct world *world, size_t a, size_t b) {
    struct world_event *event = world->heap[a];
    world->heap[a] = world->heap[b];
    world->heap[b] = event;
}

void world_event_put(struct world *world, struct world_event *event) {
    if (world->heap_count == world->heap_cap) {
        world->heap_cap = world->heap_cap > 0 ? 2 * world->heap_cap : 256;
        world->heap = realloc(world->heap, world->heap_cap * sizeof(struct world_event *));
        SW_CHECK(world->heap != NULL);
    }
    size_t at = world->heap_count++;
    world->heap[at] = event;
    while (at > 0 && is_earlier(world->heap[at], world->heap[(at - 1) / 2])) {
        swap(world, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

static void sink(struct world *world, size_t at) {
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < world->heap_count; child++) {
            least = is_earlier(world->heap[child], world->heap[least]) ? child : least;
        }
        if (least == at) {
            return;
        }
        swap(world, at, least);
        at = least;
    }
}

mono_time world_event_due(const struct world *world) {
    return world->heap_count > 0 ? world->heap[0]->due : MONO_NEVER;
}

struct world_event *world_event_take(struct world *world) {
    struct world_event *first = world->heap[0];
    world->heap[0] = world->heap[--world->heap_count];
    sink(world, 0);
    return first;
}

static bool belongs_to_server(const struct world_event *event) {
    return event->kind == EVENT_PUMP || event->kind == EVENT_READ || event->kind == EVENT_NOTICE;
}

void world_event_forget_server(struct world *world) {
    size_t kept = 0;
    for (size_t i = 0; i < world->heap_count; i++) {
        if (belongs_to_server(world->heap[i])) {
            free(world->heap[i]);
        } else {
            world->heap[kept++] = world->heap[i];
        }
    }
    world->heap_count = kept;
    for (size_t i = kept; i > 0; i--) {
        sink(world, i - 1);
    }
}
