/* What DTLS costs this engine, next to libssl doing the same work in the same run, in turns, on the
 * same core: server CPU per handshake, sealing and opening of records, memory per session.
 *
 *   bench_dtls [SECONDS_PER_MEASUREMENT]
 */
#include "dtls/measure.h"

#include "slipway/dtls/handshake.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TURNS 5 /* interleaved; the median is printed */

double seconds = 0.5;

double cpu_now(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double values[TURNS]) {
    qsort(values, TURNS, sizeof values[0], compare);
    return values[TURNS / 2];
}

static void print_row(const char *what, double ours_value, double theirs_value, const char *unit) {
    char text[32] = "-";
    if (!isnan(theirs_value)) {
        (void)snprintf(text, sizeof text, "%.2f", theirs_value);
    }
    (void)printf("| %-40s | %10.2f | %10s | %-18s |\n", what, ours_value, text, unit);
}

int main(int argc, char **argv) {
    double ours_of[CREDENTIALS][TURNS], theirs_of[CREDENTIALS][TURNS], seal[3][TURNS],
        open[3][TURNS], hello[TURNS];
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    (void)sched_setaffinity(0, sizeof one, &one);
    if (argc > 1) {
        seconds = strtod(argv[1], NULL);
    }
    ours_load();
    for (size_t turn = 0; turn < TURNS; turn++) {
        for (int i = RAW; i < CREDENTIALS; i++) {
            ours_of[i][turn] = ours_handshakes((enum credential)i);
            if (i != KNOWN_CERTIFICATE) {
                theirs_of[i][turn] = theirs_handshakes((enum credential)i);
            }
        }
        hello[turn] = ours_first_hello();
        ours_records(&seal[0][turn], &open[0][turn], 0xC0AE);
        theirs_records(&seal[1][turn], &open[1][turn]);
        ours_records(&seal[2][turn], &open[2][turn], 0xC02B);
    }
    (void)printf("| %-40s | %10s | %10s | %-18s |\n", "what", "slipway", "libssl", "unit");
    (void)printf("| --- | --- | --- | --- |\n");
    double certified = median(theirs_of[CERTIFICATE]);
    print_row("raw-key handshakes (libssl: certificates)", median(ours_of[RAW]), certified,
              "/s of server CPU");
    print_row("certificates that were verified before", median(ours_of[KNOWN_CERTIFICATE]),
              certified, "/s of server CPU");
    print_row("certificate handshakes, one authority", median(ours_of[CERTIFICATE]), certified,
              "/s of server CPU");
    print_row("PSK handshakes", median(ours_of[PSK]), median(theirs_of[PSK]), "/s of server CPU");
    print_row("a first hello, answered with a cookie", median(hello), NAN, "us");
    print_row("seal 512 bytes, CCM_8", median(seal[0]), median(seal[1]), "us");
    print_row("open 512 bytes, CCM_8", median(open[0]), median(open[1]), "us");
    print_row("seal 512 bytes, GCM", median(seal[2]), NAN, "us");
    print_row("open 512 bytes, GCM", median(open[2]), NAN, "us");
    print_row("memory of an established session", sizeof(struct dtls_session), theirs_memory(),
              "bytes");
    print_row("memory of a running handshake", sizeof(struct dtls_handshake), NAN, "bytes");
    return 0;
}
