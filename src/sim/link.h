/* A bad network between the fleet and the server: datagrams are lost and late by chance. */
#ifndef SLIPWAY_SIM_LINK_H
#define SLIPWAY_SIM_LINK_H

#include "slipway/util/rng.h"
#include "slipway/util/span.h"
#include "slipway/util/time.h"

struct link_item;

struct link {
    struct rng rng;
    uint32_t loss_percent;
    uint32_t latency_ms, jitter_ms;
    struct link_item **heap; /* earliest first */
    size_t count, cap;
};

struct link_item {
    mono_time due;
    uint64_t order; /* of equal times */
    uint32_t member;
    uint32_t socket; /* of the device when it was sent or came in */
    bool is_incoming;
    uint32_t len;
    uint8_t bytes[];
};

void link_close(struct link *link);
/* Whether datagrams pass without delay, and need not be put in. */
bool link_is_direct(const struct link *link);
/* True if this one is lost. */
bool link_loses(struct link *link);
/* Keeps a copy until it is due; lost when memory is out. */
void link_put(struct link *link, struct span datagram, uint32_t member, uint32_t socket,
              bool is_incoming, mono_time now);
mono_time link_deadline(const struct link *link);
/* The next one that is due, to be freed by the caller; NULL if none is. */
struct link_item *link_take(struct link *link, mono_time now);

#endif
