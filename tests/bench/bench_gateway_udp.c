/* What the device door costs over real sockets: its own loop, socket and core over a real database,
 * with the devices in a process of their own (see gateway_udp/). Each figure is a rate for each
 * second of CPU time of the loop thread, the median of a few turns, beside its goal and beside a
 * plain UDP echo that was measured in the same run.
 *
 *   bench_gateway_udp [SESSIONS [PART ...]]    100,000 sessions; parts: requests handshakes psk
 *                                              storm updates; all of them unless named */
#include "gateway_udp/echo.h"
#include "gateway_udp/load.h"
#include "gateway_udp/server.h"

#include "slipway/sys/log.h"
#include "slipway/util/check.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TURNS            3
#define FEW              1000
#define REQUESTS         100000
#define IN_FLIGHT        512
#define WARM_UP          40 /* requests of each of many sessions, before it is measured */
#define HANDSHAKES       4000
#define HANDSHAKES_OPEN  128
#define STORM_OPEN       512 /* for its peak: so many that the server never waits */
#define STORM_HANDSHAKES 6000
#define PSK_HANDSHAKES   20000
#define STORM_MS         4000
#define STORM_TIMES      10
#define STORM_ASKS       500
#define STORM_MOST       400000
#define DEVICES          64
#define IMAGE_BYTES      1200000
#define UPDATES          3
#define LIMIT_MS         60000

struct figure {
    unsigned count;
    double values[TURNS];
};

static struct load load;

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void note(struct figure *figure, double value) {
    figure->values[figure->count++] = value;
}

static double median(struct figure *figure) {
    qsort(figure->values, figure->count, sizeof figure->values[0], compare);
    return figure->values[figure->count / 2];
}

static void print(const char *what, struct figure *figure, const char *goal) {
    double middle = median(figure);
    printf("%-58s %9.0f/s %7.2f us  [%.0f..%.0f]  %s\n", what, middle, 1e6 / middle,
           figure->values[0], figure->values[figure->count - 1], goal);
    (void)fflush(stdout);
}

static double measure(const struct server *server, const struct load_order *order,
                      struct load_outcome *outcome) {
    int64_t from = server_cpu_ns(server);
    load_order(&load, order);
    load_await(&load, outcome);
    return (double)(server_cpu_ns(server) - from) / 1e9;
}

/* What this process has of memory that no file backs. */
static double resident_bytes(void) {
    char line[128];
    double kib = 0;
    (void)malloc_trim(0);
    FILE *file = fopen("/proc/self/status", "r");
    SW_CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "RssAnon:", 8) == 0) {
            kib = strtod(line + 8, NULL);
        }
    }
    (void)fclose(file);
    return kib * 1024;
}

static double run_echo(uint32_t devices) {
    struct echo *echo = echo_open();
    struct load_outcome outcome;
    const struct load_order order = {.kind = LOAD_ECHO,
                                     .port = echo_port(echo),
                                     .devices = devices,
                                     .count = REQUESTS,
                                     .in_flight = IN_FLIGHT,
                                     .limit_ms = LIMIT_MS};
    load_order(&load, &order);
    load_await(&load, &outcome);
    return (double)outcome.done * 1e9 / (double)echo_close(echo);
}

/* --- requests --- */

static void first_words(const struct server *server, uint32_t fleet, uint32_t sessions) {
    struct load_outcome outcome;
    struct load_order order = {.kind = LOAD_FIRST,
                               .port = server->port,
                               .fleet = fleet,
                               .devices = sessions,
                               .count = sessions,
                               .in_flight = 64,
                               .limit_ms = LIMIT_MS};
    double cpu_s = measure(server, &order, &outcome);
    printf("  first words of %u restored sessions: %lu answered, %.1f us each\n", sessions,
           (unsigned long)outcome.done, cpu_s * 1e6 / sessions);
}

static double run_requests(const struct server *server, uint32_t fleet, uint32_t sessions,
                           uint32_t count, struct load_outcome *outcome) {
    const struct load_order order = {.kind = LOAD_REQUESTS,
                                     .port = server->port,
                                     .fleet = fleet,
                                     .devices = sessions,
                                     .count = count,
                                     .in_flight = IN_FLIGHT,
                                     .limit_ms = LIMIT_MS};
    double cpu_s = measure(server, &order, outcome);
    return (double)outcome->done / cpu_s;
}

/* Numbers are reserved ahead on disk, for a quiet device fewer at a time: that is a part of what
 * many sessions cost. */
static uint64_t reservations_of(const struct server *server) {
    struct loop_report report;
    loop_report(server->loop, &report);
    return report.counters.reservations;
}

