/* Published events on their way to the devices that asked for them: each is offered to one device
 * after the other, a bounded number in a turn. Whoever is busy with another request of ours is
 * asked again until the event is too old. */
#include "gateway/gateway.h"

#include <stdlib.h>

#define STEPS_MAX   128
#define AGAIN_MS    250
#define PATIENCE_MS 30000

void deliver_free(struct app_delivery *what) {
    if (what != NULL) {
        free(what->ids);
        free(what);
    }
}

void deliver_event(struct gateway *gw, int64_t event_id, struct moment now) {
    struct gateway_job *job = job_new(JOB_SUBSCRIBERS, 0);
    if (job != NULL) {
        job->u.subscribers.event_id = event_id;
    }
    if (job_submit_read(gw, job, now) != SW_OK) {
        gw->counters.events_undelivered++;
    }
}

void deliver_found(struct gateway *gw, struct gateway_job *job, int code, struct moment now) {
    struct app_delivery *found = job->u.subscribers.found;
    gw->counters.jobs_failed += code != SW_OK && code != SW_E_NOT_FOUND;
    if (code != SW_OK || found->count == 0 || gw->is_draining) {
        return;
    }
    for (unsigned n = 0; n < DELIVERIES_MAX; n++) {
        if (gw->deliveries[n].what == NULL) {
            gw->deliveries[n] = (struct delivery){
                .what = found, .due = now.mono, .deadline = mono_add_ms(now.mono, PATIENCE_MS)};
            job->u.subscribers.found = NULL;
            return;
        }
    }
    gw->counters.events_undelivered += found->count;
}

/* False: it is busy now. */
static bool deliver_one(struct gateway *gw, const struct app_delivery *what,
                        const struct device_id *id, struct moment now) {
    struct seat *seat = table_by_device(&gw->table, id, NULL);
    uint32_t number;
    if (seat == NULL || !seat->is_served || !seat->is_present) {
        gw->counters.events_undelivered++;
        return true;
    }
    session_out_clear(&gw->out);
    int status = seat_activate(gw, seat);
    if (status == SW_OK) {
        status = session_request(&seat->session, gw->crypto, SESSION_REQUEST_EVENT,
                                 span_text(what->name), span_of(what->data, what->data_len),
                                 now.mono, &gw->out, &number);
        (void)seat_settle(gw, seat, now);
    }
    if (status == SW_E_BUSY || status == SW_E_FULL) {
        return false;
    }
    gw->counters.events_delivered += status == SW_OK;
    gw->counters.events_undelivered += status != SW_OK;
    return true;
}

static void deliver_round(struct gateway *gw, struct delivery *delivery, struct moment now) {
    struct app_delivery *what = delivery->what;
    for (unsigned n = 0; n < STEPS_MAX && delivery->at < what->count; n++) {
        struct device_id id = what->ids[delivery->at++];
        if (!deliver_one(gw, what, &id, now)) {
            what->ids[delivery->kept++] = id;
        }
    }
    if (delivery->at < what->count) {
        return; /* the next turn goes on */
    }
    what->count = delivery->kept;
    delivery->at = 0;
    delivery->kept = 0;
    delivery->due = mono_add_ms(now.mono, AGAIN_MS);
    if (what->count == 0 || mono_reached(now.mono, delivery->deadline)) {
        gw->counters.events_undelivered += what->count;
        deliver_free(what);
        delivery->what = NULL;
    }
}

void deliver_pump(struct gateway *gw, struct moment now) {
    for (unsigned n = 0; n < DELIVERIES_MAX; n++) {
        struct delivery *delivery = &gw->deliveries[n];
        if (delivery->what != NULL && mono_reached(now.mono, delivery->due)) {
            deliver_round(gw, delivery, now);
        }
    }
}

mono_time deliver_deadline(const struct gateway *gw) {
    mono_time deadline = MONO_NEVER;
    for (unsigned n = 0; n < DELIVERIES_MAX; n++) {
        if (gw->deliveries[n].what != NULL) {
            deadline = mono_earlier(deadline, gw->deliveries[n].due);
        }
    }
    return deadline;
}

void deliver_close(struct gateway *gw) {
    for (unsigned n = 0; n < DELIVERIES_MAX; n++) {
        deliver_free(gw->deliveries[n].what);
    }
}
