#include "slipway/util/reader.h"

struct reader reader_of(struct span in) {
    return (struct reader){.in = in};
}

void reader_fail(struct reader *r, const char *why) {
    if (!r->failed) {
        r->failed = true;
        r->why = why;
    }
}

size_t reader_left(const struct reader *r) {
    return r->failed ? 0 : r->in.len - r->at;
}

struct span reader_bytes(struct reader *r, size_t len) {
    if (r->failed) {
        return (struct span){0};
    }
    if (r->in.len - r->at < len) {
        reader_fail(r, "cut short");
        return (struct span){0};
    }
    struct span bytes = {.data = r->in.data == NULL ? NULL : r->in.data + r->at, .len = len};
    r->at += len;
    return bytes;
}

void reader_copy(struct reader *r, void *out, size_t len) {
    struct span bytes = reader_bytes(r, len);
    if (len == 0) {
        return;
    }
    if (bytes.len == len && !r->failed) {
        memcpy(out, bytes.data, len);
    } else {
        memset(out, 0, len);
    }
}

static uint64_t read_be(struct reader *r, size_t width) {
    struct span bytes = reader_bytes(r, width);
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        value = value << 8 | bytes.data[i];
    }
    return value;
}

uint8_t reader_u8(struct reader *r) {
    return (uint8_t)read_be(r, 1);
}

uint16_t reader_u16(struct reader *r) {
    return (uint16_t)read_be(r, 2);
}

uint32_t reader_u24(struct reader *r) {
    return (uint32_t)read_be(r, 3);
}

uint32_t reader_u32(struct reader *r) {
    return (uint32_t)read_be(r, 4);
}

uint64_t reader_u48(struct reader *r) {
    return read_be(r, 6);
}

uint64_t reader_u64(struct reader *r) {
    return read_be(r, 8);
}

uint16_t reader_u16_le(struct reader *r) {
    uint16_t value = reader_u16(r);
    return (uint16_t)(value << 8 | value >> 8);
}

uint32_t reader_u32_le(struct reader *r) {
    return __builtin_bswap32(reader_u32(r));
}

struct span reader_vector8(struct reader *r) {
    return reader_bytes(r, reader_u8(r));
}

struct span reader_vector16(struct reader *r) {
    return reader_bytes(r, reader_u16(r));
}

struct span reader_vector24(struct reader *r) {
    return reader_bytes(r, reader_u24(r));
}

struct span reader_rest(struct reader *r) {
    return reader_bytes(r, reader_left(r));
}

int reader_status(const struct reader *r) {
    return r->failed ? SW_E_INPUT : SW_OK;
}

int reader_end(struct reader *r) {
    if (!r->failed && r->at != r->in.len) {
        reader_fail(r, "bytes left over");
    }
    return reader_status(r);
}
