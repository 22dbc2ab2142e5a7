/* What the owner wants of the device apart from updates: small events, functions, variables,
 * Describes. Device OS finds a request's path at a fixed place and knows tokens of one byte only,
 * so Uri-Path always comes first and a token is one byte wherever an answer is due. */
#include "session/work.h"

#define NAME_MAX      64
#define ARGUMENT_MAX  1024
#define EVENT_PENDING "particle/device/updates/pending"
#define EVENT_FORCED  "particle/device/updates/forced"

static int may_request(const struct session *session) {
    int status = session_may_ask(session);
    return status == SW_OK && !session->is_trusted ? SW_E_DENIED : status;
}

static void put_path(struct coap_writer *c, const char *path) {
    coap_put(c, COAP_URI_PATH, span_text(path));
}

/* --- small events and pings: the last wish of a kind wins --- */

static void tell(struct turn *t, enum exchange_kind kind, const char *name, uint8_t *wish) {
    struct writer w;
    struct coap_writer c = exchange_open(t, LANE_TELL, kind, false, COAP_POST, &w);
    put_path(&c, "E");
    put_path(&c, name);
    /* Device OS compares by prefix and takes anything else for true. */
    coap_put_payload(&c, span_text(*wish == WISH_TRUE ? "true" : "false"));
    t->work->lanes[LANE_TELL].detail = *wish;
    *wish = WISH_NONE;
    (void)!exchange_queue(t, LANE_TELL, &w);
}

static void ask_describe(struct turn *t, uint8_t kind, uint32_t block, uint32_t request) {
    struct writer w;
    struct coap_writer c = exchange_open(t, LANE_REQUEST, EXCHANGE_DESCRIBE, true, COAP_GET, &w);
    put_path(&c, "d");
    coap_put(&c, COAP_URI_QUERY, span_of(&kind, 1));
    if (block != 0) {
        coap_put_uint(&c, COAP_BLOCK2, block);
    }
    t->work->lanes[LANE_REQUEST].detail = kind;
    t->work->lanes[LANE_REQUEST].request = request;
    (void)!exchange_queue(t, LANE_REQUEST, &w);
}

void request_wishes(struct turn *t) {
    struct work *work = t->work;
    if (work->lanes[LANE_TELL].state == EXCHANGE_FREE) {
        if (work->wish_forced != WISH_NONE) {
            tell(t, EXCHANGE_FORCED, EVENT_FORCED, &work->wish_forced);
        } else if (work->wish_pending != WISH_NONE) {
            tell(t, EXCHANGE_PENDING, EVENT_PENDING, &work->wish_pending);
        } else if (work->wish_ping) {
            struct writer w;
            (void)exchange_open(t, LANE_TELL, EXCHANGE_PING, false, COAP_EMPTY, &w);
            work->lanes[LANE_TELL].detail = probe_number(&work->transfer.probe);
            work->wish_ping = false;
            (void)!exchange_queue(t, LANE_TELL, &w);
        }
    }
    uint8_t lost = work->wish_describe;
    if (lost != 0 && work->lanes[LANE_REQUEST].state == EXCHANGE_FREE &&
        !gathering_is_busy(t, 0, true)) {
        uint8_t kind = (uint8_t)(lost & -lost); /* one at a time */
        work->wish_describe = (uint8_t)(lost & ~kind);
        ask_describe(t, kind, 0, 0);
    }
}

static int wish_tell(struct session *session, struct dtls_crypto *crypto, enum exchange_kind kind,
                     bool value, mono_time now, struct session_out *out) {
    int status = may_request(session);
    if (status != SW_OK) {
        return status;
    }
    struct turn t = {session, work_of(session), crypto, now, out};
    const struct exchange *running = &t.work->lanes[LANE_TELL];
    uint8_t wish = value ? WISH_TRUE : WISH_FALSE;
    bool is_same =
        running->state != EXCHANGE_FREE && running->kind == kind && running->detail == wish;
    *(kind == EXCHANGE_PENDING ? &t.work->wish_pending : &t.work->wish_forced) =
        is_same ? WISH_NONE : wish;
    turn_flush(&t);
    return SW_OK;
}

int session_tell_pending(struct session *session, struct dtls_crypto *crypto, bool pending,
                         mono_time now, struct session_out *out) {
    return wish_tell(session, crypto, EXCHANGE_PENDING, pending, now, out);
}

int session_tell_forced(struct session *session, struct dtls_crypto *crypto, bool forced,
                        mono_time now, struct session_out *out) {
    return wish_tell(session, crypto, EXCHANGE_FORCED, forced, now, out);
}

