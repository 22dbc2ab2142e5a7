/* A ring in order of arrival, so that what expires is always at its beginning. Times are kept in
 * 16 bits: the origin moves along when they would no longer fit. */
#include "slipway/coap/seen.h"

#include "slipway/util/check.h"
#include "slipway/util/reader.h"

#define TICK_US     INT64_C(100000)
#define EXPIRES_MS  (COAP_SEEN_MS + 100) /* `when` may be a tick off */
#define TICKS_LIMIT 60000

static unsigned slot_of(const struct coap_seen *seen, unsigned n) {
    return (seen->first + n) % COAP_SEEN_MAX;
}

static mono_time expiry(const struct coap_seen *seen, unsigned n) {
    return mono_add_ms(mono_add_us(seen->origin, seen->when[slot_of(seen, n)] * TICK_US),
                       EXPIRES_MS);
}

void coap_seen_expire(struct coap_seen *seen, mono_time now) {
    while (seen->count > 0 && mono_reached(now, expiry(seen, 0))) {
        seen->first = (uint16_t)slot_of(seen, 1);
        seen->count--;
    }
}

/* The oldest entry becomes the origin; all are at most COAP_SEEN_MS apart from now. */
static void move_origin(struct coap_seen *seen, mono_time now) {
    if (seen->count == 0) {
        seen->origin = now;
        return;
    }
    uint16_t base = seen->when[seen->first];
    for (unsigned n = 0; n < seen->count; n++) {
        unsigned slot = slot_of(seen, n);
        seen->when[slot] = (uint16_t)(seen->when[slot] - base);
    }
    seen->origin = mono_add_us(seen->origin, base * TICK_US);
}

void coap_seen_add(struct coap_seen *seen, uint16_t id, mono_time now) {
    coap_seen_expire(seen, now);
    if (seen->count == 0 || mono_since_us(seen->origin, now) / TICK_US >= TICKS_LIMIT) {
        move_origin(seen, now);
    }
    if (seen->count == COAP_SEEN_MAX) {
        seen->first = (uint16_t)slot_of(seen, 1);
        seen->count--;
    }
    int64_t ticks = mono_since_us(seen->origin, now) / TICK_US;
    SW_CHECK(ticks >= 0 && ticks <= UINT16_MAX);
    unsigned slot = slot_of(seen, seen->count);
    seen->id[slot] = id;
    seen->when[slot] = (uint16_t)ticks;
    seen->count++;
}

bool coap_seen_has(struct coap_seen *seen, uint16_t id, mono_time now) {
    coap_seen_expire(seen, now);
    for (unsigned n = seen->count; n > 0; n--) { /* duplicates follow soon */
        if (seen->id[slot_of(seen, n - 1)] == id) {
            return true;
        }
    }
    return false;
}

mono_time coap_seen_until(const struct coap_seen *seen) {
    return seen->count == 0 ? MONO_NEVER : expiry(seen, seen->count - 1U);
}

void coap_seen_save(const struct coap_seen *seen, struct writer *out) {
    writer_u64(out, (uint64_t)seen->origin.us);
    for (unsigned n = 0; n < seen->count; n++) {
        writer_u16(out, seen->id[slot_of(seen, n)]);
        writer_u16(out, seen->when[slot_of(seen, n)]);
    }
}

int coap_seen_load(struct coap_seen *seen, struct span saved) {
    struct reader r = reader_of(saved);
    *seen = (struct coap_seen){.origin = {.us = (int64_t)reader_u64(&r)}};
    while (!r.failed && reader_left(&r) > 0 && seen->count < COAP_SEEN_MAX) {
        seen->id[seen->count] = reader_u16(&r);
        seen->when[seen->count] = reader_u16(&r);
        seen->count++;
    }
    int status = reader_end(&r);
    if (status != SW_OK) {
        *seen = (struct coap_seen){0};
    }
    return status;
}
