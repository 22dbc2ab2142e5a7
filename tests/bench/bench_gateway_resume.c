/* How soon a device that wakes up is offered its update: from the first authentic datagram of its
 * resumed session to UpdateStart, through the daemon's device door as it is - socket, loop thread,
 * writer thread, SQLite on disk. One device at a time, each with a session that the server read
 * from the database when it started. Beside it the time of a plain answer over the same way, which
 * waits for nothing but the loop thread.
 *
 *   bench_gateway_resume [DEVICES]     1,000 unless given */
#include "gateway_udp/server.h"
#include "gateway_udp/wire.h"

#include "slipway/app/device.h"
#include "slipway/coap/message.h"
#include "slipway/sys/clock.h"
#include "slipway/util/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE_BYTES 100000
#define PATIENCE_MS 2000

struct bench {
    struct server server;
    struct wire *wire;
    struct dtls_crypto *crypto;
    struct dtls_session *sessions;
    uint32_t count;
};

static int run_hellos(struct app_tx *tx, void *arg) {
    struct bench *bench = arg;
    int code = SW_OK;
    for (uint32_t n = 0; n < bench->count && code == SW_OK; n++) {
        struct app_plan plan;
        struct app_hello hello = {.product_version = 1,
                                  .flags = 0xf6,
                                  .platform_id = SERVER_PLATFORM,
                                  .system_version = 6200,
                                  .message_max = 1152,
                                  .binary_max = 1536000,
                                  .chunk_bytes = 512};
        device_of(n, &hello.id);
        hello.proof.kind = APP_PROOF_RAW_KEY;
        hello.proof.u.key = *crypto_key_point(bench->server.key);
        code = app_device_hello(tx, &hello, &plan);
    }
    return code;
}

static void say(struct bench *bench, uint32_t n, struct span message, bool is_moved) {
    struct writer w = writer_of(wire_begin(bench->wire, n), WIRE_DATAGRAM);
    int code = is_moved ? dtls_seal_moved(bench->crypto, &bench->sessions[n], DTLS_APPLICATION_DATA,
                                          message, &w)
                        : dtls_seal(bench->crypto, &bench->sessions[n], DTLS_APPLICATION_DATA,
                                    message, &w);
    SW_CHECK(code == SW_OK);
    wire_commit(bench->wire, w.at);
    wire_flush(bench->wire);
}

/* Microseconds until the device has a message of that kind; -1 if it never comes. */
static int64_t await(struct bench *bench, uint32_t device, bool wants_start, mono_time begun) {
    static uint8_t plain[WIRE_DATAGRAM];
    struct wire_datagram batch[WIRE_BATCH];
    while (mono_since_us(begun, mono_now()) < PATIENCE_MS * INT64_C(1000)) {
        size_t count = wire_receive(bench->wire, batch, 1);
        int64_t took_us = mono_since_us(begun, mono_now());
        for (size_t n = 0; n < count; n++) {
            struct dtls_opened opened;
            struct coap_message message;
            const char *why;
            if (batch[n].device == device &&
                dtls_open(bench->crypto, &bench->sessions[device], batch[n].bytes, plain,
                          sizeof plain, &opened) == SW_OK &&
                coap_decode(opened.content, &message, &why) == SW_OK &&
                (wants_start ? message.code == COAP_POST && coap_path_is(&message, 'S')
                             : message.code == COAP_CONTENT)) {
                return took_us;
            }
        }
    }
    return -1;
}

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void print(const char *what, int64_t *us, uint32_t count, const char *goal) {
    qsort(us, count, sizeof *us, by_value);
    (void)printf("%-38s  %8lld  %8lld  %8lld  %8lld   %s\n", what, (long long)us[0],
                 (long long)us[count / 2], (long long)us[count * 9 / 10],
                 (long long)us[count * 99 / 100], goal);
}

int main(int argc, char **argv) {
    static struct bench bench;
    bench.count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000;
    SW_CHECK(bench.count > 0);
    const struct server_setup setup = {
        .sessions = bench.count, .devices = bench.count, .transfers_max = bench.count};
    int64_t *starts = calloc(bench.count, sizeof *starts);
    int64_t *answers = calloc(bench.count, sizeof *answers);
    bench.sessions = calloc(bench.count, sizeof *bench.sessions);
    bench.crypto = dtls_crypto_new();
    SW_CHECK(starts != NULL && answers != NULL && bench.sessions != NULL && bench.crypto != NULL);
    server_open(&bench.server, &setup);
    SW_CHECK(app_execute(bench.server.app, run_hellos, &bench, NULL) == SW_OK);
    server_release(&bench.server, 2, IMAGE_BYTES);
    bench.wire = wire_open(bench.server.port);
    uint32_t lost = 0;
    int64_t cpu_ns = 0;
    for (uint32_t n = 0; n < bench.count; n++) {
        static const uint8_t ping[] = {0x40, 0, 0, 1}, time[] = {0x41, 1, 0, 2, 7, 0xb1, 't'};
        device_session(n, false, &bench.sessions[n]);
        int64_t before_ns = server_cpu_ns(&bench.server);
        mono_time begun = mono_now();
        say(&bench, n, span_of(ping, sizeof ping), true);
        starts[n] = await(&bench, n, true, begun);
        cpu_ns += server_cpu_ns(&bench.server) - before_ns;
        lost += starts[n] < 0;
        begun = mono_now();
        say(&bench, n, span_of(time, sizeof time), false);
        answers[n] = await(&bench, n, false, begun);
    }
    (void)printf(
        "%u devices, one after the other         least    median       90 %%       99 %%   "
        "us\n",
        (unsigned)bench.count);
    print("resumed session's word -> UpdateStart", starts, bench.count, "goal 2000");
    print("time request -> its answer", answers, bench.count, "");
    (void)printf("CPU of the loop thread for each: %.1f us; without an offer: %u\n",
                 (double)cpu_ns / bench.count / 1000, (unsigned)lost);
    wire_close(bench.wire);
    server_close(&bench.server);
    dtls_crypto_free(bench.crypto);
    free(bench.sessions);
    free(answers);
    free(starts);
    return 0;
}
