/* A UDP endpoint as plain bytes, so that pure code can compare and hash it without sockets. */
#ifndef SLIPWAY_UTIL_ADDRESS_H
#define SLIPWAY_UTIL_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct address {
    uint8_t ip[16]; /* IPv6, or IPv4 as ::ffff:a.b.c.d */
    uint16_t port;  /* host order */
};

static inline bool address_equal(const struct address *a, const struct address *b) {
    return a->port == b->port && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

static inline bool address_is_v4(const struct address *address) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(address->ip, mapped, sizeof mapped) == 0;
}

#endif
