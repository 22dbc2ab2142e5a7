#include "http/stream/hub.h"

#include <stdlib.h>
#include <string.h>

#include "http/door.h"
#include "http/stream/stream.h"
#include "slipway/app/token.h"
#include "slipway/sys/clock.h"
#include "slipway/sys/log.h"
#include "slipway/util/check.h"

#define HUB_BATCH       256 /* events read at once */
#define HUB_CATCH_UPS   256 /* streams that read the past, each round */
#define HUB_GREETING_MS 50  /* between a stream's greeting and its first event */

/* --- waits for devices --- */

enum call_state { CALL_WAITING, CALL_CLAIMED };

struct device_call {
    struct hub_letter letter;
    struct device_call *next; /* the hub's */
    struct http_server *server;
    struct request *rq; /* until claimed */
    mono_time deadline;
    atomic_uint references; /* hub, port, request */
    atomic_int state;       /* whoever claims it answers */
    atomic_bool is_put_off; /* the device was busy with another: ask again */
    struct device_reply answer;
    uint8_t value[DEVICE_VALUE_MAX];
};

const struct device_reply *device_call_answer(const struct device_call *call) {
    return &call->answer;
}

void device_call_release(struct device_call *call) {
    if (atomic_fetch_sub(&call->references, 1) == 1) {
        free(call);
    }
}

static bool call_claim(struct device_call *call) {
    int waiting = CALL_WAITING;
    return atomic_compare_exchange_strong(&call->state, &waiting, CALL_CLAIMED);
}

/* The port's answer; too late when the hub has claimed the call. */
static void call_answered(void *arg, const struct device_reply *reply) {
    struct device_call *call = arg;
    if (reply->status == SW_E_FULL) {
        atomic_store(&call->is_put_off, true);
    } else if (call_claim(call)) {
        size_t len = reply->value.len < sizeof call->value ? reply->value.len : sizeof call->value;
        call->answer = *reply;
        if (len > 0) {
            memcpy(call->value, reply->value.data, len);
        }
        call->answer.value = span_of(call->value, len);
        request_requeue(call->rq);
    }
    device_call_release(call);
}

static void call_fail(struct device_call *call, int code) {
    if (call_claim(call)) {
        call->answer = (struct device_reply){.status = code};
        request_requeue(call->rq);
    }
}

/* Asks the device, or asks again. The port has a reference until it answers. */
static void call_send(struct device_call *call) {
    const struct http_ports *ports = &call->server->ports;
    atomic_fetch_add(&call->references, 1);
    int rc = ports->device_command == NULL
                 ? SW_E_STATE
                 : ports->device_command(ports->ctx, &call->rq->command, call_answered, call);
    /* From here on the request may be somebody else's: only the call is ours. */
    if (rc != SW_OK) {
        call_fail(call, rc);
        device_call_release(call);
    }
}

void hub_call(struct hub *hub, struct request *rq) {
    struct device_call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        reply_app_error(&rq->reply, SW_E_MEMORY, NULL);
        request_requeue(rq);
        return;
    }
    call->letter.kind = HUB_CALL;
    call->server = hub->server;
    call->rq = rq;
    call->deadline = mono_add_ms(mono_now(), rq->command.timeout_ms);
    atomic_init(&call->references, 2); /* the hub's and the request's */
    rq->call = call;
    call_send(call);
    if (mailbox_post(&hub->box, &call->letter.mail) != SW_OK) {
        call_fail(call, SW_E_BUSY);
        device_call_release(call);
    }
}

static void hub_sweep_calls(struct hub *hub, mono_time now) {
    bool is_ending = atomic_load(&hub->is_ending);
    struct device_call **link = &hub->calls;
    while (*link != NULL) {
        struct device_call *call = *link;
        if (is_ending || mono_reached(now, call->deadline)) {
            call_fail(call, SW_E_BUSY);
        }
        if (atomic_load(&call->state) == CALL_WAITING) {
            if (atomic_exchange(&call->is_put_off, false)) {
                call->rq->command.timeout_ms = mono_since_us(now, call->deadline) / 1000 + 1;
                call_send(call);
            }
            link = &call->next;
            continue;
        }
        *link = call->next;
        device_call_release(call);
    }
}

/* --- streams --- */

int hub_stream_open(struct hub *hub, struct stream *stream) {
    stream->opened.kind = HUB_STREAM_OPEN;
    return mailbox_post(&hub->box, &stream->opened.mail);
}

void hub_events_ready(struct hub *hub) {
    if (!atomic_exchange(&hub->is_events_queued, true) &&
        mailbox_post(&hub->box, &hub->events.mail) != SW_OK) {
        atomic_store(&hub->is_events_queued, false); /* the next round looks anyway */
    }
}

