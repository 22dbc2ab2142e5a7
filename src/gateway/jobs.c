/* The run functions below are on the writer's or a reader's thread: they touch their job and the
 * store, nothing of the gateway. */
#include "gateway/gateway.h"

#include "slipway/app/query.h"
#include "slipway/util/reader.h"

#include <stdlib.h>
#include <string.h>

struct gateway_job *job_new(enum gateway_job_kind kind, size_t tail_len) {
    size_t head = (sizeof(struct gateway_job) + 15) / 16 * 16;
    struct gateway_job *job = calloc(1, head + tail_len);
    if (job != NULL) {
        job->kind = kind;
        job->seat = SEAT_NONE;
        job->tail_len = tail_len;
        job->tail = (uint8_t *)job + head;
    }
    return job;
}

void job_free(struct gateway_job *job) {
    switch (job->kind) {
    case JOB_RESTORE:
        if (job->u.restore.items != NULL) {
            crypto_wipe(job->u.restore.items, job->u.restore.count * sizeof *job->u.restore.items);
        }
        free(job->u.restore.items);
        break;
    case JOB_CANDIDATES:
    case JOB_INTERRUPTED:
        free(job->u.candidates.items);
        break;
    case JOB_IMAGE:
        free(job->u.image.image.bytes);
        break;
    case JOB_SUBSCRIBERS:
        deliver_free(job->u.subscribers.found);
        break;
    case JOB_PSK:
        crypto_wipe(&job->u.psk.found, sizeof job->u.psk.found);
        break;
    case JOB_HELLO:
    case JOB_DESCRIBE:
    case JOB_RESUMED:
    case JOB_UPDATES:
    case JOB_PUBLISH:
    case JOB_GOODBYE:
    case JOB_SUBSCRIBE:
    case JOB_ONLINE:
    case JOB_PLAN:
    case JOB_MOVE:
    case JOB_PROGRESS:
    case JOB_ENDED:
    case JOB_SAVE:
    case JOB_FORGET:
    case JOB_LEFT:
    case JOB_OFFLINE_ALL:
    case JOB_DOUBLED:
    case JOB_EXPIRE:
        break;
    }
    free(job);
}

static bool restored_grow(struct gateway_job *job) {
    size_t cap = job->u.restore.cap == 0 ? 256 : job->u.restore.cap * 2;
    struct restored *items = malloc(cap * sizeof *items);
    if (items == NULL) {
        return false;
    }
    if (job->u.restore.count > 0) {
        memcpy(items, job->u.restore.items, job->u.restore.count * sizeof *items);
        crypto_wipe(job->u.restore.items, job->u.restore.count * sizeof *items);
    }
    free(job->u.restore.items);
    job->u.restore.items = items;
    job->u.restore.cap = cap;
    return true;
}

/* The same room for each kind: see keep_seal. */
static void read_proof(struct reader *r, uint8_t form, struct app_proof *out) {
    out->kind = form == KEEP_FORM_KEYS ? APP_PROOF_RAW_KEY : reader_u8(r);
    struct reader body = reader_of(reader_bytes(r, P256_POINT_BYTES));
    if (out->kind == APP_PROOF_RAW_KEY) {
        reader_copy(&body, out->u.key.b, P256_POINT_BYTES);
    } else {
        reader_copy(&body, out->u.named.device.b, DEVICE_ID_BYTES);
        reader_copy(&body, out->u.named.stamp, APP_PSK_STAMP_BYTES);
    }
}

