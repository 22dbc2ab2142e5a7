/* Datagrams that a pure machine wants sent: the caller's memory, filled in order, full at its end.
 * A machine that finds it full keeps its state and goes on at the next call. */
#ifndef SLIPWAY_UTIL_OUTBOX_H
#define SLIPWAY_UTIL_OUTBOX_H

#include "slipway/util/span.h"

#define OUTBOX_ITEMS_MAX 128

struct outbox {
    uint8_t *data; /* the caller's */
    size_t cap;
    size_t used;
    size_t count;
    struct {
        uint32_t at;
        uint32_t len;
    } items[OUTBOX_ITEMS_MAX];
};

static inline void outbox_init(struct outbox *box, void *data, size_t cap) {
    box->data = (uint8_t *)data;
    box->cap = cap;
    box->used = 0;
    box->count = 0;
}

static inline void outbox_clear(struct outbox *box) {
    box->used = 0;
    box->count = 0;
}

/* Room for one more datagram of up to len bytes; NULL when full. Nothing is added before
 * outbox_commit, which must follow with the length that was used (0 adds nothing). */
static inline uint8_t *outbox_begin(struct outbox *box, size_t len) {
    if (box->count == OUTBOX_ITEMS_MAX || box->cap - box->used < len) {
        return NULL;
    }
    return box->data + box->used;
}

static inline void outbox_commit(struct outbox *box, size_t len) {
    if (len > 0) {
        box->items[box->count].at = (uint32_t)box->used;
        box->items[box->count].len = (uint32_t)len;
        box->count++;
        box->used += len;
    }
}

static inline struct span outbox_datagram(const struct outbox *box, size_t index) {
    return span_of(box->data + box->items[index].at, box->items[index].len);
}

#endif
