/* What one call sends and reports. A reply that finds no room is not remembered as given: the
 * device will ask again, and gets it then. */
#include "session/work.h"
#include "slipway/util/check.h"

#define REPLY_BYTES_MAX  32 /* header, token and payload of an acknowledgement */
#define EVENTS_RESERVE   4  /* what a single message can raise */
#define DATAGRAM_RESERVE 256
#define REPORT_MS        120000 /* longer than a device repeats itself */

bool turn_has_room(const struct session_out *out) {
    return out->event_count + EVENTS_RESERVE <= SESSION_EVENTS_MAX &&
           out->box.count + 2 <= OUTBOX_ITEMS_MAX &&
           out->box.cap - out->box.used >= DATAGRAM_RESERVE;
}

int turn_send(struct turn *t, struct span message) {
    size_t room = message.len + dtls_overhead(&t->session->dtls);
    uint8_t *place = outbox_begin(&t->out->box, room);
    if (place == NULL) {
        return SW_E_FULL;
    }
    struct writer w = writer_of(place, room);
    int status = dtls_seal(t->crypto, &t->session->dtls, DTLS_APPLICATION_DATA, message, &w);
    outbox_commit(&t->out->box, status == SW_OK ? w.at : 0);
    return status;
}

bool turn_reply(struct turn *t, uint16_t id, uint8_t code, struct span token, struct span payload) {
    uint8_t bytes[REPLY_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof bytes);
    struct coap_writer c = coap_begin(&w, COAP_ACK, code, id, token);
    coap_put_payload(&c, payload);
    SW_CHECK(writer_status(&w) == SW_OK);
    return turn_send(t, writer_span(&w)) == SW_OK;
}

void turn_acknowledge(struct turn *t, uint16_t id) {
    if (turn_reply(t, id, COAP_EMPTY, span_of(NULL, 0), span_of(NULL, 0))) {
        coap_seen_add(&t->work->seen, id, t->now);
    }
}

struct session_event *turn_event(struct turn *t, enum session_event_kind kind) {
    SW_CHECK(t->out->event_count < SESSION_EVENTS_MAX);
    struct session_event *event = &t->out->events[t->out->event_count++];
    *event = (struct session_event){.kind = kind};
    return event;
}

struct session_event *turn_report(struct turn *t, enum session_event_kind kind, uint16_t id,
                                  bool is_con) {
    for (unsigned i = 0; i < REPORTS_MAX; i++) {
        struct report *report = &t->work->reports[i];
        if (report->state == REPORT_FREE) {
            struct session_event *event = turn_event(t, kind);
            event->ticket = t->session->ticket++;
            t->session->ticket += t->session->ticket == 0 ? 1 : 0; /* 0 means none */
            *report = (struct report){.state = REPORT_OPEN,
                                      .kind = (uint8_t)kind,
                                      .is_con = is_con,
                                      .id = id,
                                      .ticket = event->ticket,
                                      .deadline = mono_add_ms(t->now, REPORT_MS)};
            t->work->report_count++;
            return event;
        }
    }
    return NULL;
}

bool report_is_open(const struct work *work, uint16_t id) {
    for (unsigned i = 0; i < REPORTS_MAX && work->report_count > 0; i++) {
        const struct report *report = &work->reports[i];
        if (report->state != REPORT_FREE && report->is_con && report->id == id) {
            return true;
        }
    }
    return false;
}

static void report_free(struct turn *t, struct report *report) {
    report->state = REPORT_FREE;
    t->work->report_count--;
    const struct gathering *g = &t->work->gathering;
    if (report->kind == SESSION_EVENT_DESCRIBE && g->assembly.is_complete &&
        g->last_id == report->id) {
        gathering_close(&t->work->gathering);
    }
}

/* The acknowledgement behind a confirmed report; false if there was no room for it. */
static bool report_settle(struct turn *t, struct report *report) {
    if (report->is_con) {
        if (!turn_reply(t, report->id, COAP_EMPTY, span_of(NULL, 0), span_of(NULL, 0))) {
            return false;
        }
        coap_seen_add(&t->work->seen, report->id, t->now);
    }
    enum session_event_kind kind = (enum session_event_kind)report->kind;
    if (kind == SESSION_EVENT_TRANSFER && report->is_con) {
        /* Once more: lost, it would cost the 4 to 6 s until the device repeats its report. */
        (void)turn_reply(t, report->id, COAP_EMPTY, span_of(NULL, 0), span_of(NULL, 0));
    }
    report_free(t, report);
    if (kind == SESSION_EVENT_HELLO) {
        t->session->is_known = true;
        t->session->greeted = t->now;
        t->session->is_unsaved = true;
    } else if (kind == SESSION_EVENT_TRANSFER) {
        update_commit_confirmed(t);
    }
    return true;
}

/* Returns the time at which to go on with what found no room. */
static mono_time settle_reports(struct turn *t) {
    mono_time next = MONO_NEVER;
    for (unsigned i = 0; i < REPORTS_MAX && t->work->report_count > 0; i++) {
        struct report *report = &t->work->reports[i];
        switch ((enum report_state)report->state) {
        case REPORT_FREE:
            break;
        case REPORT_OPEN:
            if (mono_reached(t->now, report->deadline)) {
                report_free(t, report);
            } else {
                next = mono_earlier(next, report->deadline);
            }
            break;
        case REPORT_CONFIRMED:
            if (!turn_has_room(t->out) || !report_settle(t, report)) {
                next = mono_earlier(next, mono_add_ms(t->now, STALLED_MS));
            }
            break;
        }
    }
    return next;
}

void session_confirm(struct session *session, struct dtls_crypto *crypto, uint32_t ticket,
                     mono_time now, struct session_out *out) {
    struct turn t = {session, work_of(session), crypto, now, out};
    for (unsigned i = 0; t.work != NULL && ticket != 0 && i < REPORTS_MAX; i++) {
        struct report *report = &t.work->reports[i];
        if (report->state == REPORT_OPEN && report->ticket == ticket) {
            report->state = REPORT_CONFIRMED;
            turn_flush(&t);
            return;
        }
    }
}

void session_refuse(struct session *session, uint32_t ticket) {
    struct work *work = work_of(session);
    for (unsigned i = 0; work != NULL && ticket != 0 && i < REPORTS_MAX; i++) {
        struct report *report = &work->reports[i];
        if (report->state == REPORT_OPEN && report->ticket == ticket) {
            /* A gathered Describe stays: the device repeats only its last block. */
            report->state = REPORT_FREE;
            work->report_count--;
            return;
        }
    }
}

/* --- everything that is due --- */

static mono_time flush_gathering(struct turn *t) {
    if (mono_reached(t->now, t->work->gathering.deadline)) {
        gathering_close(&t->work->gathering);
    }
    return t->work->gathering.deadline;
}

void turn_flush(struct turn *t) {
    if (t->work == NULL) {
        return;
    }
    mono_time next = settle_reports(t);
    next = mono_earlier(next, flush_gathering(t));
    if (t->session->is_known) {
        next = mono_earlier(next, probe_step(t));
        request_wishes(t);
        exchange_transmit(t);
        mono_time pump = MONO_NEVER;
        update_pump(t, &pump);
        next = mono_earlier(next, pump);
    }
    next = mono_earlier(next, exchange_deadline(t));
    coap_seen_expire(&t->work->seen, t->now);
    t->work->deadline = mono_earlier(next, coap_seen_until(&t->work->seen));
}
