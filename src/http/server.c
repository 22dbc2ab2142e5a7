/* The REST door. One way through it:
 *
 *   socket ─> libmicrohttpd's epoll threads ─> request/request.c (head, limits) ─> router.c
 *          ─> request/admit.c ─> request/body.c ─> the handler in resource/: a reader in place, a
 *             writer on a worker ─> reply/respond.c
 *
 * A request that must wait for the disk or for a device is suspended meanwhile, so a few epoll
 * threads serve thousands of connections and a slow one costs nobody but itself. Handlers live one
 * file to a resource and see no libmicrohttpd; what they may and who may ask is in routes.c. */
#include "slipway/http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/door.h"
#include "http/tls.h"
#include "slipway/sys/clock.h"
#include "slipway/sys/entropy.h"
#include "slipway/sys/log.h"
#include "slipway/util/check.h"

#define CONNECTION_MEMORY_BYTES                                                                    \
    16384 /* a head must fit into it, parsed; paid by each connection                              \
           */
#define LISTEN_BACKLOG 1024
/* GnuTLS's choice but for the versions that RFC 8996 ends. */
#define TLS_PRIORITIES "NORMAL:-VERS-TLS1.1:-VERS-TLS1.0"

/* More threads than processors only take turns, each for milliseconds, while requests wait. */
static unsigned threads_usual(void) {
    enum { USUAL_MAX = 4 };
    unsigned processors = thread_processors();
    return processors < USUAL_MAX ? processors : USUAL_MAX;
}

static void config_fill(struct http_config *config) {
    config->bind = config->bind != NULL ? config->bind : "127.0.0.1";
    config->threads = config->threads != 0 ? config->threads : threads_usual();
    config->workers = config->workers != 0 ? config->workers : 16;
    config->connections_max = config->connections_max != 0 ? config->connections_max : 12000;
    config->idle_timeout_s = config->idle_timeout_s != 0 ? config->idle_timeout_s : 30;
    config->request_timeout_s = config->request_timeout_s != 0 ? config->request_timeout_s : 120;
    config->device_timeout_ms = config->device_timeout_ms != 0 ? config->device_timeout_ms : 10000;
    config->upload_bytes_max =
        config->upload_bytes_max != 0 ? config->upload_bytes_max : (size_t)16 * 1024 * 1024;
    config->body_bytes_max =
        config->body_bytes_max != 0 ? config->body_bytes_max : (size_t)1024 * 1024;
    config->import_bytes_max =
        config->import_bytes_max != 0 ? config->import_bytes_max : (size_t)8 * 1024 * 1024;
}

/* --- readers --- */

/* Opened when it is first needed: each knows the whole schema, which costs more memory than most
 * servers ever need of them at once. */
static int reader_open(struct http_server *server, struct reader_slot *slot, struct fault *fault) {
    struct store *reader = NULL;
    if (slot->reader != NULL) {
        return SW_OK;
    }
    int code = app_reader_open(server->app, &reader, fault);
    slot->reader = reader;
    return code;
}

struct store *reader_acquire(struct http_server *server) {
    static _Thread_local size_t hint; /* the same thread keeps its warm cache */
    for (size_t i = 0;; i++) {
        size_t at = (hint + i) % server->reader_count;
        struct reader_slot *slot = &server->readers[at];
        if (!atomic_flag_test_and_set(&slot->is_taken)) {
            struct fault fault = {.code = SW_OK};
            hint = at;
            atomic_store_explicit(&slot->is_used, true, memory_order_relaxed);
            if (reader_open(server, slot, &fault) != SW_OK) {
                log_fault(LOG_BROKEN, "store_unreadable", &fault);
                atomic_flag_clear(&slot->is_taken);
                return NULL;
            }
            return slot->reader;
        }
    }
}

void reader_release(struct http_server *server, struct store *reader) {
    for (size_t i = 0; i < server->reader_count; i++) {
        if (server->readers[i].reader == reader) {
            atomic_flag_clear(&server->readers[i].is_taken);
            return;
        }
    }
}

void readers_rest(struct http_server *server) {
    app_views_renew(server->app);
    for (size_t i = 0; i < server->reader_count; i++) {
        struct reader_slot *slot = &server->readers[i];
        if (atomic_exchange(&slot->is_used, false) || atomic_flag_test_and_set(&slot->is_taken)) {
            continue;
        }
        if (slot->reader != NULL) {
            app_reader_rest(slot->reader);
        }
        atomic_flag_clear(&slot->is_taken);
    }
}

static int readers_open(struct http_server *server, struct fault *fault) {
    server->reader_count = server->config.threads + server->config.workers + DOOR_LOGIN_WORKERS;
    for (size_t i = 0; i < server->reader_count; i++) {
        atomic_flag_clear(&server->readers[i].is_taken);
    }
    return reader_open(server, &server->readers[0], fault);
}

/* --- workers --- */

