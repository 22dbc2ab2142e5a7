/* What became of a job: now that it is durable, the device is acknowledged and its plan followed.
 */
#include "gateway/gateway.h"

#include <string.h>

/* The device proved who it is, and the store knows it: an older session of the same device is over.
 * Not before: who only completes a handshake must not be able to end anybody's session. */
static void done_replace(struct gateway *gw, struct seat *seat, struct moment now) {
    for (;;) {
        struct seat *other = table_by_device(&gw->table, &seat->session.device, seat);
        if (other == NULL) {
            return;
        }
        gw->counters.sessions_replaced++;
        former_keep(&gw->formers, &other->session.dtls, &other->session.device, now.mono);
        seat_close(gw, other, false, now);
    }
}

static void done_verdict(struct gateway *gw, struct seat *seat, const struct gateway_job *job,
                         struct moment now) {
    bool is_known = job->plan.verdict == APP_VERDICT_KNOWN;
    if (job->plan.verdict != APP_VERDICT_WRONG_KEY) {
        /* Found by its id: to be approved, also after all, or to be served. */
        is_known = table_name(&gw->table, seat) == SW_OK && is_known;
    } else {
        table_unname(&gw->table, seat);
    }
    seat->is_served = is_known;
    seat->session.is_trusted = is_known;
    if (!is_known) {
        gw->counters.quarantined++;
        seat->is_present = false;
        transfer_cancel(gw, seat, true, now);
        return;
    }
    seat->product = job->plan.product_id;
    seat->is_present = true;
    seat->has_left = false;
    seat_list(gw, seat, SEAT_ONLINE, now.mono);
    done_replace(gw, seat, now);
}

/* Confirms a report. False: it is not on disk, and the device repeats it. */
static bool done_confirm(struct gateway *gw, struct seat *seat, const struct gateway_job *job,
                         int code, struct moment now) {
    bool is_kept = code == SW_OK || code == SW_E_NOT_FOUND;
    gw->counters.jobs_failed += !is_kept;
    if (job->ticket != 0 && is_kept) {
        session_confirm(&seat->session, gw->crypto, job->ticket, now.mono, &gw->out);
    } else if (job->ticket != 0) {
        session_refuse(&seat->session, job->ticket);
    }
    return is_kept;
}

static void done_hello(struct gateway *gw, struct seat *seat, const struct gateway_job *job,
                       int code, struct moment now) {
    if (done_confirm(gw, seat, job, code, now)) {
        hello_done(gw, seat);
        done_verdict(gw, seat, job, now);
        /* What it runs and whether it may be disturbed follows within moments. */
        seat->is_settling = true;
        seat->retry = mono_add_ms(now.mono, SETTLE_MS);
        plan_follow(gw, seat, &job->plan, now);
    }
}

static void done_resumed(struct gateway *gw, struct seat *seat, const struct gateway_job *job,
                         int code, struct moment now) {
    if (done_confirm(gw, seat, job, code, now)) {
        done_verdict(gw, seat, job, now);
        plan_follow(gw, seat, &job->plan, now);
    }
}

static void done_updates(struct gateway *gw, struct seat *seat, const struct gateway_job *job,
                         int code, struct moment now) {
    if (done_confirm(gw, seat, job, code, now)) {
        if (!job->u.updates.is_forced && seat->is_settling) {
            seat->is_settling = false;
            seat->retry = MONO_NEVER;
        }
        plan_follow(gw, seat, &job->plan, now);
    }
}

static void done_report(struct gateway *gw, struct seat *seat, const struct gateway_job *job,
                        int code, struct moment now) {
    if (done_confirm(gw, seat, job, code, now)) {
        plan_follow(gw, seat, &job->plan, now);
    }
}

static void done_goodbye(struct gateway *gw, struct seat *seat, const struct gateway_job *job,
                         int code, struct moment now) {
    if (done_confirm(gw, seat, job, code, now)) {
        seat->is_present = false;
        seat->has_left = true;
        seat->listed = now.mono;
        table_list(&gw->table, seat, SEAT_OFFLINE);
    }
}