static bool restored_one(void *arg, const uint8_t cid[APP_CID_BYTES],
                         const struct device_id *device, struct span sealed) {
    struct gateway_job *job = arg;
    uint8_t plain[SEALED_MAX];
    (void)device; /* it is inside, authenticated */
    if (job->u.restore.count >= job->u.restore.max) {
        return false;
    }
    if (job->u.restore.count == job->u.restore.cap && !restored_grow(job)) {
        return false;
    }
    struct restored *out = &job->u.restore.items[job->u.restore.count];
    memset(out, 0, sizeof *out);
    int status = crypto_unseal(job->u.restore.seal_key, span_of(cid, APP_CID_BYTES), sealed, plain,
                               sizeof plain);
    if (status == SW_OK) {
        struct reader r = reader_of(span_of(plain, sealed.len - SEAL_OVERHEAD));
        uint8_t form = reader_u8(&r);
        out->is_cellular = (reader_u8(&r) & 1U) != 0;
        read_proof(&r, form, &out->proof);
        status = form != KEEP_FORM && form != KEEP_FORM_KEYS
                     ? SW_E_VERSION
                     : session_decode(reader_rest(&r), job->u.restore.now, &out->session);
    }
    if (status == SW_OK && out->session.dtls.cid_in_len == 0) {
        memcpy(out->session.dtls.cid_in, cid, APP_CID_BYTES); /* the name of its row, see hello.c */
    }
    if (status == SW_OK && memcmp(out->session.dtls.cid_in, cid, APP_CID_BYTES) == 0) {
        job->u.restore.count++;
    } else {
        job->u.restore.unreadable++;
    }
    crypto_wipe(plain, sizeof plain);
    return true;
}

static bool candidate_one(void *arg, const struct device_id *id) {
    struct gateway_job *job = arg;
    if (job->u.candidates.count == job->u.candidates.cap) {
        size_t cap = job->u.candidates.cap == 0 ? 256 : job->u.candidates.cap * 2;
        struct device_id *items = realloc(job->u.candidates.items, cap * sizeof *items);
        if (items == NULL) {
            return false;
        }
        job->u.candidates.items = items;
        job->u.candidates.cap = cap;
    }
    job->u.candidates.items[job->u.candidates.count++] = *id;
    return true;
}

/* Which of these devices have an update that was begun and awaits its next offer: when the daemon
 * ended in the middle of a transfer, the device waits for its chunks in silence. */
static int run_interrupted(struct gateway_job *job, struct app_tx *tx) {
    int status = SW_OK;
    for (size_t at = 0; at < job->tail_len && status == SW_OK; at += DEVICE_ID_BYTES) {
        struct device_id id;
        struct update_list list;
        memcpy(id.b, job->tail + at, DEVICE_ID_BYTES);
        const struct app_update_query query = {
            .device = &id, .state = UPDATE_PLANNED, .open_only = true, .max = 1};
        status = app_update_list(tx, &query, &list);
        if (status == SW_OK) {
            if (list.count > 0 && !candidate_one(job, &id)) {
                status = SW_E_MEMORY;
            }
            free(list.items);
        } else if (status == SW_E_NOT_FOUND) {
            status = SW_OK; /* the device was removed */
        }
    }
    return status;
}

static int run_subscribers(struct gateway_job *job, struct app_tx *tx) {
    job->u.subscribers.found = calloc(1, sizeof *job->u.subscribers.found);
    return job->u.subscribers.found == NULL
               ? SW_E_MEMORY
               : app_subscribers(tx, job->u.subscribers.event_id, job->u.subscribers.found);
}

static int run_saves(struct gateway_job *job, struct app_tx *tx) {
    for (uint32_t n = 0; n < job->u.save.count; n++) {
        const struct sealed *item = &job->u.save.items[n];
        int status =
            app_session_save(tx, item->cid, &item->device, span_of(item->bytes, item->len));
        if (status != SW_OK) {
            return status;
        }
    }
    return SW_OK;
}

