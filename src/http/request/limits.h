/* How often each client address has asked in the present window. Lock-free and of fixed size:
 * addresses that share a slot share the allowance, which errs on the safe side. Any thread. */
#ifndef SLIPWAY_HTTP_REQUEST_LIMITS_H
#define SLIPWAY_HTTP_REQUEST_LIMITS_H

#include <stdatomic.h>

#include "slipway/util/error.h"
#include "slipway/util/span.h"
#include "slipway/util/time.h"

#define LIMITS_SLOTS       16384 /* a power of two */
#define LIMITS_WINDOW_MS   300000
#define LIMITS_PLACE_BYTES 56 /* of an address as text, NUL included */

struct limits {
    uint64_t seed;
    uint32_t allowed;        /* per window; 0 = no limit */
    _Atomic uint64_t *slots; /* window number << 32 | count */
};

int limits_init(struct limits *limits, uint32_t allowed, uint64_t seed) SW_NODISCARD;
void limits_close(struct limits *limits);
/* Counts one. Returns 0 when it may pass, else the seconds after which it is worth a new try. */
unsigned limits_take(struct limits *limits, const char *address, mono_time now);
/* By what a client is counted: its address, or the network in which whoever has one IPv6 address
 * has them all. "?" for none. */
void limits_place(const char *address, char out[LIMITS_PLACE_BYTES]);

#endif
