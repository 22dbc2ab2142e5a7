/* Ranges of addresses: where webhooks may not go, and the exceptions. */
#ifndef SLIPWAY_HOOK_RANGE_H
#define SLIPWAY_HOOK_RANGE_H

#include "slipway/util/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define RANGES_MAX 32

struct ranges {
    size_t count;
    struct {
        uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
        unsigned bits;
    } items[RANGES_MAX];
};

/* "10.0.0.0/8, fe80::/10, 192.0.2.7"; empty or NULL = none. SW_E_INPUT, SW_E_FULL: the fault names
 * what is wrong. */
int ranges_parse(const char *text, struct ranges *out, struct fault *fault) SW_NODISCARD;
/* An IPv4 address that is written as an IPv6 one counts as what it is. */
bool ranges_have(const struct ranges *ranges, const struct sockaddr *address);

#endif