static int job_run(struct store_job *base, struct store *store, struct fault *fault) {
    struct gateway_job *job = (struct gateway_job *)base;
    struct app_tx tx;
    uint32_t count;
    app_tx_init(&tx, store, job->wall, fault);
    switch (job->kind) {
    case JOB_HELLO:
        return app_device_hello(&tx, &job->u.hello, &job->plan);
    case JOB_DESCRIBE:
        return app_device_describe(&tx, &job->device, job->u.describe.kind,
                                   job->u.describe.content_format,
                                   span_of(job->tail, job->tail_len), &job->plan);
    case JOB_RESUMED:
        return app_device_resumed(&tx, &job->device, &job->u.resumed.proof, job->u.resumed.address,
                                  job->u.resumed.is_reconnected, &job->plan);
    case JOB_UPDATES:
        return app_device_updates(&tx, &job->device, job->u.updates.is_forced, job->u.updates.value,
                                  &job->plan);
    case JOB_PUBLISH:
        return app_device_published(
            &tx, &job->device, span_of(job->tail, job->u.publish.name_len),
            span_of(job->tail + job->u.publish.name_len, job->tail_len - job->u.publish.name_len),
            &job->plan);
    case JOB_GOODBYE:
        return app_device_goodbye(&tx, &job->device, &job->u.goodbye);
    case JOB_SUBSCRIBE:
        return app_device_subscribed(&tx, &job->device, span_of(job->tail, job->tail_len));
    case JOB_ONLINE:
        return app_device_online(&tx, &job->device, job->u.is_online);
    case JOB_PLAN:
        return app_device_plan(&tx, &job->device, job->u.cause, &job->plan);
    case JOB_MOVE:
        return app_update_move(&tx, &job->u.move);
    case JOB_PROGRESS:
        return app_update_progress(&tx, job->u.ended.update_id, job->u.ended.progress);
    case JOB_ENDED:
        return app_update_ended(&tx, job->u.ended.update_id, job->u.ended.failure,
                                job->u.ended.device_error, job->u.ended.progress, &job->plan);
    case JOB_SAVE:
        return run_saves(job, &tx);
    case JOB_FORGET:
        return app_session_forget(&tx, job->u.cid);
    case JOB_LEFT:
        return app_device_left(&tx, &job->device,
                               job->u.left.is_proved ? NULL : &job->u.left.proof);
    case JOB_OFFLINE_ALL:
        return app_devices_offline(&tx);
    case JOB_EXPIRE:
        return app_updates_expire(&tx, &count);
    case JOB_DOUBLED:
        return app_device_doubled(&tx, &job->device, job->u.resumed.address);
    case JOB_RESTORE:
        return app_session_each(&tx, restored_one, job);
    case JOB_CANDIDATES:
        return app_plan_candidates(&tx, job->u.candidates.product_id, candidate_one, job);
    case JOB_INTERRUPTED:
        return run_interrupted(job, &tx);
    case JOB_IMAGE:
        return app_image_load(&tx, job->u.image.id, &job->u.image.image);
    case JOB_SUBSCRIBERS:
        return run_subscribers(job, &tx);
    case JOB_PSK:
        return app_psk_find(&tx, span_of(job->u.psk.identity, job->u.psk.identity_len),
                            &job->u.psk.found);
    }
    return SW_E_STATE;
}

static int job_hand(struct gateway *gw, struct gateway_job *job, struct seat *seat,
                    struct moment now, int (*take)(void *ctx, struct store_job *job)) {
    if (job == NULL) {
        return SW_E_MEMORY;
    }
    /* Kept apart for what must get through when reports fill the queue. */
    bool is_report = job->kind <= JOB_PLAN;
    if (is_report &&
        (gw->jobs >= gw->config.jobs_max || (seat != NULL && seat->jobs == UINT16_MAX))) {
        gw->counters.jobs_refused++;
        job_free(job);
        return SW_E_FULL;
    }
    job->job.run = job_run;
    job->job.is_repeatable = true; /* it writes its plan anew, and nothing else of itself */
    job->ctx = gw->ports.ctx;
    job->wall = now.wall;
    if (seat != NULL) {
        job->seat = seat->number;
    }
    int status = take(gw->ports.ctx, &job->job);
    if (status != SW_OK) {
        gw->counters.jobs_refused++;
        job_free(job);
        return status;
    }
    gw->jobs++;
    gw->counters.jobs_submitted++;
    if (seat != NULL) {
        seat->jobs++;
    }
    return SW_OK;
}

int job_submit(struct gateway *gw, struct gateway_job *job, struct seat *seat, struct moment now) {
    return job_hand(gw, job, seat, now, gw->ports.submit);
}

int job_submit_read(struct gateway *gw, struct gateway_job *job, struct moment now) {
    return job_hand(gw, job, NULL, now, gw->ports.submit_read);
}

void *gateway_job_ctx(const struct store_job *job) {
    return ((const struct gateway_job *)job)->ctx;
}