static void part_requests(uint32_t sessions) {
    static struct server few, many;
    struct figure echo = {0}, with_few = {0}, with_many = {0};
    struct load_outcome outcome;
    uint64_t lost = 0, saved = 0;
    server_open(&few, &(struct server_setup){.sessions = FEW, .devices = FEW});
    double before = resident_bytes();
    server_open(&many, &(struct server_setup){.sessions = sessions, .devices = sessions});
    double each = (resident_bytes() - before) / sessions;
    printf("%-58s %9.0f bytes  <= 512 (the whole process grew by that)\n",
           "resident memory of an idle session", each);
    first_words(&few, 0, FEW);
    first_words(&many, 1, sessions);
    for (unsigned n = 0; n <= TURNS; n++) {
        double values[] = {run_echo(FEW), run_requests(&few, 0, FEW, REQUESTS, &outcome), 0};
        lost += outcome.failed;
        uint32_t count = n == 0 ? sessions * WARM_UP : REQUESTS;
        values[2] = run_requests(&many, 1, sessions, count, &outcome);
        lost += outcome.failed;
        if (n == 0) { /* the first turn is for the reservations to find their size */
            saved = reservations_of(&many);
        } else {
            note(&echo, values[0]);
            note(&with_few, values[1]);
            note(&with_many, values[2]);
        }
    }
    char what[80];
    print("plain UDP echo of 100 bytes, recvmmsg and sendmmsg", &echo, "(limit)");
    (void)snprintf(what, sizeof what, "CoAP request + reply, %u sessions", FEW);
    print(what, &with_few, ">= 150,000");
    (void)snprintf(what, sizeof what, "CoAP request + reply, %u sessions", sessions);
    print(what, &with_many, ">= 90 %");
    printf("  %.1f %% of the rate with few; %lu lost; p50 %u us, p99 %u us\n",
           100 * median(&with_many) / median(&with_few), (unsigned long)lost, outcome.p50_us,
           outcome.p99_us);
    printf("  saved to disk for each 100 requests of these: %.1f\n",
           100.0 * (double)(reservations_of(&many) - saved) / (TURNS * (double)REQUESTS));
    server_close(&few);
    server_close(&many);
}

/* --- handshakes --- */

static struct load_order handshakes_of(const struct server *server, enum load_credential credential,
                                       uint32_t count) {
    return (struct load_order){.kind = LOAD_HANDSHAKES,
                               .credential = credential,
                               .port = server->port,
                               .first = 1000000,
                               .count = count,
                               .in_flight = HANDSHAKES_OPEN,
                               .limit_ms = LIMIT_MS,
                               .server_key = *crypto_key_point(server->key)};
}

static void part_handshakes(enum load_credential credential) {
    static struct server server;
    struct figure figure = {0};
    struct load_outcome outcome;
    uint64_t failed = 0;
    bool is_psk = credential == LOAD_PSK;
    struct load_order order;
    server_open(&server, &(struct server_setup){.devices = 1});
    order = handshakes_of(&server, credential, is_psk ? PSK_HANDSHAKES : HANDSHAKES);
    for (unsigned n = 0; n < TURNS; n++, order.first += order.count) {
        double cpu_s = measure(&server, &order, &outcome);
        failed += outcome.failed;
        note(&figure, (double)outcome.done / cpu_s);
    }
    print(is_psk ? "PSK handshakes, cookie included" : "raw-key mutual handshakes, cookie included",
          &figure, is_psk ? ">= 36,000" : ">= 6,000");
    printf("  %lu failed; %.0f/s of wall time\n", (unsigned long)failed,
           (double)outcome.done * 1e6 / (double)outcome.took_us);
    server_close(&server);
}

/* --- a storm of new devices --- */

