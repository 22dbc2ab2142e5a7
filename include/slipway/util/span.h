/* Borrowed bytes. A span owns nothing; it is not kept past the call that it was given to unless
 * the receiving function says until when. */
#ifndef SLIPWAY_UTIL_SPAN_H
#define SLIPWAY_UTIL_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *data; /* may be NULL when len is 0 */
    size_t len;          /* bytes */
};

static inline struct span span_of(const void *data, size_t len) {
    return (struct span){.data = (const uint8_t *)data, .len = len};
}

static inline struct span span_text(const char *text) {
    return span_of(text, strlen(text));
}

/* Not constant-time: never for secrets (see crypto_equal). */
static inline bool span_equal(struct span a, struct span b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool span_is_text(struct span a, const char *text) {
    return span_equal(a, span_text(text));
}

static inline bool span_begins(struct span a, const char *text) {
    size_t len = strlen(text);
    return a.len >= len && span_equal(span_of(a.data, len), span_text(text));
}

#endif
