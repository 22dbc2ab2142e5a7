/* One session's life at the gateway: opened by a handshake or from the store, fed with datagrams
 * and time, quiet between words, closed by its device, a newer session, long silence or an
 * operator.
 *
 * After whatever touched the session, seat_settle brings everything to rest: what is to be sent is
 * sent, what the session told becomes store jobs, what the device is to be told is told, and the
 * timer is set. Nothing else reads gw->out. */
#include "gateway/gateway.h"

#include "slipway/util/check.h"
#include "slipway/util/hex.h"
#include "slipway/util/text.h"

#include <stdlib.h>
#include <string.h>

#define UNNAMED_MS      120000 /* for a Hello after the handshake */
#define IDLE_LOOK_MS    5000   /* between looks whether a desk can be taken back */
#define BUSY_MS         200    /* before trying again what the store refused */
#define FAILED_MS       5000   /* ... and what it took and could not write */
#define LISTED_MS       10000  /* what the order in a list is worth */
#define LEAVING_MS      30000  /* what Device OS grants a farewell */
#define PING_S          25     /* what Device OS does on Wi-Fi and Ethernet, */
#define PING_CELLULAR_S 1380   /* and on cellular, unless the application says otherwise */
#define DAY_MS          INT64_C(86400000)
#define FULL_ROUNDS     64 /* of a session whose output fills the box */

void address_text(const struct address *address, char out[ADDRESS_BYTES]) {
    bool is_v4 = address_is_v4(address);
    struct text text = text_of(out, ADDRESS_BYTES);
    for (unsigned n = is_v4 ? 12 : 0; n < 16; n += is_v4 ? 1 : 2) {
        if (text.at > 0) {
            text_add(&text, is_v4 ? "." : ":");
        }
        if (is_v4) {
            text_add_number(&text, address->ip[n]);
        } else {
            char word[5];
            hex_encode(span_of(address->ip + n, 2), word, sizeof word);
            size_t zeroes = strspn(word, "0");
            text_add(&text, word + (zeroes < 4 ? zeroes : 3));
        }
    }
}

void seat_send(struct gateway *gw, gateway_path path, const struct address *to,
               struct span record) {
    outbox_clear(&gw->out.box);
    uint8_t *room = outbox_begin(&gw->out.box, record.len);
    memcpy(room, record.data, record.len);
    outbox_commit(&gw->out.box, record.len);
    gw->counters.datagrams_out++;
    gw->ports.send(gw->ports.ctx, path, to, &gw->out.box);
    session_out_clear(&gw->out);
}

/* The alert that ends the session, told now or when the device next speaks. */
static void seat_farewell(struct gateway *gw, struct seat *seat, bool is_told, struct moment now) {
    uint8_t record[64];
    struct writer w = writer_of(record, sizeof record);
    struct dtls_session *dtls = &seat->session.dtls;
    if (dtls_seal_close(gw->crypto, dtls, &w) != SW_OK) {
        return;
    }
    if (dtls->cid_in_len == DTLS_CID_BYTES) {
        farewell_keep(&gw->farewells, dtls->cid_in, writer_span(&w), now.mono);
    }
    if (is_told) {
        seat_send(gw, seat->path, &seat->session.peer, writer_span(&w));
    }
}

/* Room for one more: the one that was heard longest ago goes. Its row stays out of the way too. */
static bool seat_make_room(struct gateway *gw, struct moment now) {
    struct seat *oldest = NULL;
    for (unsigned list = 0; list < SEAT_LISTS; list++) {
        struct seat *seat = table_oldest(&gw->table, (enum seat_list)list);
        if (seat != NULL && (oldest == NULL || seat->session.heard.us < oldest->session.heard.us)) {
            oldest = seat;
        }
    }
    if (oldest == NULL) {
        return false;
    }
    gw->counters.sessions_evicted++;
    seat_farewell(gw, oldest, false, now);
    seat_close(gw, oldest, false, now);
    return gw->table.seats.count < gw->config.sessions_max;
}

struct seat *seat_open(struct gateway *gw, const struct session *session,
                       const struct app_proof *proof, gateway_path path, struct moment now) {
    if (gw->table.seats.count >= gw->config.sessions_max && !seat_make_room(gw, now)) {
        return NULL;
    }
    struct seat *seat = table_add(&gw->table, session, path, SEAT_OFFLINE);
    if (seat == NULL) {
        return NULL;
    }
    seat->proof = *proof;
    table_deadline(&gw->table, seat, mono_add_ms(now.mono, UNNAMED_MS));
    return seat;
}

void seat_release(struct gateway *gw, struct seat *seat) {
    if (seat->is_gone && seat->jobs == 0) {
        table_free_seat(&gw->table, seat);
    }
}

