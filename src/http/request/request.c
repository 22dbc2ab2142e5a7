/* From the first byte of a request to the last of its reply. libmicrohttpd calls again and again
 * with the same request; the phase says where it stands. */
#include "http/request/request.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/door.h"
#include "http/reply/respond.h"
#include "http/request/admit.h"
#include "http/request/once.h"
#include "http/request/query.h"
#include "slipway/sys/clock.h"
#include "slipway/util/check.h"
#include "slipway/util/hex.h"
#include "slipway/util/text.h"

/* Below what libmicrohttpd itself refuses (server.c), so that our own reply is what is met first.
 */
#define HEAD_BYTES_MAX   12288
#define TARGET_BYTES_MAX 8192

/* So much of a body that was refused is still read, so that the client gets to see why: it writes
 * first and reads later, and a closed connection would cost it our reply. */
#define SWALLOW_BYTES_MAX ((uint64_t)64 * 1024 * 1024)

const char *request_param(const struct request *rq, const char *name) {
    const char *value = route_param(&rq->match, name);
    SW_CHECK(value != NULL);
    return value;
}

const char *request_header(const struct request *rq, const char *name) {
    return MHD_lookup_connection_value(rq->connection, MHD_HEADER_KIND, name);
}

bool request_version(struct request *rq, uint16_t *out) {
    const char *text = request_param(rq, "version");
    int64_t version = 0;
    if (!text_integer(text, &version) || !version_is_valid(version)) {
        reply_error(&rq->reply, 404, "not_found", "version: there is no such firmware version");
        return false;
    }
    *out = (uint16_t)version;
    return true;
}

struct fields request_fields(struct request *rq) {
    struct fields fields =
        fields_of(rq->body.fields, rq->has_body && rq->body.kind != BODY_JSON, &rq->reply);
    fields_known(&fields, "access_token");
    fields.failed = rq->reply.status != 0;
    return fields;
}

bool request_file(struct request *rq, struct span *out) {
    if (!rq->has_body || !rq->body.has_file) {
        reply_error(&rq->reply, 400, "invalid_request",
                    "file: is required, as multipart/form-data");
        return false;
    }
    int rc = spool_read(&rq->body.file, out);
    if (rc != SW_OK) {
        reply_app_error(&rq->reply, rc, NULL);
    }
    return rc == SW_OK;
}

bool request_read(struct request *rq, app_run_fn *run, void *arg) {
    struct app_error error = {0};
    int rc =
        rq->tx != NULL ? run(rq->tx, arg) : app_read(rq->server->app, rq->reader, run, arg, &error);
    if (rc != SW_OK) {
        reply_app_error(&rq->reply, rc, rq->tx != NULL ? &rq->tx->error : &error);
    }
    return rc == SW_OK;
}

bool request_write(struct request *rq, app_run_fn *run, void *arg) {
    SW_CHECK((rq->match.route->flags & ROUTE_WORKER) != 0);
    struct app_error error = {0};
    int rc = app_execute(rq->server->app, run, arg, &error);
    if (rc != SW_OK) {
        reply_app_error(&rq->reply, rc, &error);
    }
    return rc == SW_OK;
}

const char *request_user(const struct request *rq) {
    return rq->identity.user.name;
}

struct request *request_new(struct http_server *server, struct MHD_Connection *connection,
                            const char *target) {
    struct request *rq = malloc(sizeof *rq);
    if (rq == NULL) {
        return NULL;
    }
    memset(rq, 0, offsetof(struct request, reply.headers));
    rq->identity.user.id = 0;
    rq->identity.user.name[0] = '\0';
    rq->identity.user.is_api = false;
    rq->product.id = 0;
    rq->device.num = 0;
    rq->device.product_id = 0;
    rq->server = server;
    rq->connection = connection;
    rq->started = mono_now();
    rq->target_len = strlen(target);
    rq->path_status = path_parse(span_of(target, strcspn(target, "?")), &rq->path);
    uint64_t serial = server->id_seed + atomic_fetch_add(&server->id_next, 1);
    hex_encode(span_of(&serial, sizeof serial), rq->id, sizeof rq->id);
    atomic_fetch_add(&server->under_way, 1);
    return rq;
}

