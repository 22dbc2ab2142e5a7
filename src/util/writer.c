#include "slipway/util/writer.h"

#include "slipway/util/check.h"

struct writer writer_of(void *data, size_t cap) {
    return (struct writer){.data = (uint8_t *)data, .cap = cap};
}

uint8_t *writer_reserve(struct writer *w, size_t len) {
    if (w->failed || w->cap - w->at < len) {
        w->failed = true;
        return NULL;
    }
    uint8_t *place = w->data + w->at;
    w->at += len;
    return place;
}

static void write_be(struct writer *w, uint64_t value, size_t width) {
    uint8_t *place = writer_reserve(w, width);
    if (place == NULL) {
        return;
    }
    for (size_t i = width; i > 0; i--) {
        place[i - 1] = (uint8_t)value;
        value >>= 8;
    }
}

void writer_u8(struct writer *w, uint8_t value) {
    write_be(w, value, 1);
}

void writer_u16(struct writer *w, uint16_t value) {
    write_be(w, value, 2);
}

void writer_u24(struct writer *w, uint32_t value) {
    write_be(w, value, 3);
}

void writer_u32(struct writer *w, uint32_t value) {
    write_be(w, value, 4);
}

void writer_u48(struct writer *w, uint64_t value) {
    write_be(w, value, 6);
}

void writer_u64(struct writer *w, uint64_t value) {
    write_be(w, value, 8);
}

void writer_u16_le(struct writer *w, uint16_t value) {
    writer_u16(w, (uint16_t)(value << 8 | value >> 8));
}

void writer_u32_le(struct writer *w, uint32_t value) {
    writer_u32(w, __builtin_bswap32(value));
}

void writer_bytes(struct writer *w, struct span bytes) {
    uint8_t *place = writer_reserve(w, bytes.len);
    if (place != NULL && bytes.len > 0) {
        memcpy(place, bytes.data, bytes.len);
    }
}

void writer_zeroes(struct writer *w, size_t len) {
    uint8_t *place = writer_reserve(w, len);
    if (place != NULL && len > 0) {
        memset(place, 0, len);
    }
}

size_t writer_open(struct writer *w, size_t width) {
    size_t place = w->at;
    (void)writer_reserve(w, width);
    return place;
}

void writer_close(struct writer *w, size_t place, size_t width) {
    if (w->failed) {
        return;
    }
    SW_CHECK(place + width <= w->at);
    size_t len = w->at - place - width;
    SW_CHECK(width <= 3 && len < ((size_t)1 << (8 * width)));
    for (size_t i = width; i > 0; i--) {
        w->data[place + i - 1] = (uint8_t)len;
        len >>= 8;
    }
}

struct span writer_span(const struct writer *w) {
    return span_of(w->data, w->at);
}

size_t writer_room(const struct writer *w) {
    return w->failed ? 0 : w->cap - w->at;
}

int writer_status(const struct writer *w) {
    return w->failed ? SW_E_FULL : SW_OK;
}
