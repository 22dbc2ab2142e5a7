/* A transfer: the device and the store go through the same states, the device ahead, the store one
 * durable step at a time behind it. Only the last step waits for the store: the acknowledgement of
 * the device's 2.04 makes it apply the update, so REBOOTING is on disk before it. Everything else
 * may be lost in a crash: it costs resends.
 *
 *   LOADING --image there, offered--> RUNNING --COMMITTED--> NONE
 *                                        \--failed, cancelled--> ENDING --stored--> NONE */
#include "gateway/gateway.h"

#include <string.h>

#define RETRY_MS    1000  /* of a job that failed */
#define OFFER_MS    250   /* while the session is busy with another request of ours */
#define IMAGE_MS    30000 /* after an image could not be read */
#define PROGRESS_MS 2000
#define CROWD       64 /* looks under way */
#define CROWD_MS    100

/* Gives back what it uses; the seat may start another. */
static void transfer_release(struct gateway *gw, struct transfer *transfer) {
    if (transfer->image != NULL) {
        images_leave(&gw->images, transfer->image);
        transfer->image = NULL;
        gw->transfers--;
    }
}

static void transfer_clear(struct gateway *gw, struct transfer *transfer) {
    transfer_release(gw, transfer);
    *transfer = (struct transfer){.step = TRANSFER_NONE};
}

static void transfer_wait(struct gateway *gw, struct seat *seat, struct moment now) {
    if (seat->is_waiting) {
        return;
    }
    seat->is_waiting = line_push(&gw->lanes[seat->product % LANES_MAX].line, seat->number) == SW_OK;
    if (!seat->is_waiting) {
        seat->retry = mono_earlier(seat->retry, mono_add_ms(now.mono, IMAGE_MS));
    }
}

void transfer_start(struct gateway *gw, struct seat *seat, const struct app_offer *offer,
                    struct moment now) {
    struct transfer *transfer = &seat->desk->transfer;
    if (gw->is_draining) {
        return;
    }
    if (transfer->step != TRANSFER_NONE) {
        /* The same one is under way; another waits for this one's end, which asks again. */
        if (transfer->offer.update_id != offer->update_id ||
            transfer->offer.image_id != offer->image_id) {
            transfer_cancel(gw, seat, transfer->offer.image_id != offer->image_id, now);
        }
        return;
    }
    bool must_load = false;
    struct image_slot *image =
        gw->transfers < pace_transfers_max(gw)
            ? images_use(&gw->images, offer->image_id, offer->size, &must_load)
            : NULL;
    if (image == NULL) {
        transfer_wait(gw, seat, now);
        return;
    }
    gw->transfers++;
    *transfer = (struct transfer){.step = TRANSFER_LOADING,
                                  .offer = *offer,
                                  .image = image,
                                  .stored = UPDATE_PLANNED,
                                  .reached = UPDATE_PLANNED};
    if (must_load) {
        struct gateway_job *job = job_new(JOB_IMAGE, 0);
        if (job != NULL) {
            job->u.image.id = offer->image_id;
            job->u.image.slot = image;
        }
        if (job_submit_read(gw, job, now) != SW_OK) {
            images_failed(&gw->images, image);
            transfer_clear(gw, transfer);
            seat->retry = mono_earlier(seat->retry, mono_add_ms(now.mono, RETRY_MS));
        }
    }
}

