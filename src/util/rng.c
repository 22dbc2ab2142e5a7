#include "slipway/util/rng.h"

#include "slipway/util/check.h"

#include <string.h>

void rng_seed(struct rng *rng, uint64_t seed) {
    /* splitmix64 spreads any seed, also 0, over the whole state. */
    for (int i = 0; i < 4; i++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        rng->s[i] = z ^ (z >> 31);
    }
}

static uint64_t rotate(uint64_t x, int k) {
    return (x << k) | (x >> (64 - k));
}

uint64_t rng_next(struct rng *rng) {
    uint64_t *s = rng->s;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *rng, uint64_t bound) {
    SW_CHECK(bound > 0);
    uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    uint64_t value;
    do {
        value = rng_next(rng);
    } while (value >= limit);
    return value % bound;
}

int64_t rng_between(struct rng *rng, int64_t low, int64_t high) {
    SW_CHECK(low <= high);
    return low + (int64_t)rng_below(rng, (uint64_t)(high - low) + 1);
}

void rng_fill(struct rng *rng, void *out, size_t len) {
    uint8_t *bytes = out;
    while (len > 0) {
        uint64_t value = rng_next(rng);
        size_t part = len < sizeof value ? len : sizeof value;
        memcpy(bytes, &value, part);
        bytes += part;
        len -= part;
    }
}
