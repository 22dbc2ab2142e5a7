/* Our confirmable requests, as CoAP wants them: sent until acknowledged, then answered by a message
 * that carries their token. At most two are unacknowledged at a time (the device has little room),
 * and each is kept as written, so that a repetition is the same message, bit for bit.
 *
 *   FREE --queue--> QUEUED --send--> SENT --acknowledged--> AWAITING
 *     ^---------------/-----done / given up / answered----------/      */
#include "session/work.h"
#include "slipway/util/check.h"
#include "slipway/util/fsm.h"

#define OUTSTANDING_MAX 2
#define QUEUED_MS       180000
#define CALL_MS         60000
#define UPDATE_MS       180000 /* the transfer's own deadlines are shorter */
#define ANSWERED_CODE   COAP_CHANGED

static const struct fsm_state states[EXCHANGE_STATES] = {
    [EXCHANGE_FREE] = {.name = "free", .next = FSM_NEXT(EXCHANGE_QUEUED), .is_final = true},
    [EXCHANGE_QUEUED] = {.name = "queued",
                         .next = FSM_NEXT(EXCHANGE_SENT) | FSM_NEXT(EXCHANGE_FREE),
                         .needs_timer = true},
    [EXCHANGE_SENT] = {.name = "sent",
                       .next = FSM_NEXT(EXCHANGE_AWAITING) | FSM_NEXT(EXCHANGE_FREE),
                       .needs_timer = true},
    [EXCHANGE_AWAITING] = {.name = "awaiting",
                           .next = FSM_NEXT(EXCHANGE_FREE),
                           .needs_timer = true},
};

const struct fsm exchange_fsm = {.name = "exchange", .states = states, .count = EXCHANGE_STATES};

static void exchange_move(struct exchange *exchange, enum exchange_state to) {
    fsm_check(&exchange_fsm, exchange->state, to);
    exchange->state = (uint8_t)to;
}

static struct writer lane_writer(struct work *work, enum lane lane) {
    switch (lane) {
    case LANE_UPDATE:
        return writer_of(work->update_message, sizeof work->update_message);
    case LANE_TELL:
        return writer_of(work->tell_message, sizeof work->tell_message);
    case LANE_REQUEST:
    case LANES:
        break;
    }
    return writer_of(work->request_message, sizeof work->request_message);
}

static bool token_is_used(const struct work *work, uint8_t token) {
    bool is_used = work->transfer.version != TRANSFER_NONE && work->transfer.token == token;
    for (unsigned lane = 0; lane < LANES; lane++) {
        const struct exchange *exchange = &work->lanes[lane];
        is_used = is_used || (exchange->state != EXCHANGE_FREE && exchange->has_token &&
                              exchange->token == token);
    }
    return is_used;
}

/* 1..255 in turn, without those that somebody waits for. */
static uint8_t next_token(struct turn *t) {
    uint8_t token = t->session->coap_token;
    do {
        token = (uint8_t)(token == UINT8_MAX ? 1 : token + 1);
    } while (token_is_used(t->work, token));
    t->session->coap_token = token;
    return token;
}

static uint16_t next_id(struct session *session) {
    uint16_t id = session->coap_id;
    session->coap_id = (uint16_t)((id + 1U) % SESSION_CHUNK_ID_FIRST);
    return id;
}

struct coap_writer exchange_open(struct turn *t, enum lane lane, enum exchange_kind kind,
                                 bool has_token, uint8_t coap_code, struct writer *message) {
    struct exchange *exchange = &t->work->lanes[lane];
    SW_CHECK(exchange->state == EXCHANGE_FREE);
    *exchange = (struct exchange){.state = EXCHANGE_FREE,
                                  .kind = (uint8_t)kind,
                                  .has_token = has_token,
                                  .id = next_id(t->session)};
    if (has_token) {
        exchange->token = next_token(t);
    }
    *message = lane_writer(t->work, lane);
    return coap_begin(message, COAP_CON, coap_code, exchange->id,
                      span_of(&exchange->token, has_token ? 1 : 0));
}

int exchange_queue(struct turn *t, enum lane lane, struct writer *message) {
    struct exchange *exchange = &t->work->lanes[lane];
    if (writer_status(message) != SW_OK) {
        return SW_E_RANGE;
    }
    exchange->len = (uint16_t)message->at;
    exchange->deadline = mono_add_ms(t->now, QUEUED_MS);
    exchange_move(exchange, EXCHANGE_QUEUED);
    return SW_OK;
}

void exchange_free(struct exchange *exchange) {
    if (exchange->state != EXCHANGE_FREE) {
        exchange_move(exchange, EXCHANGE_FREE);
    }
}

