/* A cursor over the caller's buffer that never writes past its end. Overflow sticks: later writes
 * do nothing and writer_status says SW_E_FULL. Integers are big-endian unless named _le. */
#ifndef SLIPWAY_UTIL_WRITER_H
#define SLIPWAY_UTIL_WRITER_H

#include "slipway/util/error.h"
#include "slipway/util/span.h"

struct writer {
    uint8_t *data;
    size_t cap;
    size_t at;
    bool failed;
};

struct writer writer_of(void *data, size_t cap);

void writer_u8(struct writer *w, uint8_t value);
void writer_u16(struct writer *w, uint16_t value);
void writer_u24(struct writer *w, uint32_t value);
void writer_u32(struct writer *w, uint32_t value);
void writer_u48(struct writer *w, uint64_t value);
void writer_u64(struct writer *w, uint64_t value);
void writer_u16_le(struct writer *w, uint16_t value);
void writer_u32_le(struct writer *w, uint32_t value);
void writer_bytes(struct writer *w, struct span bytes);
void writer_zeroes(struct writer *w, size_t len);

/* Leaves room for a length field of `width` bytes (1, 2 or 3) and returns its place; writer_close
 * fills in how many bytes were written since. */
size_t writer_open(struct writer *w, size_t width);
void writer_close(struct writer *w, size_t place, size_t width);

/* len bytes to be filled by the caller; NULL (and failed) when there is no room. */
uint8_t *writer_reserve(struct writer *w, size_t len);

struct span writer_span(const struct writer *w); /* what was written so far */
size_t writer_room(const struct writer *w);
int writer_status(const struct writer *w) SW_NODISCARD; /* SW_OK or SW_E_FULL */

#endif
