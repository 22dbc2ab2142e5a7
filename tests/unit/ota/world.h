/* A sender, a link with faults and a receiver, driven by one seed. */
#ifndef TESTS_OTA_WORLD_H
#define TESTS_OTA_WORLD_H

#include "receiver.h"
#include "slipway/ota/ota.h"
#include "slipway/util/rng.h"

struct link {
    unsigned loss, duplicate; /* per cent */
    int64_t delay_us, jitter_us;
    uint32_t rate_bytes_s; /* of the bottleneck; 0 = none */
};

struct world {
    struct ota ota;
    struct receiver device;
    struct rng rng;
    struct link up, down; /* to the device, from the device */
    mono_time now, free_at;
    size_t count;
    struct packet {
        mono_time at;
        bool is_ack;
        uint32_t index, from, len;
        struct receiver_ack ack;
    } packets[1024];
    bool lose_last_acks; /* every acknowledgement of the complete file, three times */
    unsigned lost_last;
    uint32_t flight_max;
};

void world_init(struct world *w, uint64_t seed, const struct ota_params *params, uint32_t offset,
                uint32_t window, const struct link *link);
/* Runs until the transfer ended or UpdateFinish was due; checks the sender's state at every step.
 */
void world_run(struct world *w);

#endif
