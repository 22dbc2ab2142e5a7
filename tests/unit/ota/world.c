#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void check(const struct ota *ota) {
    uint32_t flight = 0, lost = 0;
    assert_true(ota->cumulative < ota->next_new);
    assert_true(ota->next_new <= ota->chunk_count + 1);
    assert_true(ota->next_new - ota->cumulative <= (uint32_t)ota->window + 1);
    for (uint32_t i = ota->cumulative + 1; i < ota->next_new; i++) {
        unsigned slot = ota->c.slots[i % OTA_WINDOW_MAX].state;
        flight += slot == 1 ? 1 : 0;
        lost += slot == 2 ? 1 : 0;
    }
    assert_int_equal(flight, ota->c.flight);
    assert_int_equal(lost, ota->c.lost);
    assert_true(flight <= (ota->params.outstanding_max == 0 ? 96 : ota->params.outstanding_max));
    assert_true(flight == 0 || ota->c.timer.us != MONO_NEVER.us);
    assert_true(ota->c.cwnd >= 1 && ota->c.cwnd <= OTA_WINDOW_MAX);
}

static void put(struct world *w, const struct packet *packet, const struct link *link) {
    mono_time sent = w->now;
    if (link->rate_bytes_s > 0) {
        w->free_at = w->free_at.us > sent.us ? w->free_at : sent;
        w->free_at =
            mono_add_us(w->free_at, (packet->len + 60) * INT64_C(1000000) / link->rate_bytes_s);
        sent = w->free_at;
    }
    unsigned copies = rng_below(&w->rng, 100) < link->duplicate ? 2 : 1;
    for (unsigned c = 0; c < copies; c++) {
        if (rng_below(&w->rng, 100) < link->loss) {
            continue;
        }
        assert_true(w->count < sizeof w->packets / sizeof w->packets[0]);
        w->packets[w->count] = *packet;
        w->packets[w->count].at =
            mono_add_us(sent, link->delay_us + rng_between(&w->rng, 0, link->jitter_us));
        w->count++;
    }
}

static void put_ack(struct world *w, const struct receiver_ack *ack) {
    if (!ack->is_sent) {
        return;
    }
    if (w->lose_last_acks && ack->cumulative == w->device.count && w->lost_last < 3) {
        w->lost_last++;
        return;
    }
    put(w, &(struct packet){.is_ack = true, .ack = *ack}, &w->down);
}

void world_init(struct world *w, uint64_t seed, const struct ota_params *params, uint32_t offset,
                uint32_t window, const struct link *link) {
    memset(w, 0, sizeof *w);
    rng_seed(&w->rng, seed);
    w->up = w->down = *link;
    w->down.rate_bytes_s = 0;
    w->now.us = 1000;
    assert_int_equal(ota_begin(&w->ota, params, w->now), SW_OK);
    receiver_init(&w->device, params->file_bytes, offset, params->chunk_bytes, window);
    ota_accepted(&w->ota, window, offset, w->now);
}

/* Sends what is due; returns when to look again, MONO_NEVER at the end. */
static mono_time pump(struct world *w) {
    for (unsigned steps = 0;; steps++) {
        struct ota_output out;
        assert_true(steps < 2 * OTA_WINDOW_MAX);
        ota_next(&w->ota, w->now, true, &out);
        check(&w->ota);
        switch (out.action) {
        case OTA_WAIT:
            assert_true(out.deadline.us > w->now.us); /* a timer step moves its deadline */
            return out.deadline;
        case OTA_HELD:
            fail(); /* nothing holds it */
            break;
        case OTA_SEND_CHUNK:
            w->flight_max = w->ota.c.flight > w->flight_max ? w->ota.c.flight : w->flight_max;
            put(w, &(struct packet){.index = out.index, .from = out.at, .len = out.len}, &w->up);
            break;
        case OTA_SEND_FINISH:
        case OTA_ENDED:
            return MONO_NEVER;
        }
    }
}

void world_run(struct world *w) {
    for (;;) {
        mono_time next = pump(w);
        if (next.us == MONO_NEVER.us) {
            return;
        }
        size_t first = w->count;
        for (size_t i = 0; i < w->count; i++) {
            if (w->packets[i].at.us < next.us) {
                next = w->packets[i].at;
                first = i;
            }
        }
        if (w->device.ack_due.us < next.us) {
            next = w->device.ack_due;
            first = w->count;
        }
        w->now = next.us > w->now.us ? next : w->now;
        struct receiver_ack ack = {0};
        receiver_idle(&w->device, w->now, &ack);
        put_ack(w, &ack);
        if (first < w->count) {
            struct packet packet = w->packets[first];
            w->packets[first] = w->packets[--w->count];
            if (packet.is_ack) {
                ota_acked(&w->ota, packet.ack.cumulative,
                          span_of(packet.ack.bitmap, packet.ack.len), w->now);
            } else {
                receiver_chunk(&w->device, packet.index, packet.from, packet.len, w->now, &ack);
                put_ack(w, &ack);
            }
            assert_null(w->device.killed);
        }
    }
}
