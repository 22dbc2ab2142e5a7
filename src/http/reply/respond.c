#include "http/reply/respond.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "http/door.h"
#include "http/stream/stream.h"
#include "slipway/sys/clock.h"
#include "slipway/sys/log.h"

#define GZIP_BYTES_MIN     2048 /* below, a packet is a packet */
#define REPLY_BYTES_MS_MIN 16   /* that a client takes of a reply in each millisecond */

static void add(struct MHD_Response *response, const char *name, const char *value) {
    /* Fails only without memory or for bytes that may not stand in a header; the reply is then
     * still right without it. */
    (void)MHD_add_response_header(response, name, value);
}

bool cors_allows(const char *origins, const char *origin) {
    while (origins != NULL && *origins != '\0') {
        origins += strspn(origins, ", ");
        size_t len = strcspn(origins, ", ");
        if ((len == 1 && origins[0] == '*') ||
            (len == strlen(origin) && strncmp(origins, origin, len) == 0)) {
            return true;
        }
        origins += len;
    }
    return false;
}

static void add_cors(const struct request *rq, struct MHD_Response *response) {
    const char *origins = rq->server->config.cors_origins;
    if (origins == NULL) {
        return;
    }
    add(response, "Vary", "Origin");
    const char *origin = request_header(rq, "Origin");
    if (origin == NULL || !cors_allows(origins, origin)) {
        return;
    }
    add(response, "Access-Control-Allow-Origin", origin);
    add(response, "Access-Control-Expose-Headers", "ETag, Location, Retry-After, X-Request-Id");
    if (rq->method == METHOD_OPTIONS) {
        char allow[64];
        route_allow(rq->match.methods, allow, sizeof allow);
        add(response, "Access-Control-Allow-Methods", allow);
        add(response, "Access-Control-Allow-Headers",
            "Authorization, Content-Type, X-Particle-Tool, X-Particle-Project, Idempotency-Key, "
            "If-Match, If-None-Match, Last-Event-ID");
        add(response, "Access-Control-Max-Age", "86400");
    }
}

bool accepts_gzip(const char *header) {
    for (const char *at = header; at != NULL && *at != '\0';) {
        at += strspn(at, ", \t");
        size_t len = strcspn(at, ",");
        if (len >= 4 && strncasecmp(at, "gzip", 4) == 0 && (len == 4 || strchr("; \t", at[4]))) {
            /* "gzip;q=0" and "q=0.0" are the ways to say no. */
            const char *q = memchr(at, '=', len);
            return q == NULL || strtod(q + 1, NULL) > 0;
        }
        at += len;
    }
    return false;
}

/* Replaces the body by its gzip form where that is wanted and smaller. */
static bool reply_compress(struct reply *reply) {
    uLong cap = compressBound(reply->body_len) + 32;
    z_stream z = {0};
    if (cap > UINT32_MAX ||
        deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        return false;
    }
    char *packed = malloc(cap);
    z.next_in = (Bytef *)reply->body;
    z.avail_in = (uInt)reply->body_len;
    z.next_out = (Bytef *)packed;
    z.avail_out = (uInt)cap;
    bool done =
        packed != NULL && deflate(&z, Z_FINISH) == Z_STREAM_END && z.total_out < reply->body_len;
    size_t len = z.total_out;
    (void)deflateEnd(&z);
    if (!done) {
        free(packed);
        return false;
    }
    free(reply->body);
    reply->body = packed;
    reply->body_len = len;
    return true;
}

static struct MHD_Response *response_of(struct request *rq, bool *is_packed) {
    struct reply *reply = &rq->reply;
    if (reply->is_stream) {
        return stream_response(rq->stream);
    }
    *is_packed = rq->method == METHOD_GET && reply->content_type == NULL &&
                 reply->body_len >= GZIP_BYTES_MIN &&
                 accepts_gzip(request_header(rq, "Accept-Encoding")) && reply_compress(reply);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(reply->body_len, reply->body, MHD_RESPMEM_MUST_FREE);
    if (response != NULL) {
        reply->body = NULL; /* libmicrohttpd's now */
    }
    return response;
}

