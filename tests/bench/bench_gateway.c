/* The device door's core without sockets and without a disk: what a handshake, a keep-alive and an
 * idle session cost the server, and whether many sessions make it slower. Jobs are answered at once
 * as a store that knows every device would. Only the server's side is timed.
 *
 *   bench_gateway [SESSIONS]     100,000 unless given; the clients' own handshakes take longest */
#include "gateway/jobs.h"

#include "slipway/dtls/handshake.h"
#include "slipway/gateway/core.h"
#include "slipway/sys/clock.h"
#include "slipway/sys/entropy.h"
#include "slipway/util/check.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DONE_MAX  4096
#define PINGS     409600
#define BATCH     64
#define PERIOD_US 25000000

struct bench {
    struct gateway *gw;
    mono_time now; /* virtual */
    int64_t spent_ns;
    struct store_job *done[DONE_MAX];
    size_t done_count;
    uint8_t sent[8][2048]; /* datagrams of the last call */
    size_t sent_len[8], sent_count;
};

static int64_t cpu_ns(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static wall_time wall_of(const struct bench *bench) {
    return (wall_time){.ms = 1700000000000 + bench->now.us / 1000};
}

static void port_send(void *ctx, gateway_path path, const struct address *peer,
                      const struct outbox *box) {
    struct bench *bench = ctx;
    (void)path;
    (void)peer;
    for (size_t n = 0; n < box->count && bench->sent_count < 8; n++) {
        struct span bytes = outbox_datagram(box, n);
        memcpy(bench->sent[bench->sent_count], bytes.data, bytes.len);
        bench->sent_len[bench->sent_count++] = bytes.len;
    }
}

static int port_submit(void *ctx, struct store_job *base) {
    struct bench *bench = ctx;
    struct gateway_job *job = (struct gateway_job *)base;
    SW_CHECK(bench->done_count < DONE_MAX);
    job->plan.verdict = APP_VERDICT_KNOWN;
    job->plan.product_id = 101;
    bench->done[bench->done_count++] = base;
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

static void bench_jobs(struct bench *bench) {
    while (bench->done_count > 0) {
        struct store_job *done[DONE_MAX];
        size_t count = bench->done_count;
        memcpy(done, bench->done, count * sizeof done[0]);
        bench->done_count = 0;
        for (size_t n = 0; n < count; n++) {
            gateway_job_done(bench->gw, done[n], SW_OK, bench->now, wall_of(bench));
        }
        gateway_tick(bench->gw, bench->now, wall_of(bench));
    }
}

static void give(struct bench *bench, const struct address *from, struct span bytes) {
    int64_t start = cpu_ns();
    gateway_datagram(bench->gw, 0, from, bytes, bench->now, wall_of(bench));
    gateway_tick(bench->gw, bench->now, wall_of(bench));
    bench_jobs(bench);
    bench->spent_ns += cpu_ns() - start;
}

struct handset {
    struct dtls_session session;
    uint16_t message_id;
};

static struct address address_of(uint32_t n) {
    return (struct address){.ip = {[10] = 0xff,
                                   [11] = 0xff,
                                   [12] = 10,
                                   [13] = (uint8_t)(n >> 16),
                                   [14] = (uint8_t)(n >> 8),
                                   [15] = (uint8_t)n},
                            .port = 5684};
}

/* One handshake to its end, the client's side untimed. */
static void connect_one(struct bench *bench, struct dtls_endpoint *endpoint, uint32_t number,
                        struct handset *out) {
    static struct dtls_handshake hs;
    static uint8_t data[16384];
    uint8_t entropy[DTLS_HANDSHAKE_ENTROPY];
    struct outbox box;
    struct address address = address_of(number);
    bool established = false;
    sys_entropy(entropy, sizeof entropy);
    outbox_init(&box, data, sizeof data);
    int status = dtls_handshake_connect(&hs, endpoint, entropy, bench->now, &box);
    SW_CHECK(status == SW_OK);
    while (!established) {
        struct outbox flight = box;
        uint8_t copy[8192];
        SW_CHECK(flight.used <= sizeof copy && flight.count > 0);
        memcpy(copy, data, flight.used);
        flight.data = copy;
        outbox_clear(&box);
        bench->sent_count = 0;
        for (size_t n = 0; n < flight.count; n++) {
            give(bench, &address, outbox_datagram(&flight, n));
        }
        for (size_t n = 0; n < bench->sent_count; n++) {
            struct dtls_step step = {0};
            dtls_handshake_input(&hs, endpoint, span_of(bench->sent[n], bench->sent_len[n]),
                                 bench->now, &box, &step);
            SW_CHECK(step.event != DTLS_EVENT_FAILED);
            established = established || step.event == DTLS_EVENT_ESTABLISHED;
        }
    }
    dtls_handshake_session(&hs, &out->session);
    dtls_handshake_close(&hs);
}

static void say(struct bench *bench, struct dtls_endpoint *endpoint, uint32_t number,
                struct handset *device, struct span message) {
    uint8_t record[256];
    struct writer w = writer_of(record, sizeof record);
    struct address address = address_of(number);
    int status = dtls_seal(dtls_endpoint_crypto(endpoint), &device->session, DTLS_APPLICATION_DATA,
                           message, &w);
    SW_CHECK(status == SW_OK);
    give(bench, &address, writer_span(&w));
}

static void hello(struct bench *bench, struct dtls_endpoint *endpoint, uint32_t number,
                  struct handset *device) {
    uint8_t message[39] = {0x40, 2, 0,    1, 0xb1, 0x68, 0xff,           0, 13, 0xff,
                           0xff, 0, 0xf6, 0, 13,   0,    DEVICE_ID_BYTES};
    message[26] = (uint8_t)(number >> 16);
    message[27] = (uint8_t)(number >> 8);
    message[28] = (uint8_t)number;
    message[29] = 0x18;
    message[30] = 0x38;
    say(bench, endpoint, number, device, span_of(message, sizeof message));
}

/* Keep-alives of devices in random order, in batches as the socket gives them; replies a second of
 * server CPU. */
static double ping(struct bench *bench, struct dtls_endpoint *endpoint, struct handset *devices,
                   uint32_t count) {
    static uint8_t records[BATCH][128];
    struct gateway_arrival batch[BATCH];
    uint64_t random = 88172645463325252ULL;
    bench->spent_ns = 0;
    uint64_t before = gateway_counters(bench->gw)->datagrams_out;
    for (unsigned n = 0; n < PINGS; n++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        uint32_t number = (uint32_t)(random % count);
        struct handset *device = &devices[number];
        device->message_id++;
        const uint8_t message[4] = {0x40, 0, (uint8_t)(device->message_id >> 8),
                                    (uint8_t)device->message_id};
        struct writer w = writer_of(records[n % BATCH], sizeof records[0]);
        int status = dtls_seal(dtls_endpoint_crypto(endpoint), &device->session,
                               DTLS_APPLICATION_DATA, span_of(message, sizeof message), &w);
        SW_CHECK(status == SW_OK);
        batch[n % BATCH] =
            (struct gateway_arrival){.from = address_of(number), .bytes = writer_span(&w)};
        bench->now.us += PERIOD_US / count; /* as many devices as speak every 25 s */
        if (n % BATCH == BATCH - 1) {
            int64_t start = cpu_ns();
            bench->sent_count = 0;
            gateway_arrivals(bench->gw, batch, BATCH, bench->now, wall_of(bench));
            gateway_tick(bench->gw, bench->now, wall_of(bench));
            bench_jobs(bench);
            bench->spent_ns += cpu_ns() - start;
        }
    }
    uint64_t replies = gateway_counters(bench->gw)->datagrams_out - before;
    return (double)replies * 1e9 / (double)bench->spent_ns;
}

int main(int argc, char **argv) {
    uint32_t count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 100000;
    uint32_t few = count < 1000 ? count : 1000;
    static struct bench bench;
    (void)mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    struct crypto_key *server = crypto_key_generate(), *client = crypto_key_generate();
    const struct gateway_ports ports = {.ctx = &bench,
                                        .send = port_send,
                                        .submit = port_submit,
                                        .submit_read = port_submit,
                                        .entropy = port_entropy,
                                        .reply = port_reply};
    const struct gateway_config config = {.key = server, .half_open_source_max = 1024};
    bench.now = mono_now();
    bench.gw = gateway_new(&config, &ports, bench.now, wall_of(&bench));
    SW_CHECK(bench.gw != NULL);
    gateway_start(bench.gw, bench.now, wall_of(&bench));
    bench_jobs(&bench);
    const struct dtls_endpoint_config role = {
        .key = client, .pinned = crypto_key_point(server), .cid_form = DTLS_CID_DRAFT05};
    struct dtls_endpoint *endpoint = dtls_endpoint_new(&role);
    struct handset *devices = calloc(count, sizeof *devices);
    SW_CHECK(endpoint != NULL && devices != NULL);
    memset(devices, 1, count * sizeof *devices);

    printf("%-66s %12s %10s\n", "what", "measured", "goal");
    struct mallinfo2 empty = mallinfo2();
    double pings_few = 0;
    int64_t handshakes_ns = 0, hellos_ns = 0;
    for (uint32_t n = 0; n < count; n++) {
        bench.spent_ns = 0;
        connect_one(&bench, endpoint, n, &devices[n]);
        handshakes_ns += bench.spent_ns;
        bench.spent_ns = 0;
        devices[n].message_id = 1;
        hello(&bench, endpoint, n, &devices[n]);
        hellos_ns += bench.spent_ns;
        bench.now.us += 10000;
        if (n + 1 == few) {
            pings_few = ping(&bench, endpoint, devices, few);
        }
    }
    printf("%-66s %10.0f/s %10s\n", "raw-key mutual handshakes, cookie included, in process",
           count * 1e9 / (double)handshakes_ns, ">= 7,000");
    printf("%-66s %10.1f us %10s\n", "Hello: opened, reported, confirmed, session saved",
           (double)hellos_ns / 1e3 / count, "");
    /* Everything that only active sessions have is given back. */
    for (unsigned n = 0; n < 400; n++) {
        bench.now.us += 1000000;
        gateway_tick(bench.gw, bench.now, wall_of(&bench));
        bench_jobs(&bench);
    }
    (void)malloc_trim(0);
    struct mallinfo2 full = mallinfo2();
    struct gateway_sizes sizes;
    gateway_sizes(bench.gw, &sizes);
    double each = (double)(full.uordblks + full.hblkhd - empty.uordblks - empty.hblkhd) /
                  (double)sizes.sessions;
    printf("%-66s %10.0f B %11s\n", "memory of an idle session, all in", each, "<= 512");
    printf("  (%u sessions, %u active; struct session %zu, seat %zu bytes)\n", sizes.sessions,
           sizes.active, sizeof(struct session), sizeof(struct seat));
    char what[80];
    (void)snprintf(what, sizeof what, "keep-alives answered, %u sessions, without UDP", few);
    printf("%-66s %10.0f/s\n", what, pings_few);
    double pings_all = ping(&bench, endpoint, devices, count);
    (void)snprintf(what, sizeof what, "keep-alives answered, %u sessions, without UDP", count);
    printf("%-66s %10.0f/s %10s\n", what, pings_all, ">= 90 %");
    printf("%-66s %10.1f %%\n", "  of the throughput with few", 100 * pings_all / pings_few);
    bench_jobs(&bench);
    gateway_free(bench.gw);
    dtls_endpoint_free(endpoint);
    crypto_key_free(server);
    crypto_key_free(client);
    free(devices);
    return 0;
}
