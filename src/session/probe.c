/* Whether the answer to UpdateStart or UpdateFinish got lost. Its device would repeat it, but after
 * 4 to 6 s, and again after twice that. A device does one thing after the other, though: it
 * acknowledges the request, then erases or validates, for seconds perhaps and deaf to all else,
 * answers, and only then sees to the next message. So when the answer is a little late the device
 * is pinged. As soon as it answers the ping and has still not answered the request, that answer was
 * lost, and the request is made anew, under an id and a token that the device does not know.
 *
 *   NONE --acknowledged--> WAITING --late--> PINGING --pong--> MISSED --still late--> anew
 *
 * A new UpdateFinish is validated and answered like the first, and from then on only the newest
 * answer's acknowledgement commits (see update_commit_again). A new UpdateStart makes the device
 * erase again: so only one that was quick about it is asked again. */
#include "session/work.h"

#define LATE_MIN_US INT64_C(50000)
#define QUICK_US    INT64_C(1500000) /* from acknowledgement to pong, the round trip included */
#define TIMES_MAX   4

static int64_t late_us(const struct session *session) {
    int64_t late = session->rtt_ms * INT64_C(1000) / 4;
    return late > LATE_MIN_US ? late : LATE_MIN_US;
}

void probe_end(struct probe *probe) {
    probe->state = PROBE_NONE;
}

void probe_acknowledged(struct turn *t) {
    struct probe *probe = &t->work->transfer.probe;
    if (t->work->transfer.version != TRANSFER_V3) {
        return;
    }
    probe->state = PROBE_WAITING;
    probe->acknowledged = t->now;
    probe->at = mono_add_us(t->now, late_us(t->session));
    probe->number++;
    probe->number = (uint8_t)(probe->number == 0 ? 1 : probe->number);
}

uint8_t probe_number(const struct probe *probe) {
    return probe->state == PROBE_PINGING ? probe->number : 0;
}

void probe_answered(struct turn *t, uint8_t number) {
    struct probe *probe = &t->work->transfer.probe;
    if (number == 0 || number != probe_number(probe)) {
        return;
    }
    const struct exchange *exchange = &t->work->lanes[LANE_UPDATE];
    bool is_slow = mono_since_us(probe->acknowledged, t->now) > QUICK_US;
    bool is_over = exchange->state != EXCHANGE_AWAITING || probe->times >= TIMES_MAX;
    if (is_over || (exchange->kind == EXCHANGE_START && is_slow)) {
        probe_end(probe);
        return;
    }
    probe->state = PROBE_MISSED;
    probe->at = mono_add_us(t->now, late_us(t->session)); /* the two may overtake each other */
}

mono_time probe_step(struct turn *t) {
    struct transfer *transfer = &t->work->transfer;
    struct probe *probe = &transfer->probe;
    if (transfer->version != TRANSFER_V3) {
        return MONO_NEVER;
    }
    switch ((enum probe_state)probe->state) {
    case PROBE_NONE:
    case PROBE_PINGING:
        break;
    case PROBE_WAITING:
        if (!mono_reached(t->now, probe->at)) {
            return probe->at;
        }
        probe->state = PROBE_PINGING;
        t->work->wish_ping = true;
        break;
    case PROBE_MISSED:
        if (!mono_reached(t->now, probe->at)) {
            return probe->at;
        }
        probe_end(probe);
        probe->times++;
        exchange_renew(t, LANE_UPDATE);
        transfer->token = t->work->lanes[LANE_UPDATE].token;
        break;
    }
    return MONO_NEVER;
}