/* The image is there: UpdateStart goes out now, and the store is told that it did. */
static void transfer_offer(struct gateway *gw, struct seat *seat, struct moment now) {
    struct transfer *transfer = &seat->desk->transfer;
    const struct image_slot *image = transfer->image;
    if (image->bytes == NULL || image->size != transfer->offer.size ||
        memcmp(image->file_hash.b, transfer->offer.file_hash.b, SHA256_BYTES) != 0) {
        transfer_clear(gw, transfer);
        seat->retry = mono_earlier(seat->retry, mono_add_ms(now.mono, IMAGE_MS));
        return;
    }
    struct session_offer offer = {.image = span_of(image->bytes, image->size),
                                  .file_hash = transfer->offer.file_hash,
                                  .rate_bytes_s = gw->config.rate_device_bytes_s,
                                  .is_metered = pace_is_metered(gw),
                                  .discard = transfer->offer.discard,
                                  .is_asset = transfer->offer.is_asset};
    int status = session_offer(&seat->session, gw->crypto, &offer, now.mono, &gw->out);
    if (status == SW_E_BUSY) {
        transfer->retry = mono_add_ms(now.mono, OFFER_MS);
        return;
    }
    if (status != SW_OK) {
        transfer_clear(gw, transfer);
        seat->retry = mono_earlier(seat->retry, mono_add_ms(now.mono, IMAGE_MS));
        return;
    }
    gw->counters.transfers_started++;
    transfer->step = TRANSFER_RUNNING;
    transfer->reached = UPDATE_OFFERED;
    transfer->retry = now.mono;
}

void transfer_image(struct gateway *gw, struct gateway_job *job, int code, struct moment now) {
    struct image_slot *slot = job->u.image.slot;
    if (code == SW_OK) {
        images_loaded(&gw->images, slot, job->u.image.image.bytes, job->u.image.image.size,
                      &job->u.image.image.file_hash);
        job->u.image.image.bytes = NULL;
    } else {
        gw->counters.jobs_failed++;
        images_failed(&gw->images, slot);
    }
    for (uint32_t n = pool_next(&gw->desks, 0); n != POOL_NONE; n = pool_next(&gw->desks, n + 1)) {
        const struct desk *desk = pool_item(&gw->desks, n);
        if (desk->transfer.step == TRANSFER_LOADING && desk->transfer.image == slot) {
            session_out_clear(&gw->out);
            (void)seat_settle(gw, table_seat(&gw->table, desk->seat), now);
        }
    }
}

void transfer_cancel(struct gateway *gw, struct seat *seat, bool discard, struct moment now) {
    if (seat->desk == NULL) {
        return;
    }
    struct transfer *transfer = &seat->desk->transfer;
    switch (transfer->step) {
    case TRANSFER_NONE:
    case TRANSFER_ENDING:
        break;
    case TRANSFER_LOADING:
        transfer_clear(gw, transfer);
        plan_due(gw, seat, UPDATE_CAUSE_RULES);
        break;
    case TRANSFER_RUNNING:
        session_cancel(&seat->session, gw->crypto, discard, now.mono, &gw->out);
        break;
    }
}

static void transfer_failed(struct gateway *gw, struct seat *seat, struct transfer *transfer,
                            const struct session_event *event, struct moment now) {
    gw->counters.transfers_failed++;
    transfer->step = TRANSFER_ENDING;
    transfer->failure = event->u.transfer.failure;
    transfer->device_error = event->u.transfer.device_error;
    transfer->retry = now.mono;
    seat->is_owed = transfer->failure == OTA_FAILURE_TIMEOUT;
    transfer_release(gw, transfer);
}

void transfer_event(struct gateway *gw, struct seat *seat, const struct session_event *event,
                    struct moment now) {
    struct transfer *transfer = seat->desk == NULL ? NULL : &seat->desk->transfer;
    bool is_running = transfer != NULL && transfer->step == TRANSFER_RUNNING;
    switch (event->u.transfer.step) {
    case SESSION_TRANSFER_ACCEPTED:
        if (is_running && transfer->reached == UPDATE_OFFERED) {
            transfer->reached = UPDATE_SENDING;
            transfer->progress = event->u.transfer.offset;
        }
        break;
    case SESSION_TRANSFER_VERIFYING:
        if (is_running && transfer->reached < UPDATE_VERIFYING) {
            transfer->reached = UPDATE_VERIFYING;
            transfer->progress = transfer->offer.size;
        }
        break;
    case SESSION_TRANSFER_COMMIT:
        if (is_running) {
            transfer->reached = UPDATE_REBOOTING;
            transfer->ticket = event->ticket;
        } else {
            /* Of a transfer that this process does not know, or has given up: not applied. The
             * device keeps the bytes, and the next offer finds them there. */
            session_refuse(&seat->session, event->ticket);
            plan_due(gw, seat, UPDATE_CAUSE_RULES);
        }
        break;
    case SESSION_TRANSFER_COMMITTED:
        if (is_running) {
            gw->counters.transfers_committed++;
            transfer_clear(gw, transfer);
        }
        break;
    case SESSION_TRANSFER_FAILED:
        if (is_running) {
            transfer_failed(gw, seat, transfer, event, now);
        }
        break;
    }
}

