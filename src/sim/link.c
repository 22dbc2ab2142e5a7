#include "sim/link.h"

#include <stdlib.h>

void link_close(struct link *link) {
    for (size_t i = 0; i < link->count; i++) {
        free(link->heap[i]);
    }
    free(link->heap);
    link->heap = NULL;
    link->count = 0;
    link->cap = 0;
}

bool link_is_direct(const struct link *link) {
    return link->latency_ms == 0 && link->jitter_ms == 0;
}

bool link_loses(struct link *link) {
    return link->loss_percent > 0 && rng_below(&link->rng, 100) < link->loss_percent;
}

static bool is_earlier(const struct link_item *a, const struct link_item *b) {
    return a->due.us != b->due.us ? a->due.us < b->due.us : a->order < b->order;
}

static void swap(struct link *link, size_t a, size_t b) {
    struct link_item *item = link->heap[a];
    link->heap[a] = link->heap[b];
    link->heap[b] = item;
}

void link_put(struct link *link, struct span datagram, uint32_t member, uint32_t socket,
              bool is_incoming, mono_time now) {
    static uint64_t order;
    if (link->count == link->cap) {
        size_t cap = link->cap > 0 ? 2 * link->cap : 256;
        struct link_item **heap = realloc(link->heap, cap * sizeof(struct link_item *));
        if (heap == NULL) {
            return;
        }
        link->heap = heap;
        link->cap = cap;
    }
    struct link_item *item = malloc(sizeof *item + datagram.len);
    if (item == NULL) {
        return;
    }
    int64_t jitter_us = (int64_t)rng_below(&link->rng, 1000 * (uint64_t)link->jitter_ms + 1);
    item->due = mono_add_us(mono_add_ms(now, link->latency_ms), jitter_us);
    item->order = order++;
    item->member = member;
    item->socket = socket;
    item->is_incoming = is_incoming;
    item->len = (uint32_t)datagram.len;
    memcpy(item->bytes, datagram.data, datagram.len);
    size_t at = link->count++;
    link->heap[at] = item;
    while (at > 0 && is_earlier(link->heap[at], link->heap[(at - 1) / 2])) {
        swap(link, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

mono_time link_deadline(const struct link *link) {
    return link->count > 0 ? link->heap[0]->due : MONO_NEVER;
}

struct link_item *link_take(struct link *link, mono_time now) {
    if (link->count == 0 || !mono_reached(now, link->heap[0]->due)) {
        return NULL;
    }
    struct link_item *first = link->heap[0];
    link->heap[0] = link->heap[--link->count];
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < link->count; child++) {
            least = is_earlier(link->heap[child], link->heap[least]) ? child : least;
        }
        if (least == at) {
            break;
        }
        swap(link, at, least);
        at = least;
    }
    return first;
}
