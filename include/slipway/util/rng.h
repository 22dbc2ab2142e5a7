/* A seeded generator for jitter and for simulations: xoshiro256**. Never for secrets. */
#ifndef SLIPWAY_UTIL_RNG_H
#define SLIPWAY_UTIL_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rng_seed(struct rng *rng, uint64_t seed);
uint64_t rng_next(struct rng *rng);
/* Uniform in 0..bound-1; bound > 0. */
uint64_t rng_below(struct rng *rng, uint64_t bound);
/* Uniform in low..high, both included. */
int64_t rng_between(struct rng *rng, int64_t low, int64_t high);
void rng_fill(struct rng *rng, void *out, size_t len);

#endif