static void hub_end_stream(struct stream *stream) {
    atomic_store(&stream->is_ending, true);
    stream_wake(stream);
}

static void hub_give(struct stream *stream, struct stream_text *text, mono_time now) {
    if (atomic_load(&stream->is_ending)) {
        return;
    }
    if (!stream_push(stream, text)) {
        hub_end_stream(stream); /* it does not keep up; it may come back with Last-Event-ID */
        return;
    }
    stream->quiet_since = now;
    stream_wake(stream);
}

struct hub_read {
    struct app_event_query query;
    struct event_list list;
    bool is_last_asked;
    int64_t last;
};

static int hub_read_events(struct app_tx *tx, void *arg) {
    struct hub_read *read = arg;
    return read->is_last_asked ? app_event_last(tx, &read->last)
                               : app_event_list(tx, &read->query, &read->list);
}

static bool hub_ask(struct hub *hub, struct hub_read *read) {
    int rc = app_read(hub->server->app, hub->reader, hub_read_events, read, NULL);
    if (rc != SW_OK) {
        log_note(LOG_UNUSUAL, "events_unreadable", sw_error_name(rc));
    }
    return rc == SW_OK;
}

/* A stream that starts, or that resumes after an event: reads for itself until it is where the hub
 * is, never more at once than its queue takes. */
static void hub_catch_up(struct hub *hub, struct stream *stream, mono_time now) {
    unsigned used = atomic_load(&stream->head) - atomic_load(&stream->tail);
    unsigned room = STREAM_QUEUE - used;
    if (room < STREAM_QUEUE / 4 || stream->cursor >= hub->cursor) {
        return;
    }
    struct hub_read read = {
        .query = {.after_id = stream->cursor,
                  .until_id = hub->cursor,
                  .product_id = stream->filter.product_id,
                  .device = stream->filter.has_device ? &stream->filter.device : NULL,
                  .prefix = stream->filter.prefix[0] != '\0' ? stream->filter.prefix : NULL,
                  .max = room - 1}};
    if (!hub_ask(hub, &read)) {
        return;
    }
    for (size_t i = 0; i < read.list.count; i++) {
        struct stream_text *text = stream_text_of(&read.list.items[i]);
        if (text != NULL) {
            hub_give(stream, text, now);
            stream_text_release(text);
        }
    }
    stream->cursor = read.list.count < room - 1 ? hub->cursor : read.list.last_id;
    free(read.list.items);
}

static void hub_catch_up_all(struct hub *hub, mono_time now) {
    int left = HUB_CATCH_UPS;
    for (struct stream *stream = hub->streams; stream != NULL && left > 0; stream = stream->next) {
        if (stream->cursor < hub->cursor && mono_reached(now, stream->starts)) {
            hub_catch_up(hub, stream, now);
            left--;
        }
    }
}

static void hub_hand_out(struct hub *hub, const struct event *event, mono_time now) {
    struct stream_text *text = NULL;
    for (struct stream *stream = hub->streams; stream != NULL; stream = stream->next) {
        if (stream->cursor != hub->cursor) {
            continue; /* still behind: it reads this one for itself */
        }
        if (!mono_reached(now, stream->starts)) {
            continue;
        }
        stream->cursor = event->id;
        if (!stream_wants(&stream->filter, event)) {
            continue;
        }
        if (text == NULL) {
            text = stream_text_of(event);
        }
        if (text != NULL) {
            hub_give(stream, text, now);
        }
    }
    stream_text_release(text);
    hub->cursor = event->id;
}

static void hub_read_new(struct hub *hub, mono_time now) {
    for (;;) {
        struct hub_read read = {.query = {.after_id = hub->cursor, .max = HUB_BATCH}};
        if (!hub_ask(hub, &read)) {
            return;
        }
        for (size_t i = 0; i < read.list.count; i++) {
            hub_hand_out(hub, &read.list.items[i], now);
        }
        free(read.list.items);
        if (read.list.count < HUB_BATCH) {
            return;
        }
    }
}

static void hub_keep_alive(struct hub *hub, mono_time now) {
    static const char comment[] = ":\n\n";
    struct stream_text *text = stream_text_new(comment, sizeof comment - 1);
    for (struct stream *stream = hub->streams; stream != NULL && text != NULL;
         stream = stream->next) {
        if (mono_reached(now, mono_add_ms(stream->quiet_since, HUB_KEEP_ALIVE_MS))) {
            hub_give(stream, text, now);
        }
    }
    stream_text_release(text);
}

/* Many streams share a token, and then often stand side by side. */
static int hub_read_tokens(struct app_tx *tx, void *arg) {
    const struct hub *hub = arg;
    int64_t last = 0;
    bool lives = false;
    for (struct stream *stream = hub->streams; stream != NULL; stream = stream->next) {
        if (stream->token_id != last) {
            int rc = app_token_lives(tx, stream->token_id, &lives);
            if (rc != SW_OK) {
                return rc;
            }
            last = stream->token_id;
        }
        if (!lives) {
            hub_end_stream(stream);
        }
    }
    return SW_OK;
}

