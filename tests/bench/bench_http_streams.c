/* Event streams by the thousand: what one costs in the server's memory, and what it costs to hand
 * one event to all of them. The server is a process of its own, so that its memory and its time on
 * the processor can be read apart from the listeners'.
 *
 *   bench_http_streams [STREAMS] [EVENTS] */
#include "slipway/app/app.h"
#include "slipway/app/token.h"
#include "slipway/http/server.h"
#include "slipway/sys/clock.h"
#include "slipway/sys/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOKEN         "adadadadadadadadadadadadadadadadadadadad"
#define STREAMS_MAX   60000
#define EVENTS_MAX    1000
#define ROUND_MS      60000 /* for everybody to get one event; then something is wrong */
#define QUIET_ROUNDS  2     /* of keep-alives, nine seconds each */
#define KEEP_ALIVE_MS 9000

struct listener {
    int fd;
    size_t got;     /* the greeting, and events */
    size_t matched; /* of what is looked for */
};

static struct listener listeners[STREAMS_MAX];
static int epoll_fd, server_pid, server_port;

static void give_up(const char *what) {
    (void)fprintf(stderr, "bench_http_streams: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* --- the server --- */

static void on_notice(void *arg, const struct app_notice *notice) {
    struct http_server *server = atomic_load((struct http_server * _Atomic *)arg);
    if (notice->kind == APP_NOTICE_EVENTS && server != NULL) {
        http_server_events_ready(server);
    }
}

static int serve(const char *folder, size_t streams, int ready, int end) {
    struct fault fault = {0};
    struct http_server *server = NULL;
    struct http_server *_Atomic listener = NULL;
    char path[128], byte = 0;
    struct log_setup log = {.level = LOG_UNUSUAL, .descriptor = 2};
    log_configure(&log);
    (void)snprintf(path, sizeof path, "%s/slipway.db", folder);
    const struct app_options options = {.path = path,
                                        .is_threaded = true,
                                        .synchronous_normal = true,
                                        .notice = on_notice,
                                        .notice_arg = &listener};
    const struct http_config config = {.connections_max = (unsigned)streams + 64};
    const struct http_ports ports = {0};
    struct app *app = NULL;
    if (app_open(&app, &options, &fault) != SW_OK ||
        app_administrator(app, TOKEN, "a password", &fault) != SW_OK ||
        http_server_start(&config, app, &ports, &server, &fault) != SW_OK) {
        (void)fprintf(stderr, "bench_http_streams: %s\n", fault.text);
        return 1;
    }
    atomic_store(&listener, server);
    uint16_t port = http_server_port(server);
    if (write(ready, &port, sizeof port) != sizeof port || read(end, &byte, 1) < 0) {
        return 1;
    }
    (void)http_server_drain(server, 5000);
    atomic_store(&listener, NULL);
    http_server_stop(server);
    app_close(app);
    return 0;
}

/* The field of that number, from 0, in a file of the server's under /proc. */
static double server_number(const char *name, int field) {
    char path[64], line[1024];
    (void)snprintf(path, sizeof path, "/proc/%d/%s", server_pid, name);
    FILE *file = fopen(path, "r");
    if (file == NULL || fgets(line, sizeof line, file) == NULL) {
        give_up(path);
    }
    (void)fclose(file);
    char *rest = NULL;
    char *word = strtok_r(line, " ", &rest);
    for (int i = 0; i < field && word != NULL; i++) {
        word = strtok_r(NULL, " ", &rest);
    }
    return word != NULL ? (double)strtoul(word, NULL, 10) : 0;
}

static double server_memory_kib(void) {
    return server_number("statm", 1) * (double)sysconf(_SC_PAGESIZE) / 1024;
}

static double server_cpu_ms(void) {
    return (server_number("stat", 13) + server_number("stat", 14)) * 1000 /
           (double)sysconf(_SC_CLK_TCK);
}

/* --- the listeners --- */

static int dial(void) {
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)server_port)};
    struct sockaddr any;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memset(&any, 0, sizeof any);
    memcpy(&any, &to, sizeof to);
    if (fd < 0 || connect(fd, &any, sizeof any) != 0) {
        give_up("connect");
    }
    return fd;
}

static void say(int fd, const char *text) {
    size_t len = strlen(text);
    if (write(fd, text, len) != (ssize_t)len) {
        give_up("write");
    }
}

static void listen_to(struct listener *client) {
    struct epoll_event interest = {.events = EPOLLIN, .data.ptr = client};
    client->fd = dial();
    say(client->fd,
        "GET /v1/devices/events HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer " TOKEN "\r\n\r\n");
    if (fcntl(client->fd, F_SETFL, O_NONBLOCK) != 0 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, client->fd, &interest) != 0) {
        give_up("epoll_ctl");
    }
}

/* Counts the greeting first, then events; keep-alives and the chunks' lengths do not count. */
static void hear(struct listener *client) {
    char text[4096];
    ssize_t len;
    while ((len = read(client->fd, text, sizeof text)) > 0) {
        for (ssize_t i = 0; i < len; i++) {
            const char *wanted = client->got == 0 ? ":ok\n" : "event: bench\n";
            client->matched = text[i] == wanted[client->matched] ? client->matched + 1
                              : text[i] == wanted[0]             ? 1
                                                                 : 0;
            if (wanted[client->matched] == '\0') {
                client->matched = 0;
                client->got++;
            }
        }
    }
    if (len == 0) {
        errno = ECONNRESET;
        give_up("a stream ended");
    }
}

