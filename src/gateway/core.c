/* The device door's core. Datagrams are sorted by what their first bytes say (arrive.c) and given
 * to a handshake (handshake/hello.c) or a session (seat/seat.c); what sessions tell becomes store
 * jobs (event.c), and what became of these is acknowledged and followed (done.c, update/plan.c,
 * update/transfer.c). seat/keep.c makes sessions survive the process. */
#include "gateway/gateway.h"

#include "slipway/app/app.h"
#include "slipway/util/check.h"

#include <stdlib.h>
#include <string.h>

#define EXPIRE_MS 60000 /* between looks for updates past their deadline */
#define TICKS_MAX 4096U /* sessions served in one tick: datagrams come in between */

static void config_default(struct gateway_config *config) {
    const struct {
        uint32_t *value;
        uint32_t fallback;
    } defaults[] = {{&config->sessions_max, 1000000},
                    {&config->active_max, 65536},
                    {&config->half_open_max, 4096},
                    {&config->half_open_source_max, 256},
                    {&config->jobs_max, 4096},
                    {&config->transfers_max, 256},
                    {&config->image_bytes_max, 67108864},
                    {&config->resumptions, 1024},
                    {&config->idle_days, 30},
                    {&config->probes_per_s, 1000},
                    {&config->offline_after_s, 75},
                    {&config->offline_cellular_s, 3600}};
    for (size_t n = 0; n < SW_COUNT(defaults); n++) {
        if (*defaults[n].value == 0) {
            *defaults[n].value = defaults[n].fallback;
        }
    }
    if (config->rate_total_bytes_s > 0 && config->rate_total_bytes_s < OTA_RATE_MIN) {
        config->rate_total_bytes_s = OTA_RATE_MIN;
    }
}

struct gateway *gateway_new(const struct gateway_config *config, const struct gateway_ports *ports,
                            mono_time now, wall_time wall) {
    struct gateway *gw = crypto_alloc(sizeof *gw);
    if (gw == NULL) {
        return NULL;
    }
    gw->config = *config;
    config_default(&gw->config);
    gw->ports = *ports;
    struct hash_key hash;
    ports->entropy(ports->ctx, &hash, sizeof hash);
    hash.multiply |= 1U;
    table_init(&gw->table, gw->config.sessions_max, &hash);
    half_table_init(&gw->halves, gw->config.half_open_max, gw->config.half_open_source_max, &hash);
    pool_init(&gw->desks, (sizeof(struct desk) + 15) / 16 * 16, gw->config.active_max);
    images_init(&gw->images, gw->config.image_bytes_max);
    gw->probes =
        (struct allowance){.per_s = gw->config.probes_per_s, .left_us = 1000000, .filled = now};
    outbox_init(&gw->out.box, gw->box, sizeof gw->box);
    session_out_clear(&gw->out);
    gw->cookie_due = now;
    gw->expire_due = now;
    gw->silence_due = now;
    gw->pace.filled = now;
    const struct dtls_endpoint_config endpoint = {.is_server = true,
                                                  .key = config->key,
                                                  .certificates = config->certificates,
                                                  .certificate_key = config->certificate_key,
                                                  .trust = config->trust,
                                                  .accepts_psk = config->accepts_psk,
                                                  .resumption_slots = gw->config.resumptions};
    gw->endpoint = dtls_endpoint_new(&endpoint);
    gw->config.certificates = span_of(NULL, 0);
    if (gw->endpoint == NULL) {
        gateway_free(gw);
        return NULL;
    }
    gw->crypto = dtls_endpoint_crypto(gw->endpoint);
    hello_rotate(gw);
    arrive_waiting(gw, (struct moment){.mono = now, .wall = wall});
    return gw;
}

void gateway_free(struct gateway *gw) {
    SW_CHECK(gw->jobs == 0);
    for (uint32_t n = pool_next(&gw->table.seats, 0); n != POOL_NONE;
         n = pool_next(&gw->table.seats, n + 1)) {
        seat_abandon(gw, table_seat(&gw->table, n));
    }
    table_close(&gw->table);
    half_table_close(&gw->halves);
    pool_close(&gw->desks);
    images_close(&gw->images);
    lobby_close(&gw->lobby);
    plan_close(gw);
    deliver_close(gw);
    line_close(&gw->pace.line);
    dtls_endpoint_free(gw->endpoint);
    crypto_free(gw, sizeof *gw);
}

void gateway_configure(struct gateway *gw, const struct gateway_config *config) {
    struct gateway_config fresh = *config;
    config_default(&fresh);
    fresh.key = gw->config.key;
    fresh.certificates = span_of(NULL, 0);
    fresh.certificate_key = gw->config.certificate_key;
    fresh.trust = gw->config.trust;
    fresh.accepts_psk = gw->config.accepts_psk;
    memcpy(fresh.seal_key, gw->config.seal_key, sizeof fresh.seal_key);
    /* Pools have their size from the start. */
    fresh.sessions_max = gw->config.sessions_max;
    fresh.active_max = gw->config.active_max;
    fresh.half_open_max = gw->config.half_open_max;
    gw->config = fresh;
    gw->halves.source_max = fresh.half_open_source_max;
    gw->images.bytes_max = fresh.image_bytes_max;
    gw->probes.per_s = fresh.probes_per_s;
    crypto_wipe(&fresh, sizeof fresh);
    pace_configure(gw);
}

