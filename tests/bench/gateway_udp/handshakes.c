/* Handshakes by the client role of the same engine: so many at a time, or as a storm of new devices
 * at a fixed rate whatever the server answers. */
#include "gateway_udp/load.h"
#include "gateway_udp/server.h"
#include "gateway_udp/thrift.h"

#include "slipway/dtls/handshake.h"
#include "slipway/sys/clock.h"
#include "slipway/util/check.h"
#include "slipway/util/rng.h"

#include <stdlib.h>
#include <string.h>

#define BOX_BYTES 16384
#define SLOTS     16384U /* handshakes of a storm under way */
#define SLOT_NONE UINT32_MAX
#define TIMERS_US 20000
#define WORK_US   2000 /* before the others have their turn */
#define BURST     512U
/* Record header, handshake header, version: then the random. */
#define HELLO_RANDOM_AT (13 + 12 + 2)
#define RANDOM_BYTES    32

struct slot {
    struct dtls_handshake hs;
    uint32_t device;
    bool is_busy;
};

struct clients {
    const struct load_order *order;
    struct load_outcome *out;
    struct wire *wire;
    struct crypto_key *key; /* unless they are thrifty */
    struct dtls_endpoint *endpoint;
    struct slot *slots;
    uint32_t slot_count;
    uint32_t *slot_of; /* of new devices, by number */
    uint32_t busy, hint;
    char identity[DEVICE_ID_DIGITS + 1];
    uint8_t hello[512];
    size_t hello_len;
    struct outbox box;
    uint8_t bytes[BOX_BYTES];
};

static void clients_open(struct clients *c, const struct load_order *order,
                         struct load_outcome *out, uint32_t slots) {
    *c = (struct clients){.order = order, .out = out, .slot_count = slots};
    c->wire = wire_open(order->port);
    if (order->is_thrifty) {
        thrift_begin();
    } else {
        c->key = crypto_key_generate();
    }
    struct dtls_endpoint_config role = {.cid_form = DTLS_CID_DRAFT05};
    if (order->credential == LOAD_PSK) {
        struct device_id id;
        device_of(SERVER_PSK_DEVICE, &id);
        device_id_text(&id, c->identity);
        role.psk_identity = span_text(c->identity);
        role.cid_form = DTLS_CID_RFC9146;
        role.psk_key = span_text(SERVER_PSK);
        role.only_suite = 0xc0a8;
    } else {
        role.key = order->is_thrifty ? thrift_key() : c->key;
        role.pinned = &order->server_key;
    }
    c->endpoint = dtls_endpoint_new(&role);
    c->slots = calloc(slots, sizeof *c->slots);
    c->slot_of = malloc(order->count * sizeof *c->slot_of);
    SW_CHECK(c->endpoint != NULL && c->slots != NULL && c->slot_of != NULL);
    for (uint32_t n = 0; n < order->count; n++) {
        c->slot_of[n] = SLOT_NONE;
    }
    outbox_init(&c->box, c->bytes, sizeof c->bytes);
}

static void clients_close(struct clients *c) {
    for (uint32_t n = 0; n < c->slot_count; n++) {
        dtls_handshake_close(&c->slots[n].hs);
    }
    dtls_endpoint_free(c->endpoint);
    crypto_key_free(c->key);
    free(c->slots);
    free(c->slot_of);
    wire_close(c->wire);
}

static void entropy_of(uint32_t device, uint8_t entropy[DTLS_HANDSHAKE_ENTROPY]) {
    struct rng rng;
    rng_seed(&rng, device);
    rng_fill(&rng, entropy, DTLS_HANDSHAKE_ENTROPY);
}

/* The same device says the same ClientHello each time. */
static void connect_device(struct clients *c, struct dtls_handshake *hs, uint32_t device) {
    uint8_t entropy[DTLS_HANDSHAKE_ENTROPY];
    entropy_of(device, entropy);
    SW_CHECK(dtls_handshake_connect(hs, c->endpoint, entropy, mono_now(), &c->box) == SW_OK);
}

static void transmit(struct clients *c, uint32_t device) {
    for (size_t n = 0; n < c->box.count; n++) {
        wire_send(c->wire, device, outbox_datagram(&c->box, n));
    }
    outbox_clear(&c->box);
}

static struct slot *slot_take(struct clients *c, uint32_t device) {
    for (uint32_t n = 0; c->busy < c->slot_count && n < c->slot_count; n++) {
        struct slot *slot = &c->slots[c->hint++ % c->slot_count];
        if (!slot->is_busy) {
            slot->is_busy = true;
            c->busy++;
            slot->device = device;
            c->slot_of[device - c->order->first] = (uint32_t)(slot - c->slots);
            return slot;
        }
    }
    return NULL;
}

static void slot_give(struct clients *c, struct slot *slot) {
    c->slot_of[slot->device - c->order->first] = SLOT_NONE;
    dtls_handshake_close(&slot->hs);
    slot->is_busy = false;
    c->busy--;
}

static void slot_step(struct clients *c, struct slot *slot, const struct dtls_step *step) {
    transmit(c, slot->device);
    switch (step->event) {
    case DTLS_EVENT_ESTABLISHED:
        c->out->done++;
        slot_give(c, slot);
        break;
    case DTLS_EVENT_FAILED:
        c->out->failed++;
        slot_give(c, slot);
        break;
    case DTLS_EVENT_NONE:
    case DTLS_EVENT_NEED_PSK:
        break;
    }
}

static void slot_timers(struct clients *c) {
    for (uint32_t n = 0; n < c->slot_count; n++) {
        struct slot *slot = &c->slots[n];
        struct dtls_step step = {0};
        if (slot->is_busy && mono_reached(mono_now(), dtls_handshake_deadline(&slot->hs))) {
            dtls_handshake_timer(&slot->hs, c->endpoint, mono_now(), &c->box, &step);
            slot_step(c, slot, &step);
        }
    }
}