static void seat_flush(struct gateway *gw, const struct seat *seat) {
    if (gw->out.box.count > 0) {
        gw->counters.datagrams_out += gw->out.box.count;
        gw->ports.send(gw->ports.ctx, seat->path, &seat->session.peer, &gw->out.box);
        outbox_clear(&gw->out.box);
    }
}

static void desk_return(struct gateway *gw, struct desk *desk) {
    command_drop(gw, desk);
    for (uint32_t n = 0; n < desk->held_count; n++) {
        free(desk->held[n]);
    }
    pool_give(&gw->desks, desk->number);
}

static void trace_drop(struct seat *seat) {
    free(seat->trace);
    seat->trace = NULL;
}

/* Told after whatever the session itself has told, and before the Hello of the next one. While its
 * own Hello has no verdict yet, the store compares the proof: nobody can put others offline.
 * Refused: the device counts as online until its next session ends, or the daemon starts anew. */
static void seat_left(struct gateway *gw, const struct seat *seat, struct moment now) {
    const struct seat *other = table_by_device(&gw->table, &seat->session.device, seat);
    if ((!seat->is_present && seat->jobs == 0) || (other != NULL && other->is_present)) {
        return;
    }
    struct gateway_job *job = job_new(JOB_LEFT, 0);
    if (job != NULL) {
        job->device = seat->session.device;
        job->u.left.is_proved = seat->is_present;
        job->u.left.proof = seat->proof;
    }
    (void)!job_submit(gw, job, NULL, now);
}

void seat_close(struct gateway *gw, struct seat *seat, bool is_told, struct moment now) {
    SW_CHECK(!seat->is_gone);
    seat_left(gw, seat, now);
    if (is_told) {
        /* Whether it will be served again, nobody knows: what it has is not for keeps. */
        session_out_clear(&gw->out);
        transfer_cancel(gw, seat, true, now);
        seat_flush(gw, seat);
        seat_farewell(gw, seat, true, now);
    }
    if (seat->is_stored) {
        keep_forget(gw, seat, now);
    }
    transfer_drop(gw, seat, now);
    table_remove(&gw->table, seat);
    (void)session_close(&seat->session);
    trace_drop(seat);
    if (seat->desk != NULL) {
        desk_return(gw, seat->desk);
        seat->desk = NULL;
    }
    seat->is_gone = true;
    seat_release(gw, seat);
}

int seat_activate(struct gateway *gw, struct seat *seat) {
    if (seat->desk != NULL) {
        return SW_OK;
    }
    uint32_t number = pool_take(&gw->desks);
    if (number == POOL_NONE) {
        return SW_E_FULL;
    }
    struct desk *desk = pool_item(&gw->desks, number);
    desk->number = number;
    desk->seat = seat->number;
    seat->desk = desk;
    session_attach(&seat->session, &desk->work);
    if (seat->trace != NULL) {
        session_recall(&seat->session, span_of(seat->trace->bytes, seat->trace->len));
        trace_drop(seat);
    }
    return SW_OK;
}

/* Nothing is under way any more: the desk goes back. Without memory for the trace it stays. */
static void seat_rest(struct gateway *gw, struct seat *seat, mono_time now) {
    size_t len = session_trace_bytes(&seat->session, now);
    if (len > 0) {
        seat->trace = malloc(sizeof *seat->trace + len);
        if (seat->trace == NULL) {
            return;
        }
        struct writer w = writer_of(seat->trace->bytes, len);
        seat->trace->until = session_trace_until(&seat->session);
        seat->trace->len = len;
        (void)session_rest(&seat->session, &w);
    } else {
        (void)session_detach(&seat->session);
    }
    desk_return(gw, seat->desk);
    seat->desk = NULL;
}

static bool desk_is_idle(const struct desk *desk) {
    bool asked = false;
    for (size_t n = 0; n < REQUESTS_MAX; n++) {
        asked = asked || desk->requests[n].is_used;
    }
    return !asked && desk->held_count == 0 && desk->transfer.step == TRANSFER_NONE &&
           desk->wish_pending == APP_TELL_NOTHING && desk->wish_forced == APP_TELL_NOTHING;
}

/* The silence after which a device that counts as online no longer does: as many of its own ping
 * intervals as an operator grants the usual one of its kind. */
static int64_t patience_ms(const struct gateway *gw, const struct seat *seat) {
    const struct gateway_config *config = &gw->config;
    int64_t usual_ms = (int64_t)config->offline_after_s * 1000;
    int64_t most_ms = seat->is_cellular ? (int64_t)config->offline_cellular_s * 1000 : usual_ms;
    int64_t own_ms =
        most_ms * seat->session.ping_s / (seat->is_cellular ? PING_CELLULAR_S : PING_S);
    /* Whoever pings often may still lose a few in a row. */
    return seat->session.ping_s == 0 ? most_ms : own_ms > usual_ms ? own_ms : usual_ms;
}