/* For what is still to come of this request, or after idle_ms more of the next one. */
static mono_time request_deadline(const struct request *rq, mono_time now, int64_t idle_ms) {
    int64_t limit_ms = (int64_t)rq->server->config.request_timeout_s * 1000;
    return mono_add_ms(now, limit_ms + idle_ms);
}

void request_free(struct request *rq) {
    int64_t idle_ms = (int64_t)rq->server->config.idle_timeout_s * 1000;
    watch_set(rq->watch, request_deadline(rq, mono_now(), idle_ms));
    atomic_fetch_sub(&rq->server->under_way, 1);
    if (rq->has_body) {
        body_close(&rq->body);
    }
    reply_close(&rq->reply);
    json_decref(rq->page);
    if (rq->call != NULL) {
        device_call_release(rq->call);
    }
    free(rq);
}

/* --- admission --- */

static void request_admit(struct request *rq, const json_t *fields) {
    struct admit admit = {.rq = rq, .token = admit_token(rq, fields)};
    struct store *own = rq->reader == NULL ? reader_acquire(rq->server) : NULL;
    struct store *reader = own != NULL ? own : rq->reader;
    struct app_error error = {0};
    int rc = reader == NULL ? SW_E_BUSY
                            : app_read_on(rq->server->app, reader, admit_run, &admit, &error);
    if (own != NULL) {
        reader_release(rq->server, own);
    }
    if (rc != SW_OK) {
        reply_app_error(&rq->reply, rc, &error);
    }
}

/* Neither a file nor long text may come before the token: see body_admit_fn. */
static bool request_admits_body(void *arg, const json_t *fields) {
    struct request *rq = arg;
    if (!rq->is_admitted) {
        request_admit(rq, fields);
    }
    return rq->is_admitted;
}

/* --- head --- */

static void request_limit(struct request *rq) {
    struct http_server *server = rq->server;
    bool is_login = rq->match.route != NULL && (rq->match.route->flags & ROUTE_LOGIN) != 0;
    unsigned wait_s = limits_take(&server->requests, rq->address, rq->started);
    if (wait_s == 0 && is_login) {
        wait_s = limits_take(&server->logins, rq->address, rq->started);
    }
    if (wait_s > 0) {
        reply_header(&rq->reply, "Retry-After", "%u", wait_s);
        reply_error(&rq->reply, 429, "too_many_requests",
                    "This address has asked too often; try again in %u seconds.", wait_s);
    }
}

/* UTF-8 without a NUL, which would hide what follows it. Most is ASCII. */
static bool is_text(const char *bytes, size_t len) {
    unsigned found = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        found |= (c & 0x80U) | (unsigned)(c == 0);
    }
    json_t *text = found != 0 ? json_stringn(bytes, len) : NULL;
    bool good = found == 0 || (text != NULL && memchr(bytes, '\0', len) == NULL);
    json_decref(text);
    return good;
}

static bool path_is_text(const struct path *path) {
    for (size_t i = 0; i < path->count; i++) {
        if (!is_text(path->segments[i], strlen(path->segments[i]))) {
            return false;
        }
    }
    return true;
}

static void request_route(struct request *rq) {
    if (rq->path_status != SW_OK) {
        bool is_long = rq->path_status == SW_E_FULL;
        reply_error(&rq->reply, is_long ? 404 : 400, is_long ? "not_found" : "invalid_request",
                    is_long ? "There is nothing at this path." : "The path is malformed.");
        return;
    }
    if (!path_is_text(&rq->path)) {
        reply_error(&rq->reply, 400, "invalid_request", "The path must be UTF-8 text.");
        return;
    }
    route_find(routes, route_count, rq->method, &rq->path, &rq->match);
    if (rq->match.route != NULL) {
        return;
    }
    if (rq->match.methods == 0) {
        reply_error(&rq->reply, 404, "not_found", "There is nothing at this path.");
        return;
    }
    char allow[64];
    route_allow(rq->match.methods, allow, sizeof allow);
    reply_header_text(&rq->reply, "Allow", allow);
    if (rq->method == METHOD_OPTIONS) {
        reply_empty(&rq->reply, 204);
    } else {
        reply_error(&rq->reply, 405, "method_not_allowed", "Allowed here: %s.", allow);
    }
}

