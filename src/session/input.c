/* From a datagram to what it means. The order matters: first the record (authentic, new, within
 * what is reserved), then where it came from, then whether it is a repetition, then what it says.
 */
#include "session/work.h"

#define GREETING_MAX_US INT64_C(2000000)

/* A 2.04 to UpdateFinish: by its token, or by its statistics (a function's result is four bytes).
 */
static bool is_commit_report(const struct turn *t, const struct coap_message *message) {
    if (message->code != COAP_CHANGED) {
        return false;
    }
    bool is_ours = t->work->transfer.version == TRANSFER_V3 && message->token.len == 1 &&
                   message->token.data[0] == t->work->transfer.token;
    return is_ours || (message->payload.len > 4 && message->payload.data[0] == '{');
}

static void take_response(struct turn *t, const struct coap_message *message, const char **why) {
    if (exchange_answered(t, message)) {
        return;
    }
    *why = "an answer to nothing that was asked";
    if (message->type != COAP_CON || !t->session->is_known) {
        return;
    }
    if (is_commit_report(t, message)) {
        update_commit_again(t, message);
    } else {
        turn_acknowledge(t, message->id);
    }
}

static void take_acknowledgement(struct turn *t, const struct coap_message *message,
                                 const char **why) {
    if (t->work == NULL || exchange_acknowledged(t, message)) {
        return;
    }
    if (message->type == COAP_RST && update_reset(t, message->id)) {
        return;
    }
    /* The answer to PUT /k has the device's own next id: not everything unknown is a fault. */
    *why = "an acknowledgement of nothing that was sent";
}

static void take_message(struct turn *t, const struct coap_message *message, wall_time wall,
                         const char **why) {
    if (message->type == COAP_ACK || message->type == COAP_RST) {
        take_acknowledgement(t, message, why);
        return;
    }
    if (message->code == COAP_EMPTY) {
        if (message->type == COAP_CON) { /* a ping: not RST as RFC 7252 has it */
            (void)turn_reply(t, message->id, COAP_EMPTY, span_of(NULL, 0), span_of(NULL, 0));
        }
        return;
    }
    if (message->type == COAP_CON && t->work != NULL) {
        if (report_is_open(t->work, message->id)) {
            *why = "a repetition of what is not kept yet";
            return;
        }
        bool is_seen = coap_seen_has(&t->work->seen, message->id, t->now);
        if (is_seen && device_needs_work(message)) {
            *why = "a repetition";
            (void)turn_reply(t, message->id, COAP_EMPTY, span_of(NULL, 0), span_of(NULL, 0));
            if (message->code == COAP_POST && coap_path_is(message, 'h')) {
                t->session->greeted = t->now;
            }
            return;
        }
    }
    if (message->code >= COAP_CODE(2, 0)) {
        if (t->work != NULL) {
            take_response(t, message, why);
        }
    } else {
        device_request(t, message, wall, why);
    }
}

/* A device does not ping while it takes an update: one that does, and from elsewhere, has another
 * connection. Device OS before 4.0 has no mark to tell it by. */
static bool has_lost_transfer(const struct session *session) {
    struct session_progress progress;
    return session_progress(session, &progress) && progress.state == OTA_SENDING;
}

/* RFC 9146 section 6: only the newest record, and only an authentic one, moves the address. */
static void take_address(struct turn *t, const struct address *from, bool is_marked, bool is_newest,
                         bool is_hello, bool is_ping) {
    struct session *session = t->session;
    if (!is_newest) {
        return;
    }
    bool is_elsewhere = !address_equal(&session->peer, from);
    bool is_resumed = session->is_resumed || is_elsewhere;
    bool begins_to_move = is_marked && !session->is_moving;
    session->peer = *from;
    session->is_moving = is_marked;
    session->has_flag_ids = session->has_flag_ids && !begins_to_move;
    session->is_resumed = false;
    if (is_hello || !session->is_known) {
        return;
    }
    bool is_lost = begins_to_move || (is_elsewhere && is_ping && has_lost_transfer(session));
    if (is_lost && t->work != NULL) {
        /* The device lost its connection, and with it the transfer; what it has, it keeps. */
        update_abort(t, OTA_FAILURE_RESTARTED);
    }
    if (is_resumed || begins_to_move) {
        turn_event(t, SESSION_EVENT_RESUMED);
    }
}

/* The device waits for the acknowledgement of its Hello, and has more to say at once: a first idea
 * of the round trip. One that waited longer missed it, and repeats its Hello. */
static void learn_round_trip(struct session *session, mono_time now) {
    int64_t rtt_us = mono_since_us(session->greeted, now);
    if (session->greeted.us != 0 && session->rtt_ms == 0 && rtt_us < GREETING_MAX_US) {
        session->rtt_ms = (uint16_t)(rtt_us / 1000 + 1);
    }
    session->greeted = (mono_time){0};
}

/* How long the device lets pass before it pings, as it shows. Its application chooses that, and
 * tells nobody. A repeated ping says nothing, nor does the first word after a pause. A longer pause
 * is believed at once, a shorter one by and by: too much patience does no harm. */
static void learn_interval(struct session *session, uint16_t id, mono_time heard, mono_time now) {
    int64_t gap_s = (mono_since_us(heard, now) + 500000) / 1000000;
    if (id == session->ping_id || gap_s == 0) {
        return;
    }
    gap_s = gap_s < UINT16_MAX ? gap_s : UINT16_MAX;
    session->ping_id = id;
    session->ping_s =
        (uint16_t)(session->ping_s == 0 || gap_s > session->ping_s ? gap_s
                                                                   : (session->ping_s + gap_s) / 2);
}

