/* A storm of new devices, in virtual time: the device door's core is given ten times the handshakes
 * that it can complete, and the clock goes on by the CPU time that it takes for them and by what
 * the kernel would take for each datagram. So the server is one busy processor, whatever else this
 * machine does, and every device has a processor of its own.
 *
 *   bench_gateway_storm [TIMES]     10 times the capacity, unless given */
#include "gateway/jobs.h"

#include "slipway/dtls/handshake.h"
#include "slipway/gateway/core.h"
#include "slipway/sys/entropy.h"
#include "slipway/util/check.h"
#include "slipway/util/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RECEIVE_NS  1200 /* of the kernel, for each datagram */
#define SEND_NS     3000
#define SOCKET_MAX  5000 /* datagrams that wait in 4 MiB of socket buffer */
#define BATCH       256  /* as the loop takes them */
#define BATCHES_MAX 16
#define WAY_US      50000 /* from a device to the server or back */
#define STORM_US    3000000
#define CAPACITY    2000 /* handshakes to measure it by */
#define ESTABLISHED 500
#define ASKS_S      1000
#define DEVICES_MAX 400000

/* A datagram on its way. */
struct flight {
    struct flight *next;
    int64_t at_us;
    uint32_t device;
    uint16_t len;
    uint8_t bytes[];
};

struct way { /* all take equally long, so they arrive in the order in which they left */
    struct flight *first, *last;
    size_t count;
};

struct member {
    struct dtls_handshake *hs; /* while one is under way */
    struct dtls_session session;
    int64_t asked_us; /* 0 = nothing asked */
    uint16_t message_id;
    bool is_established;
};

static struct {
    struct gateway *gw;
    struct dtls_endpoint *client;
    int64_t now_ns, busy_ns;
    struct way up, socket, down;
    struct member *devices;
    uint32_t count; /* that have begun */
    uint64_t done, lost, asked, answered;
    uint32_t latency_us[1 << 16], latencies;
    struct store_job *jobs[8192];
    size_t job_count;
} world;

static mono_time now(void) {
    return (mono_time){.us = world.now_ns / 1000};
}

static wall_time wall(void) {
    return (wall_time){.ms = 1700000000000 + world.now_ns / 1000000};
}