/* Until all have got so much; returns how long that took. */
static double wait_for(size_t streams, size_t got) {
    struct epoll_event ready[256];
    mono_time began = mono_now();
    size_t behind = 0;
    for (size_t i = 0; i < streams; i++) {
        behind += listeners[i].got < got ? 1 : 0;
    }
    while (behind > 0) {
        int count = epoll_wait(epoll_fd, ready, 256, 1000);
        for (int i = 0; i < count; i++) {
            struct listener *client = ready[i].data.ptr;
            size_t before = client->got;
            hear(client);
            behind -= before < got && client->got >= got ? 1 : 0;
        }
        if (mono_reached(mono_now(), mono_add_ms(began, ROUND_MS))) {
            (void)fprintf(stderr, "bench_http_streams: %zu streams did not get it\n", behind);
            exit(1);
        }
    }
    return (double)mono_since_us(began, mono_now()) / 1000;
}

static void publish(int fd, size_t n) {
    char body[64], request[512], reply[1024];
    int len = snprintf(body, sizeof body, "{\"name\":\"bench\",\"data\":\"%zu\"}", n);
    (void)snprintf(request, sizeof request,
                   "POST /v1/devices/events HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer " TOKEN
                   "\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                   len, body);
    say(fd, request);
    ssize_t got = read(fd, reply, sizeof reply - 1);
    if (got < 12 || memcmp(reply + 9, "200", 3) != 0) {
        give_up("an event was refused");
    }
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(size_t streams, size_t events) {
    static double took_ms[EVENTS_MAX];
    int publisher = dial();
    publish(publisher, 0); /* threads, caches and connections are there */
    double idle_kib = server_memory_kib();
    for (size_t at = 0; at < streams; at += 500) {
        size_t until = at + 500 < streams ? at + 500 : streams;
        for (size_t i = at; i < until; i++) {
            listen_to(&listeners[i]);
        }
        (void)usleep(1000); /* the queue of a listening socket has an end */
    }
    (void)wait_for(streams, 1);
    (void)usleep(200 * 1000); /* nobody gets an event within 50 ms of the greeting */
    double open_kib = server_memory_kib();
    (void)printf("%zu streams: %.1f KiB of the server's memory each\n", streams,
                 (open_kib - idle_kib) / (double)streams);

    double cpu_ms = server_cpu_ms();
    for (size_t n = 0; n < events; n++) {
        publish(publisher, n + 1);
        took_ms[n] = wait_for(streams, n + 2);
    }
    cpu_ms = server_cpu_ms() - cpu_ms;
    qsort(took_ms, events, sizeof took_ms[0], by_size);
    (void)printf("one event to all: %.0f ms in the middle, %.0f ms at worst of %zu; %.1f us of the "
                 "server's time for each stream\n",
                 took_ms[events / 2], took_ms[events - 1], events,
                 cpu_ms * 1000 / (double)events / (double)streams);
    (void)printf("memory after %zu events: %.1f KiB each\n", events,
                 (server_memory_kib() - idle_kib) / (double)streams);

    cpu_ms = server_cpu_ms();
    (void)usleep(QUIET_ROUNDS * KEEP_ALIVE_MS * 1000);
    (void)printf("silence: %.1f %% of one processor for the keep-alives\n",
                 (server_cpu_ms() - cpu_ms) * 100 / (QUIET_ROUNDS * KEEP_ALIVE_MS));
    (void)close(publisher);
}

static size_t number(const char *text, size_t max) {
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);
    if (*end != '\0' || value == 0 || value > max) {
        (void)fprintf(stderr, "usage: bench_http_streams [STREAMS] [EVENTS]\n");
        exit(2);
    }
    return value;
}

int main(int argc, char **argv) {
    size_t streams = argc > 1 ? number(argv[1], STREAMS_MAX) : 10000;
    size_t events = argc > 2 ? number(argv[2], EVENTS_MAX) : 20;
    char folder[] = "/tmp/slipway-streams-XXXXXX", command[64];
    int ready[2], end[2];
    uint16_t port = 0;
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_max < streams + 256) {
        give_up("there are too few descriptors for so many streams");
    }
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0 || mkdtemp(folder) == NULL || pipe(ready) != 0 ||
        pipe(end) != 0) {
        give_up("setup");
    }
    server_pid = fork();
    if (server_pid == 0) {
        (void)close(end[1]);
        _exit(serve(folder, streams, ready[1], end[0]));
    }
    (void)close(ready[1]);
    if (server_pid < 0 || read(ready[0], &port, sizeof port) != sizeof port) {
        give_up("the server did not start");
    }
    server_port = port;
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    measure(streams, events);
    (void)close(end[1]);
    int status = 0;
    if (waitpid(server_pid, &status, 0) != server_pid || status != 0) {
        give_up("the server did not end well");
    }
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) == 0 ? 0 : 1;
}