static void take_alert(struct turn *t, struct span content) {
    enum { LEVEL_FATAL = 2, CLOSE_NOTIFY = 0 };
    if (content.len != 2 || (content.data[0] != LEVEL_FATAL && content.data[1] != CLOSE_NOTIFY)) {
        return;
    }
    if (t->work != NULL) {
        exchange_abandon(t);
        update_abort(t, OTA_FAILURE_RESTARTED);
    }
    t->session->is_known = false;
    turn_event(t, SESSION_EVENT_CLOSED);
}

/* Of the protocol's own; without room or numbers the peer waits for it in vain, as for a lost one.
 */
static void answer(struct turn *t, const struct dtls_opened *opened) {
    uint8_t record[64];
    struct writer w = writer_of(record, sizeof record);
    uint8_t *place = outbox_begin(&t->out->box, sizeof record);
    if (place != NULL && dtls_seal_answer(t->crypto, &t->session->dtls, opened, &w) == SW_OK) {
        memcpy(place, record, w.at);
        outbox_commit(&t->out->box, w.at);
    }
}

static const char *refusal(int status) {
    switch (status) {
    case SW_E_REPLAY:
        return "a record that was seen before";
    case SW_E_AUTH:
        return "a record that does not authenticate";
    default:
        return "not a record of this session";
    }
}

/* The first record of *rest, which is moved behind it. */
static int take_record(struct turn *t, const struct address *from, struct span *rest,
                       wall_time wall, const char **why) {
    struct session *session = t->session;
    uint8_t spare[DTLS_RECORD_MAX];
    uint8_t *plain = t->work != NULL ? t->work->plain : spare;
    struct dtls_sorted sorted;
    dtls_sort(*rest, &sorted);
    bool is_marked = sorted.is_moved || sorted.kind == DTLS_KIND_MOVED_30;
    struct dtls_session before = session->dtls;
    struct dtls_opened opened;
    int status = dtls_open(t->crypto, &session->dtls, *rest, plain, DTLS_RECORD_MAX, &opened);
    bool is_below = status == SW_E_REPLAY && (session->is_doubtful || session->is_hello_due);
    if (is_below) {
        status = knock_listen(t, *rest, plain, &opened);
    }
    if (status == SW_E_LIMIT) {
        uint64_t behind = is_below ? 0 : opened.sequence + 1;
        session->seq_in_missed = behind > session->seq_in_missed ? behind : session->seq_in_missed;
        return SW_E_LIMIT;
    }
    if (status == SW_E_STATE) {
        return SW_E_STATE;
    }
    size_t consumed =
        opened.consumed > 0 && opened.consumed < rest->len ? opened.consumed : rest->len;
    *rest = span_of(rest->data + consumed, rest->len - consumed);
    if (status != SW_OK) {
        *why = refusal(status);
        return is_below && status == SW_E_REPLAY ? SW_E_REPLAY : SW_OK;
    }
    if (!is_below) {
        session->is_doubtful = false;
        session->is_hello_due = false;
        session->doubt = 0;
    }
    struct coap_message message = {0};
    int decoded = opened.type == DTLS_APPLICATION_DATA ? coap_decode(opened.content, &message, why)
                                                       : SW_E_INPUT;
    bool is_coap = decoded == SW_OK;
    if (is_coap && t->work == NULL && device_needs_work(&message)) {
        session->dtls = before;
        return SW_E_STATE;
    }
    bool is_greeting = is_coap && is_hello(&message);
    if (is_greeting && !is_below && session->is_known && !session_was_never_saved(session)) {
        /* Behind its Hello a device says nothing before that is acknowledged. */
        *why = opened.is_newest ? NULL : "a Hello that others overtook";
        if (opened.is_newest) {
            knock_hello(session);
        }
        return opened.is_newest ? SW_E_LIMIT : SW_OK;
    }
    session->is_hello_due = session->is_hello_due && !is_greeting;
    bool is_ping = is_coap && message.type == COAP_CON && message.code == COAP_EMPTY;
    bool is_moved = is_marked || session->is_resumed || !address_equal(&session->peer, from);
    if (is_ping && session->is_known && !is_moved) {
        learn_interval(session, message.id, session->heard, t->now);
    }
    learn_round_trip(session, t->now);
    session->heard = t->now;
    take_address(t, from, is_marked, opened.is_newest, is_greeting, is_ping);
    if (is_coap) {
        take_message(t, &message, wall, why);
        /* A knock is no request that would know its answer. */
        *why = is_below && !is_greeting ? NULL : *why;
    } else if (decoded == SW_E_FULL && message.type == COAP_CON && session->is_known) {
        /* More options than are understood: it is sound, and must not be repeated for ever. */
        (void)turn_reply(t, message.id, COAP_EMPTY, span_of(NULL, 0), span_of(NULL, 0));
    } else if (opened.type == DTLS_ALERT) {
        answer(t, &opened);
        take_alert(t, opened.content);
    } else if (opened.type == DTLS_HANDSHAKE) {
        *why = "a handshake message"; /* the handshake's owner repeats its last flight */
        answer(t, &opened);
    }
    return SW_OK;
}

int session_input(struct session *session, struct dtls_crypto *crypto, const struct address *from,
                  struct span datagram, mono_time now, wall_time wall, struct session_out *out,
                  const char **why) {
    struct turn t = {session, work_of(session), crypto, now, out};
    struct span rest = datagram;
    int status = SW_OK;
    *why = NULL;
    while (rest.len > 0 && status == SW_OK) {
        /* Events borrow the room that the next record would be opened into. */
        if (!turn_has_room(out) || (rest.data != datagram.data && out->event_count > 0)) {
            return SW_E_FULL;
        }
        status = take_record(&t, from, &rest, wall, why);
    }
    turn_flush(&t);
    return status;
}
