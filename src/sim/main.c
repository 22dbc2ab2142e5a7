/* slipway-sim: a fleet of simulated devices against a real server, for the demo, for load and for
 * tests. The devices are those of sim/device.h; this program lends them sockets and time. */
#include "sim/fleet.h"
#include "sim/report.h"
#include "slipway/util/check.h"
#include "slipway/util/hex.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define TAG_CONTROL UINT64_MAX
#define TAG_SIGNAL  (UINT64_MAX - 1)
#define EVENTS_MAX  256
#define STATUS_MS   100

struct program {
    struct options options;
    struct fleet fleet;
    int epoll, signals, control;
    char line[256]; /* of the control channel, so far */
    size_t line_len;
    mono_time status_at;
    bool is_over;
};

static mono_time clock_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (mono_time){.us = (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000};
}

static void print_ids(const struct fleet *fleet, bool with_keys) {
    for (size_t i = 0; i < fleet->count; i++) {
        char id[DEVICE_ID_DIGITS + 1], key[2 * P256_SPKI_BYTES + 1] = "";
        uint8_t spki[P256_SPKI_BYTES];
        device_id_text(&fleet->members[i].device.config.id, id);
        if (with_keys) {
            p256_spki_encode(crypto_key_point(fleet->members[i].key), spki);
            hex_encode(span_of(spki, sizeof spki), key, sizeof key);
        }
        printf("%s%s%s\n", id, with_keys ? " " : "", key);
    }
}

static void obey(struct program *program, char *line, mono_time now) {
    static const struct {
        const char *word;
        enum fleet_order order;
    } orders[] = {{"enable", FLEET_ENABLE},
                  {"disable", FLEET_DISABLE},
                  {"reboot", FLEET_REBOOT},
                  {"wake", FLEET_WAKE},
                  {"cut", FLEET_CUT}};
    char *rest;
    const char *word = strtok_r(line, " \t\r", &rest);
    const char *about = strtok_r(NULL, " \t\r", &rest);
    if (word == NULL) {
        return;
    }
    if (strcmp(word, "quit") == 0) {
        program->is_over = true;
        return;
    }
    if (strcmp(word, "status") == 0) {
        (void)report_summary(&program->fleet);
        return;
    }
    struct device_id id;
    bool is_all = about != NULL && strcmp(about, "all") == 0;
    size_t first = 0, end = program->fleet.count;
    if (!is_all) {
        bool is_id = about != NULL && device_id_parse(about, strlen(about), &id) == SW_OK;
        first = is_id ? fleet_find(&program->fleet, &id) : end;
        end = first < end ? first + 1 : first;
    }
    for (size_t i = 0; i < SW_COUNT(orders); i++) {
        if (strcmp(word, orders[i].word) == 0 && first < end) {
            for (size_t at = first; at < end; at++) {
                fleet_command(&program->fleet, at, orders[i].order, now);
            }
            return;
        }
    }
    fprintf(stderr, "slipway-sim: not understood: %s %s\n", word, about != NULL ? about : "");
}

static void read_control(struct program *program, mono_time now) {
    char bytes[512];
    ssize_t len = read(program->control, bytes, sizeof bytes);
    if (len <= 0) {
        if (len == 0 || (errno != EAGAIN && errno != EINTR)) {
            epoll_ctl(program->epoll, EPOLL_CTL_DEL, program->control, NULL);
        }
        return;
    }
    for (ssize_t i = 0; i < len; i++) {
        if (bytes[i] == '\n') {
            program->line[program->line_len] = '\0';
            program->line_len = 0;
            obey(program, program->line, now);
        } else if (program->line_len < sizeof program->line - 1) {
            program->line[program->line_len++] = bytes[i];
        }
    }
}

static void read_signal(struct program *program) {
    struct signalfd_siginfo info;
    if (read(program->signals, &info, sizeof info) != (ssize_t)sizeof info) {
        return;
    }
    if (info.ssi_signo == SIGUSR1) {
        program->status_at = (mono_time){.us = 0};
    } else {
        program->is_over = true;
    }
}

static bool watch(struct program *program, int fd, uint64_t tag) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = tag};
    return fd >= 0 && epoll_ctl(program->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool open_channels(struct program *program) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    program->epoll = epoll_create1(EPOLL_CLOEXEC);
    program->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (program->epoll < 0 || !watch(program, program->signals, TAG_SIGNAL)) {
        fprintf(stderr, "slipway-sim: %s\n", strerror(errno));
        return false;
    }
    const char *control = program->options.control;
    if (control == NULL) {
        return true;
    }
    /* A pipe is opened for writing too, so that it does not end with its first writer. */
    program->control =
        strcmp(control, "-") == 0 ? STDIN_FILENO : open(control, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (!watch(program, program->control, TAG_CONTROL)) {
        fprintf(stderr, "slipway-sim: %s: %s\n", control, strerror(errno));
        return false;
    }
    return true;
}

/* One socket for each device needs more descriptors than most shells allow by default. */
static void raise_limits(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int wait_ms(const struct program *program, mono_time now) {
    mono_time next = fleet_deadline(&program->fleet);
    if (program->options.status_file != NULL) {
        next = mono_earlier(next, program->status_at);
    }
    int64_t left_us = next.us - now.us;
    if (left_us <= 0) {
        return 0;
    }
    return left_us < 1000000 ? (int)((left_us + 999) / 1000) : 1000;
}

static void run(struct program *program) {
    struct epoll_event events[EVENTS_MAX];
    while (!program->is_over) {
        int count = epoll_wait(program->epoll, events, EVENTS_MAX, wait_ms(program, clock_now()));
        mono_time now = clock_now();
        for (int i = 0; i < count; i++) {
            uint64_t tag = events[i].data.u64;
            if (tag == TAG_SIGNAL) {
                read_signal(program);
            } else if (tag == TAG_CONTROL) {
                read_control(program, now);
            } else {
                fleet_readable(&program->fleet, (size_t)tag, now);
            }
        }
        fleet_tick(&program->fleet, now);
        if (program->options.status_file != NULL && mono_reached(now, program->status_at)) {
            report_status(&program->fleet, program->options.status_file);
            program->status_at = mono_add_ms(now, STATUS_MS);
        }
    }
}

int main(int argc, char **argv) {
    static struct program program;
    bool asked;
    if (!options_read(argc, argv, &program.options, &asked)) {
        return asked ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    program.control = -1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    raise_limits();
    int status = EXIT_FAILURE;
    if (!fleet_open(&program.fleet, &program.options)) {
        goto out;
    }
    if (program.options.prints_ids || program.options.prints_keys) {
        print_ids(&program.fleet, program.options.prints_keys);
        status = EXIT_SUCCESS;
        goto out;
    }
    if (!open_channels(&program) || !fleet_start(&program.fleet, program.epoll, clock_now())) {
        goto out;
    }
    run(&program);
    if (program.options.status_file != NULL) {
        report_status(&program.fleet, program.options.status_file);
    }
    status = report_summary(&program.fleet) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
out:
    fleet_close(&program.fleet);
    return status;
}