static void worker_run(void *arg) {
    struct lane *lane = arg;
    for (;;) {
        struct mail *mail = mailbox_wait(&lane->box, 1, -1);
        if (mail == NULL) {
            return;
        }
        request_work((struct request *)mail);
    }
}

static int lane_start(struct lane *lane, const char *name, size_t count, struct fault *fault) {
    for (; lane->count < count; lane->count++) {
        int rc = thread_start(&lane->threads[lane->count], name, worker_run, lane, fault);
        if (rc != SW_OK) {
            return rc;
        }
    }
    return SW_OK;
}

static void lane_stop(struct lane *lane) {
    mailbox_close(&lane->box);
    for (size_t i = 0; i < lane->count; i++) {
        thread_join(&lane->threads[i]);
    }
}

/* --- libmicrohttpd --- */

static void *on_target(void *arg, const char *target, struct MHD_Connection *connection) {
    return request_new(arg, connection, target);
}

static enum MHD_Result on_call(void *arg, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *data,
                               size_t *data_len, void **state) {
    (void)arg;
    (void)connection;
    (void)url; /* already decoded, slashes and all: the request keeps the raw one */
    (void)version;
    struct request *rq = *state;
    return rq == NULL ? MHD_NO : request_call(rq, method, data, data_len);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode why) {
    (void)arg;
    (void)connection;
    (void)why;
    if (*state != NULL) {
        request_free(*state);
        *state = NULL;
    }
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **state,
                          enum MHD_ConnectionNotificationCode what) {
    struct http_server *server = arg;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        watch_remove(&server->watch, *state);
        return;
    }
    const union MHD_ConnectionInfo *socket =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (socket != NULL) {
        const union MHD_ConnectionInfo *client =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
        int64_t limit_ms = (int64_t)server->config.request_timeout_s * 1000;
        *state = watch_add(&server->watch, socket->connect_fd,
                           client != NULL ? client->client_addr : NULL,
                           mono_add_ms(mono_now(), limit_ms));
    }
}