/* The states that the store goes through, one at a time. */
static enum update_state transfer_next(enum update_state stored) {
    return stored == UPDATE_PLANNED ? UPDATE_OFFERED : (enum update_state)(stored + 1);
}

static void transfer_move(struct gateway *gw, struct seat *seat, struct moment now) {
    struct transfer *transfer = &seat->desk->transfer;
    struct gateway_job *job = job_new(JOB_MOVE, 0);
    if (job != NULL) {
        job->device = seat->session.device;
        job->u.move = (struct app_move){.update_id = transfer->offer.update_id,
                                        .from = transfer->stored,
                                        .to = transfer_next(transfer->stored),
                                        .progress = transfer->progress};
    }
    transfer->is_moving = job_submit(gw, job, seat, now) == SW_OK;
    transfer->retry = mono_add_ms(now.mono, RETRY_MS);
}

static void transfer_end(struct gateway *gw, struct seat *seat, struct moment now) {
    struct transfer *transfer = &seat->desk->transfer;
    struct gateway_job *job = job_new(JOB_ENDED, 0);
    if (job != NULL) {
        job->device = seat->session.device;
        job->u.ended.update_id = transfer->offer.update_id;
        job->u.ended.failure = transfer->failure;
        job->u.ended.device_error = transfer->device_error;
        job->u.ended.progress = transfer->progress;
    }
    transfer->is_moving = job_submit(gw, job, seat, now) == SW_OK;
    transfer->retry = mono_add_ms(now.mono, RETRY_MS);
}

static void transfer_tell(struct gateway *gw, struct seat *seat, struct moment now) {
    struct transfer *transfer = &seat->desk->transfer;
    struct session_progress progress;
    if (session_progress(&seat->session, &progress)) {
        transfer->progress = progress.bytes;
    }
    if (transfer->stored != UPDATE_SENDING || transfer->progress == transfer->progress_stored ||
        !mono_reached(now.mono, transfer->progress_due)) {
        return;
    }
    struct gateway_job *job = job_new(JOB_PROGRESS, 0);
    if (job != NULL) {
        job->u.ended.update_id = transfer->offer.update_id;
        job->u.ended.progress = transfer->progress;
    }
    if (job_submit(gw, job, seat, now) == SW_OK) {
        transfer->progress_stored = transfer->progress;
    }
    /* The more there are, the rarer each tells: the store has other work. */
    transfer->progress_due = mono_add_ms(now.mono, PROGRESS_MS + (int64_t)gw->transfers);
}

void transfer_pump(struct gateway *gw, struct seat *seat, struct moment now) {
    if (seat->desk == NULL || gw->is_draining) {
        return;
    }
    struct transfer *transfer = &seat->desk->transfer;
    bool may_try = !transfer->is_moving && mono_reached(now.mono, transfer->retry);
    switch (transfer->step) {
    case TRANSFER_NONE:
        break;
    case TRANSFER_LOADING:
        if (may_try && transfer->image->state == IMAGE_SLOT_READY) {
            transfer_offer(gw, seat, now);
        }
        break;
    case TRANSFER_RUNNING:
        if (transfer->stored != transfer->reached) {
            if (may_try && transfer->stored == UPDATE_PLANNED &&
                transfer->reached == UPDATE_OFFERED && gw->looks >= CROWD) {
                /* Offers to many others are more urgent than the record of this one, which a crash
                 * may lose: it is then simply planned. */
                transfer->retry = mono_add_ms(now.mono, CROWD_MS);
            } else if (may_try) {
                transfer_move(gw, seat, now);
            }
        } else {
            transfer_tell(gw, seat, now);
        }
        break;
    case TRANSFER_ENDING:
        if (may_try) {
            transfer_end(gw, seat, now);
        }
        break;
    }
}

