/* A session at rest, and how it comes to work and back. What a device needs between its reports is
 * in struct session alone, so that a hundred thousand sleeping devices cost little; the rest is
 * lent for as long as something is under way or a repetition may still come. */
#include "slipway/session/session.h"

#include "session/work.h"
#include "slipway/crypto/secret.h"
#include "slipway/util/check.h"

#define QUIET_MS 10000

void session_out_clear(struct session_out *out) {
    outbox_clear(&out->box);
    out->event_count = 0;
}

void session_init(struct session *session, const struct dtls_session *dtls,
                  const struct address *peer, mono_time now) {
    *session = (struct session){.dtls = *dtls,
                                .peer = *peer,
                                .heard = now,
                                .granted = now,
                                .quiet_looked = now,
                                .ticket = 1,
                                .coap_id = 1,
                                .chunk_id = SESSION_CHUNK_ID_FIRST,
                                .seq_in_stride = STRIDE_FIRST,
                                .updates_enabled = true};
}

void session_attach(struct session *session, struct session_work *work) {
    SW_CHECK(session->work == NULL && work != NULL);
    memset(work, 0, sizeof *work);
    session->work = work;
    struct work *inner = work_of(session);
    coap_assembly_init(&inner->gathering.assembly, inner->describe, sizeof inner->describe);
    gathering_close(&inner->gathering);
    inner->deadline = MONO_NEVER;
}

bool session_is_resting(const struct session *session) {
    const struct work *work = work_of(session);
    if (work == NULL) {
        return true;
    }
    for (unsigned lane = 0; lane < LANES; lane++) {
        if (work->lanes[lane].state != EXCHANGE_FREE) {
            return false;
        }
    }
    return work->report_count == 0 && work->transfer.version == TRANSFER_NONE &&
           work->wish_pending == WISH_NONE && work->wish_forced == WISH_NONE && !work->wish_ping &&
           work->wish_describe == 0 && !work->gathering.assembly.is_open &&
           !work->gathering.assembly.is_complete;
}

mono_time session_trace_until(const struct session *session) {
    return session->work == NULL ? MONO_NEVER : coap_seen_until(&work_of(session)->seen);
}

size_t session_trace_bytes(const struct session *session, mono_time now) {
    mono_time until = session_trace_until(session);
    bool is_over = until.us == MONO_NEVER.us || mono_reached(now, until);
    return is_over ? 0 : COAP_SEEN_SAVED_BYTES(work_of(session)->seen.count);
}

static struct session_work *take_work(struct session *session) {
    struct session_work *work = session->work;
    session->work = NULL;
    return work;
}

struct session_work *session_detach(struct session *session) {
    SW_CHECK(session_is_resting(session));
    return take_work(session);
}

struct session_work *session_rest(struct session *session, struct writer *trace) {
    coap_seen_save(&work_of(session)->seen, trace);
    return session_detach(session);
}

void session_recall(struct session *session, struct span trace) {
    int status = coap_seen_load(&work_of(session)->seen, trace);
    SW_CHECK(status == SW_OK);
}

struct session_work *session_close(struct session *session) {
    struct session_work *work = take_work(session);
    if (work != NULL) {
        crypto_wipe(work, sizeof *work);
    }
    crypto_wipe(session, sizeof *session);
    return work;
}

/* --- sequence numbers: none may be used before it is known durably that it may have been --- */

#define OUT_BLOCK       256
#define STRIDE_QUIET    2
#define STRIDE_TRANSFER 64
#define STRIDE_MAX      512 /* how far a crash may leave a device behind, in its own words */
#define STRIDE_LONG     16
#define BUSY_MS         20000 /* what is reserved lasts twenty seconds to two minutes: */
#define CALM_MS         80000 /* so much of a device is lost to a crash */

static uint64_t at_most(uint64_t value, uint64_t most) {
    return value < most ? value : most;
}

static bool is_sending(const struct session *session) {
    struct session_progress progress;
    return session_progress(session, &progress) && progress.state == OTA_SENDING;
}

/* Silent for so long that what is reserved for it should be little. */
static mono_time quiet_at(const struct session *session) {
    return is_sending(session) ? MONO_NEVER : mono_add_ms(session->heard, QUIET_MS);
}

bool session_was_never_saved(const struct session *session) {
    return session->dtls.seq_out_limit == DTLS_SEQUENCE_MAX;
}

/* How far ahead the device may run: what a restart would refuse of it. */
static uint16_t next_stride(const struct session *session, mono_time now, bool is_quiet,
                            bool is_used_up) {
    unsigned stride = session->seq_in_stride;
    int64_t since_ms = mono_since_us(session->granted, now) / 1000;
    if (is_quiet) {
        stride = STRIDE_QUIET;
    } else if (is_used_up && since_ms < BUSY_MS) {
        stride *= 2;
    } else if (since_ms > CALM_MS) {
        stride /= 2;
    }
    if (is_sending(session) && stride < STRIDE_TRANSFER) {
        stride = STRIDE_TRANSFER;
    }
    stride = stride < STRIDE_QUIET ? STRIDE_QUIET : stride;
    return (uint16_t)(stride < STRIDE_MAX ? stride : STRIDE_MAX);
}

