/* What a device is due. Reports bring a plan with their result; everything else that is a reason to
 * look - a notice, a retry, a word after silence - puts the seat in a line, from which looks are
 * submitted, a bounded number at a time, in turn with the rounds of immediate releases. */
#include "gateway/gateway.h"

#include <stdlib.h>
#include <string.h>

#define LOOKS_MAX 1024U

static int plan_desk(struct gateway *gw, struct seat *seat, struct moment now) {
    int status = seat_activate(gw, seat);
    if (status != SW_OK) {
        /* No working memory now: once more, later. */
        seat->retry = mono_earlier(seat->retry, mono_add_ms(now.mono, SETTLE_MS));
    }
    return status;
}

/* Its answer is a report like any other. Refused: the next look asks again. */
static void plan_ask(struct gateway *gw, struct seat *seat, struct moment now) {
    static const uint8_t system = DESCRIBE_SYSTEM;
    uint32_t number;
    if (plan_desk(gw, seat, now) == SW_OK) {
        (void)!session_request(&seat->session, gw->crypto, SESSION_REQUEST_DESCRIBE,
                               span_of(NULL, 0), span_of(&system, 1), now.mono, &gw->out, &number);
    }
}

void plan_follow(struct gateway *gw, struct seat *seat, const struct app_plan *plan,
                 struct moment now) {
    if (plan->verdict != APP_VERDICT_KNOWN) {
        seat->is_served = false;
        seat->session.is_trusted = false;
        transfer_cancel(gw, seat, true, now);
        return;
    }
    seat->product = plan->product_id;
    if (plan->has_looked && seat->desk != NULL && seat->desk->transfer.step != TRANSFER_NONE &&
        seat->desk->transfer.offer.update_id != plan->open_update) {
        transfer_cancel(gw, seat, seat->desk->transfer.offer.image_id != plan->due_image, now);
    }
    if (plan->pending != APP_TELL_NOTHING && plan_desk(gw, seat, now) == SW_OK) {
        seat->desk->wish_pending = (uint8_t)plan->pending;
    }
    if (plan->forced != APP_TELL_NOTHING && plan_desk(gw, seat, now) == SW_OK) {
        seat->desk->wish_forced = (uint8_t)plan->forced;
    }
    if (plan->retry_ms > 0) {
        int64_t wait_ms = plan->retry_ms - now.wall.ms;
        seat->retry =
            mono_earlier(seat->retry, mono_add_ms(now.mono, wait_ms < 1000 ? 1000 : wait_ms));
    }
    if (plan->wants_describe) {
        plan_ask(gw, seat, now);
    }
    if (plan->has_offer && !seat->is_settling && plan_desk(gw, seat, now) == SW_OK) {
        transfer_start(gw, seat, &plan->offer, now);
    }
}

void plan_wishes(struct gateway *gw, struct seat *seat, struct moment now) {
    struct desk *desk = seat->desk;
    /* One thing at a time; what is busy is tried again when the session was next touched. */
    if (desk == NULL || gw->is_draining) {
        return;
    }
    if (desk->wish_forced != APP_TELL_NOTHING &&
        session_tell_forced(&seat->session, gw->crypto, desk->wish_forced == APP_TELL_TRUE,
                            now.mono, &gw->out) != SW_E_BUSY) {
        desk->wish_forced = APP_TELL_NOTHING;
    }
    if (desk->wish_pending != APP_TELL_NOTHING &&
        session_tell_pending(&seat->session, gw->crypto, desk->wish_pending == APP_TELL_TRUE,
                             now.mono, &gw->out) != SW_E_BUSY) {
        desk->wish_pending = APP_TELL_NOTHING;
    }
}

void plan_due(struct gateway *gw, struct seat *seat, enum update_cause cause) {
    if (!seat->is_served || !seat->is_named || gw->is_draining) {
        return;
    }
    if (seat->cause != UPDATE_CAUSE_IMMEDIATE) {
        seat->cause = (uint8_t)cause;
    }
    if (seat->is_due) {
        return;
    }
    seat->is_due = true;
    /* While a look is in flight it may have been too early: its return asks again. */
    if (!seat->is_asked && line_push(&gw->due, seat->number) != SW_OK) {
        seat->is_due = false;
    }
}

static void plan_look(struct gateway *gw, struct seat *seat, bool is_called, struct moment now) {
    struct gateway_job *job = job_new(JOB_PLAN, 0);
    if (job != NULL) {
        job->is_called = is_called;
        job->device = seat->session.device;
        job->u.cause = (enum update_cause)seat->cause;
    }
    seat->is_due = false;
    seat->cause = UPDATE_CAUSE_RULES;
    if (job_submit(gw, job, seat, now) != SW_OK) {
        seat->retry = mono_earlier(seat->retry, mono_add_ms(now.mono, SETTLE_MS));
        return;
    }
    seat->is_asked = true;
    gw->looks++;
    gw->calls += is_called;
}

void plan_looked(struct gateway *gw, struct seat *seat) {
    seat->is_asked = false;
    if (seat->is_due && line_push(&gw->due, seat->number) != SW_OK) {
        seat->is_due = false;
    }
}