mono_time transfer_deadline(const struct desk *desk) {
    const struct transfer *transfer = &desk->transfer;
    if (transfer->step == TRANSFER_NONE || transfer->is_moving ||
        (transfer->step == TRANSFER_LOADING && transfer->image->state != IMAGE_SLOT_READY)) {
        return MONO_NEVER;
    }
    if (transfer->step == TRANSFER_RUNNING && transfer->stored == transfer->reached) {
        return transfer->stored == UPDATE_SENDING && transfer->progress != transfer->progress_stored
                   ? transfer->progress_due
                   : MONO_NEVER;
    }
    return transfer->retry;
}

static void transfer_refuse(struct seat *seat, struct transfer *transfer) {
    if (transfer->ticket != 0) {
        session_refuse(&seat->session, transfer->ticket);
        transfer->ticket = 0;
        transfer->reached = UPDATE_VERIFYING;
    }
}

void transfer_moved(struct gateway *gw, struct seat *seat, const struct gateway_job *job, int code,
                    struct moment now) {
    struct transfer *transfer = seat->desk == NULL ? NULL : &seat->desk->transfer;
    if (transfer == NULL || transfer->offer.update_id != job->u.move.update_id ||
        transfer->step == TRANSFER_NONE) {
        return;
    }
    transfer->is_moving = false;
    if (code == SW_OK) {
        transfer->stored = job->u.move.to;
        transfer->retry = now.mono;
        if (transfer->stored == UPDATE_REBOOTING && transfer->ticket != 0) {
            session_confirm(&seat->session, gw->crypto, transfer->ticket, now.mono, &gw->out);
            transfer->ticket = 0;
        }
        return;
    }
    gw->counters.jobs_failed++;
    transfer_refuse(seat, transfer);
    if (code == SW_E_CONFLICT || code == SW_E_NOT_FOUND) {
        /* Cancelled or superseded meanwhile: a look says what is due in its place, and whether the
         * device is to keep what it has. */
        transfer->reached = transfer->stored;
        plan_due(gw, seat, UPDATE_CAUSE_RULES);
    } else {
        transfer->retry = mono_add_ms(now.mono, RETRY_MS);
    }
}

void transfer_ended(struct gateway *gw, struct seat *seat, const struct gateway_job *job, int code,
                    struct moment now) {
    struct transfer *transfer = seat->desk == NULL ? NULL : &seat->desk->transfer;
    if (transfer == NULL || transfer->step != TRANSFER_ENDING ||
        transfer->offer.update_id != job->u.ended.update_id) {
        return;
    }
    transfer->is_moving = false;
    if (code == SW_OK) {
        transfer_clear(gw, transfer);
        plan_follow(gw, seat, &job->plan, now);
    } else if (code == SW_E_CONFLICT || code == SW_E_NOT_FOUND) {
        transfer_clear(gw, transfer);
        plan_due(gw, seat, UPDATE_CAUSE_RULES);
    } else {
        gw->counters.jobs_failed++;
        transfer->retry = mono_add_ms(now.mono, RETRY_MS);
    }
}

void transfer_drop(struct gateway *gw, struct seat *seat, struct moment now) {
    if (seat->desk == NULL) {
        return;
    }
    struct transfer *transfer = &seat->desk->transfer;
    if (transfer->step == TRANSFER_RUNNING && transfer->reached != UPDATE_REBOOTING) {
        transfer->failure = OTA_FAILURE_RESTARTED;
        transfer_end(gw, seat, now);
    } else if (transfer->step == TRANSFER_ENDING && !transfer->is_moving) {
        transfer_end(gw, seat, now);
    }
    transfer_clear(gw, transfer);
}