static void on_message(void *arg, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void on_message(void *arg, const char *format, va_list args) {
    (void)arg;
    char text[256];
    (void)vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    log_note(LOG_DEBUG, "http_library", text);
}

static int listen_on(const struct http_config *config, uint16_t *port, struct fault *fault) {
    struct sockaddr_storage storage = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&storage;
    socklen_t len = 0;
    if (inet_pton(AF_INET, config->bind, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(config->port);
        len = sizeof *v4;
    } else if (inet_pton(AF_INET6, config->bind, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(config->port);
        len = sizeof *v6;
    } else {
        return fault_set(fault, SW_E_INPUT, "http: %s is not a numeric address", config->bind);
    }
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (struct sockaddr *)&storage, len) != 0 || listen(fd, LISTEN_BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&storage, &len) != 0) {
        (void)fault_set(fault, SW_E_IO, "http: cannot listen on %s port %u: %s", config->bind,
                        config->port, strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return SW_E_IO;
    }
    *port = ntohs(storage.ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
    return fd;
}

static int daemon_start(struct http_server *server, struct fault *fault) {
    const struct http_config *config = &server->config;
    int fd = listen_on(config, &server->port, fault);
    if (fd < 0) {
        return fd;
    }
    struct MHD_OptionItem options[16] = {0};
    size_t n = 0;
    options[n++] = (struct MHD_OptionItem){MHD_OPTION_LISTEN_SOCKET, fd, NULL};
    options[n++] =
        (struct MHD_OptionItem){MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY_BYTES, NULL};
    options[n++] = (struct MHD_OptionItem){MHD_OPTION_CONNECTION_LIMIT,
                                           (intptr_t)config->connections_max, NULL};
    options[n++] = (struct MHD_OptionItem){MHD_OPTION_CONNECTION_TIMEOUT,
                                           (intptr_t)config->idle_timeout_s, NULL};
    options[n++] =
        (struct MHD_OptionItem){MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, NULL};
    options[n++] =
        (struct MHD_OptionItem){MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, server};
    options[n++] =
        (struct MHD_OptionItem){MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_target, server};
    if (config->address_connections_max != 0) {
        options[n++] = (struct MHD_OptionItem){MHD_OPTION_PER_IP_CONNECTION_LIMIT,
                                               (intptr_t)config->address_connections_max, NULL};
    }
    if (config->threads > 1) {
        options[n++] =
            (struct MHD_OptionItem){MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)config->threads, NULL};
    }
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    if (config->tls_cert_pem != NULL) {
        flags |= MHD_USE_TLS;
        options[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0,
                                               (void *)(uintptr_t)TLS_PRIORITIES};
        options[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_CERT_CALLBACK, 0,
                                               (void *)(uintptr_t)tls_choose};
    }
    options[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    server->daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, on_call, server, MHD_OPTION_EXTERNAL_LOGGER,
                         on_message, NULL, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    if (server->daemon == NULL) {
        (void)close(fd);
        return fault_set(fault, SW_E_IO, "http: cannot start");
    }
    return SW_OK;
}

/* --- life --- */

static int config_check(const struct http_config *config, struct fault *fault) {
    if (config->workers > DOOR_WORKERS_MAX) {
        return fault_set(fault, SW_E_INPUT, "http: at most %d workers", DOOR_WORKERS_MAX);
    }
    if (config->threads + config->workers + DOOR_LOGIN_WORKERS > DOOR_READERS_MAX) {
        return fault_set(fault, SW_E_INPUT, "http: at most %d threads and workers together",
                         DOOR_READERS_MAX - DOOR_LOGIN_WORKERS);
    }
    if ((config->tls_cert_pem == NULL) != (config->tls_key_pem == NULL)) {
        return fault_set(fault, SW_E_INPUT,
                         "http: a certificate needs its key, and a key its "
                         "certificate");
    }
    return SW_OK;
}

int http_server_start(const struct http_config *config, struct app *app,
                      const struct http_ports *ports, struct http_server **out,
                      struct fault *fault) {
    *out = NULL;
    struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        return fault_set(fault, SW_E_MEMORY, "http: out of memory");
    }
    server->config = *config;
    config_fill(&server->config);
    server->app = app;
    server->ports = *ports;
    server->started = mono_now();
    uint64_t seeds[3];
    sys_entropy(seeds, sizeof seeds);
    server->id_seed = seeds[0];
    mailbox_init(&server->work.box, (size_t)server->config.connections_max + 1, NULL, NULL);
    mailbox_init(&server->passwords.box, DOOR_LOGINS_MAX, NULL, NULL);
    int rc = config_check(&server->config, fault);
    if (rc == SW_OK && config->tls_cert_pem != NULL) {
        rc = tls_set(config->tls_cert_pem, config->tls_key_pem, fault);
    }
    if (rc == SW_OK) {
        rc = limits_init(&server->requests, config->address_requests_max, seeds[1]);
    }
    if (rc == SW_OK) {
        rc = limits_init(&server->logins, config->address_logins_max, seeds[2]);
    }
    if (rc == SW_OK) {
        rc = watch_init(&server->watch, server->config.connections_max);
    }
    if (rc == SW_OK) {
        rc = readers_open(server, fault);
    }
    if (rc == SW_OK) {
        rc = hub_start(&server->hub, server, fault);
    }
    if (rc == SW_OK) {
        rc = lane_start(&server->work, "http-worker", server->config.workers, fault);
    }
    if (rc == SW_OK) {
        rc = lane_start(&server->passwords, "http-login", DOOR_LOGIN_WORKERS, fault);
    }
    if (rc == SW_OK) {
        rc = daemon_start(server, fault);
    }
    if (rc != SW_OK) {
        http_server_stop(server);
        return rc;
    }
    *out = server;
    return SW_OK;
}

uint16_t http_server_port(const struct http_server *server) {
    return server->port;
}

int http_server_certificate(struct http_server *server, const char *cert_pem, const char *key_pem,
                            struct fault *fault) {
    SW_CHECK(server->config.tls_cert_pem != NULL);
    return tls_set(cert_pem, key_pem, fault);
}

void http_server_events_ready(struct http_server *server) {
    hub_events_ready(&server->hub);
}

unsigned http_server_drain(struct http_server *server, int64_t limit_ms) {
    if (!atomic_exchange(&server->is_draining, true)) {
        /* libmicrohttpd's threads may still have a last look at it: nobody else may get its number
         * before they have ended. */
        server->listen_fd = MHD_quiesce_daemon(server->daemon);
        (void)shutdown(server->listen_fd, SHUT_RDWR);
        hub_end(&server->hub);
    }
    mono_time limit = mono_add_ms(mono_now(), limit_ms);
    while (atomic_load(&server->under_way) > 0 && !mono_reached(mono_now(), limit)) {
        (void)usleep(2000);
    }
    return atomic_load(&server->under_way);
}

void http_server_stop(struct http_server *server) {
    if (server == NULL) {
        return;
    }
    if (server->daemon != NULL) {
        (void)http_server_drain(server, 0);
        /* libmicrohttpd may not be stopped while a connection is suspended: workers finish what
         * they have, calls have been failed by the hub. */
        while (atomic_load(&server->suspended) > 0) {
            (void)usleep(1000);
        }
    }
    lane_stop(&server->work);
    lane_stop(&server->passwords);
    if (server->daemon != NULL) {
        MHD_stop_daemon(server->daemon);
        if (server->listen_fd >= 0) {
            (void)close(server->listen_fd);
        }
    }
    if (server->config.tls_cert_pem != NULL) {
        tls_close();
    }
    if (server->hub.server != NULL) {
        hub_stop(&server->hub);
    }
    for (size_t i = 0; i < server->reader_count; i++) {
        if (server->readers[i].reader != NULL) {
            app_reader_close(server->app, server->readers[i].reader);
        }
    }
    watch_close(&server->watch);
    limits_close(&server->requests);
    limits_close(&server->logins);
    mailbox_destroy(&server->work.box);
    mailbox_destroy(&server->passwords.box);
    free(server);
}