static bool request_has_body(const struct request *rq) {
    const char *length = request_header(rq, "Content-Length");
    if (length != NULL) {
        return strcmp(length, "0") != 0;
    }
    return request_header(rq, "Transfer-Encoding") != NULL;
}

static void request_begin_body(struct request *rq) {
    const struct route *route = rq->match.route;
    const struct http_config *config = &rq->server->config;
    bool takes_file = (route->flags & ROUTE_FILE) != 0;
    struct body_limits limits = {.text_bytes = config->body_bytes_max};
    if ((route->flags & ROUTE_OPEN) != 0) {
        limits.text_bytes = BODY_STRANGER_BYTES;
    }
    if (takes_file) {
        bool is_import = (route->flags & ROUTE_IMPORT) != 0;
        limits.file_bytes = is_import ? config->import_bytes_max : config->upload_bytes_max;
        if (is_import) {
            limits.text_bytes = config->import_bytes_max;
        }
    }
    rq->has_body = true;
    if (!body_begin(&rq->body, rq->connection, &limits, &rq->reply)) {
        return;
    }
    if ((route->flags & ROUTE_FORM) != 0 && rq->body.kind != BODY_FORM) {
        reply_error(&rq->reply, 415, "unsupported_media_type",
                    "Send application/x-www-form-urlencoded.");
        return;
    }
    rq->body.admit = request_admits_body;
    rq->body.admit_arg = rq;
    /* Told at once where the length is declared; the framing of multipart gets some room. */
    enum { FRAMING_BYTES = 64 * 1024 };
    const char *length = request_header(rq, "Content-Length");
    size_t limit = rq->body.kind == BODY_MULTIPART
                       ? limits.file_bytes + limits.text_bytes + FRAMING_BYTES
                       : limits.text_bytes;
    if (length != NULL && strtoull(length, NULL, 10) > limit) {
        reply_error(&rq->reply, 413, "too_large",
                    "The body is larger than the %zu bytes allowed here.",
                    takes_file && rq->body.kind == BODY_MULTIPART ? limits.file_bytes : limit);
    }
}

static void request_measure(struct request *rq) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(rq->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (rq->target_len > TARGET_BYTES_MAX) {
        reply_error(&rq->reply, 414, "uri_too_long", "Path and query have more than %d bytes.",
                    TARGET_BYTES_MAX);
    } else if (info != NULL && info->header_size > HEAD_BYTES_MAX) {
        reply_error(&rq->reply, 431, "head_too_large", "The head has more than %d bytes.",
                    HEAD_BYTES_MAX);
    }
}

static enum MHD_Result check_argument(void *arg, enum MHD_ValueKind kind, const char *name,
                                      size_t name_len, const char *value, size_t value_len) {
    struct request *rq = arg;
    (void)kind;
    rq->has_query = true;
    if (!is_text(name, name_len)) {
        reply_error(&rq->reply, 400, "invalid_request", "The query must be UTF-8 text.");
    } else if (value != NULL && !is_text(value, value_len)) {
        reply_error(&rq->reply, 400, "invalid_request", "%s: must be UTF-8 text", name);
    }
    return rq->reply.status == 0 ? MHD_YES : MHD_NO;
}