int session_ping(struct session *session, struct dtls_crypto *crypto, mono_time now,
                 struct session_out *out) {
    int status = session_may_ask(session);
    if (status != SW_OK) {
        return status;
    }
    struct turn t = {session, work_of(session), crypto, now, out};
    const struct exchange *running = &t.work->lanes[LANE_TELL];
    if (running->state == EXCHANGE_FREE || running->kind != EXCHANGE_PING) {
        t.work->wish_ping = true;
    }
    turn_flush(&t);
    return SW_OK;
}

/* --- calls --- */

/* Device OS matches the names of its own events by prefix: one resets the server address to the
 * factory's, others belong to session_tell_*. */
static bool event_is_reserved(struct span name) {
    return span_begins(name, "spark/device/key") || span_begins(name, "particle/device/updates");
}

static bool name_is_sound(struct span name) {
    return name.len >= 1 && name.len <= NAME_MAX;
}

static int write_call(struct turn *t, enum session_request_kind kind, struct span name,
                      struct span argument) {
    struct writer w;
    bool is_event = kind == SESSION_REQUEST_EVENT;
    uint8_t code = kind == SESSION_REQUEST_SIGNAL     ? COAP_PUT
                   : kind == SESSION_REQUEST_VARIABLE ? COAP_GET
                                                      : COAP_POST;
    struct coap_writer c = exchange_open(t, LANE_REQUEST, is_event ? EXCHANGE_EVENT : EXCHANGE_CALL,
                                         !is_event, code, &w);
    switch (kind) {
    case SESSION_REQUEST_FUNCTION:
        put_path(&c, "f");
        coap_put(&c, COAP_URI_PATH, name);
        coap_put(&c, COAP_URI_QUERY, argument);
        break;
    case SESSION_REQUEST_VARIABLE:
        put_path(&c, "v");
        coap_put(&c, COAP_URI_PATH, name);
        break;
    case SESSION_REQUEST_SIGNAL:
        put_path(&c, "s");
        coap_put(&c, COAP_URI_QUERY, argument);
        break;
    case SESSION_REQUEST_EVENT:
        put_path(&c, "E");
        coap_put(&c, COAP_URI_PATH, name);
        coap_put_payload(&c, argument);
        break;
    case SESSION_REQUEST_DESCRIBE:
        break;
    }
    return exchange_queue(t, LANE_REQUEST, &w);
}

static int check_call(enum session_request_kind kind, struct span name, struct span argument) {
    uint8_t first = argument.len == 1 ? argument.data[0] : UINT8_MAX;
    bool is_sound = false;
    switch (kind) {
    case SESSION_REQUEST_FUNCTION:
        is_sound = name_is_sound(name) && argument.len <= ARGUMENT_MAX;
        break;
    case SESSION_REQUEST_VARIABLE:
        is_sound = name_is_sound(name);
        break;
    case SESSION_REQUEST_DESCRIBE:
        /* Kinds put together make the device drop its connection. */
        is_sound =
            first == DESCRIBE_SYSTEM || first == DESCRIBE_APPLICATION || first == DESCRIBE_METRICS;
        break;
    case SESSION_REQUEST_SIGNAL:
        is_sound = first <= 1;
        break;
    case SESSION_REQUEST_EVENT:
        if (event_is_reserved(name)) {
            return SW_E_DENIED;
        }
        is_sound = name_is_sound(name) && argument.len <= ARGUMENT_MAX;
        /* The handlers of Device OS's own events do not expect an absent payload. */
        if (span_begins(name, "spark") || span_begins(name, "particle")) {
            is_sound = is_sound && argument.len > 0;
        }
        break;
    }
    return is_sound ? SW_OK : SW_E_RANGE;
}

int session_request(struct session *session, struct dtls_crypto *crypto,
                    enum session_request_kind kind, struct span name, struct span argument,
                    mono_time now, struct session_out *out, uint32_t *request) {
    int status = may_request(session);
    if (status == SW_OK) {
        status = check_call(kind, name, argument);
    }
    if (status != SW_OK) {
        return status;
    }
    struct turn t = {session, work_of(session), crypto, now, out};
    bool is_describe = kind == SESSION_REQUEST_DESCRIBE;
    if (t.work->lanes[LANE_REQUEST].state != EXCHANGE_FREE ||
        (is_describe && gathering_is_busy(&t, argument.data[0], true))) {
        return SW_E_BUSY;
    }
    uint32_t number = session->ticket++;
    session->ticket += session->ticket == 0 ? 1 : 0;
    if (is_describe) {
        ask_describe(&t, argument.data[0], 0, number);
    } else {
        status = write_call(&t, kind, name, argument);
        if (status != SW_OK) {
            return status;
        }
        t.work->lanes[LANE_REQUEST].request = number;
    }
    *request = number;
    turn_flush(&t);
    return SW_OK;
}

