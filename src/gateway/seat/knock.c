/* After a crash a device's next words may lie among the numbers that it may have used before, and
 * cannot be heard (session_knock). One answered knock ends that, so knocks are few: one at a time,
 * repeated on a timer of their own with growing pauses, as datagrams get lost.
 *
 * An address that nobody has proved gets at most one for each datagram that came from there, each
 * with a number of its own, and all are longer than a knock: nothing is gained by forging it. The
 * address at which the device was heard last gets a few without that. */
#include "gateway/gateway.h"

#define KNOCK_BYTES   64
#define PAUSE_MS      1000 /* before the first repetition, if the round trip is not known */
#define PAUSE_MIN_MS  250
#define PAUSE_TRIPS   4
#define DOUBLINGS_MAX 4
#define TRIES_PROVED  7
#define BUSY_MS       200 /* if numbers cannot be reserved */

static bool may_knock(const struct seat *seat) {
    return seat->session.is_resumed || seat->session.is_doubtful;
}

mono_time knock_deadline(const struct seat *seat) {
    if (seat->desk == NULL || !seat->desk->knock.is_on || !may_knock(seat)) {
        return MONO_NEVER;
    }
    const struct knock *knock = &seat->desk->knock;
    bool is_proved = address_equal(&knock->to, &seat->session.peer);
    bool may = knock->owed > 0 || (is_proved && knock->tries < TRIES_PROVED);
    return may ? knock->due : MONO_NEVER;
}

bool knock_is_over(const struct seat *seat, mono_time now) {
    return knock_deadline(seat).us == MONO_NEVER.us &&
           (!seat->desk->knock.is_on || !may_knock(seat) ||
            mono_reached(now, seat->desk->knock.due));
}

void knock_begin(struct seat *seat, mono_time now) {
    seat->desk->knock =
        (struct knock){.is_on = true, .path = seat->path, .to = seat->session.peer, .due = now};
}

void knock_unheard(struct seat *seat, gateway_path path, const struct address *from,
                   mono_time now) {
    struct knock *knock = &seat->desk->knock;
    if (!knock->is_on || !address_equal(from, &knock->to)) {
        *knock = (struct knock){.is_on = true, .path = path, .to = *from, .due = now};
    }
    knock->owed = (uint8_t)(knock->owed + (knock->owed < UINT8_MAX ? 1 : 0));
}

void knock_may(struct seat *seat, mono_time now) {
    if (seat->desk != NULL && seat->desk->knock.is_waiting) {
        seat->desk->knock.is_waiting = false;
        seat->desk->knock.due = now;
    }
}

static int64_t pause_ms(const struct seat *seat) {
    unsigned doublings = seat->desk->knock.tries;
    int64_t pause = seat->session.rtt_ms == 0 ? PAUSE_MS : seat->session.rtt_ms * PAUSE_TRIPS;
    pause = pause < PAUSE_MIN_MS ? PAUSE_MIN_MS : pause;
    return pause << (doublings < DOUBLINGS_MAX ? doublings : DOUBLINGS_MAX);
}

void knock_pump(struct gateway *gw, struct seat *seat, mono_time now) {
    if (!mono_reached(now, knock_deadline(seat))) {
        return;
    }
    struct knock *knock = &seat->desk->knock;
    uint8_t record[KNOCK_BYTES];
    struct writer w = writer_of(record, sizeof record);
    if (session_knock(&seat->session, gw->crypto, &w) != SW_OK) {
        knock->is_waiting = true;
        knock->due = mono_add_ms(now, BUSY_MS);
        return;
    }
    gw->counters.knocks++;
    seat_send(gw, knock->path, &knock->to, writer_span(&w));
    knock->due = mono_add_ms(now, pause_ms(seat));
    knock->tries = (uint8_t)(knock->tries + (knock->tries < UINT8_MAX ? 1 : 0));
    knock->owed = (uint8_t)(knock->owed - (knock->owed > 0 ? 1 : 0));
}