static int64_t cpu_ns(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void way_put(struct way *way, uint32_t device, struct span bytes, int64_t at_us) {
    struct flight *flight = malloc(sizeof *flight + bytes.len);
    SW_CHECK(flight != NULL);
    *flight = (struct flight){.at_us = at_us, .device = device, .len = (uint16_t)bytes.len};
    memcpy(flight->bytes, bytes.data, bytes.len);
    *(way->first == NULL ? &way->first : &way->last->next) = flight;
    way->last = flight;
    way->count++;
}

static struct flight *way_take(struct way *way, int64_t now_us) {
    struct flight *flight = way->first;
    if (flight == NULL || flight->at_us > now_us) {
        return NULL;
    }
    way->first = flight->next;
    way->count--;
    return flight;
}

/* --- the server's surroundings --- */

static struct address address_of(uint32_t device) {
    return (struct address){.ip = {[10] = 0xff,
                                   [11] = 0xff,
                                   [12] = 10,
                                   [13] = (uint8_t)(device >> 16),
                                   [14] = (uint8_t)(device >> 8),
                                   [15] = (uint8_t)device},
                            .port = 5684};
}

static uint32_t device_at(const struct address *address) {
    return (uint32_t)address->ip[13] << 16 | (uint32_t)address->ip[14] << 8 | address->ip[15];
}

static void port_send(void *ctx, gateway_path path, const struct address *peer,
                      const struct outbox *box) {
    (void)ctx;
    (void)path;
    for (size_t n = 0; n < box->count; n++) {
        world.now_ns += SEND_NS;
        world.busy_ns += SEND_NS;
        way_put(&world.down, device_at(peer), outbox_datagram(box, n), now().us + WAY_US);
    }
}

static int port_submit(void *ctx, struct store_job *base) {
    struct gateway_job *job = (struct gateway_job *)base;
    (void)ctx;
    SW_CHECK(world.job_count < SW_COUNT(world.jobs));
    job->plan.verdict = APP_VERDICT_KNOWN;
    job->plan.product_id = 101;
    world.jobs[world.job_count++] = base;
    return SW_OK;
}

static void port_entropy(void *ctx, void *out, size_t len) {
    (void)ctx;
    sys_entropy(out, len);
}

static void port_reply(void *ctx, const struct gateway_reply *reply) {
    (void)ctx;
    (void)reply;
}

/* What arrives while the server is busy waits in its socket, as far as there is room. */
static void arrive(void) {
    for (struct flight *flight; (flight = way_take(&world.up, now().us)) != NULL;) {
        if (world.socket.count < SOCKET_MAX) {
            way_put(&world.socket, flight->device, span_of(flight->bytes, flight->len), 0);
        } else {
            world.lost++;
        }
        free(flight);
    }
}

/* The clock goes on with what the server does. */
static void spend(int64_t since_ns) {
    int64_t took_ns = cpu_ns() - since_ns;
    world.now_ns += took_ns;
    world.busy_ns += took_ns;
}

static size_t receive(struct gateway_arrival *batch, struct flight **flights) {
    size_t count = 0;
    arrive();
    while (count < BATCH && (flights[count] = way_take(&world.socket, 0)) != NULL) {
        struct flight *flight = flights[count];
        batch[count++] = (struct gateway_arrival){.from = address_of(flight->device),
                                                  .bytes = span_of(flight->bytes, flight->len)};
        world.now_ns += RECEIVE_NS;
        world.busy_ns += RECEIVE_NS;
    }
    return count;
}

/* One turn of the loop: see src/gateway/loop/loop.c. */
static void serve(void) {
    struct gateway_arrival batch[BATCH];
    struct flight *flights[BATCH];
    size_t count = BATCH;
    for (unsigned round = 0; round < BATCHES_MAX && count == BATCH; round++) {
        count = receive(batch, flights);
        int64_t since = cpu_ns();
        gateway_arrivals(world.gw, batch, count, now(), wall());
        spend(since);
        for (size_t n = 0; n < count; n++) {
            free(flights[n]);
        }
    }
    int64_t since = cpu_ns();
    gateway_tick(world.gw, now(), wall());
    spend(since);
    while (world.job_count > 0) {
        since = cpu_ns();
        gateway_job_done(world.gw, world.jobs[--world.job_count], SW_OK, now(), wall());
        spend(since);
    }
}

/* --- devices --- */

static void entropy_of(uint32_t device, uint8_t entropy[DTLS_HANDSHAKE_ENTROPY]) {
    struct rng rng;
    rng_seed(&rng, device);
    rng_fill(&rng, entropy, DTLS_HANDSHAKE_ENTROPY);
}

static void transmit(uint32_t device, const struct outbox *box) {
    for (size_t n = 0; n < box->count; n++) {
        way_put(&world.up, device, outbox_datagram(box, n), now().us + WAY_US);
    }
}

/* Its ClientHello is made twice: nothing is kept of it until the server answers. */
static void connect(uint32_t number, bool is_again) {
    static struct dtls_handshake scratch;
    uint8_t entropy[DTLS_HANDSHAKE_ENTROPY], bytes[4096];
    struct outbox box;
    struct member *device = &world.devices[number];
    outbox_init(&box, bytes, sizeof bytes);
    entropy_of(number, entropy);
    if (is_again) {
        device->hs = calloc(1, sizeof *device->hs);
        SW_CHECK(device->hs != NULL);
    }
    SW_CHECK(dtls_handshake_connect(is_again ? device->hs : &scratch, world.client, entropy, now(),
                                    &box) == SW_OK);
    if (!is_again) {
        transmit(number, &box);
        dtls_handshake_close(&scratch);
    }
}

static void device_begin(void) {
    SW_CHECK(world.count < DEVICES_MAX);
    connect(world.count++, false);
}

static void device_end(struct member *device) {
    dtls_handshake_close(device->hs);
    free(device->hs);
    device->hs = NULL;
}

static void device_step(uint32_t number, const struct dtls_step *step, const struct outbox *box) {
    struct member *device = &world.devices[number];
    transmit(number, box);
    if (step->event == DTLS_EVENT_ESTABLISHED) {
        device->is_established = true;
        dtls_handshake_session(device->hs, &device->session);
        world.done++;
    }
    if (step->event == DTLS_EVENT_ESTABLISHED || step->event == DTLS_EVENT_FAILED) {
        device_end(device);
    }
}

static void device_hears(uint32_t number, struct span bytes) {
    struct member *device = &world.devices[number];
    uint8_t room[16384];
    struct outbox box;
    if (device->is_established) {
        if (device->asked_us != 0) {
            world.answered++;
            if (world.latencies < SW_COUNT(world.latency_us)) {
                world.latency_us[world.latencies++] = (uint32_t)(now().us - device->asked_us);
            }
            device->asked_us = 0;
        }
        return;
    }
    if (device->hs == NULL) {
        connect(number, true);
    }
    struct dtls_step step = {0};
    outbox_init(&box, room, sizeof room);
    dtls_handshake_input(device->hs, world.client, bytes, now(), &box, &step);
    device_step(number, &step, &box);
}

static void device_timers(void) {
    uint8_t room[16384];
    struct outbox box;
    for (uint32_t n = 0; n < world.count; n++) {
        struct member *device = &world.devices[n];
        if (device->hs != NULL && mono_reached(now(), dtls_handshake_deadline(device->hs))) {
            struct dtls_step step = {0};
            outbox_init(&box, room, sizeof room);
            dtls_handshake_timer(device->hs, world.client, now(), &box, &step);
            device_step(n, &step, &box);
        }
    }
}

/* An established device pings. */
static void device_asks(uint32_t number) {
    struct member *device = &world.devices[number];
    uint8_t record[128];
    struct writer w = writer_of(record, sizeof record);
    device->message_id++;
    const uint8_t ping[4] = {0x40, 0, (uint8_t)(device->message_id >> 8),
                             (uint8_t)device->message_id};
    SW_CHECK(dtls_seal(dtls_endpoint_crypto(world.client), &device->session, DTLS_APPLICATION_DATA,
                       span_of(ping, sizeof ping), &w) == SW_OK);
    way_put(&world.up, number, writer_span(&w), now().us + WAY_US);
    device->asked_us = now().us;
    world.asked++;
}

/* --- time --- */

static void hear(void) {
    for (struct flight *flight; (flight = way_take(&world.down, now().us)) != NULL;) {
        device_hears(flight->device, span_of(flight->bytes, flight->len));
        free(flight);
    }
}

/* With so many new devices and requests a second, for so long. */
static void run(double devices_s, double asks_s, int64_t for_us) {
    int64_t begun = now().us, timers = begun;
    uint64_t devices = 0, asks = 0;
    uint32_t next = 0;
    while (now().us - begun < for_us) {
        double since_s = (double)(now().us - begun) / 1e6;
        for (uint64_t due = (uint64_t)(since_s * devices_s); devices < due; devices++) {
            device_begin();
        }
        for (uint64_t due = (uint64_t)(since_s * asks_s); asks < due; asks++) {
            device_asks(next++ % ESTABLISHED);
        }
        hear();
        arrive();
        if (now().us - timers > 20000) {
            timers = now().us;
            device_timers();
        }
        if (world.socket.count > 0 || mono_reached(now(), gateway_deadline(world.gw))) {
            serve();
        } else {
            world.now_ns += 20000; /* idle */
        }
    }
}

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double beyond_ms(uint32_t percent) {
    uint32_t at = (uint32_t)((uint64_t)world.latencies * percent / 100);
    return ((double)world.latency_us[at] - 2.0 * WAY_US) / 1e3;
}

int main(int argc, char **argv) {
    double times = argc > 1 ? strtod(argv[1], NULL) : 10;
    struct crypto_key *server = crypto_key_generate(), *key = crypto_key_generate();
    const struct gateway_ports ports = {.send = port_send,
                                        .submit = port_submit,
                                        .submit_read = port_submit,
                                        .entropy = port_entropy,
                                        .reply = port_reply};
    const struct gateway_config config = {.key = server};
    world.now_ns = 1000000000;
    world.gw = gateway_new(&config, &ports, now(), wall());
    world.devices = calloc(DEVICES_MAX, sizeof *world.devices);
    const struct dtls_endpoint_config role = {
        .key = key, .pinned = crypto_key_point(server), .cid_form = DTLS_CID_DRAFT05};
    world.client = dtls_endpoint_new(&role);
    SW_CHECK(world.gw != NULL && world.devices != NULL && world.client != NULL);
    gateway_start(world.gw, now(), wall());
    serve();

    /* The peak: as much as is offered without a queue, for each second of its processor. */
    run(1000, 0, CAPACITY * INT64_C(1000));
    run(0, 0, 1000000);
    double peak = (double)world.done * 1e9 / (double)world.busy_ns;
    printf("peak: %.0f handshakes for each second of the server's processor (%llu of %u done)\n",
           peak, (unsigned long long)world.done, world.count);
    SW_CHECK(world.done >= ESTABLISHED);

    run(times * peak, ASKS_S, 500000); /* until the storm is there */
    world.busy_ns = 0;
    world.done = world.lost = world.asked = world.answered = 0;
    world.latencies = 0;
    uint32_t before = world.count;
    const struct gateway_counters *counters = gateway_counters(world.gw), from = *counters;
    run(times * peak, ASKS_S, STORM_US);
    double seconds = STORM_US / 1e6, rate = (double)world.done / seconds;
    printf("storm: %.0f new devices a second: %.0f handshakes a second, share of the peak %.2f "
           "(goal >= 0.9); busy %.0f %%, %llu datagrams lost in the socket\n",
           (world.count - before) / seconds, rate, rate / peak,
           (double)world.busy_ns / (STORM_US * 10.0), (unsigned long long)world.lost);
    printf(
        "  %llu cookies sent, %llu handshakes begun, %llu done, %llu evicted; shed: %llu datagrams "
        "in the lobby, %llu for want of room\n",
        (unsigned long long)(counters->hellos_cookie - from.hellos_cookie),
        (unsigned long long)(counters->handshakes_started - from.handshakes_started),
        (unsigned long long)(counters->handshakes_done - from.handshakes_done),
        (unsigned long long)(counters->handshakes_evicted - from.handshakes_evicted),
        (unsigned long long)(counters->handshakes_shed - from.handshakes_shed),
        (unsigned long long)(counters->dropped_busy - from.dropped_busy));
    qsort(world.latency_us, world.latencies, sizeof world.latency_us[0], compare);
    printf("established devices: %llu of %llu pings answered; beyond the %d ms of the way p50 %.1f "
           "ms, p99 %.1f ms\n",
           (unsigned long long)world.answered, (unsigned long long)world.asked, 2 * WAY_US / 1000,
           beyond_ms(50), beyond_ms(99));
    return 0;
}