/* Whoever stands between the client and us may see another end of such a request than we do. */
static void request_check_framing(struct request *rq) {
    const char *coding = request_header(rq, "Transfer-Encoding");
    if (coding == NULL) {
        return;
    }
    bool is_chunked = strcasecmp(coding, "chunked") == 0;
    if (is_chunked && request_header(rq, "Content-Length") == NULL) {
        return;
    }
    rq->is_ill_framed = true;
    reply_error(&rq->reply, 400, "invalid_request",
                is_chunked ? "Transfer-Encoding: not together with Content-Length"
                           : "Transfer-Encoding: must be chunked");
}

/* Everything that can be said before the body. */
static void request_head(struct request *rq, const char *method) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(rq->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    rq->watch = info != NULL ? info->socket_context : NULL;
    watch_set(rq->watch, request_deadline(rq, rq->started, 0));
    rq->method = method_of(method);
    rq->address = watch_address(&rq->server->watch, rq->watch);
    request_measure(rq);
    request_check_framing(rq);
    (void)MHD_get_connection_values_n(rq->connection, MHD_GET_ARGUMENT_KIND, check_argument, rq);
    request_route(rq);
    request_limit(rq);
    if (rq->reply.status != 0) {
        return;
    }
    if (!request_has_body(rq)) {
        return; /* admitted where it runs, in one view with its handler */
    }
    bool is_open = (rq->match.route->flags & ROUTE_OPEN) != 0;
    if (!is_open && admit_token(rq, NULL) != NULL) {
        request_admit(rq, NULL);
        if (!rq->is_admitted) {
            return;
        }
    }
    request_begin_body(rq);
    bool is_form = rq->body.kind == BODY_FORM || rq->body.kind == BODY_MULTIPART;
    if (rq->reply.status == 0 && !is_open && !rq->is_admitted && !is_form) {
        request_admit(rq, NULL); /* only a form may still bring a token */
    }
}

/* --- running --- */

static int request_run_read(struct app_tx *tx, void *arg) {
    struct request *rq = arg;
    if (!rq->is_admitted) {
        struct admit admit = {.rq = rq,
                              .token = admit_token(rq, rq->has_body ? rq->body.fields : NULL)};
        (void)admit_run(tx, &admit);
    }
    if (rq->is_admitted) {
        rq->tx = tx;
        rq->match.route->handle(rq);
        rq->tx = NULL;
        query_end(rq);
    }
    reply_cause(&rq->reply, tx->fault);
    return SW_OK;
}

static void request_run(struct request *rq) {
    struct http_server *server = rq->server;
    rq->reader = reader_acquire(server);
    if (rq->reader == NULL) {
        reply_app_error(&rq->reply, SW_E_BUSY, NULL);
    } else if (rq->call != NULL) {
        struct device_call *call = rq->call;
        rq->call = NULL;
        rq->after(rq, device_call_answer(call));
        device_call_release(call);
    } else if ((rq->match.route->flags & ROUTE_WORKER) == 0) {
        struct app_error error = {0};
        int rc = app_read_on(server->app, rq->reader, request_run_read, rq, &error);
        if (rc != SW_OK) {
            reply_app_error(&rq->reply, rc, &error);
        }
    } else {
        if (!rq->is_admitted) {
            request_admit(rq, rq->has_body ? rq->body.fields : NULL);
        }
        if (rq->is_admitted && once_begin(rq)) {
            rq->match.route->handle(rq);
            query_end(rq);
        }
    }
    if (!rq->has_command) {
        once_end(rq);
    }
    if (rq->reader != NULL) {
        reader_release(server, rq->reader);
        rq->reader = NULL;
    }
}

/* Gives it back to its connection. Any thread. */
static void request_resume(struct request *rq) {
    struct http_server *server = rq->server;
    MHD_resume_connection(rq->connection);
    atomic_fetch_sub(&server->suspended, 1);
}

/* On a worker: whoever passes the request on, to the hub or back to its connection, may not look at
 * it any more. */
void request_work(struct request *rq) {
    request_run(rq);
    if (rq->has_command) {
        rq->has_command = false;
        hub_call(&rq->server->hub, rq);
    } else {
        request_resume(rq);
    }
}

