/* The budget that all transfers share. Who has a chunk due and nothing granted for it stands in
 * line; as the budget fills, the first in line is granted a few chunks and, if it wants more, goes
 * to the end: everybody gets the same, whatever it asks for, and who needs less leaves the rest to
 * others. Each grant costs the same however many wait. A transfer's own rate is its own business:
 * a chunk is not due before that. */
#include "gateway/gateway.h"

#define QUANTUM_BYTES (2 * OTA_CHUNK_MAX) /* a device acknowledges every second chunk */
#define BURST_US      10000               /* of the budget that may be saved up */
#define SECOND_US     1000000
#define FILL_MAX_US   INT64_C(1000000000) /* longer than any debt lasts */
#define TRIES_US      20000 /* before a seat that could not be put in line is looked at again */

/* In millionths of a byte: no rate is lost to rounding. */
static int64_t credit_max(const struct gateway *gw) {
    int64_t burst = (int64_t)gw->config.rate_total_bytes_s * BURST_US;
    int64_t least = (int64_t)QUANTUM_BYTES * SECOND_US;
    return burst > least ? burst : least;
}

static void pace_fill(struct gateway *gw, mono_time now) {
    int64_t passed_us = mono_since_us(gw->pace.filled, now);
    gw->pace.filled = now;
    passed_us = passed_us < FILL_MAX_US ? passed_us : FILL_MAX_US;
    gw->pace.credit += passed_us * gw->config.rate_total_bytes_s;
    if (gw->pace.credit > credit_max(gw)) {
        gw->pace.credit = credit_max(gw);
    }
}

bool pace_is_metered(const struct gateway *gw) {
    return gw->config.rate_total_bytes_s > 0;
}

uint32_t pace_transfers_max(const struct gateway *gw) {
    uint32_t max = gw->config.rate_total_bytes_s / OTA_RATE_MIN;
    max = max == 0 ? 1 : max;
    return pace_is_metered(gw) && max < gw->config.transfers_max ? max : gw->config.transfers_max;
}

mono_time pace_wait(struct gateway *gw, struct seat *seat, mono_time now) {
    struct session_progress progress;
    if (seat->is_starved || !session_progress(&seat->session, &progress) || !progress.is_starved) {
        return MONO_NEVER;
    }
    seat->is_starved = line_push(&gw->pace.line, seat->number) == SW_OK;
    return seat->is_starved ? MONO_NEVER : mono_add_us(now, TRIES_US);
}

/* What it was granted before and did not use is still its own. */
static void pace_grant(struct gateway *gw, struct seat *seat, struct moment now) {
    struct session_progress progress;
    if (!session_progress(&seat->session, &progress) || !progress.is_starved) {
        return;
    }
    uint32_t bytes = SESSION_UNMETERED;
    if (pace_is_metered(gw)) {
        bytes = progress.granted + QUANTUM_BYTES;
        gw->pace.credit -= (int64_t)QUANTUM_BYTES * SECOND_US;
    }
    session_out_clear(&gw->out);
    session_grant(&seat->session, bytes, now.mono);
    session_tick(&seat->session, gw->crypto, now.mono, &gw->out);
    (void)seat_settle(gw, seat, now);
}

void pace_pump(struct gateway *gw, struct moment now) {
    uint32_t number;
    pace_fill(gw, now.mono);
    while ((gw->pace.credit > 0 || !pace_is_metered(gw)) && line_pop(&gw->pace.line, &number)) {
        struct seat *seat = table_seat(&gw->table, number);
        /* The number may have been given to another since. */
        if (seat != NULL && !seat->is_gone && seat->is_starved) {
            seat->is_starved = false;
            pace_grant(gw, seat, now);
        }
    }
}

mono_time pace_deadline(const struct gateway *gw) {
    if (gw->pace.line.count == 0) {
        return MONO_NEVER;
    }
    if (gw->pace.credit > 0 || !pace_is_metered(gw)) {
        return gw->pace.filled;
    }
    return mono_add_us(gw->pace.filled, -gw->pace.credit / gw->config.rate_total_bytes_s + 1);
}

/* Transfers that began under the old rate are brought under the new one; their next words, or the
 * next grants, set them going. */
void pace_configure(struct gateway *gw) {
    for (uint32_t n = pool_next(&gw->desks, 0); n != POOL_NONE; n = pool_next(&gw->desks, n + 1)) {
        const struct desk *desk = pool_item(&gw->desks, n);
        struct seat *seat = table_seat(&gw->table, desk->seat);
        struct session_progress progress;
        if (pace_is_metered(gw) && session_progress(&seat->session, &progress) &&
            progress.granted == SESSION_UNMETERED) {
            session_grant(&seat->session, 0, gw->pace.filled);
            table_deadline(&gw->table, seat, gw->pace.filled);
        }
    }
}
