/* slipwayd. Reading starts here; the numbers are a path through the whole program.
 *
 *  1  main         this file: the command line, signals, and the end
 *  2  daemon_open  daemon.c: folder, keys, database, doors, in the order that they depend on
 *  3  http_server  src/http: a request becomes a use case of
 *  4  app          src/app: upload, release, plan - each one transaction of
 *  5  store        src/store: SQLite, one writer thread, commits in groups
 *  6  rules        src/rules, src/image: pure judgements: which version, is the file what it says
 *  7  loop_open    src/gateway/loop: the UDP socket and its thread, around
 *  8  gateway      src/gateway/core.c: the device door without sockets: sorts datagrams into
 *  9  dtls         src/dtls: handshakes and records, then
 * 10  session      src/session: CoAP and what Device OS says over it, which drives
 * 11  ota          src/ota: the transfer, chunk by chunk; what the device reports goes back
 *                  through 8 as jobs of 4, and is acknowledged when it is durable */
#include "daemon.h"
#include "tasks.h"

#include "slipway/app/device.h"
#include "slipway/app/event.h"
#include "slipway/app/metric.h"
#include "slipway/app/vitals.h"
#include "slipway/sys/log.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PRUNE_S        60
#define FILES_SPARE    1024         /* of descriptors, beside those of connections */
#define FILES_LEAST    64           /* of them, where only few may be open */
#define CONNECTIONS    16           /* at least */
#define ARENAS         4            /* of the allocator: few threads allocate much */
#define MMAP_THRESHOLD (128 * 1024) /* bytes; slabs above it go back to the system when freed */

static int failed(const struct fault *fault) {
    (void)fprintf(stderr, "slipwayd: %s\n", fault->text);
    return EXIT_FAILURE;
}

static int prune(struct app_tx *tx, void *arg) {
    int status = app_event_prune(tx, arg);
    status = status != SW_OK ? status : app_vitals_prune(tx);
    status = status != SW_OK ? status : app_call_prune(tx);
    return status != SW_OK ? status : app_updates_prune(tx, arg);
}

/* Waits for a signal that ends the daemon; reloads and keeps house meanwhile. */
static void serve(struct daemon *daemon, const sigset_t *signals) {
    const struct timespec pause = {.tv_sec = PRUNE_S};
    struct fault fault = {0};
    for (;;) {
        int signal = sigtimedwait(signals, NULL, &pause);
        if (signal == SIGTERM || signal == SIGINT) {
            return;
        }
        if (signal == SIGHUP) {
            if (daemon_reload(daemon, &fault) == SW_OK) {
                log_note(LOG_INFO, "reloaded", "");
            } else {
                log_fault(LOG_UNUSUAL, "reload_refused", &fault);
            }
        } else if (signal < 0 && errno == EAGAIN) {
            uint32_t count = 0;
            (void)malloc_trim(0); /* what a storm of devices left behind */
            /* A full queue means that there is more urgent work. */
            (void)!app_execute(daemon->app, prune, &count, NULL);
        }
    }
}

/* Who closed one of the first three gets it as the first file that is opened: the database would
 * have lines of the log in it. */
static int keep_standard_files(void) {
    for (int file = STDIN_FILENO; file <= STDERR_FILENO; file++) {
        if (fcntl(file, F_GETFD) < 0 && open("/dev/null", O_RDWR) != file) {
            return SW_E_IO;
        }
    }
    return SW_OK;
}

/* As many descriptors as connections may be open: shells start programs with a thousand. Where that
 * is forbidden there are fewer connections: the database and the doors need descriptors, too. */
static int raise_files(struct config *config, struct fault *fault) {
    struct rlimit files;
    rlim_t wanted = (rlim_t)config->http_connections + FILES_SPARE;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= wanted) {
        return SW_OK;
    }
    const struct rlimit before = files;
    files.rlim_cur = files.rlim_max < wanted ? files.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0) {
        files = before;
    }
    if (files.rlim_cur < FILES_LEAST + CONNECTIONS) {
        return fault_set(fault, SW_E_RANGE, "%llu descriptors are too few: allow %d (ulimit -n)",
                         (unsigned long long)files.rlim_cur, FILES_LEAST + CONNECTIONS);
    }
    rlim_t spare = files.rlim_cur / 4 > FILES_LEAST ? files.rlim_cur / 4 : FILES_LEAST;
    spare = spare < FILES_SPARE ? spare : FILES_SPARE;
    rlim_t room = files.rlim_cur - spare;
    if (room < (rlim_t)config->http_connections) {
        struct log_line line;
        config->http_connections = (int64_t)room;
        log_begin(&line, LOG_UNUSUAL, "few_files");
        log_int(&line, "descriptors", (int64_t)files.rlim_cur);
        log_int(&line, "connections", config->http_connections);
        log_end(&line);
    }
    return SW_OK;
}

