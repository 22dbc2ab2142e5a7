/* Sessions at rest. A session is written with limits that lie ahead of what it has used, so that
 * after a crash no number is used twice and no record accepted twice; a datagram at a limit is held
 * until the next limit is durable. A clean stop writes the exact state instead. */
#include "gateway/gateway.h"

#include "slipway/util/check.h"

#include <stdlib.h>
#include <string.h>

#define DRAIN_JOBS 16U /* saves in flight while draining */

static int keep_seal(struct gateway *gw, const struct seat *seat,
                     const struct session_reserve *limits, struct sealed *out) {
    uint8_t plain[SEALED_MAX];
    uint8_t nonce[SEAL_NONCE_BYTES];
    struct writer w = writer_of(plain, sizeof plain);
    writer_u8(&w, KEEP_FORM);
    writer_u8(&w, seat->is_cellular ? 1 : 0);
    uint8_t proof[P256_POINT_BYTES] = {0};
    if (seat->proof.kind == APP_PROOF_RAW_KEY) {
        memcpy(proof, seat->proof.u.key.b, sizeof proof);
    } else {
        memcpy(proof, seat->proof.u.named.device.b, DEVICE_ID_BYTES);
        memcpy(proof + DEVICE_ID_BYTES, seat->proof.u.named.stamp, APP_PSK_STAMP_BYTES);
    }
    writer_u8(&w, seat->proof.kind);
    writer_bytes(&w, span_of(proof, sizeof proof));
    int status = session_encode(&seat->session, limits, &w);
    if (status == SW_OK) {
        gw->ports.entropy(gw->ports.ctx, nonce, sizeof nonce);
        memcpy(out->cid, seat->session.dtls.cid_in, APP_CID_BYTES);
        out->device = seat->session.device;
        out->len = (uint16_t)(w.at + SEAL_OVERHEAD);
        status = crypto_seal(gw->config.seal_key, nonce, span_of(out->cid, APP_CID_BYTES),
                             writer_span(&w), out->bytes, sizeof out->bytes);
    }
    crypto_wipe(plain, sizeof plain);
    return status < 0 ? status : SW_OK;
}

static bool keep_can(const struct seat *seat) {
    return seat->is_served && seat->session.is_known;
}

void keep_reserve(struct gateway *gw, struct seat *seat, struct moment now) {
    struct session_reserve want;
    if (gw->is_draining || seat->is_saving || !keep_can(seat) ||
        !session_reserve_due(&seat->session, now.mono, &want)) {
        return;
    }
    struct gateway_job *job = job_new(JOB_SAVE, sizeof(struct sealed));
    if (job != NULL) {
        job->u.save.items = (struct sealed *)(void *)job->tail;
        job->u.save.count = 1;
        job->u.save.granted = want;
        if (keep_seal(gw, seat, &want, &job->u.save.items[0]) != SW_OK) {
            job_free(job);
            job = NULL;
        }
    }
    seat->is_saving = job_submit(gw, job, seat, now) == SW_OK;
    if (seat->is_saving) {
        seat->is_stored = true;
    } else {
        session_reserved(&seat->session, NULL, now.mono);
    }
}

void keep_saved(struct gateway *gw, struct seat *seat, const struct gateway_job *job, int code,
                struct moment now) {
    seat->is_saving = false;
    if (code != SW_OK) {
        gw->counters.jobs_failed++;
        session_reserved(&seat->session, NULL, now.mono);
        return;
    }
    gw->counters.reservations++;
    session_reserved(&seat->session, &job->u.save.granted, now.mono);
    knock_may(seat, now.mono);
    session_tick(&seat->session, gw->crypto, now.mono, &gw->out);
}

void keep_forget(struct gateway *gw, const struct seat *seat, struct moment now) {
    struct gateway_job *job = job_new(JOB_FORGET, 0);
    if (job != NULL) {
        memcpy(job->u.cid, seat->session.dtls.cid_in, APP_CID_BYTES);
    }
    /* Refused: the row stays until the device's next session, or the daemon's next start, which
     * finds a session that nobody uses. It is harmless: its limits hold. */
    (void)!job_submit(gw, job, NULL, now);
}

void keep_hold(struct gateway *gw, struct seat *seat, gateway_path path, const struct address *from,
               struct span bytes) {
    struct held *held = NULL;
    if (bytes.len <= HELD_BYTES && seat_activate(gw, seat) == SW_OK &&
        seat->desk->held_count < HELD_MAX && seat->desk->held_bytes + bytes.len <= HELD_BYTES) {
        held = malloc(sizeof *held + bytes.len);
    }
    if (held == NULL) {
        gw->counters.dropped_busy++;
        return;
    }
    held->path = path;
    held->from = *from;
    held->len = (uint16_t)bytes.len;
    memcpy(held->bytes, bytes.data, bytes.len);
    seat->desk->held[seat->desk->held_count++] = held;
    seat->desk->held_bytes += held->len;
    gw->counters.held++;
}

