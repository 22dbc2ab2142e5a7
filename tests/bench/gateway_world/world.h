/* The device door's core over the real store in memory, in virtual time: what several programs here
 * share. Nothing is sent anywhere: `sent` gets it. */
#ifndef BENCH_GATEWAY_WORLD_H
#define BENCH_GATEWAY_WORLD_H

#include "slipway/app/device.h"
#include "slipway/gateway/core.h"
#include "slipway/util/outbox.h"
#include "slipway/util/rng.h"

#define WORLD_PLATFORM 12
#define WORLD_PRODUCT  101
#define WORLD_JOBS     65536

struct world {
    struct app *app;
    struct gateway *gw;
    struct crypto_key *key;
    struct rng rng;
    mono_time now;
    uint8_t seal_key[SEAL_KEY_BYTES];
    int64_t core_ns, store_ns; /* CPU time spent in each; the caller may clear them */
    /* Called in the core's time: keeps a copy, no more. */
    void (*sent)(void *ctx, const struct address *peer, struct span datagram);
    void *ctx;
    struct world_job {
        struct store_job *job;
        int code;
    } * finished;
    size_t finished_count;
};

/* The store with one product; no gateway yet. */
void world_open(struct world *world, uint64_t seed);
void world_execute(struct world *world, app_run_fn *run, void *arg);
/* Makes a firmware of that many bytes the product's default. */
void world_release(struct world *world, uint16_t version, size_t bytes, bool is_immediate);
/* A gateway with that configuration, keys apart, until it is ready. */
void world_start(struct world *world, struct gateway_config *config);
void world_close(struct world *world);

wall_time world_wall(const struct world *world);
int64_t world_cpu_ns(void);
/* One batch of datagrams is given between these two; `end` ticks the gateway. */
int64_t world_begin(void);
void world_end(struct world *world, int64_t begun);
/* Runs what the store was given, and what follows from it; returns whether there was anything. */
bool world_store(struct world *world);

#endif