void exchange_renew(struct turn *t, enum lane lane) {
    struct exchange *exchange = &t->work->lanes[lane];
    uint8_t *message = lane_writer(t->work, lane).data;
    SW_CHECK(exchange->has_token && exchange->state == EXCHANGE_AWAITING);
    exchange_free(exchange);
    exchange->id = next_id(t->session);
    exchange->token = next_token(t);
    exchange->deadline = mono_add_ms(t->now, QUEUED_MS);
    message[2] = (uint8_t)(exchange->id >> 8);
    message[3] = (uint8_t)exchange->id;
    message[4] = exchange->token;
    exchange_move(exchange, EXCHANGE_QUEUED);
}

static struct span message_of(struct turn *t, enum lane lane) {
    return span_of(lane_writer(t->work, lane).data, t->work->lanes[lane].len);
}

/* Spreads repetitions of different sessions and messages without a source of randomness. */
static uint16_t jitter_of(const struct turn *t, const struct exchange *exchange) {
    uint32_t mixed = exchange->id * UINT32_C(2654435761) ^ (uint32_t)t->session->dtls.seq_out ^
                     t->session->dtls.key_out[0] * UINT32_C(16777619);
    return (uint16_t)(mixed * UINT32_C(2246822519) >> 16);
}

void exchange_transmit(struct turn *t) {
    unsigned outstanding = 0;
    for (unsigned lane = 0; lane < LANES; lane++) {
        outstanding += t->work->lanes[lane].state == EXCHANGE_SENT ? 1 : 0;
    }
    for (unsigned lane = 0; lane < LANES && outstanding < OUTSTANDING_MAX; lane++) {
        struct exchange *exchange = &t->work->lanes[lane];
        if (exchange->state == EXCHANGE_QUEUED &&
            turn_send(t, message_of(t, (enum lane)lane)) == SW_OK) {
            exchange_move(exchange, EXCHANGE_SENT);
            exchange->sent = t->now;
            coap_retry_start_known(&exchange->retry, t->session->rtt_ms * INT64_C(1000),
                                   jitter_of(t, exchange), t->now);
            outstanding++;
        }
    }
}

mono_time exchange_deadline(const struct turn *t) {
    mono_time next = MONO_NEVER;
    unsigned outstanding = 0, queued = 0;
    for (unsigned lane = 0; lane < LANES; lane++) {
        const struct exchange *exchange = &t->work->lanes[lane];
        switch ((enum exchange_state)exchange->state) {
        case EXCHANGE_SENT:
            outstanding++;
            next = mono_earlier(next, exchange->retry.deadline);
            break;
        case EXCHANGE_QUEUED:
            queued++;
            next = mono_earlier(next, exchange->deadline);
            break;
        case EXCHANGE_AWAITING:
            next = mono_earlier(next, exchange->deadline);
            break;
        case EXCHANGE_FREE:
        case EXCHANGE_STATES:
            break;
        }
    }
    if (queued > 0 && outstanding < OUTSTANDING_MAX && t->session->is_known) {
        /* It could go, but found no room or no sequence number. */
        next = mono_earlier(next, mono_add_ms(t->now, STALLED_MS));
    }
    return next;
}

/* Its owner learns that nothing more will come. */
static void exchange_lose(struct turn *t, struct exchange *exchange) {
    enum exchange_kind kind = (enum exchange_kind)exchange->kind;
    switch (kind) {
    case EXCHANGE_PING:
    case EXCHANGE_PENDING:
    case EXCHANGE_FORCED:
    case EXCHANGE_CANCEL:
        exchange_free(exchange);
        break;
    case EXCHANGE_EVENT:
    case EXCHANGE_CALL:
    case EXCHANGE_DESCRIBE:
        request_answer(t, exchange, COAP_EMPTY, span_of(NULL, 0));
        break;
    case EXCHANGE_START:
    case EXCHANGE_CHUNK:
    case EXCHANGE_FINISH:
        exchange_free(exchange);
        update_abort(t, OTA_FAILURE_TIMEOUT);
        break;
    }
}

void exchange_expire(struct turn *t) {
    for (unsigned lane = 0; lane < LANES && turn_has_room(t->out); lane++) {
        struct exchange *exchange = &t->work->lanes[lane];
        if (exchange->state == EXCHANGE_FREE) {
            continue;
        }
        if (exchange->state != EXCHANGE_SENT) {
            if (mono_reached(t->now, exchange->deadline)) {
                exchange_lose(t, exchange);
            }
            continue;
        }
        switch (coap_retry_step(&exchange->retry, t->now)) {
        case COAP_RETRY_WAIT:
            break;
        case COAP_RETRY_SEND:
            /* Without room it is as if the network had lost it. */
            (void)!turn_send(t, message_of(t, (enum lane)lane));
            break;
        case COAP_RETRY_GIVE_UP:
            turn_event(t, SESSION_EVENT_UNREACHABLE);
            exchange_lose(t, exchange);
            break;
        }
    }
}