/* Seats whose turn for a transfer slot has come look at their update again: it may have changed
 * while they waited, and waiting costs no memory that way. */
static void plan_lanes(struct gateway *gw, struct moment now) {
    uint32_t max = pace_transfers_max(gw);
    uint32_t room = max > gw->transfers ? max - gw->transfers : 0;
    room = room > gw->calls ? room - gw->calls : 0;
    for (unsigned empty = 0; room > 0 && empty < LANES_MAX && gw->looks < LOOKS_MAX;) {
        struct lane *lane = &gw->lanes[gw->lane_next++ % LANES_MAX];
        uint32_t number;
        if (!line_pop(&lane->line, &number)) {
            empty++;
            continue;
        }
        empty = 0;
        struct seat *seat = table_seat(&gw->table, number);
        if (seat != NULL && !seat->is_gone && seat->is_waiting) {
            seat->is_waiting = false;
            if (seat->is_served && seat->is_present && !seat->is_asked) {
                plan_look(gw, seat, true, now);
                room--;
            }
        }
    }
}

static bool plan_round(struct gateway *gw, struct moment now) {
    for (unsigned n = 0; n < ROUNDS_MAX; n++) {
        struct round *round = &gw->rounds[gw->round_next++ % ROUNDS_MAX];
        while (round->at < round->count) {
            struct seat *seat = table_by_device(&gw->table, &round->devices[round->at++], NULL);
            if (seat != NULL && seat->is_served && seat->is_present && !seat->is_due) {
                seat->cause = UPDATE_CAUSE_IMMEDIATE;
                if (seat->is_asked) {
                    seat->is_due = true;
                } else {
                    plan_look(gw, seat, false, now);
                }
                return true;
            }
        }
        if (round->product != 0 && !round->is_reading && round->at == round->count) {
            bool again = round->is_again;
            uint16_t product = round->product;
            free(round->devices);
            *round = (struct round){0};
            if (again) {
                plan_product(gw, product, now);
            }
        }
    }
    return false;
}

void plan_pump(struct gateway *gw, struct moment now) {
    if (gw->is_draining) {
        return;
    }
    plan_lanes(gw, now);
    uint32_t number;
    bool more = true;
    while (more && gw->looks < LOOKS_MAX && gw->jobs < gw->config.jobs_max) {
        more = false;
        if (line_pop(&gw->due, &number)) {
            struct seat *seat = table_seat(&gw->table, number);
            more = true;
            /* The number may have been given to another since: it is then not due. */
            if (seat != NULL && !seat->is_gone && seat->is_due && !seat->is_asked) {
                plan_look(gw, seat, false, now);
            }
        }
        if (gw->looks < LOOKS_MAX) {
            more = plan_round(gw, now) || more;
        }
    }
}

void plan_running(struct gateway *gw, uint16_t product) {
    for (uint32_t n = pool_next(&gw->desks, 0); n != POOL_NONE; n = pool_next(&gw->desks, n + 1)) {
        const struct desk *desk = pool_item(&gw->desks, n);
        struct seat *seat = table_seat(&gw->table, desk->seat);
        if (desk->transfer.step != TRANSFER_NONE && seat->product == product) {
            plan_due(gw, seat, UPDATE_CAUSE_RULES);
        }
    }
}

void plan_product(struct gateway *gw, uint16_t product, struct moment now) {
    struct round *blank = NULL;
    for (unsigned n = 0; n < ROUNDS_MAX; n++) {
        struct round *round = &gw->rounds[n];
        if (round->product == product) {
            round->is_again = true;
            return;
        }
        if (round->product == 0 && blank == NULL) {
            blank = round;
        }
    }
    struct gateway_job *job = blank == NULL ? NULL : job_new(JOB_CANDIDATES, 0);
    if (job != NULL) {
        job->u.candidates.product_id = product;
    }
    if (job_submit_read(gw, job, now) == SW_OK) {
        *blank = (struct round){.product = product, .is_reading = true};
        return;
    }
    /* Too much at once: every connected device of the product is looked at when it next speaks. */
    for (uint32_t n = pool_next(&gw->table.seats, 0); n != POOL_NONE;
         n = pool_next(&gw->table.seats, n + 1)) {
        struct seat *seat = table_seat(&gw->table, n);
        seat->is_owed = seat->is_owed || seat->product == product;
    }
}

void plan_candidates(struct gateway *gw, struct gateway_job *job, int code, struct moment now) {
    (void)now;
    gw->counters.jobs_failed += code != SW_OK;
    for (unsigned n = 0; n < ROUNDS_MAX; n++) {
        struct round *round = &gw->rounds[n];
        if (round->product == job->u.candidates.product_id && round->is_reading) {
            round->is_reading = false;
            round->devices = job->u.candidates.items;
            round->count = job->u.candidates.count;
            job->u.candidates.items = NULL;
            return;
        }
    }
}

void plan_close(struct gateway *gw) {
    line_close(&gw->due);
    for (unsigned n = 0; n < ROUNDS_MAX; n++) {
        free(gw->rounds[n].devices);
    }
    for (unsigned n = 0; n < LANES_MAX; n++) {
        line_close(&gw->lanes[n].line);
    }
}