void keep_let_go(struct gateway *gw, struct seat *seat, struct moment now) {
    struct held *held[HELD_MAX];
    if (seat->desk == NULL || seat->desk->held_count == 0) {
        return;
    }
    uint32_t count = seat->desk->held_count;
    for (uint32_t n = 0; n < count; n++) {
        held[n] = seat->desk->held[n];
    }
    seat->desk->held_count = 0;
    seat->desk->held_bytes = 0;
    seat->jobs++; /* each may end the session; the seat stays for the next look */
    for (uint32_t n = 0; n < count; n++) {
        if (!seat->is_gone) {
            seat_datagram(gw, seat, held[n]->path, &held[n]->from,
                          span_of(held[n]->bytes, held[n]->len), now);
        }
        free(held[n]);
    }
    seat->jobs--;
    seat_release(gw, seat);
}

void keep_restore(struct gateway *gw, struct moment now) {
    struct gateway_job *job = job_new(JOB_RESTORE, 0);
    if (job != NULL) {
        job->u.restore.seal_key = gw->config.seal_key;
        job->u.restore.now = now.mono;
        job->u.restore.max = gw->config.sessions_max;
    }
    if (job_submit_read(gw, job, now) != SW_OK) {
        gw->is_ready = true;
    }
}

static void keep_ask_interrupted(struct gateway *gw, struct moment now) {
    size_t count = gw->table.seats.count, at = 0;
    struct gateway_job *job = count == 0 ? NULL : job_new(JOB_INTERRUPTED, count * DEVICE_ID_BYTES);
    if (job == NULL) {
        return; /* their devices ask again after five minutes of silence */
    }
    for (uint32_t n = pool_next(&gw->table.seats, 0); n != POOL_NONE && at < job->tail_len;
         n = pool_next(&gw->table.seats, n + 1)) {
        memcpy(job->tail + at, table_seat(&gw->table, n)->session.device.b, DEVICE_ID_BYTES);
        at += DEVICE_ID_BYTES;
    }
    (void)!job_submit_read(gw, job, now);
}

void keep_interrupted(struct gateway *gw, struct gateway_job *job, int code, struct moment now) {
    gw->counters.jobs_failed += code != SW_OK;
    for (size_t n = 0; n < job->u.candidates.count; n++) {
        struct seat *seat = table_by_device(&gw->table, &job->u.candidates.items[n], NULL);
        if (seat != NULL && seat->session.is_resumed && seat_activate(gw, seat) == SW_OK) {
            knock_begin(seat, now.mono);
            session_out_clear(&gw->out);
            (void)seat_settle(gw, seat, now);
        }
    }
}

/* Whether such a device could still connect by the present settings. */
static bool keep_is_taken(const struct gateway *gw, uint8_t proof_kind) {
    return (proof_kind != APP_PROOF_CERTIFICATE || gw->config.trust != NULL) &&
           (proof_kind != APP_PROOF_PSK || gw->config.accepts_psk);
}

void keep_restored(struct gateway *gw, struct gateway_job *job, int code, struct moment now) {
    gw->counters.jobs_failed += code != SW_OK;
    for (size_t n = 0; n < job->u.restore.count; n++) {
        const struct restored *item = &job->u.restore.items[n];
        struct seat *seat = table_add(&gw->table, &item->session, 0, SEAT_OFFLINE);
        if (seat == NULL) {
            break;
        }
        seat->proof = item->proof;
        seat->is_cellular = item->is_cellular;
        seat->is_stored = true;
        /* It was served when it was saved; its first word asks the store again. */
        seat->is_served = table_name(&gw->table, seat) == SW_OK;
        if (!keep_is_taken(gw, item->proof.kind)) {
            seat_close(gw, seat, false, now);
            continue;
        }
        gw->counters.sessions_restored++;
    }
    if (job->u.restore.unreadable > 0 && gw->ports.note != NULL) {
        gw->ports.note(gw->ports.ctx, true,
                       "stored sessions could not be unsealed: their devices handshake again");
    }
    keep_ask_interrupted(gw, now);
    gw->is_ready = true;
}

/* A stop: when every job is back, nothing more is sent or accepted, so the states that are written
 * now are the last. */
void keep_drain(struct gateway *gw, struct moment now) {
    struct gateway_job *job = NULL;
    if (gw->is_saved || (gw->drain_at == 0 && gw->jobs > 0)) {
        return;
    }
    while (gw->jobs < DRAIN_JOBS) {
        uint32_t number = pool_next(&gw->table.seats, gw->drain_at);
        if (number != POOL_NONE) {
            struct seat *seat = table_seat(&gw->table, number);
            gw->drain_at = number + 1;
            if (seat->is_gone || !keep_can(seat)) {
                continue;
            }
            if (job == NULL) {
                job = job_new(JOB_SAVE, SAVES_MAX * sizeof(struct sealed));
                if (job == NULL) {
                    continue;
                }
                job->u.save.items = (struct sealed *)(void *)job->tail;
                job->u.save.is_last = true;
            }
            if (keep_seal(gw, seat, NULL, &job->u.save.items[job->u.save.count]) == SW_OK) {
                job->u.save.count++;
            }
        }
        if (job != NULL && (number == POOL_NONE || job->u.save.count == SAVES_MAX)) {
            (void)!job_submit(gw, job, NULL, now);
            job = NULL;
        }
        if (number == POOL_NONE) {
            gw->drain_at = POOL_NONE;
            gw->is_saved = gw->jobs == 0;
            return;
        }
    }
    SW_CHECK(job == NULL);
}
