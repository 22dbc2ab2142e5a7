/* One event stream: who wants which events, and the queue between the hub and its connection. */
#ifndef SLIPWAY_HTTP_STREAM_STREAM_H
#define SLIPWAY_HTTP_STREAM_STREAM_H

#include <stdatomic.h>

#include "http/request/request.h"
#include "http/stream/hub.h"
#include "slipway/app/event.h"

#define STREAM_QUEUE 128 /* events that a slow reader may lag behind; a power of two */

/* An event as it goes over the wire, shared by all the streams that want it. */
struct stream_text {
    atomic_uint references;
    size_t len;
    char bytes[];
};

struct stream_filter {
    uint16_t product_id; /* 0 = all */
    bool has_device;
    struct device_id device;
    char prefix[EVENT_NAME_BYTES]; /* "" = all */
};

enum stream_sleep { STREAM_AWAKE, STREAM_ASLEEP };

struct stream {
    struct hub_letter opened, closed; /* to the hub, one each */
    struct hub *hub;
    struct MHD_Connection *connection;
    struct stream_filter filter;
    int64_t token_id; /* that it was opened with, and ends with */
    /* The hub's. */
    struct stream *previous, *next;
    mono_time quiet_since; /* since the last byte was queued */
    mono_time starts;      /* no event before this */
    int64_t cursor;        /* events up to this one are dealt with; as given, -1 = from now on */
    /* Shared. */
    atomic_int sleep;
    atomic_bool is_ending;  /* nothing more will be queued: finish, then close */
    atomic_uint head, tail; /* of the queue: head is the hub's, tail the connection's */
    struct stream_text *queue[STREAM_QUEUE];
    /* The connection's. */
    bool has_greeted;
    struct stream_text *current; /* partly written */
    size_t current_at;
};

/* Turns the request's reply into a stream. after_id: -1 = from now on, else what follows that
 * event. */
void stream_start(struct request *rq, const struct stream_filter *filter, int64_t after_id);
struct MHD_Response *stream_response(struct stream *stream);

/* The hub's side. false: its queue is full. Takes a reference of its own. */
bool stream_push(struct stream *stream, struct stream_text *text);
void stream_wake(struct stream *stream);
bool stream_wants(const struct stream_filter *filter, const struct event *event);
void stream_free(struct stream *stream);

/* "event: ...\nid: ...\ndata: {...}\n\n"; NULL without memory. One reference. */
struct stream_text *stream_text_of(const struct event *event);
struct stream_text *stream_text_new(const char *bytes, size_t len);
void stream_text_release(struct stream_text *text);

#endif