static mono_time silent_at(const struct gateway *gw, const struct seat *seat) {
    mono_time at = mono_add_ms(seat->session.heard, patience_ms(gw, seat));
    return seat->list != SEAT_ONLINE    ? MONO_NEVER
           : at.us > gw->silence_due.us ? at
                                        : gw->silence_due;
}

static void seat_timer(struct gateway *gw, struct seat *seat, struct moment now) {
    mono_time deadline = mono_earlier(session_deadline(&seat->session), seat->retry);
    deadline = mono_earlier(deadline, silent_at(gw, seat));
    if (seat->desk != NULL && seat->jobs == 0 && desk_is_idle(seat->desk) &&
        knock_is_over(seat, now.mono) && session_is_resting(&seat->session)) {
        seat_rest(gw, seat, now.mono);
    }
    if (seat->trace != NULL && mono_reached(now.mono, seat->trace->until)) {
        trace_drop(seat);
    } else if (seat->trace != NULL) {
        deadline = mono_earlier(deadline, seat->trace->until);
    }
    const struct desk *desk = seat->desk;
    if (desk != NULL) {
        deadline = mono_earlier(deadline, mono_add_ms(now.mono, IDLE_LOOK_MS));
        deadline = mono_earlier(deadline, transfer_deadline(desk));
        deadline = mono_earlier(deadline, command_deadline(desk));
        deadline = mono_earlier(deadline, pace_wait(gw, seat, now.mono));
        deadline = mono_earlier(deadline, knock_deadline(seat));
        if (desk->held_count > 0 && !seat->is_saving) {
            deadline = mono_earlier(deadline, mono_add_ms(now.mono, BUSY_MS));
        }
    }
    if (!seat->session.is_known) {
        deadline = mono_earlier(deadline, mono_add_ms(seat->session.heard, UNNAMED_MS));
    }
    table_deadline(&gw->table, seat, deadline);
}

bool seat_settle(struct gateway *gw, struct seat *seat, struct moment now) {
    struct session_event events[SESSION_EVENTS_MAX];
    uint32_t tickets[SESSION_EVENTS_MAX];
    for (unsigned round = 0; round < FULL_ROUNDS; round++) {
        seat_flush(gw, seat);
        size_t count = gw->out.event_count;
        memcpy(events, gw->out.events, count * sizeof events[0]);
        session_out_clear(&gw->out);
        /* Events point into the session's memory: nothing below calls the session before the last
         * one is handled, except to end it. */
        for (size_t n = 0; n < count; n++) {
            if (events[n].kind == SESSION_EVENT_CLOSED) {
                gw->counters.sessions_closed++;
                seat_close(gw, seat, false, now);
                return false;
            }
            tickets[n] = event_handle(gw, seat, &events[n], now);
        }
        for (size_t n = 0; n < count; n++) {
            if (tickets[n] != 0) {
                session_confirm(&seat->session, gw->crypto, tickets[n], now.mono, &gw->out);
            }
        }
        plan_wishes(gw, seat, now);
        transfer_pump(gw, seat, now);
        if (gw->out.box.count == 0 && gw->out.event_count == 0) {
            break;
        }
    }
    knock_pump(gw, seat, now.mono);
    keep_reserve(gw, seat, now);
    seat_timer(gw, seat, now);
    return true;
}

/* To the newest end, unless it is near it: so a chatty device does not move its neighbours about.
 */
void seat_list(struct gateway *gw, struct seat *seat, enum seat_list list, mono_time now) {
    if (seat->list == list && !mono_reached(now, mono_add_ms(seat->listed, LISTED_MS))) {
        return;
    }
    table_list(&gw->table, seat, list);
    seat->listed = now;
}

/* A device that said goodbye answers and repeats itself until all is acknowledged. If it comes back
 * so soon, it is in a new connection, of which the session tells. */
static bool seat_is_leaving(struct seat *seat, mono_time now) {
    seat->has_left = seat->has_left && !mono_reached(now, mono_add_ms(seat->listed, LEAVING_MS));
    return seat->has_left;
}

/* An authentic word came from the peer. */
static void seat_heard(struct gateway *gw, struct seat *seat, struct moment now) {
    command_heard(gw, seat);
    if (seat_is_leaving(seat, now.mono)) {
        return;
    }
    seat_list(gw, seat, SEAT_ONLINE, now.mono);
    if (!seat->is_served) {
        return;
    }
    if (seat->is_owed) {
        seat->is_owed = false;
        plan_due(gw, seat, UPDATE_CAUSE_RULES);
    }
    if (!seat->is_present && seat->session.is_known && !seat->session.is_resumed) {
        struct gateway_job *job = job_new(JOB_ONLINE, 0);
        if (job != NULL) {
            job->device = seat->session.device;
            job->u.is_online = true;
        }
        /* Refused: the next word tells it. */
        seat->is_present = job_submit(gw, job, seat, now) == SW_OK;
        plan_due(gw, seat, UPDATE_CAUSE_RULES);
    }
}