/* The path without what could be a secret: a parameter that is a token is not shown. */
static void log_path(struct log_line *line, const struct request *rq) {
    if (rq->match.route != NULL) {
        log_text(line, "route", rq->match.route->name);
        for (size_t i = 0; i < rq->match.count; i++) {
            if (strncmp(rq->match.names[i], "token", 5) != 0) {
                log_span(line, i == 0 ? "of" : "and", span_text(rq->match.values[i]));
            }
        }
    } else if (rq->path_status == SW_OK && rq->path.count > 0) {
        log_span(line, "first", span_text(rq->path.segments[0]));
    }
}

static void log_access(const struct request *rq, int status, size_t bytes) {
    /* Existing clients are told by a 500 that a device is not there: that is no failure of ours. */
    enum log_level level = rq->reply.cause[0] != '\0' ? LOG_UNUSUAL : LOG_INFO;
    if (!log_is_on(level)) {
        return;
    }
    struct log_line line;
    log_begin(&line, level, "request");
    log_text(&line, "id", rq->id);
    log_text(&line, "from", rq->address);
    log_text(&line, "method", method_name(rq->method));
    log_path(&line, rq);
    log_int(&line, "status", status);
    log_int(&line, "bytes", (int64_t)bytes);
    log_int(&line, "us", mono_since_us(rq->started, mono_now()));
    if (rq->identity.user.id != 0) {
        log_span(&line, "user", span_text(rq->identity.user.name));
    }
    if (rq->reply.cause[0] != '\0') {
        log_text(&line, "cause", rq->reply.cause);
    }
    log_end(&line);
}

/* For the client to take the reply: whoever takes it drop by drop may not hold the connection for
 * ever. Streams have no end; who does not read those is dropped by the hub. */
static mono_time reply_deadline(const struct request *rq, size_t bytes) {
    int64_t limit_ms = (int64_t)rq->server->config.request_timeout_s * 1000;
    return mono_add_ms(mono_now(), limit_ms + (int64_t)(bytes / REPLY_BYTES_MS_MIN));
}

enum MHD_Result respond(struct request *rq) {
    struct reply *reply = &rq->reply;
    if (reply->status == 0) {
        reply_error(reply, 500, "server_error", "The server failed; its log has the reason.");
        log_note(LOG_BROKEN, "no_reply", rq->match.route != NULL ? rq->match.route->name : "");
    }
    bool is_packed = false;
    struct MHD_Response *response = response_of(rq, &is_packed);
    if (response == NULL) {
        return MHD_NO;
    }
    int status = reply->status;
    size_t bytes = reply->body_len;
    if (status != 204 && status != 304 && !reply->is_stream) {
        add(response, "Content-Type",
            reply->content_type != NULL ? reply->content_type : "application/json; charset=utf-8");
    }
    if (is_packed) {
        add(response, "Content-Encoding", "gzip");
        add(response, "Vary", "Accept-Encoding");
    }
    for (size_t i = 0; i < reply->header_count; i++) {
        add(response, reply->headers[i].name, reply->headers[i].value);
    }
    add(response, "X-Request-Id", rq->id);
    add(response, "X-Content-Type-Options", "nosniff");
    add_cors(rq, response);
    if (rq->is_ill_framed || atomic_load_explicit(&rq->server->is_draining, memory_order_relaxed)) {
        add(response, "Connection", "close");
    }
    if (!reply->is_stream) {
        watch_set(rq->watch, reply_deadline(rq, bytes));
    }
    enum MHD_Result queued = MHD_queue_response(rq->connection, (unsigned)status, response);
    MHD_destroy_response(response);
    log_access(rq, status, bytes);
    return queued;
}