void exchange_abandon(struct turn *t) {
    for (unsigned lane = 0; lane < LANES; lane++) {
        struct exchange *exchange = &t->work->lanes[lane];
        if (exchange->state != EXCHANGE_FREE && exchange->request != 0) {
            request_answer(t, exchange, COAP_EMPTY, span_of(NULL, 0));
        }
        exchange_free(exchange);
    }
    t->work->wish_pending = WISH_NONE;
    t->work->wish_forced = WISH_NONE;
    t->work->wish_ping = false;
    t->work->wish_describe = 0;
}

/* --- what comes back --- */

void exchange_settle(struct turn *t, const struct coap_message *message) {
    if (message->type == COAP_CON) {
        turn_acknowledge(t, message->id);
    }
}

static void exchange_response(struct turn *t, struct exchange *exchange,
                              const struct coap_message *message) {
    switch ((enum exchange_kind)exchange->kind) {
    case EXCHANGE_PING:
    case EXCHANGE_PENDING:
    case EXCHANGE_FORCED:
    case EXCHANGE_CANCEL:
        exchange_free(exchange);
        exchange_settle(t, message);
        break;
    case EXCHANGE_EVENT:
    case EXCHANGE_CALL:
        request_answer(t, exchange, message->code, message->payload);
        exchange_settle(t, message);
        break;
    case EXCHANGE_DESCRIBE:
        request_described(t, exchange, message);
        break;
    case EXCHANGE_START:
    case EXCHANGE_CHUNK:
    case EXCHANGE_FINISH:
        update_answered(t, exchange, message);
        break;
    }
}

static bool token_matches(const struct exchange *exchange, const struct coap_message *message) {
    return exchange->has_token && message->token.len == 1 &&
           message->token.data[0] == exchange->token;
}

/* Of a request that was sent once, so that it is known what was answered. */
static void exchange_measure(struct turn *t, const struct exchange *exchange) {
    int64_t rtt_ms = mono_since_us(exchange->sent, t->now) / 1000 + 1;
    bool is_probe =
        exchange->kind == EXCHANGE_PING && exchange->detail != 0; /* the device is busy */
    if (exchange->retry.sent > 1 || rtt_ms > UINT16_MAX || is_probe) {
        return;
    }
    uint16_t before = t->session->rtt_ms;
    t->session->rtt_ms = (uint16_t)(before == 0 ? rtt_ms : (3 * (int64_t)before + rtt_ms) / 4);
    if (exchange->kind == EXCHANGE_START && t->work->transfer.version == TRANSFER_V3) {
        ota_measured(&t->work->transfer.u.v3, mono_since_us(exchange->sent, t->now));
    }
}

/* An empty acknowledgement: done, unless an answer is to follow. */
static void exchange_empty_ack(struct turn *t, struct exchange *exchange) {
    switch ((enum exchange_kind)exchange->kind) {
    case EXCHANGE_PING:
        probe_answered(t, exchange->detail);
        exchange_free(exchange);
        return;
    case EXCHANGE_PENDING:
    case EXCHANGE_FORCED:
        exchange_free(exchange);
        return;
    case EXCHANGE_EVENT:
        request_answer(t, exchange, ANSWERED_CODE, span_of(NULL, 0));
        return;
    case EXCHANGE_START:
    case EXCHANGE_FINISH:
        probe_acknowledged(t);
        break;
    case EXCHANGE_CALL:
    case EXCHANGE_DESCRIBE:
    case EXCHANGE_CHUNK:
    case EXCHANGE_CANCEL:
        break;
    }
    exchange_move(exchange, EXCHANGE_AWAITING);
    bool is_call = exchange->kind == EXCHANGE_CALL || exchange->kind == EXCHANGE_DESCRIBE;
    exchange->deadline = mono_add_ms(t->now, is_call ? CALL_MS : UPDATE_MS);
}

bool exchange_acknowledged(struct turn *t, const struct coap_message *message) {
    for (unsigned lane = 0; lane < LANES; lane++) {
        struct exchange *exchange = &t->work->lanes[lane];
        if (exchange->state != EXCHANGE_SENT || exchange->id != message->id) {
            continue;
        }
        exchange_measure(t, exchange);
        if (message->type == COAP_RST) {
            exchange_lose(t, exchange);
        } else if (message->code == COAP_EMPTY) {
            exchange_empty_ack(t, exchange);
        } else {
            exchange_response(t, exchange, message);
        }
        return true;
    }
    return false;
}

bool exchange_answered(struct turn *t, const struct coap_message *message) {
    for (unsigned lane = 0; lane < LANES; lane++) {
        struct exchange *exchange = &t->work->lanes[lane];
        bool is_waiting = exchange->state == EXCHANGE_SENT || exchange->state == EXCHANGE_AWAITING;
        if (is_waiting && token_matches(exchange, message)) {
            exchange_response(t, exchange, message);
            return true;
        }
    }
    return false;
}