void session_abandon(struct session *session, uint32_t request, mono_time now) {
    struct work *work = work_of(session);
    struct exchange *exchange = work == NULL ? NULL : &work->lanes[LANE_REQUEST];
    if (exchange == NULL || exchange->state == EXCHANGE_FREE || request == 0 ||
        exchange->request != request) {
        return;
    }
    if (exchange->kind == EXCHANGE_DESCRIBE && work->gathering.is_requested) {
        gathering_close(&work->gathering);
    }
    exchange_free(exchange);
    work->deadline = mono_earlier(work->deadline, now);
}

/* --- answers --- */

void request_answer(struct turn *t, struct exchange *exchange, uint8_t code, struct span payload) {
    if (exchange->kind == EXCHANGE_DESCRIBE && t->work->gathering.is_requested) {
        gathering_close(&t->work->gathering);
    }
    if (exchange->request != 0) {
        struct session_event *event = turn_event(t, SESSION_EVENT_ANSWER);
        event->u.answer.request = exchange->request;
        event->u.answer.code = code;
        event->u.answer.payload = payload;
    }
    exchange_free(exchange);
}

/* The answer's bytes go up as a Describe like any other, acknowledged when they are kept. */
static void describe_done(struct turn *t, struct exchange *exchange,
                          const struct coap_message *message, struct span bytes,
                          uint16_t content_format) {
    struct session_event *event =
        turn_report(t, SESSION_EVENT_DESCRIBE, message->id, message->type == COAP_CON);
    if (event == NULL) {
        return; /* the device repeats it */
    }
    event->u.describe.kind = exchange->detail;
    event->u.describe.content_format = content_format;
    event->u.describe.bytes = bytes;
    if (exchange->request != 0) {
        struct session_event *answer = turn_event(t, SESSION_EVENT_ANSWER);
        answer->u.answer.request = exchange->request;
        answer->u.answer.code = message->code;
        answer->u.answer.payload = bytes;
    }
    exchange_free(exchange);
}

static bool etag_is_same(const struct gathering *g, struct span etag) {
    return etag.len == g->etag_len && (etag.len == 0 || memcmp(etag.data, g->etag, etag.len) == 0);
}

/* One block of several; the blocks that follow are asked for one by one. */
static void describe_block(struct turn *t, struct exchange *exchange,
                           const struct coap_message *message, const struct coap_block *block,
                           uint16_t content_format) {
    struct gathering *g = &t->work->gathering;
    struct span etag = {0};
    (void)coap_option_at(message, COAP_ETAG, 0, &etag);
    bool is_new = block->number == 0;
    if (etag.len > sizeof g->etag || (is_new && gathering_is_busy(t, exchange->detail, true)) ||
        (!is_new && (!g->is_requested || !etag_is_same(g, etag)))) {
        /* It changed under way, or there is no place for it: better none than a patched one. */
        request_answer(t, exchange, COAP_EMPTY, span_of(NULL, 0));
        exchange_settle(t, message);
        return;
    }
    if (is_new) {
        g->kind = exchange->detail;
        g->is_requested = true;
        g->content_format = content_format;
        g->etag_len = (uint8_t)etag.len;
        if (etag.len > 0) {
            memcpy(g->etag, etag.data, etag.len);
        }
    }
    g->deadline = mono_add_ms(t->now, GATHERING_MS);
    int status = coap_assembly_add(&g->assembly, block, message->payload);
    if (status != SW_OK && status != SW_E_EXISTS) {
        request_answer(t, exchange, COAP_EMPTY, span_of(NULL, 0));
        exchange_settle(t, message);
        return;
    }
    if (g->assembly.is_complete) {
        g->last_id = message->id;
        describe_done(t, exchange, message, span_of(g->assembly.data, g->assembly.len),
                      g->content_format);
        return;
    }
    struct coap_block next = {.number = block->number + 1, .bytes = block->bytes};
    uint8_t kind = exchange->detail;
    uint32_t request = exchange->request;
    exchange_free(exchange);
    exchange_settle(t, message);
    ask_describe(t, kind, coap_block_value(&next), request);
}

void request_described(struct turn *t, struct exchange *exchange,
                       const struct coap_message *message) {
    struct coap_block block;
    uint32_t format = CONTENT_FORMAT_NONE;
    (void)coap_option_uint(message, COAP_CONTENT_FORMAT, &format);
    if (message->code != COAP_CONTENT) {
        request_answer(t, exchange, message->code, message->payload);
        exchange_settle(t, message);
        return;
    }
    switch (coap_block_get(message, COAP_BLOCK2, &block)) {
    case SW_OK:
        describe_block(t, exchange, message, &block, (uint16_t)format);
        break;
    case SW_E_NOT_FOUND:
        describe_done(t, exchange, message, message->payload, (uint16_t)format);
        break;
    default:
        request_answer(t, exchange, COAP_EMPTY, span_of(NULL, 0));
        exchange_settle(t, message);
        break;
    }
}