static bool is_new_device(const struct clients *c, uint32_t device) {
    return device >= c->order->first && device - c->order->first < c->order->count;
}

static void take(struct clients *c, const struct wire_datagram *datagram) {
    uint32_t at = is_new_device(c, datagram->device)
                      ? c->slot_of[datagram->device - c->order->first]
                      : SLOT_NONE;
    if (at != SLOT_NONE) {
        struct dtls_step step = {0};
        dtls_handshake_input(&c->slots[at].hs, c->endpoint, datagram->bytes, mono_now(), &c->box,
                             &step);
        slot_step(c, &c->slots[at], &step);
    }
}

void run_handshakes(const struct load_order *order, struct load_outcome *out) {
    static struct clients c;
    struct wire_datagram batch[WIRE_BATCH];
    uint32_t next = order->first;
    int64_t begun = load_now_us(), looked = begun;
    clients_open(&c, order, out, order->in_flight);
    while (out->done + out->failed < order->count &&
           load_now_us() - begun < order->limit_ms * INT64_C(1000)) {
        while (out->offered < order->count &&
               out->offered - out->done - out->failed < order->in_flight) {
            struct slot *slot = slot_take(&c, next++);
            SW_CHECK(slot != NULL);
            connect_device(&c, &slot->hs, slot->device);
            transmit(&c, slot->device);
            out->offered++;
        }
        wire_flush(c.wire);
        size_t count = wire_receive(c.wire, batch, TIMERS_US / 1000);
        for (size_t n = 0; n < count; n++) {
            take(&c, &batch[n]);
        }
        if (load_now_us() - looked > TIMERS_US) {
            looked = load_now_us();
            slot_timers(&c);
        }
    }
    wire_flush(c.wire);
    out->took_us = load_now_us() - begun;
    clients_close(&c);
}

/* --- a storm --- */

/* All ClientHellos are the same but for their random. Nothing is kept of a device until the server
 * answers it. */
static void begin(struct clients *c, uint32_t device) {
    uint8_t entropy[DTLS_HANDSHAKE_ENTROPY];
    entropy_of(device, entropy);
    if (c->hello_len == 0) {
        connect_device(c, &c->slots[0].hs, device);
        struct span hello = outbox_datagram(&c->box, 0);
        SW_CHECK(hello.len <= sizeof c->hello &&
                 memcmp(hello.data + HELLO_RANDOM_AT, entropy, RANDOM_BYTES) == 0);
        memcpy(c->hello, hello.data, hello.len);
        c->hello_len = hello.len;
        outbox_clear(&c->box);
        dtls_handshake_close(&c->slots[0].hs);
    }
    memcpy(c->hello + HELLO_RANDOM_AT, entropy, RANDOM_BYTES);
    wire_send(c->wire, device, span_of(c->hello, c->hello_len));
}

static void take_or_begin(struct clients *c, const struct wire_datagram *datagram) {
    if (is_new_device(c, datagram->device) &&
        c->slot_of[datagram->device - c->order->first] == SLOT_NONE) {
        struct slot *slot = slot_take(c, datagram->device);
        if (slot == NULL) {
            return;
        }
        connect_device(c, &slot->hs, slot->device);
        outbox_clear(&c->box); /* it went out long ago */
    }
    take(c, datagram);
}

/* What is due at `rate` a second, in small bursts. */
static uint64_t due_of(uint32_t rate, int64_t since_us, uint64_t done) {
    uint64_t due = (uint64_t)since_us * rate / 1000000;
    return due <= done ? 0 : due - done < BURST ? due - done : BURST;
}

void run_storm(const struct load_order *order, struct fleet *fleet, struct load_outcome *out) {
    static struct clients c;
    static struct samples latencies;
    struct dtls_crypto *crypto = dtls_crypto_new();
    struct wire_datagram batch[WIRE_BATCH];
    int64_t begun = load_now_us(), looked = begun;
    clients_open(&c, order, out, SLOTS);
    SW_CHECK(crypto != NULL);
    latencies.count = 0;
    for (int64_t since = 0; since < order->limit_ms * INT64_C(1000);
         since = load_now_us() - begun) {
        for (uint64_t n = due_of(order->rate, since, out->offered);
             n > 0 && out->offered < order->count; n--) {
            begin(&c, order->first + (uint32_t)out->offered++);
        }
        for (uint64_t n = due_of(order->ask_rate, since, out->asked); n > 0; n--, out->asked++) {
            uint32_t device = (uint32_t)(out->asked % fleet->count);
            load_ask(crypto, fleet, device);
        }
        wire_flush(c.wire);
        wire_flush(fleet->wire);
        size_t count = wire_receive(fleet->wire, batch, 0);
        for (size_t n = 0; n < count; n++) {
            out->answered += load_answered(crypto, fleet, &batch[n], &latencies) ? 1 : 0;
        }
        int64_t until = load_now_us() + WORK_US;
        do {
            count = wire_receive(c.wire, batch, 0);
            for (size_t n = 0; n < count; n++) {
                take_or_begin(&c, &batch[n]);
            }
        } while (count > 0 && load_now_us() < until);
        if (load_now_us() - looked > TIMERS_US) {
            looked = load_now_us();
            slot_timers(&c);
        }
    }
    out->took_us = load_now_us() - begun;
    load_percentiles(&latencies, out);
    for (uint32_t n = 0; n < fleet->count; n++) {
        fleet->handsets[n].sent_us = 0;
    }
    dtls_crypto_free(crypto);
    clients_close(&c);
}
