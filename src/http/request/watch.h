/* How long each connection may take to bring a request, and whose it is. libmicrohttpd limits
 * silence only: a client that sends a byte now and then would keep its place for ever. A slot for
 * each connection holds its deadline; the hub shuts down the sockets of those who are late. When
 * nearly all slots are taken, each new connection costs the one whose deadline is next its place:
 * whoever fills the house with clients that dawdle only drives those out. Lock-free: the only thing
 * two threads may want at once is the socket's number, and whoever marks the slot first has it. */
#ifndef SLIPWAY_HTTP_REQUEST_WATCH_H
#define SLIPWAY_HTTP_REQUEST_WATCH_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stddef.h>

#include "slipway/util/error.h"
#include "slipway/util/time.h"

struct watch_slot {
    _Atomic int64_t deadline_us; /* WATCH_FREE, WATCH_BUSY, or monotonic time */
    int fd;
};

struct watch {
    size_t count;
    atomic_size_t hint; /* where a free one may be */
    atomic_size_t used;
    struct watch_slot *slots;
    char (*addresses)[INET6_ADDRSTRLEN]; /* by slot, apart from what the sweep reads */
};

int watch_init(struct watch *watch, size_t connections_max) SW_NODISCARD;
void watch_close(struct watch *watch);

/* NULL when there is no slot: the connection is then not watched. client may be NULL. */
struct watch_slot *watch_add(struct watch *watch, int fd, const struct sockaddr *client,
                             mono_time deadline);
/* The client's address as text, until the slot is removed; "" where it is not known. Accepts a NULL
 * slot. */
const char *watch_address(const struct watch *watch, const struct watch_slot *slot);
/* Before the socket is closed. Accepts a slot of NULL. */
void watch_remove(struct watch *watch, struct watch_slot *slot);
/* MONO_NEVER: no limit. Accepts NULL. */
void watch_set(struct watch_slot *slot, mono_time deadline);

/* Shuts down the sockets that are late; returns how many. */
unsigned watch_sweep(struct watch *watch, mono_time now);

#endif
