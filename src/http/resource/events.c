/* Following events, and publishing them. */
#include <string.h>

#include "http/handlers.h"
#include "http/request/query.h"
#include "http/stream/stream.h"
#include "slipway/util/text.h"

/* Name prefix from the path, where to go on from the header (or, for curl, the query). */
static void start(struct request *rq, struct stream_filter *filter) {
    const char *prefix = route_param(&rq->match, "prefix");
    if (prefix != NULL) {
        size_t len = strlen(prefix);
        if (len >= sizeof filter->prefix) {
            reply_error(&rq->reply, 400, "invalid_request", "prefix: is longer than any event");
            return;
        }
        memcpy(filter->prefix, prefix, len + 1);
    }
    int64_t after = -1;
    const char *header = request_header(rq, "Last-Event-ID");
    if (header != NULL && (!text_integer(header, &after) || after < 0)) {
        reply_error(&rq->reply, 400, "invalid_request",
                    "Last-Event-ID: must be the id of an event");
        return;
    }
    if (header == NULL && !request_query_integer(rq, "last_event_id", 0, INT64_MAX, &after)) {
        return;
    }
    /* "From now on" is decided before the greeting leaves: what a client does after reading that is
     * news to it. */
    if (after < 0 && !handler_ok(rq, app_event_last(rq->tx, &after))) {
        return;
    }
    stream_start(rq, filter, after);
}

void handle_events_all(struct request *rq) {
    struct stream_filter filter = {0};
    start(rq, &filter);
}

void handle_events_product(struct request *rq) {
    struct stream_filter filter = {.product_id = rq->product.id};
    start(rq, &filter);
}

/* A device may move, or have moved: its other products' events are not for who may not see those.
 */
void handle_events_device(struct request *rq) {
    const struct user *user = &rq->identity.user;
    struct stream_filter filter = {
        .has_device = true,
        .device = rq->device.id,
        .product_id = rq->product.id == 0 && user->is_api ? user->product_id : rq->product.id};
    start(rq, &filter);
}

static int run_publish(struct app_tx *tx, void *arg) {
    return app_event_publish(tx, arg);
}

void handle_events_publish(struct request *rq) {
    enum { TTL_S = 60, TTL_MAX_S = 16777215 };
    struct app_publish publish = {
        .product_id = rq->product.id, .ttl_s = TTL_S, .user = request_user(rq)};
    struct fields fields = request_fields(rq);
    fields_known(&fields, "private");
    fields_known(&fields, "deviceId");
    publish.name = fields_text(&fields, "name", FIELD_REQUIRED, 1, EVENT_NAME_BYTES - 1);
    const char *data = fields_lines(&fields, "data", FIELD_OPTIONAL, EVENT_DATA_BYTES - 1);
    publish.data = data != NULL ? span_text(data) : (struct span){0};
    if (fields_has(&fields, "ttl")) {
        publish.ttl_s = (uint32_t)fields_integer(&fields, "ttl", FIELD_OPTIONAL, 0, TTL_MAX_S);
    }
    if (fields_end(&fields) && request_write(rq, run_publish, &publish)) {
        reply_json(&rq->reply, 200, json_pack("{s:b}", "ok", 1));
    }
}
