/* The key is claimed in a transaction of its own before the handler runs, so that of two requests
 * at once only one gets through. A crash in between leaves a claimed key without an answer: asking
 * again then says so instead of doing it twice. */
#include "http/request/once.h"

#include <stdlib.h>
#include <string.h>

#include "http/door.h"
#include "slipway/app/once.h"
#include "slipway/sys/log.h"

static void hash_text(struct sha256_state *state, const char *text) {
    sha256_update(state, span_of(text, strlen(text) + 1));
}

/* Of method, path and body, however the body was framed. */
static bool fingerprint(struct request *rq, struct sha256 *out) {
    struct sha256_state state;
    sha256_init(&state);
    hash_text(&state, method_name(rq->method));
    for (size_t i = 0; i < rq->path.count; i++) {
        hash_text(&state, rq->path.segments[i]);
    }
    if (rq->has_body && rq->body.fields != NULL) {
        char *fields = json_dumps(rq->body.fields, JSON_COMPACT | JSON_SORT_KEYS);
        if (fields == NULL) {
            return false;
        }
        hash_text(&state, fields);
        free(fields);
    }
    struct span file = {0};
    if (rq->has_body && rq->body.has_file) {
        if (spool_read(&rq->body.file, &file) != SW_OK) {
            return false;
        }
        sha256_update(&state, file);
    }
    sha256_final(&state, out);
    return true;
}

struct once_job {
    struct once_key key;
    struct once_row row;
    struct once_answer answer;
};

static int run_claim(struct app_tx *tx, void *arg) {
    struct once_job *job = arg;
    return app_once_claim(tx, &job->key, &job->row);
}

static bool key_is_valid(const char *key) {
    size_t len = strlen(key);
    for (size_t i = 0; i < len; i++) {
        if (key[i] < 0x21 || key[i] > 0x7e) {
            return false;
        }
    }
    return len >= 1 && len <= ONCE_KEY_MAX;
}

static void replay(struct request *rq, struct once_job *job) {
    reply_header(&rq->reply, "Idempotency-Replayed", "true");
    if (job->row.location[0] != '\0') {
        reply_header_text(&rq->reply, "Location", job->row.location);
    }
    if (job->row.etag[0] != '\0') {
        reply_header_text(&rq->reply, "ETag", job->row.etag);
    }
    reply_bytes(&rq->reply, job->row.status, NULL, (char *)job->row.body, job->row.body_len);
    job->row.body = NULL; /* the reply's */
}

bool once_begin(struct request *rq) {
    const struct route *route = rq->match.route;
    const char *key = request_header(rq, "Idempotency-Key");
    bool is_write = route->method == METHOD_POST || route->method == METHOD_PUT;
    if (key == NULL || !is_write || (route->flags & (ROUTE_NO_KEY | ROUTE_OPEN)) != 0) {
        return true;
    }
    if (!key_is_valid(key)) {
        reply_error(&rq->reply, 400, "invalid_request",
                    "Idempotency-Key: must have 1 to %d visible ASCII characters", ONCE_KEY_MAX);
        return false;
    }
    struct once_job job = {.key = {.user_id = rq->identity.user.id, .key = key}};
    if (!fingerprint(rq, &job.key.fingerprint)) {
        reply_app_error(&rq->reply, SW_E_IO, NULL);
        return false;
    }
    struct app_error error = {0};
    int rc = app_execute(rq->server->app, run_claim, &job, &error);
    if (rc == SW_E_EXISTS) {
        replay(rq, &job);
    } else if (rc != SW_OK) {
        reply_app_error(&rq->reply, rc, &error);
    }
    free(job.row.body);
    rq->has_key = rc == SW_OK;
    return rc == SW_OK;
}

static int run_end(struct app_tx *tx, void *arg) {
    struct once_job *job = arg;
    bool was_done = job->answer.status >= 200 && job->answer.status < 300;
    return was_done ? app_once_answer(tx, &job->key, &job->answer) : app_once_forget(tx, &job->key);
}

void once_end(struct request *rq) {
    if (!rq->has_key) {
        return;
    }
    rq->has_key = false;
    bool is_secret = (rq->match.route->flags & ROUTE_SECRET) != 0;
    struct once_job job = {
        .key = {.user_id = rq->identity.user.id, .key = request_header(rq, "Idempotency-Key")},
        .answer = {.status = rq->reply.status,
                   .location = reply_header_value(&rq->reply, "Location"),
                   .etag = reply_header_value(&rq->reply, "ETag")}};
    if (!is_secret && rq->reply.body != NULL) {
        job.answer.body = span_of(rq->reply.body, rq->reply.body_len);
    }
    int rc = app_execute(rq->server->app, run_end, &job, NULL);
    if (rc != SW_OK) {
        log_note(LOG_UNUSUAL, "idempotency_key_unanswered", sw_error_name(rc));
    }
}