void gateway_start(struct gateway *gw, mono_time now, wall_time wall) {
    struct moment moment = {.mono = now, .wall = wall};
    (void)!job_submit(gw, job_new(JOB_OFFLINE_ALL, 0), NULL, moment);
    keep_restore(gw, moment);
}

bool gateway_is_ready(const struct gateway *gw) {
    return gw->is_ready && !gw->is_draining;
}

void gateway_tick(struct gateway *gw, mono_time now, wall_time wall) {
    struct moment moment = {.mono = now, .wall = wall};
    if (gw->is_draining) {
        keep_drain(gw, moment);
        return;
    }
    session_out_clear(&gw->out);
    hello_tick(gw, moment);
    arrive_waiting(gw, moment);
    for (unsigned n = 0; n < TICKS_MAX; n++) {
        struct seat *seat = table_due(&gw->table, now);
        if (seat == NULL) {
            break;
        }
        seat_tick(gw, seat, moment);
    }
    pace_pump(gw, moment);
    seat_expire(gw, moment);
    if (mono_reached(now, gw->expire_due)) {
        gw->expire_due = mono_add_ms(now, EXPIRE_MS);
        (void)!job_submit(gw, job_new(JOB_EXPIRE, 0), NULL, moment);
    }
    plan_pump(gw, moment);
    deliver_pump(gw, moment);
}

mono_time gateway_deadline(const struct gateway *gw) {
    if (gw->is_draining || !gw->is_ready) {
        return MONO_NEVER; /* jobs lead on */
    }
    mono_time deadline = mono_earlier(gw->cookie_due, gw->expire_due);
    deadline = mono_earlier(deadline, arrive_deadline(gw));
    deadline = mono_earlier(deadline, heap_deadline(&gw->table.heap));
    deadline = mono_earlier(deadline, heap_deadline(&gw->halves.heap));
    deadline = mono_earlier(deadline, pace_deadline(gw));
    deadline = mono_earlier(deadline, deliver_deadline(gw));
    return mono_earlier(deadline, seat_expiry(gw));
}

void gateway_job_done(struct gateway *gw, struct store_job *base, int code, mono_time now,
                      wall_time wall) {
    struct moment moment = {.mono = now, .wall = wall};
    struct gateway_job *job = (struct gateway_job *)base;
    job_finish(gw, job, code, moment);
    job_free(job);
    if (gw->is_draining) {
        keep_drain(gw, moment);
    }
}

void gateway_notice(struct gateway *gw, const struct app_notice *notice, mono_time now,
                    wall_time wall) {
    struct moment moment = {.mono = now, .wall = wall};
    struct seat *seat;
    if (gw->is_draining) {
        return;
    }
    switch (notice->kind) {
    case APP_NOTICE_DEVICE:
        seat = table_by_device(&gw->table, &notice->device, NULL);
        if (seat == NULL) {
            break;
        }
        if (!seat->is_served) {
            /* Approved, perhaps: a new handshake shows that it is the device that was approved. A
             * report under way brings its own verdict. */
            if (seat->jobs == 0) {
                seat_close(gw, seat, true, moment);
            }
        } else if (seat->is_present) {
            plan_due(gw, seat, UPDATE_CAUSE_IMMEDIATE);
        }
        break;
    case APP_NOTICE_TARGETS:
        plan_running(gw, notice->product_id);
        break;
    case APP_NOTICE_PRODUCT:
        plan_running(gw, notice->product_id);
        plan_product(gw, notice->product_id, moment);
        break;
    case APP_NOTICE_FORGET:
        while ((seat = table_by_device(&gw->table, &notice->device, NULL)) != NULL) {
            seat_close(gw, seat, true, moment);
        }
        break;
    case APP_NOTICE_PUBLISHED:
        deliver_event(gw, notice->event_id, moment);
        break;
    case APP_NOTICE_EVENTS:
        break;
    }
}

void gateway_drain(struct gateway *gw, mono_time now, wall_time wall) {
    struct moment moment = {.mono = now, .wall = wall};
    gw->is_draining = true;
    keep_drain(gw, moment);
}

bool gateway_is_drained(const struct gateway *gw) {
    return gw->is_draining && gw->is_saved && gw->jobs == 0;
}

const struct gateway_counters *gateway_counters(const struct gateway *gw) {
    return &gw->counters;
}

void gateway_sizes(const struct gateway *gw, struct gateway_sizes *out) {
    *out = (struct gateway_sizes){.sessions = gw->table.seats.count,
                                  .online = gw->table.lists[SEAT_ONLINE].count,
                                  .active = gw->desks.count,
                                  .half_open = gw->halves.pool.count,
                                  .transfers = gw->transfers,
                                  .jobs = gw->jobs,
                                  .image_bytes = gw->images.bytes};
    for (size_t n = 0; n < IMAGES_MAX; n++) {
        out->images += gw->images.slots[n].state != IMAGE_SLOT_FREE;
    }
}