void request_command(struct request *rq, const struct device_command *command,
                     request_after_fn *after) {
    SW_CHECK((rq->match.route->flags & ROUTE_WORKER) != 0);
    rq->command = *command;
    rq->command.timeout_ms = rq->server->config.device_timeout_ms;
    rq->has_command = true;
    rq->after = after;
}

/* The workers' box has room for every connection, so a post can only fail when the door is closing;
 * that of logins may be full. */
void request_requeue(struct request *rq) {
    bool is_login = (rq->match.route->flags & ROUTE_LOGIN) != 0;
    struct lane *lane = is_login ? &rq->server->passwords : &rq->server->work;
    if (mailbox_post(&lane->box, &rq->mail) != SW_OK) {
        reply_app_error(&rq->reply, SW_E_BUSY, NULL);
        request_resume(rq);
    }
}

static const char *query_value(const struct request *rq, const char *name) {
    return MHD_lookup_connection_value(rq->connection, MHD_GET_ARGUMENT_KIND, name);
}

/* Texts may stand anywhere in a name, so every device is looked at; a page comes after all that are
 * before it. */
static bool request_is_search(const struct request *rq) {
    enum { PAGE_NEAR = 20 };
    int64_t page = 1;
    const char *text = query_value(rq, "page");
    bool is_far = text != NULL && text_integer(text, &page) && page > PAGE_NEAR;
    return is_far || query_value(rq, "deviceId") != NULL || query_value(rq, "deviceName") != NULL ||
           query_value(rq, "serialNumber") != NULL;
}

/* Nobody else's request waits behind one that takes long. */
static bool request_takes_long(const struct request *rq) {
    unsigned flags = rq->match.route->flags;
    return (flags & ROUTE_WORKER) != 0 || ((flags & ROUTE_SEARCH) != 0 && request_is_search(rq));
}

static enum MHD_Result request_execute(struct request *rq) {
    if (rq->reply.status == 0 && request_takes_long(rq)) {
        rq->phase = REQUEST_RUNNING;
        atomic_fetch_add(&rq->server->suspended, 1);
        MHD_suspend_connection(rq->connection);
        request_requeue(rq);
        return MHD_YES;
    }
    if (rq->reply.status == 0) {
        rq->phase = REQUEST_RUNNING;
        request_run(rq);
    }
    rq->phase = REQUEST_REPLYING;
    return respond(rq);
}

static enum MHD_Result request_take(struct request *rq, const char *data, size_t *data_len) {
    if (rq->reply.status == 0) {
        (void)body_append(&rq->body, data, *data_len);
    } else {
        rq->swallowed_bytes += *data_len;
    }
    *data_len = 0;
    return rq->swallowed_bytes > SWALLOW_BYTES_MAX ? MHD_NO : MHD_YES;
}

enum MHD_Result request_call(struct request *rq, const char *method, const char *data,
                             size_t *data_len) {
    switch (rq->phase) {
    case REQUEST_HEAD:
        request_head(rq, method);
        rq->phase = REQUEST_BODY;
        if (rq->reply.status != 0 && request_has_body(rq)) {
            const char *length = request_header(rq, "Content-Length");
            bool is_huge = length != NULL && strtoull(length, NULL, 10) > SWALLOW_BYTES_MAX;
            if (is_huge || rq->is_ill_framed || request_header(rq, "Expect") != NULL) {
                rq->phase = REQUEST_REPLYING;
                return respond(rq);
            }
        }
        return MHD_YES;
    case REQUEST_BODY:
        if (*data_len > 0) {
            return request_take(rq, data, data_len);
        }
        watch_set(rq->watch, MONO_NEVER);
        if (rq->reply.status == 0 && rq->has_body) {
            (void)body_end(&rq->body);
        }
        return request_execute(rq);
    case REQUEST_RUNNING: /* a worker is done with it */
        rq->phase = REQUEST_REPLYING;
        return respond(rq);
    case REQUEST_REPLYING:
        return MHD_NO;
    }
    return MHD_NO;
}