void seat_datagram(struct gateway *gw, struct seat *seat, gateway_path path,
                   const struct address *from, struct span bytes, struct moment now) {
    mono_time heard = seat->session.heard;
    struct address peer = seat->session.peer;
    const char *why = NULL;
    int status = SW_E_FULL;
    for (unsigned round = 0; round < FULL_ROUNDS && status == SW_E_FULL; round++) {
        session_out_clear(&gw->out);
        table_moving(&gw->table, seat);
        status = session_input(&seat->session, gw->crypto, from, bytes, now.mono, now.wall,
                               &gw->out, &why);
        if (table_moved(&gw->table, seat) != SW_OK) {
            /* Not found by address any more: the device makes a new handshake. */
            seat_close(gw, seat, false, now);
            return;
        }
        if (status == SW_E_STATE) {
            status = seat_activate(gw, seat);
            if (status != SW_OK) {
                gw->counters.dropped_busy++;
                return;
            }
            status = SW_E_FULL; /* again */
        } else if (status == SW_E_FULL) {
            if (!seat_settle(gw, seat, now)) {
                return;
            }
        }
    }
    if (status == SW_E_LIMIT) {
        keep_hold(gw, seat, path, from, bytes);
    } else if (status != SW_OK || why != NULL) {
        gw->counters.dropped_session++;
    }
    if (status == SW_E_REPLAY && seat_activate(gw, seat) == SW_OK) {
        knock_unheard(seat, path, from, now.mono);
    }
    if (!address_equal(&peer, &seat->session.peer) || address_equal(from, &seat->session.peer)) {
        seat->path = path;
    }
    if (seat->session.heard.us != heard.us || (status == SW_OK && why == NULL)) {
        seat_heard(gw, seat, now);
    }
    (void)seat_settle(gw, seat, now);
}

/* False when the store takes no more jobs now. */
static bool seat_go_offline(struct gateway *gw, struct seat *seat, struct moment now) {
    if (seat->is_present) {
        struct gateway_job *job = job_new(JOB_ONLINE, 0);
        if (job != NULL) {
            job->device = seat->session.device;
            job->u.is_online = false;
        }
        if (job_submit(gw, job, seat, now) != SW_OK) {
            return false;
        }
        seat->is_present = false;
    }
    table_list(&gw->table, seat, SEAT_OFFLINE);
    return true;
}

void seat_silent_again(struct gateway *gw, struct seat *seat, mono_time now) {
    table_list(&gw->table, seat, SEAT_ONLINE);
    gw->silence_due = mono_add_ms(now, FAILED_MS);
}

void seat_tick(struct gateway *gw, struct seat *seat, struct moment now) {
    if (!seat->session.is_known &&
        mono_reached(now.mono, mono_add_ms(seat->session.heard, UNNAMED_MS))) {
        gw->counters.sessions_expired++;
        seat_close(gw, seat, false, now);
        return;
    }
    if (mono_reached(now.mono, silent_at(gw, seat)) && !seat_go_offline(gw, seat, now)) {
        gw->silence_due = mono_add_ms(now.mono, BUSY_MS);
    }
    if (mono_reached(now.mono, seat->retry)) {
        seat->retry = MONO_NEVER;
        seat->is_settling = false;
        plan_due(gw, seat, UPDATE_CAUSE_RULES);
    }
    command_tick(gw, seat, now.mono);
    session_out_clear(&gw->out);
    session_tick(&seat->session, gw->crypto, now.mono, &gw->out);
    (void)seat_settle(gw, seat, now);
}

mono_time seat_expiry(const struct gateway *gw) {
    const struct seat *seat = table_oldest(&gw->table, SEAT_OFFLINE);
    return seat == NULL ? MONO_NEVER
                        : mono_add_ms(seat->session.heard, gw->config.idle_days * DAY_MS);
}

void seat_expire(struct gateway *gw, struct moment now) {
    while (mono_reached(now.mono, seat_expiry(gw))) {
        gw->counters.sessions_expired++;
        seat_close(gw, table_oldest(&gw->table, SEAT_OFFLINE), false, now);
    }
}

void seat_abandon(struct gateway *gw, struct seat *seat) {
    trace_drop(seat);
    if (seat->desk != NULL) {
        if (seat->desk->transfer.image != NULL) {
            images_leave(&gw->images, seat->desk->transfer.image);
        }
        (void)session_close(&seat->session);
        desk_return(gw, seat->desk);
        seat->desk = NULL;
    }
}
