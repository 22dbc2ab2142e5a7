/* The network between the fleet and the server: each datagram may be lost, damaged, sent twice or
 * overtaken by others. */
#include "world.h"

#include "slipway/util/check.h"

#include <stdlib.h>

#define SERVER_PORT 5684
#define PORT_FIRST  10000
#define MAPPINGS    16 /* ports that one socket may come to appear at */
#define PORTS       50000

static uint16_t port_of(uint32_t socket, uint32_t mapping) {
    return (uint16_t)(PORT_FIRST + (socket * MAPPINGS + mapping % MAPPINGS) % PORTS);
}

struct address world_address(unsigned device, uint32_t socket, uint32_t mapping) {
    struct address address = {.ip = {[10] = 0xff, [11] = 0xff, 10, 0, 0, (uint8_t)(device + 1)}};
    address.port = port_of(socket, mapping);
    return address;
}

static void carry(struct world *world, enum world_event_kind kind, unsigned device,
                  struct span datagram) {
    uint32_t socket = world->devices[device].sim.socket;
    uint32_t mapping = world->devices[device].mapping;
    const struct world_profile *profile = &world->profile;
    unsigned copies = world_chance(world, profile->duplicate_percent) ? 2 : 1;
    for (unsigned i = 0; i < copies; i++) {
        if (world_chance(world, profile->loss_percent)) {
            continue;
        }
        int64_t jitter_us =
            profile->jitter_us > 0 ? rng_between(&world->rng, 0, profile->jitter_us) : 0;
        mono_time due = mono_add_us(world->now, profile->latency_us + jitter_us);
        struct world_event *event = world_event_new(world, kind, due, datagram);
        event->device = device;
        event->socket = socket;
        event->mapping = mapping;
        if (event->len > 0 && world_chance(world, profile->corrupt_percent)) {
            event->bytes[rng_below(&world->rng, event->len)] ^=
                (uint8_t)(1 + rng_below(&world->rng, 255));
        }
        world_event_put(world, event);
    }
}

void world_from_device(struct world *world, unsigned device, const struct outbox *box) {
    for (size_t i = 0; i < box->count; i++) {
        struct span datagram = outbox_datagram(box, i);
        world_trace(world, "up", datagram.data, datagram.len);
        world->datagrams++;
        carry(world, EVENT_TO_SERVER, device, datagram);
    }
}

void world_from_server(struct world *world, const struct address *peer, const struct outbox *box) {
    unsigned device = (unsigned)peer->ip[15] - 1;
    SW_CHECK(device < world->everybody && peer->port != SERVER_PORT);
    for (size_t i = 0; i < box->count; i++) {
        struct span datagram = outbox_datagram(box, i);
        world_trace(world, "down", datagram.data, datagram.len);
        world->datagrams++;
        check_record(world, device, peer->port, datagram);
        const struct world_device *d = &world->devices[device];
        if (peer->port == port_of(d->sim.socket, d->mapping)) {
            carry(world, EVENT_TO_DEVICE, device, datagram);
        } /* else nobody is there any more */
    }
}
