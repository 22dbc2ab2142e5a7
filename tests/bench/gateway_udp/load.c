#include "gateway_udp/load.h"

#include "gateway_udp/server.h"

#include "slipway/sys/clock.h"
#include "slipway/util/check.h"
#include "slipway/util/rng.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ECHO_BYTES  100
#define LOST_MS     2000 /* without any answer: what is in flight is given up */
#define TIME_ANSWER 0x45 /* 2.05 */

static struct fleet fleets[LOAD_FLEETS];
static struct samples latencies;

int64_t load_now_us(void) {
    return mono_now().us;
}

/* --- requests --- */

/* GET /t: the server answers with the time, piggy-backed. */
void load_ask(struct dtls_crypto *crypto, struct fleet *fleet, uint32_t device) {
    struct handset *handset = &fleet->handsets[device];
    handset->id++;
    const uint8_t message[] = {
        0x41, 1,  (uint8_t)(handset->id >> 8), (uint8_t)handset->id, (uint8_t)handset->id,
        0xb1, 't'};
    struct writer w = writer_of(wire_begin(fleet->wire, device), WIRE_DATAGRAM);
    SW_CHECK(dtls_seal(crypto, &handset->dtls, DTLS_APPLICATION_DATA,
                       span_of(message, sizeof message), &w) == SW_OK);
    wire_commit(fleet->wire, w.at);
    handset->sent_us = load_now_us();
}

/* What the server asks of its own accord is acknowledged, as a device would. */
static void acknowledge(struct fleet *fleet, struct dtls_crypto *crypto, uint32_t device,
                        struct span request) {
    const uint8_t message[] = {0x60, 0, request.data[2], request.data[3]};
    struct writer w = writer_of(wire_begin(fleet->wire, device), WIRE_DATAGRAM);
    SW_CHECK(dtls_seal(crypto, &fleet->handsets[device].dtls, DTLS_APPLICATION_DATA,
                       span_of(message, sizeof message), &w) == SW_OK);
    wire_commit(fleet->wire, w.at);
}

bool load_answered(struct dtls_crypto *crypto, struct fleet *fleet,
                   const struct wire_datagram *datagram, struct samples *samples) {
    uint8_t plain[DTLS_RECORD_MAX];
    struct dtls_opened opened;
    if (datagram->device >= fleet->count) {
        return false;
    }
    struct handset *handset = &fleet->handsets[datagram->device];
    if (dtls_open(crypto, &handset->dtls, datagram->bytes, plain, sizeof plain, &opened) != SW_OK ||
        opened.content.len < 4) {
        return false;
    }
    if (plain[0] >> 4 == 4) {
        acknowledge(fleet, crypto, datagram->device, opened.content);
        return false;
    }
    bool is_ours = plain[1] == TIME_ANSWER && plain[2] == handset->id >> 8 &&
                   plain[3] == (uint8_t)handset->id && handset->sent_us != 0;
    if (!is_ours) {
        return false;
    }
    if (samples->count < LOAD_SAMPLES) {
        samples->us[samples->count++] = (uint32_t)(load_now_us() - handset->sent_us);
    }
    handset->sent_us = 0;
    handset->was_heard = true;
    return true;
}

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

void load_percentiles(struct samples *samples, struct load_outcome *out) {
    if (samples->count > 0) {
        qsort(samples->us, samples->count, sizeof samples->us[0], compare);
        out->p50_us = samples->us[samples->count / 2];
        out->p99_us = samples->us[(uint64_t)samples->count * 99 / 100];
    }
}

static void give_up(struct fleet *fleet, uint32_t *in_flight) {
    for (uint32_t n = 0; n < fleet->count; n++) {
        fleet->handsets[n].sent_us = 0;
    }
    *in_flight = 0;
}

/* A device that has nothing in flight: any, or in turn one that has had no answer yet. There is
 * one: fewer than all are in flight, or have had one. */
static uint32_t pick(const struct fleet *fleet, struct rng *rng, bool in_turn) {
    static uint32_t turn;
    const struct handset *handset;
    do {
        handset = &fleet->handsets[in_turn ? turn++ % fleet->count : rng_below(rng, fleet->count)];
    } while (handset->sent_us != 0 || (in_turn && handset->was_heard));
    return (uint32_t)(handset - fleet->handsets);
}

