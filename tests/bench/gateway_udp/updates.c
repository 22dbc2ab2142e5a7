/* Simulated devices that connect and are updated, each with an address of its own. */
#include "gateway_udp/load.h"

#include "gateway_udp/server.h"

#include "sim/device.h"
#include "slipway/sys/clock.h"
#include "slipway/util/check.h"

#include <stdlib.h>

#define FLASH_BYTES 1572864
#define BOX_BYTES   65536
#define TICK_US     1000

struct member {
    struct sim_device device;
    struct crypto_key *key;
    bool is_done;
};

struct updates {
    struct member *members;
    uint32_t count;
    struct dtls_crypto *crypto;
    struct p256_point server_key;
    uint8_t box[BOX_BYTES];
};

static struct updates updates;

static void device_begin(uint32_t number) {
    updates.members[number].key = crypto_key_generate();
    struct sim_device_config config = {
        .key = updates.members[number].key,
        .pinned = &updates.server_key,
        .crypto = updates.crypto,
        .seed = number,
        .platform_id = SERVER_PLATFORM,
        .system_version = 6200,
        .firmware = {.product_id = SERVER_PLATFORM,
                     .product_version = 1,
                     .index = 2,
                     .module_version = 6},
        .binary_max = FLASH_BYTES,
        .flash = malloc(FLASH_BYTES),
        .flash_cap = FLASH_BYTES,
        .reboot_ms = 100,
        .erase_ms = 1,
    };
    SW_CHECK(config.key != NULL && config.flash != NULL);
    device_of(number, &config.id);
    sim_device_init(&updates.members[number].device, &config);
}

static void transmit(struct wire *wire, uint32_t device, struct outbox *box) {
    for (size_t n = 0; n < box->count; n++) {
        wire_send(wire, device, outbox_datagram(box, n));
    }
    outbox_clear(box);
}

static bool is_reached(const struct load_order *order, uint32_t device) {
    const struct sim_device *sim = &updates.members[device].device;
    return order->kind == LOAD_UPDATE ? (sim->news & SIM_NEWS_VERIFIED) != 0
                                      : sim->state == SIM_CONNECTED;
}

static void note(const struct load_order *order, uint32_t device, struct load_outcome *out) {
    if (!updates.members[device].is_done && is_reached(order, device)) {
        updates.members[device].is_done = true;
        out->done++;
    }
}

static void updates_begin(const struct load_order *order, struct wire *wire, struct outbox *box) {
    updates.members = calloc(order->devices, sizeof *updates.members);
    updates.crypto = dtls_crypto_new();
    updates.server_key = order->server_key;
    updates.count = order->devices;
    SW_CHECK(updates.members != NULL && updates.crypto != NULL);
    for (uint32_t n = 0; n < updates.count; n++) {
        device_begin(n);
        sim_device_boot(&updates.members[n].device, mono_now(), box);
        transmit(wire, n, box);
    }
}

/* All devices of an earlier server are gone with it. */
static void updates_end(void) {
    for (uint32_t n = 0; n < updates.count; n++) {
        struct sim_device *device = &updates.members[n].device;
        free(device->config.flash);
        sim_device_close(device);
        crypto_key_free(updates.members[n].key);
    }
    free(updates.members);
    dtls_crypto_free(updates.crypto);
    updates = (struct updates){.count = 0};
}

void run_updates(const struct load_order *order, struct load_outcome *out) {
    static struct wire *wire;
    static uint16_t port;
    struct wire_datagram batch[WIRE_BATCH];
    struct outbox box;
    outbox_init(&box, updates.box, sizeof updates.box);
    if (wire == NULL || port != order->port) {
        if (wire != NULL) {
            wire_close(wire);
            updates_end();
        }
        port = order->port;
        wire = wire_open(port);
        updates_begin(order, wire, &box);
    }
    int64_t begun = load_now_us(), looked = 0;
    for (uint32_t n = 0; n < updates.count; n++) {
        updates.members[n].device.news = 0;
        updates.members[n].is_done = false;
    }
    while (out->done < updates.count && load_now_us() - begun < order->limit_ms * INT64_C(1000)) {
        wire_flush(wire);
        size_t count = wire_receive(wire, batch, 1);
        mono_time now = mono_now();
        for (size_t n = 0; n < count; n++) {
            if (batch[n].device < updates.count) {
                sim_device_input(&updates.members[batch[n].device].device, batch[n].bytes, now,
                                 &box);
                transmit(wire, batch[n].device, &box);
                note(order, batch[n].device, out);
            }
        }
        if (now.us - looked < TICK_US) {
            continue;
        }
        looked = now.us;
        for (uint32_t n = 0; n < updates.count; n++) {
            if (mono_reached(now, sim_device_deadline(&updates.members[n].device))) {
                sim_device_tick(&updates.members[n].device, now, &box);
                transmit(wire, n, &box);
            }
            note(order, n, out);
        }
    }
    wire_flush(wire);
    out->took_us = load_now_us() - begun;
    out->failed = updates.count - out->done;
}
