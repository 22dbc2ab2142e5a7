/* The one thread behind all event streams and all waits for devices. It reads each event once,
 * writes it once, and hands it to every stream that wants it; a stream that is asleep is woken, one
 * that does not keep up is dropped. So ten thousand streams cost no thread and one database read.
 *
 * A stream's queue has one writer (the hub) and one reader (the epoll thread that owns the
 * connection), and needs no lock. Its sleep is an atomic flag that exactly one side clears. */
#ifndef SLIPWAY_HTTP_STREAM_HUB_H
#define SLIPWAY_HTTP_STREAM_HUB_H

#include <microhttpd.h>
#include <stdatomic.h>

#include "http/reply/reply.h"
#include "slipway/http/ports.h"
#include "slipway/sys/mailbox.h"
#include "slipway/sys/thread.h"
#include "slipway/util/time.h"

struct http_server;
struct request;
struct stream;
struct device_call;

#define HUB_TICK_MS       250
#define HUB_KEEP_ALIVE_MS 9000
#define HUB_CHECK_MS      5000 /* from a token's end to that of its streams, at most */

enum hub_letter_kind { HUB_STREAM_OPEN, HUB_STREAM_CLOSED, HUB_CALL, HUB_EVENTS };

struct hub_letter {
    struct mail mail; /* first */
    enum hub_letter_kind kind;
};

struct hub {
    struct http_server *server;
    struct mailbox box;
    struct thread thread;
    struct hub_letter events; /* "there are new events", queued at most once */
    atomic_bool is_events_queued;
    atomic_bool is_ending; /* streams end, calls expire */
    struct store *reader;
    int64_t cursor;         /* the last event that was handed out */
    struct stream *streams; /* all open ones */
    struct device_call *calls;
    mono_time rested;  /* when idle readers are looked for again */
    mono_time checked; /* and tokens of streams */
};

int hub_start(struct hub *hub, struct http_server *server, struct fault *fault) SW_NODISCARD;
void hub_events_ready(struct hub *hub);
/* All streams end, all calls expire; new ones end at once. */
void hub_end(struct hub *hub);
/* After all connections are gone. */
void hub_stop(struct hub *hub);

/* --- device calls --- */
/* Sends rq->command; the request comes back to the workers with rq->call set and answered: by the
 * device, or with SW_E_BUSY after the timeout. Exactly once. */
void hub_call(struct hub *hub, struct request *rq);
/* The answer, on the worker; borrowed until the release. */
const struct device_reply *device_call_answer(const struct device_call *call);
void device_call_release(struct device_call *call);

/* SW_E_STATE or SW_E_FULL: it gets no events. */
int hub_stream_open(struct hub *hub, struct stream *stream) SW_NODISCARD;

#endif