/* To systemd, if it started us and waits to hear: a datagram to the socket that it names
 * (sd_notify(3)). Nobody else is there to be told, and nothing depends on it. */
static void tell_manager(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = path == NULL ? 0 : strlen(path);
    if (len < 2 || len > sizeof to.sun_path) {
        return;
    }
    memcpy(to.sun_path, path, len);
    to.sun_path[0] = path[0] == '@' ? '\0' : path[0]; /* an abstract one */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        (void)sendto(fd, state, strlen(state), 0, (const struct sockaddr *)&to,
                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
        (void)close(fd);
    }
}

static int run(struct daemon *daemon) {
    struct fault fault = {0};
    sigset_t signals, ends;
    /* Blocked before the first thread starts, so that they reach sigtimedwait and nobody else. */
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGHUP);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    daemon->folder.lock = -1;
    if (raise_files(&daemon->config, &fault) != SW_OK) {
        return failed(&fault);
    }
    if (daemon_open(daemon, &fault) != SW_OK) {
        daemon_close(daemon);
        return failed(&fault);
    }
    char http[HOST_MAX + 8], dtls[HOST_MAX + 8];
    host_port_text(daemon->http_host, daemon->http_port, http);
    host_port_text(daemon->dtls_host, daemon->dtls_port, dtls);
    (void)printf("slipwayd ready http=%s dtls=%s\n", http, dtls);
    (void)fflush(stdout);
    tell_manager("READY=1");
    (void)malloc_trim(0); /* what the start left behind */
    serve(daemon, &signals);
    tell_manager("STOPPING=1");
    /* From here on a second signal ends the process at once; whatever is lost then is no more than
     * kill -9 may lose. */
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    (void)sigprocmask(SIG_UNBLOCK, &ends, NULL);
    if (!daemon_drain(daemon)) {
        log_note(LOG_UNUSUAL, "drain_cut", "not everything ended in time");
    }
    daemon_close(daemon);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    static struct daemon daemon;
    struct fault fault = {0};
    if (keep_standard_files() != SW_OK) {
        return EXIT_FAILURE;
    }
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
    (void)mallopt(M_ARENA_MAX, ARENAS);
    /* Small blocks that are kept apart would be gathered again at each larger request. */
    (void)mallopt(M_MXFAST, 0);
    if (options_read(argc, argv, &daemon.options, &fault) != SW_OK) {
        return failed(&fault);
    }
    switch (daemon.options.task) {
    case TASK_HELP:
        (void)fputs(OPTIONS_USAGE, stdout);
        return EXIT_SUCCESS;
    case TASK_VERSION:
        (void)puts("slipwayd " SLIPWAY_VERSION);
        return EXIT_SUCCESS;
    case TASK_EXAMPLE:
        config_example(stdout);
        return EXIT_SUCCESS;
    case TASK_KEY:
        return task_key(&daemon.options);
    case TASK_TOKEN:
        return task_token(&daemon.options);
    case TASK_BACKUP:
        return task_backup(&daemon.options);
    case TASK_TOKEN_CREATE:
    case TASK_USER_ADD:
    case TASK_USER_PASSWORD:
    case TASK_USER_REMOVE:
        return task_account(&daemon.options);
    case TASK_SERVE:
    case TASK_DUMP:
        break;
    }
    if (options_config(&daemon.options, &daemon.config, &fault) != SW_OK) {
        return failed(&fault);
    }
    if (daemon.options.task == TASK_DUMP) {
        config_dump(&daemon.config, stdout);
        return daemon_check(&daemon.config, &fault) == SW_OK ? EXIT_SUCCESS : failed(&fault);
    }
    return run(&daemon);
}
