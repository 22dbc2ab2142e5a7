/* The inside of struct http_server, for the files that share its threads. */
#ifndef SLIPWAY_HTTP_DOOR_H
#define SLIPWAY_HTTP_DOOR_H

#include <stdatomic.h>

#include "http/request/limits.h"
#include "http/request/request.h"
#include "http/request/watch.h"
#include "http/stream/hub.h"
#include "slipway/http/server.h"
#include "slipway/sys/thread.h"

#define DOOR_WORKERS_MAX 64
#define DOOR_READERS_MAX 160

/* Passwords are slow to check, and anybody may ask: they have workers of their own, so that however
 * many guess, nobody else waits. More than so many do not wait at all, but are told to come back.
 */
#define DOOR_LOGIN_WORKERS 2
#define DOOR_LOGINS_MAX    256

/* Requests that wait, and the threads that take them. */
struct lane {
    struct mailbox box;
    size_t count;
    struct thread threads[DOOR_WORKERS_MAX];
};

/* One read-only view of the database for whoever runs a handler; there are as many as threads, so
 * one is always free. */
struct reader_slot {
    atomic_flag is_taken;
    atomic_bool is_used;          /* since the last look at it */
    struct store *_Atomic reader; /* compared by who gives back another */
};

struct http_server {
    struct http_config config; /* with the defaults filled in */
    struct app *app;
    struct http_ports ports;
    struct MHD_Daemon *daemon;
    uint16_t port;
    int listen_fd; /* once no more connections are taken */
    struct lane work, passwords;
    struct hub hub;
    struct limits requests; /* by client address */
    struct limits logins;
    struct watch watch;
    size_t reader_count;
    struct reader_slot readers[DOOR_READERS_MAX];
    atomic_uint under_way; /* requests between their first and last call */
    atomic_uint suspended; /* of them with a worker or a device; streams not counted */
    atomic_bool is_draining;
    uint64_t id_seed; /* of request ids */
    atomic_uint_fast64_t id_next;
    mono_time started;
};

/* request/request.c. On a worker: runs the handler, or goes on after a device's answer, then passes
 * the request on. */
void request_work(struct request *rq);
/* Hands a suspended request to the workers. Any thread. */
void request_requeue(struct request *rq);

/* NULL, and the log says why: one could not be opened. */
struct store *reader_acquire(struct http_server *server);
void reader_release(struct http_server *server, struct store *reader);
/* Several times a second: open views serve nobody any more, and those of readers that nobody used
 * meanwhile are closed. */
void readers_rest(struct http_server *server);

/* request/request.c: the callbacks of libmicrohttpd. */
struct request *request_new(struct http_server *server, struct MHD_Connection *connection,
                            const char *target);
void request_free(struct request *rq);
enum MHD_Result request_call(struct request *rq, const char *method, const char *data,
                             size_t *data_len);

#endif
