#include "http/stream/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/door.h"
#include "http/reply/pages.h"
#include "slipway/util/check.h"

static const char greeting[] = ":ok\n\n";

struct stream_text *stream_text_new(const char *bytes, size_t len) {
    struct stream_text *text = malloc(sizeof *text + len);
    if (text != NULL) {
        atomic_init(&text->references, 1);
        text->len = len;
        memcpy(text->bytes, bytes, len);
    }
    return text;
}

void stream_text_release(struct stream_text *text) {
    if (text != NULL && atomic_fetch_sub(&text->references, 1) == 1) {
        free(text);
    }
}

/* Devices choose names: one with a line's end in it must not begin another field. */
static void clean_name(const char *name, char out[EVENT_NAME_BYTES]) {
    size_t len = strlen(name);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];
        out[i] = c < 0x20 || c == 0x7f ? '?' : name[i];
    }
    out[len] = '\0';
}

struct stream_text *stream_text_of(const struct event *event) {
    char name[EVENT_NAME_BYTES];
    clean_name(event->name, name);
    json_t *page = page_event(event);
    char *data = page != NULL ? json_dumps(page, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    json_decref(page);
    if (data == NULL) {
        return NULL;
    }
    char *bytes = NULL;
    int len =
        asprintf(&bytes, "event: %s\nid: %lld\ndata: %s\n\n", name, (long long)event->id, data);
    free(data);
    struct stream_text *text = len > 0 ? stream_text_new(bytes, (size_t)len) : NULL;
    if (len >= 0) {
        free(bytes);
    }
    return text;
}

bool stream_wants(const struct stream_filter *filter, const struct event *event) {
    if (filter->product_id != 0 && filter->product_id != event->product_id) {
        return false;
    }
    if (filter->has_device &&
        !(event->has_device && device_id_equal(&filter->device, &event->device))) {
        return false;
    }
    return strncmp(event->name, filter->prefix, strlen(filter->prefix)) == 0;
}

bool stream_push(struct stream *stream, struct stream_text *text) {
    unsigned head = atomic_load_explicit(&stream->head, memory_order_relaxed);
    unsigned tail = atomic_load_explicit(&stream->tail, memory_order_acquire);
    if (head - tail == STREAM_QUEUE) {
        return false;
    }
    atomic_fetch_add(&text->references, 1);
    stream->queue[head % STREAM_QUEUE] = text;
    atomic_store_explicit(&stream->head, head + 1, memory_order_release);
    return true;
}

static struct stream_text *stream_pop(struct stream *stream) {
    unsigned tail = atomic_load_explicit(&stream->tail, memory_order_relaxed);
    if (tail == atomic_load_explicit(&stream->head, memory_order_acquire)) {
        return NULL;
    }
    struct stream_text *text = stream->queue[tail % STREAM_QUEUE];
    atomic_store_explicit(&stream->tail, tail + 1, memory_order_release);
    return text;
}

/* Exactly one side clears the flag, and that one resumes. */
void stream_wake(struct stream *stream) {
    int asleep = STREAM_ASLEEP;
    if (atomic_compare_exchange_strong(&stream->sleep, &asleep, STREAM_AWAKE)) {
        MHD_resume_connection(stream->connection);
    }
}

static bool stream_has_more(struct stream *stream) {
    return atomic_load(&stream->is_ending) ||
           atomic_load(&stream->tail) != atomic_load(&stream->head);
}

/* Writes what there is. The greeting goes alone: clients attach their listeners only after it, and
 * would lose an event that came in the same segment. */
static ssize_t stream_read(void *arg, uint64_t position, char *out, size_t cap) {
    (void)position;
    struct stream *stream = arg;
    if (!stream->has_greeted) {
        SW_CHECK(cap >= sizeof greeting - 1);
        stream->has_greeted = true;
        memcpy(out, greeting, sizeof greeting - 1);
        return (ssize_t)(sizeof greeting - 1);
    }
    size_t used = 0;
    while (used < cap) {
        if (stream->current == NULL) {
            stream->current = stream_pop(stream);
            stream->current_at = 0;
            if (stream->current == NULL) {
                break;
            }
        }
        size_t left = stream->current->len - stream->current_at;
        size_t len = left < cap - used ? left : cap - used;
        memcpy(out + used, stream->current->bytes + stream->current_at, len);
        used += len;
        stream->current_at += len;
        if (stream->current_at == stream->current->len) {
            stream_text_release(stream->current);
            stream->current = NULL;
        }
    }
    if (used > 0) {
        return (ssize_t)used;
    }
    if (atomic_load(&stream->is_ending)) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    MHD_suspend_connection(stream->connection);
    atomic_store(&stream->sleep, STREAM_ASLEEP);
    /* What was queued between the look and the flag found nobody asleep. */
    if (stream_has_more(stream)) {
        stream_wake(stream);
    }
    return 0;
}

/* libmicrohttpd has let go of it; the hub may still be at work on it. */
static void stream_closed(void *arg) {
    struct stream *stream = arg;
    stream->closed.kind = HUB_STREAM_CLOSED;
    if (mailbox_post(&stream->hub->box, &stream->closed.mail) != SW_OK) {
        stream_free(stream); /* the hub is gone */
    }
}

void stream_free(struct stream *stream) {
    stream_text_release(stream->current);
    for (struct stream_text *text = stream_pop(stream); text != NULL; text = stream_pop(stream)) {
        stream_text_release(text);
    }
    free(stream);
}

void stream_start(struct request *rq, const struct stream_filter *filter, int64_t after_id) {
    if (rq->method == METHOD_HEAD) {
        reply_bytes(&rq->reply, 200, "text/event-stream", NULL, 0);
        return;
    }
    struct stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        reply_app_error(&rq->reply, SW_E_MEMORY, NULL);
        return;
    }
    stream->hub = &rq->server->hub;
    stream->connection = rq->connection;
    stream->filter = *filter;
    stream->token_id = rq->identity.token.id;
    stream->cursor = after_id;
    atomic_init(&stream->sleep, STREAM_AWAKE);
    rq->stream = stream;
    rq->reply.status = 200;
    rq->reply.is_stream = true;
}

struct MHD_Response *stream_response(struct stream *stream) {
    enum { BLOCK_BYTES = 2048 };
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, BLOCK_BYTES, stream_read, stream, stream_closed);
    if (response == NULL) {
        stream_free(stream);
        return NULL;
    }
    (void)MHD_add_response_header(response, "Content-Type", "text/event-stream");
    (void)MHD_add_response_header(response, "Cache-Control", "no-cache, no-transform");
    (void)MHD_add_response_header(response, "X-Accel-Buffering", "no");
    if (hub_stream_open(stream->hub, stream) != SW_OK) {
        atomic_store(&stream->is_ending, true);
    }
    return response;
}