static void part_storm(void) {
    static struct server server;
    struct load_outcome peak, storm;
    struct figure ratio = {0}, wall = {0};
    server_open(&server, &(struct server_setup){.sessions = FEW, .devices = FEW});
    first_words(&server, 2, FEW);
    server_confine(&server);
    struct load_order order = handshakes_of(&server, LOAD_RAW_KEY, STORM_HANDSHAKES);
    order.in_flight = STORM_OPEN;
    order.is_thrifty = true;
    for (unsigned n = 0; n < 3; n++) {
        double peak_cpu_s = measure(&server, &order, &peak);
        order.first += order.count;
        double peak_wall = (double)peak.done * 1e6 / (double)peak.took_us;
        struct load_order storming = order;
        storming.kind = LOAD_STORM;
        storming.count = STORM_MOST;
        storming.fleet = 2;
        storming.devices = FEW;
        storming.rate =
            (uint32_t)(STORM_TIMES * SERVER_CONFINED_SHARE * (double)peak.done / peak_cpu_s);
        storming.ask_rate = STORM_ASKS;
        storming.limit_ms = STORM_MS;
        struct loop_report report[2];
        loop_report(server.loop, &report[0]);
        double storm_cpu_s = measure(&server, &storming, &storm);
        loop_report(server.loop, &report[1]);
        order.first += storming.count;
        double storm_wall = (double)storm.done * 1e6 / (double)storm.took_us;
        note(&ratio, (double)storm.done / storm_cpu_s / ((double)peak.done / peak_cpu_s));
        note(&wall, storm_wall / peak_wall);
        printf("  peak %.0f/s of CPU, %.0f/s of wall; then %.0f new devices a second: %.0f/s of "
               "CPU, %.0f/s of wall, CPU %.0f %%\n",
               (double)peak.done / peak_cpu_s, peak_wall,
               (double)storm.offered * 1e6 / (double)storm.took_us,
               (double)storm.done / storm_cpu_s, storm_wall,
               storm_cpu_s * 1e8 / (double)storm.took_us);
        const struct gateway_counters *from = &report[0].counters, *to = &report[1].counters;
        printf("  of %lu datagrams: %lu cookies sent, %lu handshakes begun, %lu done, %lu evicted, "
               "%lu ClientHellos shed, %lu busy\n",
               (unsigned long)(to->datagrams_in - from->datagrams_in),
               (unsigned long)(to->hellos_cookie - from->hellos_cookie),
               (unsigned long)(to->handshakes_started - from->handshakes_started),
               (unsigned long)(to->handshakes_done - from->handshakes_done),
               (unsigned long)(to->handshakes_evicted - from->handshakes_evicted),
               (unsigned long)(to->handshakes_shed - from->handshakes_shed),
               (unsigned long)(to->dropped_busy - from->dropped_busy));
        printf("  established sessions meanwhile: %lu of %lu answered (%.2f %% lost), p50 %u us, "
               "p99 %u us\n",
               (unsigned long)storm.answered, (unsigned long)storm.asked,
               100.0 - 100.0 * (double)storm.answered / (double)storm.asked, storm.p50_us,
               storm.p99_us);
    }
    printf("%-58s %9.2f of CPU, %.2f of wall  >= 0.9\n",
           "handshakes completed in a storm, share of the peak", median(&ratio), median(&wall));
    server_close(&server);
}

/* --- updates --- */

static void part_updates(bool without_segments) {
    static struct server server;
    static uint16_t version = 1;
    struct figure figure = {0};
    struct load_outcome outcome;
    server_open(&server, &(struct server_setup){.devices = DEVICES,
                                                .transfers_max = DEVICES,
                                                .without_segments = without_segments});
    struct load_order order = {.kind = LOAD_CONNECT,
                               .port = server.port,
                               .devices = DEVICES,
                               .limit_ms = LIMIT_MS,
                               .server_key = *crypto_key_point(server.key)};
    if (!without_segments) {
        server_confine(
            &server); /* else it would sleep between the devices' words, and pay for it */
    }
    double resent = 0;
    for (unsigned n = 0; n < UPDATES; n++) {
        order.kind = LOAD_CONNECT;
        (void)measure(&server, &order, &outcome);
        SW_CHECK(outcome.failed == 0);
        order.kind = LOAD_UPDATE;
        int64_t from = server_cpu_ns(&server);
        load_order(&load, &order);
        server_release(&server, ++version, IMAGE_BYTES);
        load_await(&load, &outcome);
        double cpu_s = (double)(server_cpu_ns(&server) - from) / 1e9;
        SW_CHECK(outcome.failed == 0);
        note(&figure, (double)DEVICES * (double)server.image_len / 1e6 / cpu_s);
        resent += (double)outcome.took_us / 1e6;
    }
    double middle = median(&figure);
    printf("%-58s %9.0f MB/s %5.2f us  [%.0f..%.0f]  %s\n",
           without_segments ? "OTA to 64 devices, 512-byte chunks, sendmmsg"
                            : "OTA to 64 devices, 512-byte chunks, UDP_SEGMENT",
           middle, 512 / middle, figure.values[0], figure.values[figure.count - 1],
           without_segments ? ">= 95 MB/s" : ">= 240 MB/s");
    printf("  %.1f s of wall time each\n", resent / UPDATES);
    server_close(&server);
}

static bool is_asked(int argc, char **argv, const char *part) {
    for (int n = 2; n < argc; n++) {
        if (strcmp(argv[n], part) == 0) {
            return true;
        }
    }
    return argc <= 2;
}

int main(int argc, char **argv) {
    uint32_t sessions = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 100000;
    const struct log_setup quiet = {.level = LOG_BROKEN, .descriptor = 2};

    load_start(&load); /* before there are threads */
    log_configure(&quiet);
    printf("for each second of the loop thread's CPU time\n");
    if (is_asked(argc, argv, "requests")) {
        part_requests(sessions);
    }
    if (is_asked(argc, argv, "handshakes")) {
        part_handshakes(LOAD_RAW_KEY);
    }
    if (is_asked(argc, argv, "psk")) {
        part_handshakes(LOAD_PSK);
    }
    if (is_asked(argc, argv, "storm")) {
        part_storm();
    }
    if (is_asked(argc, argv, "updates")) {
        part_updates(true);
        part_updates(false);
    }
    load_end(&load);
    return 0;
}
