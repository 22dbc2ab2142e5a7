#include "http/request/watch.h"

#include <arpa/inet.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { WATCH_FREE = 0, WATCH_BUSY = -1 };

int watch_init(struct watch *watch, size_t connections_max) {
    watch->slots = calloc(connections_max, sizeof *watch->slots);
    watch->addresses = calloc(connections_max, sizeof *watch->addresses);
    bool has_room = watch->slots != NULL && watch->addresses != NULL;
    watch->count = has_room ? connections_max : 0;
    return has_room ? SW_OK : SW_E_MEMORY;
}

void watch_close(struct watch *watch) {
    free(watch->slots);
    free(watch->addresses);
    *watch = (struct watch){0};
}

/* From now on, times are never 0. */
static int64_t deadline_of(mono_time deadline) {
    return deadline.us > 0 ? deadline.us : 1;
}

static void address_text(const struct sockaddr *client, char out[INET6_ADDRSTRLEN]) {
    out[0] = '\0';
    if (client != NULL) {
        const void *bytes =
            client->sa_family == AF_INET6
                ? (const void *)&((const struct sockaddr_in6 *)(const void *)client)->sin6_addr
                : (const void *)&((const struct sockaddr_in *)(const void *)client)->sin_addr;
        (void)inet_ntop(client->sa_family, bytes, out, INET6_ADDRSTRLEN);
    }
}

/* Shuts the socket of a slot with this deadline; false if it has another one by now. */
static bool slot_shut(struct watch_slot *slot, int64_t deadline_us) {
    if (!atomic_compare_exchange_strong(&slot->deadline_us, &deadline_us, WATCH_BUSY)) {
        return false;
    }
    (void)shutdown(slot->fd, SHUT_RDWR);
    atomic_store(&slot->deadline_us, MONO_NEVER.us);
    return true;
}

/* Whoever has a request served, or follows a stream, has no deadline and stays. */
static void watch_make_room(struct watch *watch) {
    struct watch_slot *next = NULL;
    int64_t next_us = MONO_NEVER.us;
    for (size_t i = 0; i < watch->count; i++) {
        struct watch_slot *slot = &watch->slots[i];
        int64_t deadline_us = atomic_load_explicit(&slot->deadline_us, memory_order_relaxed);
        if (deadline_us > 0 && deadline_us < next_us) {
            next = slot;
            next_us = deadline_us;
        }
    }
    if (next != NULL) {
        (void)slot_shut(next, next_us);
    }
}

struct watch_slot *watch_add(struct watch *watch, int fd, const struct sockaddr *client,
                             mono_time deadline) {
    if (atomic_load_explicit(&watch->used, memory_order_relaxed) >=
        watch->count - watch->count / 8) {
        watch_make_room(watch);
    }
    size_t start = atomic_fetch_add_explicit(&watch->hint, 1, memory_order_relaxed);
    for (size_t i = 0; i < watch->count; i++) {
        struct watch_slot *slot = &watch->slots[(start + i) % watch->count];
        int64_t expected = WATCH_FREE;
        if (atomic_load_explicit(&slot->deadline_us, memory_order_relaxed) == WATCH_FREE &&
            atomic_compare_exchange_strong(&slot->deadline_us, &expected, WATCH_BUSY)) {
            slot->fd = fd;
            address_text(client, watch->addresses[slot - watch->slots]);
            atomic_fetch_add_explicit(&watch->used, 1, memory_order_relaxed);
            atomic_store(&slot->deadline_us, deadline_of(deadline));
            return slot;
        }
    }
    return NULL;
}

const char *watch_address(const struct watch *watch, const struct watch_slot *slot) {
    return slot != NULL ? watch->addresses[slot - watch->slots] : "";
}

/* Waits while the sweep has it: the time of one shutdown(2). */
static void slot_store(struct watch_slot *slot, int64_t value) {
    int64_t seen = atomic_load(&slot->deadline_us);
    for (;;) {
        if (seen == WATCH_BUSY) {
            (void)sched_yield();
            seen = atomic_load(&slot->deadline_us);
        } else if (atomic_compare_exchange_weak(&slot->deadline_us, &seen, value)) {
            return;
        }
    }
}

void watch_remove(struct watch *watch, struct watch_slot *slot) {
    if (slot != NULL) {
        slot_store(slot, WATCH_FREE);
        atomic_fetch_sub_explicit(&watch->used, 1, memory_order_relaxed);
    }
}

void watch_set(struct watch_slot *slot, mono_time deadline) {
    if (slot != NULL) {
        slot_store(slot, deadline_of(deadline));
    }
}

unsigned watch_sweep(struct watch *watch, mono_time now) {
    unsigned late = 0;
    for (size_t i = 0; i < watch->count; i++) {
        struct watch_slot *slot = &watch->slots[i];
        int64_t deadline_us = atomic_load_explicit(&slot->deadline_us, memory_order_relaxed);
        if (deadline_us > 0 && deadline_us <= now.us && slot_shut(slot, deadline_us)) {
            late++;
        }
    }
    return late;
}