static void done_subscribe(struct gateway *gw, struct seat *seat, const struct gateway_job *job,
                           int code, struct moment now) {
    (void)done_confirm(gw, seat, job, code, now);
}

static void done_plan(struct gateway *gw, struct seat *seat, const struct gateway_job *job,
                      int code, struct moment now) {
    done_report(gw, seat, job, code, now);
    plan_looked(gw, seat);
}

static void done_online(struct gateway *gw, struct seat *seat, const struct gateway_job *job,
                        int code, struct moment now) {
    if (code != SW_OK) {
        gw->counters.jobs_failed++;
        seat->is_present = !job->u.is_online;
    }
    if (code != SW_OK && code != SW_E_NOT_FOUND && seat->is_present) {
        seat_silent_again(gw, seat, now.mono);
    }
}

typedef void done_seat_fn(struct gateway *gw, struct seat *seat, const struct gateway_job *job,
                          int code, struct moment now);
typedef void done_own_fn(struct gateway *gw, struct gateway_job *job, int code, struct moment now);

/* What follows a job of a session that is still there, and one of none; NULL: nothing does. */
static const struct {
    done_seat_fn *seat;
    done_own_fn *own;
} follows[JOB_KINDS] = {
    [JOB_HELLO] = {.seat = done_hello},          [JOB_DESCRIBE] = {.seat = done_report},
    [JOB_RESUMED] = {.seat = done_resumed},      [JOB_UPDATES] = {.seat = done_updates},
    [JOB_PUBLISH] = {.seat = done_report},       [JOB_GOODBYE] = {.seat = done_goodbye},
    [JOB_ONLINE] = {.seat = done_online},        [JOB_PLAN] = {.seat = done_plan},
    [JOB_MOVE] = {.seat = transfer_moved},       [JOB_ENDED] = {.seat = transfer_ended},
    [JOB_SAVE] = {.seat = keep_saved},           [JOB_RESTORE] = {.own = keep_restored},
    [JOB_CANDIDATES] = {.own = plan_candidates}, [JOB_INTERRUPTED] = {.own = keep_interrupted},
    [JOB_IMAGE] = {.own = transfer_image},       [JOB_PSK] = {.own = hello_psk},
    [JOB_SUBSCRIBE] = {.seat = done_subscribe},  [JOB_SUBSCRIBERS] = {.own = deliver_found},
};

static void done_of_seat(struct gateway *gw, struct seat *seat, const struct gateway_job *job,
                         int code, struct moment now) {
    session_out_clear(&gw->out);
    if (follows[job->kind].seat != NULL) {
        follows[job->kind].seat(gw, seat, job, code, now);
    }
    if (seat_settle(gw, seat, now) && job->kind == JOB_SAVE) {
        keep_let_go(gw, seat, now);
    }
}

void job_finish(struct gateway *gw, struct gateway_job *job, int code, struct moment now) {
    struct seat *seat = table_seat(&gw->table, job->seat);
    gw->jobs--;
    if (job->kind == JOB_PLAN) {
        gw->looks--;
        gw->calls -= job->is_called;
    }
    if (seat != NULL) {
        seat->jobs--;
        if (!seat->is_gone) {
            done_of_seat(gw, seat, job, code, now);
            return;
        }
        seat_release(gw, seat);
        /* A transfer ended with its session: the device's present one takes it up again. */
        if (job->kind == JOB_ENDED) {
            seat = table_by_device(&gw->table, &job->device, NULL);
            if (seat != NULL) {
                plan_due(gw, seat, UPDATE_CAUSE_RULES);
            }
        }
        return;
    }
    if (follows[job->kind].own != NULL) {
        follows[job->kind].own(gw, job, code, now);
    } else {
        gw->counters.jobs_failed += code != SW_OK;
    }
}