static void run_requests(const struct load_order *order, struct fleet *fleet,
                         struct load_outcome *out) {
    struct wire *wire = fleet->wire;
    struct dtls_crypto *crypto = dtls_crypto_new();
    struct wire_datagram batch[WIRE_BATCH];
    struct rng rng;
    uint32_t in_flight = 0;
    int64_t begun = load_now_us(), heard = begun;
    SW_CHECK(crypto != NULL);
    rng_seed(&rng, order->first + 1);
    latencies.count = 0;
    while (out->done < order->count && load_now_us() - begun < order->limit_ms * INT64_C(1000)) {
        for (; in_flight < order->in_flight && out->done + in_flight < order->count; in_flight++) {
            load_ask(crypto, fleet, pick(fleet, &rng, order->kind == LOAD_FIRST));
            out->offered++;
        }
        wire_flush(wire);
        size_t count = wire_receive(wire, batch, 20);
        for (size_t n = 0; n < count; n++) {
            if (load_answered(crypto, fleet, &batch[n], &latencies)) {
                heard = load_now_us();
                out->done++;
                in_flight--;
            }
        }
        if (load_now_us() - heard > LOST_MS * 1000) {
            out->failed += in_flight;
            give_up(fleet, &in_flight);
        }
    }
    out->took_us = load_now_us() - begun;
    out->failed += in_flight;
    give_up(fleet, &in_flight);
    load_percentiles(&latencies, out);
    dtls_crypto_free(crypto);
}

static struct fleet *fleet_of(const struct load_order *order) {
    struct fleet *fleet = &fleets[order->fleet];
    if (fleet->count < order->devices) {
        free(fleet->handsets);
        fleet->handsets = calloc(order->devices, sizeof *fleet->handsets);
        SW_CHECK(fleet->handsets != NULL);
        fleet->wire = wire_open(order->port);
        fleet->count = order->devices;
        for (uint32_t n = 0; n < fleet->count; n++) {
            device_session(n, false, &fleet->handsets[n].dtls);
        }
    }
    return fleet;
}

/* --- the peer without anything but UDP --- */

static void run_echo(const struct load_order *order, struct load_outcome *out) {
    static const uint8_t bytes[ECHO_BYTES];
    struct wire *wire = wire_open(order->port);
    struct wire_datagram batch[WIRE_BATCH];
    uint32_t in_flight = 0;
    int64_t begun = load_now_us(), heard = begun;
    while (out->done < order->count && load_now_us() - begun < order->limit_ms * INT64_C(1000)) {
        for (; in_flight < order->in_flight; in_flight++) {
            wire_send(wire, (uint32_t)(out->offered++ % order->devices),
                      span_of(bytes, sizeof bytes));
        }
        wire_flush(wire);
        size_t count = wire_receive(wire, batch, 20);
        out->done += count;
        in_flight -= count < in_flight ? (uint32_t)count : in_flight;
        heard = count > 0 ? load_now_us() : heard;
        if (load_now_us() - heard > LOST_MS * 1000) {
            in_flight = 0;
        }
    }
    out->took_us = load_now_us() - begun;
    wire_close(wire);
}

/* --- the process --- */

static void carry_out(const struct load_order *order, struct load_outcome *out) {
    switch (order->kind) {
    case LOAD_END:
        break;
    case LOAD_ECHO:
        run_echo(order, out);
        break;
    case LOAD_FIRST:
    case LOAD_REQUESTS:
        run_requests(order, fleet_of(order), out);
        break;
    case LOAD_HANDSHAKES:
        run_handshakes(order, out);
        break;
    case LOAD_STORM:
        run_storm(order, fleet_of(order), out);
        break;
    case LOAD_CONNECT:
    case LOAD_UPDATE:
        run_updates(order, out);
        break;
    }
}

static void load_main(int descriptor) {
    struct load_order order;
    while (recv(descriptor, &order, sizeof order, 0) == sizeof order && order.kind != LOAD_END) {
        struct load_outcome outcome = {0};
        carry_out(&order, &outcome);
        SW_CHECK(send(descriptor, &outcome, sizeof outcome, 0) == sizeof outcome);
    }
}

void load_start(struct load *load) {
    int ends[2];
    SW_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    load->process = fork();
    SW_CHECK(load->process >= 0);
    if (load->process == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(ends[0]);
        load_main(ends[1]);
        _exit(0);
    }
    (void)close(ends[1]);
    load->descriptor = ends[0];
}

void load_order(const struct load *load, const struct load_order *order) {
    SW_CHECK(send(load->descriptor, order, sizeof *order, 0) == sizeof *order);
}

void load_await(const struct load *load, struct load_outcome *out) {
    SW_CHECK(recv(load->descriptor, out, sizeof *out, 0) == sizeof *out);
}

void load_end(struct load *load) {
    const struct load_order order = {.kind = LOAD_END};
    load_order(load, &order);
    (void)waitpid(load->process, NULL, 0);
    (void)close(load->descriptor);
}
