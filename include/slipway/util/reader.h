/* A cursor over borrowed bytes whose first error sticks: after it every read gives zeroes and
 * moves nothing, so that a parser checks once, at its end. Integers are big-endian unless the
 * name ends in _le. */
#ifndef SLIPWAY_UTIL_READER_H
#define SLIPWAY_UTIL_READER_H

#include "slipway/util/error.h"
#include "slipway/util/span.h"

struct reader {
    struct span in;
    size_t at;       /* next byte to read, 0..in.len */
    bool failed;     /* sticky */
    const char *why; /* static text of the first error, else NULL */
};

struct reader reader_of(struct span in);

uint8_t reader_u8(struct reader *r);
uint16_t reader_u16(struct reader *r);
uint32_t reader_u24(struct reader *r);
uint32_t reader_u32(struct reader *r);
uint64_t reader_u48(struct reader *r);
uint64_t reader_u64(struct reader *r);
uint16_t reader_u16_le(struct reader *r);
uint32_t reader_u32_le(struct reader *r);

/* The next len bytes, borrowed from the input; an empty span on failure. */
struct span reader_bytes(struct reader *r, size_t len);
/* Copies len bytes to out, which is zeroed on failure. */
void reader_copy(struct reader *r, void *out, size_t len);
/* A length of 1, 2 or 3 bytes, then that many bytes (the vectors of TLS). */
struct span reader_vector8(struct reader *r);
struct span reader_vector16(struct reader *r);
struct span reader_vector24(struct reader *r);
/* Everything that is left. */
struct span reader_rest(struct reader *r);
size_t reader_left(const struct reader *r);

/* Marks the reader failed for the parser's own reason; the first reason wins. */
void reader_fail(struct reader *r, const char *why);
/* SW_OK if nothing failed and nothing is left over; else SW_E_INPUT. */
int reader_end(struct reader *r) SW_NODISCARD;
/* SW_OK if nothing failed, whatever is left. */
int reader_status(const struct reader *r) SW_NODISCARD;

#endif