bool session_reserve_due(struct session *session, mono_time now, struct session_reserve *want) {
    struct dtls_session *dtls = &session->dtls;
    if (session->is_reserving || !session->is_known) {
        return false;
    }
    uint64_t left_in = dtls->seq_in_limit - dtls->seq_in_top;
    uint64_t left_out = dtls->seq_out_limit - dtls->seq_out;
    uint64_t block = session->seq_in_stride > OUT_BLOCK ? session->seq_in_stride : OUT_BLOCK;
    block = is_sending(session) ? OUT_BLOCK_MAX : block;
    bool is_quiet = mono_reached(now, quiet_at(session));
    /* When chunks begin to go out, before the first of their acknowledgements is there. */
    uint64_t least_in = is_sending(session) ? STRIDE_TRANSFER : session->seq_in_stride;
    least_in = least_in > session->seq_in_stride ? least_in : session->seq_in_stride;
    /* A long stride lasts while its last quarter is made durable; acknowledgements come faster. In
     * doubt about the numbers below, none above are needed before one is seen. */
    uint64_t too_few =
        !is_sending(session) && least_in >= STRIDE_LONG ? least_in / 4 : least_in / 2;
    too_few = session->is_doubtful ? 0 : too_few;
    bool is_used_up =
        left_in < too_few || left_out < block / 4 || session->seq_in_missed > dtls->seq_in_limit;
    bool is_too_far = is_quiet && left_in > STRIDE_QUIET && !session_was_never_saved(session);
    if (!session->is_unsaved && !is_used_up && !is_too_far) {
        return false;
    }
    session->seq_in_stride = next_stride(session, now, is_quiet, is_used_up);
    uint64_t from =
        session->seq_in_missed > dtls->seq_in_top ? session->seq_in_missed : dtls->seq_in_top;
    session->seq_in_missed = 0; /* provided for; it is given again, or never */
    want->is_waiting = session->is_doubtful && from == dtls->seq_in_top;
    want->seq_in_limit =
        at_most(from + (want->is_waiting ? 0 : session->seq_in_stride), DTLS_SEQUENCE_MAX);
    want->seq_out_limit = at_most(dtls->seq_out + block, DTLS_SEQUENCE_MAX - 1);
    if (session_was_never_saved(session)) {
        dtls->seq_out_limit = want->seq_out_limit;
    } else if (want->seq_out_limit < dtls->seq_out_limit) {
        want->seq_out_limit = dtls->seq_out_limit;
    }
    /* Less than before: binding from now on, as the smaller figure may be on disk any moment. */
    dtls->seq_in_limit = at_most(dtls->seq_in_limit, want->seq_in_limit);
    session->is_reserving = true;
    session->is_unsaved = false;
    return true;
}

void session_reserved(struct session *session, const struct session_reserve *granted,
                      mono_time now) {
    struct dtls_session *dtls = &session->dtls;
    session->is_reserving = false;
    if (granted == NULL) {
        session->is_unsaved = true;
        return;
    }
    SW_CHECK(granted->seq_out_limit >= dtls->seq_out && granted->seq_in_limit >= dtls->seq_in_top);
    dtls->seq_out_limit = granted->seq_out_limit;
    /* A knock may have been answered meanwhile: what was saved knows nothing of that. */
    dtls->seq_in_limit = granted->is_waiting ? dtls->seq_in_limit : granted->seq_in_limit;
    session->granted = now;
    session->is_hello_kept = session->is_hello_due && !session->is_unsaved;
}

/* --- time --- */

void session_tick(struct session *session, struct dtls_crypto *crypto, mono_time now,
                  struct session_out *out) {
    struct turn t = {session, work_of(session), crypto, now, out};
    if (mono_reached(now, quiet_at(session))) {
        /* If what is reserved cannot be lowered now, another time will do. */
        session->quiet_looked = now;
    }
    if (t.work == NULL || !mono_reached(now, t.work->deadline)) {
        return;
    }
    exchange_expire(&t);
    if (turn_has_room(out)) {
        update_expire(&t);
    }
    turn_flush(&t);
}

mono_time session_deadline(const struct session *session) {
    const struct work *work = work_of(session);
    mono_time next = work != NULL ? work->deadline : MONO_NEVER;
    uint64_t left_in = session->dtls.seq_in_limit - session->dtls.seq_in_top;
    if (session->is_known && !session->is_reserving && left_in > STRIDE_QUIET &&
        !session_was_never_saved(session)) {
        mono_time again = mono_add_ms(session->quiet_looked, QUIET_MS);
        mono_time quiet = quiet_at(session);
        next = mono_earlier(next, again.us > quiet.us ? again : quiet);
    }
    return next;
}