/* Whoever lost the token shall not listen on. */
static void hub_check_tokens(struct hub *hub) {
    int rc = app_read(hub->server->app, hub->reader, hub_read_tokens, hub, NULL);
    if (rc != SW_OK) {
        log_note(LOG_UNUSUAL, "tokens_unreadable", sw_error_name(rc));
    }
}

static void hub_add(struct hub *hub, struct stream *stream, mono_time now) {
    if (hub->streams == NULL) {
        /* Nobody listened: what happened meanwhile is of interest only to who asks for it. */
        struct hub_read read = {.is_last_asked = true};
        hub->cursor = hub_ask(hub, &read) ? read.last : hub->cursor;
    }
    if (stream->cursor < 0 || stream->cursor > hub->cursor) {
        stream->cursor = hub->cursor;
    }
    stream->quiet_since = now;
    stream->starts = mono_add_ms(now, HUB_GREETING_MS);
    stream->previous = NULL;
    stream->next = hub->streams;
    if (hub->streams != NULL) {
        hub->streams->previous = stream;
    }
    hub->streams = stream;
    if (atomic_load(&hub->is_ending)) {
        hub_end_stream(stream);
    }
}

static void hub_remove(struct hub *hub, struct stream *stream) {
    if (stream->previous != NULL) {
        stream->previous->next = stream->next;
    } else if (hub->streams == stream) {
        hub->streams = stream->next;
    }
    if (stream->next != NULL) {
        stream->next->previous = stream->previous;
    }
    stream_free(stream);
}

/* --- the thread --- */

static void hub_open_letter(struct hub *hub, struct hub_letter *letter, mono_time now) {
    switch (letter->kind) {
    case HUB_STREAM_OPEN:
        hub_add(hub, (struct stream *)letter, now);
        return;
    case HUB_STREAM_CLOSED:
        hub_remove(hub,
                   (struct stream *)(void *)((char *)letter - offsetof(struct stream, closed)));
        return;
    case HUB_CALL: {
        struct device_call *call = (struct device_call *)letter;
        call->next = hub->calls;
        hub->calls = call;
        return;
    }
    case HUB_EVENTS:
        atomic_store(&hub->is_events_queued, false);
        return;
    }
}

static void hub_round(struct hub *hub, struct mail *mail) {
    mono_time now = mono_now();
    while (mail != NULL) {
        struct mail *next = mail->next;
        hub_open_letter(hub, (struct hub_letter *)mail, now);
        mail = next;
    }
    hub_sweep_calls(hub, now);
    (void)watch_sweep(&hub->server->watch, now);
    if (mono_reached(now, hub->rested)) {
        readers_rest(hub->server);
        hub->rested = mono_add_ms(now, HUB_TICK_MS);
    }
    if (atomic_load(&hub->is_ending)) {
        for (struct stream *stream = hub->streams; stream != NULL; stream = stream->next) {
            hub_end_stream(stream);
        }
    } else if (hub->streams != NULL) {
        if (mono_reached(now, hub->checked)) {
            hub_check_tokens(hub);
            hub->checked = mono_add_ms(now, HUB_CHECK_MS);
        }
        hub_read_new(hub, now);
        hub_catch_up_all(hub, now);
        hub_keep_alive(hub, now);
    }
}

static void hub_run(void *arg) {
    struct hub *hub = arg;
    for (;;) {
        struct mail *mail = mailbox_wait(&hub->box, 0, HUB_TICK_MS);
        if (mail == NULL && mailbox_is_closed(&hub->box)) {
            return;
        }
        hub_round(hub, mail);
    }
}

int hub_start(struct hub *hub, struct http_server *server, struct fault *fault) {
    hub->server = server;
    hub->events.kind = HUB_EVENTS;
    /* An opening, a closing and a call for each connection, and the events. */
    mailbox_init(&hub->box, (size_t)server->config.connections_max * 3 + 1, NULL, NULL);
    int rc = app_reader_open(server->app, &hub->reader, fault);
    if (rc != SW_OK) {
        return rc;
    }
    return thread_start(&hub->thread, "http-hub", hub_run, hub, fault);
}

void hub_end(struct hub *hub) {
    atomic_store(&hub->is_ending, true);
    hub_events_ready(hub);
}

void hub_stop(struct hub *hub) {
    mailbox_close(&hub->box);
    thread_join(&hub->thread);
    SW_CHECK(hub->streams == NULL && hub->calls == NULL);
    mailbox_destroy(&hub->box);
    app_reader_close(hub->server->app, hub->reader);
}
