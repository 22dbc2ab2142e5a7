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
    if (job->plan.verdict == APP_VERDICT_QUARANTINED || is_known) {
        /* Found by its id: to be approved, or to be served. One with a wrong key is neither. */
        is_known = table_name(&gw->table, seat) == SW_OK && is_known;
    } else {
        table_unname(&gw->table, seat);
    }
    seat->is_served = is_known;
    seat->session.is_trusted = is_known;
    if (!is_known) {
        gw->counters.quarantined++;
        seat->is_present = false;
        transfer_cancel(gw, seat, now);
        return;
    }
    seat->product = job->plan.product_id;
    seat->is_present = true;
    seat_list(gw, seat, SEAT_ONLINE, now.mono);
    done_replace(gw, seat, now);
}

/* Reports: confirmed, then followed by what they ask for. */
static void done_report(struct gateway *gw, struct seat *seat, struct gateway_job *job, int code,
                        struct moment now) {
    if (code != SW_OK && code != SW_E_NOT_FOUND) {
        gw->counters.jobs_failed++;
        if (job->ticket != 0) {
            session_refuse(&seat->session, job->ticket);
        }
        return;
    }
    if (job->ticket != 0) {
        session_confirm(&seat->session, gw->crypto, job->ticket, now.mono, &gw->out);
    }
    if ((job->kind == JOB_HELLO || job->kind == JOB_RESUMED) &&
        !device_id_equal(&job->device, &seat->session.device)) {
        return; /* another Hello followed: its own verdict counts */
    }
    switch (job->kind) {
    case JOB_HELLO:
        hello_done(gw, seat);
        done_verdict(gw, seat, job, now);
        /* What it runs and whether it may be disturbed follows within moments. */
        seat->is_settling = true;
        seat->retry = mono_add_ms(now.mono, SETTLE_MS);
        break;
    case JOB_RESUMED:
        done_verdict(gw, seat, job, now);
        break;
    case JOB_UPDATES:
        if (!job->u.updates.is_forced && seat->is_settling) {
            seat->is_settling = false;
            seat->retry = MONO_NEVER;
        }
        break;
    case JOB_GOODBYE:
        seat->is_present = false;
        table_list(&gw->table, seat, SEAT_OFFLINE);
        return;
    case JOB_PLAN:
    case JOB_DESCRIBE:
    case JOB_PUBLISH:
    case JOB_ONLINE:
    case JOB_MOVE:
    case JOB_PROGRESS:
    case JOB_ENDED:
    case JOB_SAVE:
    case JOB_FORGET:
    case JOB_OFFLINE_ALL:
    case JOB_EXPIRE:
    case JOB_DOUBLED:
    case JOB_RESTORE:
    case JOB_CANDIDATES:
    case JOB_INTERRUPTED:
    case JOB_IMAGE:
    case JOB_PSK:
        break;
    }
    plan_follow(gw, seat, &job->plan, now);
}

static void done_of_seat(struct gateway *gw, struct seat *seat, struct gateway_job *job, int code,
                         struct moment now) {
    session_out_clear(&gw->out);
    switch (job->kind) {
    case JOB_HELLO:
    case JOB_DESCRIBE:
    case JOB_RESUMED:
    case JOB_UPDATES:
    case JOB_PUBLISH:
    case JOB_GOODBYE:
        done_report(gw, seat, job, code, now);
        break;
    case JOB_PLAN:
        done_report(gw, seat, job, code, now);
        plan_looked(gw, seat);
        break;
    case JOB_ONLINE:
        if (code != SW_OK) {
            gw->counters.jobs_failed++;
            seat->is_present = !job->u.is_online;
        }
        break;
    case JOB_MOVE:
        transfer_moved(gw, seat, job, code, now);
        break;
    case JOB_ENDED:
        transfer_ended(gw, seat, job, code, now);
        break;
    case JOB_SAVE:
        keep_saved(gw, seat, job, code, now);
        break;
    case JOB_PROGRESS:
    case JOB_FORGET:
    case JOB_OFFLINE_ALL:
    case JOB_EXPIRE:
    case JOB_DOUBLED:
    case JOB_RESTORE:
    case JOB_CANDIDATES:
    case JOB_INTERRUPTED:
    case JOB_IMAGE:
    case JOB_PSK:
        break;
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
    switch (job->kind) {
    case JOB_RESTORE:
        keep_restored(gw, job, code, now);
        break;
    case JOB_CANDIDATES:
        plan_candidates(gw, job, code, now);
        break;
    case JOB_INTERRUPTED:
        keep_interrupted(gw, job, code, now);
        break;
    case JOB_IMAGE:
        transfer_image(gw, job, code, now);
        break;
    case JOB_PSK:
        hello_psk(gw, job, code, now);
        break;
    case JOB_SAVE:
    case JOB_HELLO:
    case JOB_DESCRIBE:
    case JOB_RESUMED:
    case JOB_UPDATES:
    case JOB_PUBLISH:
    case JOB_GOODBYE:
    case JOB_ONLINE:
    case JOB_PLAN:
    case JOB_MOVE:
    case JOB_PROGRESS:
    case JOB_ENDED:
    case JOB_FORGET:
    case JOB_OFFLINE_ALL:
    case JOB_EXPIRE:
    case JOB_DOUBLED:
        gw->counters.jobs_failed += code != SW_OK;
        break;
    }
}
