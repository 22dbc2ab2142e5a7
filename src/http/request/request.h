/* One request on its way through the door. Life (each arrow is one thread at a time):
 *
 *   HEAD ──> BODY ──> RUNNING ──> REPLYING        epoll thread; ROUTE_WORKER: a worker while
 * RUNNING └──────────────────^              refused early: the body is swallowed, then replied
 *
 * The connection is suspended while a worker has the request, so no epoll thread waits for it. */
#ifndef SLIPWAY_HTTP_REQUEST_REQUEST_H
#define SLIPWAY_HTTP_REQUEST_REQUEST_H

#include <microhttpd.h>

#include "http/reply/reply.h"
#include "http/request/body.h"
#include "http/request/fields.h"
#include "http/route.h"
#include "slipway/app/product.h"
#include "slipway/app/query.h"
#include "slipway/app/token.h"
#include "slipway/http/ports.h"
#include "slipway/sys/mailbox.h"

struct http_server;
struct device_call;
struct stream;
struct request;
struct watch_slot;

enum request_phase { REQUEST_HEAD, REQUEST_BODY, REQUEST_RUNNING, REQUEST_REPLYING };

/* Goes on with a request after a device's answer; on a worker. */
typedef void request_after_fn(struct request *rq, const struct device_reply *answer);

#define REQUEST_ID_DIGITS 16
#define QUERY_NAMES_MAX   16

struct request {
    struct mail mail; /* first: in the workers' queue */
    struct http_server *server;
    struct MHD_Connection *connection;
    enum request_phase phase;
    enum method method;
    int path_status; /* of path_parse */
    bool has_body;
    bool has_query;
    bool is_ill_framed; /* where its body ends is not known: the reply is the connection's last */
    bool is_admitted;   /* identity, product and device below are known */
    bool has_device;
    bool has_key;      /* its Idempotency-Key is claimed and waits for the reply */
    bool has_command;  /* to be sent when the handler is through */
    size_t target_len; /* of the request line, before decoding */
    const char *query_names[QUERY_NAMES_MAX]; /* that the handler asked for (query.h) */
    size_t query_count;
    struct route_match match;
    uint64_t swallowed_bytes; /* of a body that nobody wants any more */
    struct body body;
    struct store *reader; /* while a handler runs */
    struct app_tx *tx;    /* the reading view of a handler that is not on a worker */

    struct device_command command;
    struct device_call *call; /* waiting for a device, or with its answer */
    request_after_fn *after;
    json_t *page; /* of the reply, as far as the handler made it before the device answered */
    struct stream *stream;
    struct watch_slot *watch; /* of the connection; may be NULL */
    mono_time started;
    char id[REQUEST_ID_DIGITS + 1];
    const char *address; /* the client's; the connection's */
    struct reply reply;  /* its headers are not cleared either */

    /* What follows is large, and cleared only as far as it says whether it was filled. */
    struct path path;
    /* Who asks and what the path names; looked up before the handler runs (admit.h). */
    struct app_identity identity; /* of user.id 0 = nobody */
    struct product product;       /* of :product, or of the device; id 0 = none */
    struct device device;         /* of :device; product_id 0 also without one */
};

/* A parameter of the path, which the route's pattern has. Borrowed from the request. */
const char *request_param(const struct request *rq, const char *name);
/* NULL when absent. Borrowed from the request. */
const char *request_header(const struct request *rq, const char *name);
/* A firmware version in the path; false with the 404 reply if it cannot be one. */
bool request_version(struct request *rq, uint16_t *out);

/* The body's fields for reading; errors become the reply. */
struct fields request_fields(struct request *rq);
/* The uploaded file; false with a reply when there is none. */
bool request_file(struct request *rq, struct span *out);

/* Runs a use case in a read view or as a write job; a failure becomes the reply. Writes only on
 * workers. */
bool request_read(struct request *rq, app_run_fn *run, void *arg);
bool request_write(struct request *rq, app_run_fn *run, void *arg);

/* Has a command sent to the device once the handler returned; `after` then makes the reply. What
 * the command borrows lives as long as the request. On a worker only. */
void request_command(struct request *rq, const struct device_command *command,
                     request_after_fn *after);

/* The name that is written down for what this request does. */
const char *request_user(const struct request *rq);

#endif
