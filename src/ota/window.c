/* Loss is told by order of transmission, not by index, so that a repeated chunk is judged like any
 * other: a chunk is lost when three transmissions made after it have arrived, or when one has and
 * more than a round trip has gone by, or when the timer runs out.
 *
 * Radio links lose datagrams without being full, and a device that is 240 ms away would starve if
 * every loss halved the window. So once per window the losses are counted: up to one in eight, and
 * three, is taken for noise unless the round trip has grown too, which is what a full queue looks
 * like. */
#include "ota/window.h"

#define CWND_FIRST         16 /* in bytes less than RFC 6928 lets a new connection send */
#define OUTSTANDING_NEAR   32
#define OUTSTANDING_FAR    96
#define DEVICE_CHUNK_US    4000 /* what a slow device takes to store one */
#define CWND_CUT_MIN       4    /* fewest chunks that a reported loss leaves */
#define CWND_TIMEOUT       2    /* the device acknowledges every second chunk at once */
#define ROUND_MIN          16
#define BURST              16
#define LOSS_NOISE_DIVISOR 8
#define LOSS_NOISE_SLACK   3 /* of few chunks, a few more may be lost by chance */
#define PASSED_MAX         3
#define DOUBTED_TIMEOUTS   2 /* in a row, and the device says that it has less than we thought */
#define RTO_FIRST_US       INT64_C(1500000)
#define RTO_MIN_US         INT64_C(350000)
#define RTO_MAX_US         INT64_C(6000000) /* two datagrams in 6 s burden nobody */
#define RTO_BACKOFF_MAX    5
#define VARIATION_MIN_US   INT64_C(10000)
#define DEVICE_ACK_US      INT64_C(200000) /* it may hold an acknowledgement back that long */
#define QUEUE_US           (DEVICE_ACK_US + 50000)
#define BITMAP_BYTES_MAX   (OTA_WINDOW_MAX / 8)

static struct ota_slot *slot_of(struct ota *ota, uint32_t index) {
    return &ota->c.slots[index % OTA_WINDOW_MAX];
}

static int64_t spread_us(const struct ota *ota) {
    int64_t spread = 4 * ota->c.rttvar_us;
    return spread > VARIATION_MIN_US ? spread : VARIATION_MIN_US;
}

static int64_t rto_us(const struct ota *ota) {
    int64_t rto = RTO_FIRST_US;
    if (ota->c.srtt_us > 0) {
        /* When all was sent, whatever arrives closes a gap and is acknowledged at once. */
        bool is_tail = ota->next_new > ota->chunk_count;
        rto = ota->c.srtt_us + spread_us(ota) + (is_tail ? 0 : DEVICE_ACK_US);
        rto = rto < RTO_MIN_US ? RTO_MIN_US : rto;
    }
    rto <<= ota->c.timeouts < RTO_BACKOFF_MAX ? ota->c.timeouts : RTO_BACKOFF_MAX;
    int64_t most = ota->c.srtt_us * 2 > RTO_MAX_US ? ota->c.srtt_us * 2 : RTO_MAX_US;
    return rto < most ? rto : most;
}

static int64_t age_us(const struct ota *ota, const struct ota_slot *slot, mono_time now) {
    return (int64_t)((uint32_t)mono_since_us(ota->c.start, now) - slot->sent_us);
}

/* A device may choke on more datagrams at once than OUTSTANDING_NEAR. To a distant one more may be
 * on their way: as many as it can store in a round trip, so that no more than that wait before it.
 * The shortest round trip counts: a longer one may be a queue. */
static uint32_t outstanding_max(const struct ota *ota) {
    uint32_t cap = ota->params.outstanding_max;
    if (cap == 0) {
        int64_t far = OUTSTANDING_NEAR + ota->c.rtt_min_us / DEVICE_CHUNK_US;
        cap = (uint32_t)(far < OUTSTANDING_FAR ? far : OUTSTANDING_FAR);
    }
    return cap < ota->window ? cap : ota->window;
}

void window_begin(struct ota *ota, mono_time now) {
    ota->next_new = 1;
    ota->c.cwnd = CWND_FIRST;
    ota->c.ssthresh = OTA_WINDOW_MAX;
    ota->c.start = now;
    ota->c.pace = now;
    ota->c.timer = MONO_NEVER;
}

void window_measured(struct ota *ota, int64_t rtt_us) {
    if (rtt_us <= 0) {
        rtt_us = 1;
    }
    if (ota->c.srtt_us == 0) {
        ota->c.srtt_us = rtt_us;
        ota->c.rttvar_us = rtt_us / 2;
        ota->c.rtt_min_us = rtt_us;
        return;
    }
    int64_t error = rtt_us - ota->c.srtt_us;
    ota->c.rttvar_us += ((error < 0 ? -error : error) - ota->c.rttvar_us) / 4;
    ota->c.srtt_us += error / 8;
    if (rtt_us < ota->c.rtt_min_us) {
        ota->c.rtt_min_us = rtt_us;
    }
}

/* --- what the device reports --- */

struct arrivals {
    uint32_t count;
    uint32_t newest_order;
    const struct ota_slot *newest; /* NULL if none gives a sample */
    uint32_t orders[OTA_WINDOW_MAX];
};

static void arrive(struct ota *ota, uint32_t index, mono_time now, struct arrivals *arrivals) {
    struct ota_slot *slot = slot_of(ota, index);
    switch ((enum ota_slot_state)slot->state) {
    case SLOT_ARRIVED:
        return;
    case SLOT_FLIGHT:
        ota->c.flight--;
        break;
    case SLOT_LOST:
        ota->c.lost--;
        break;
    }
    bool was_flying = slot->state == SLOT_FLIGHT;
    slot->state = SLOT_ARRIVED;
    /* Of a repeated chunk one cannot tell which transmission arrived, unless the last one could
     * not have been answered so soon. */
    bool is_last = slot->tries == 1 || age_us(ota, slot, now) >= ota->c.rtt_min_us;
    uint32_t order = was_flying && is_last ? slot->order : 0;
    arrivals->orders[arrivals->count++] = order;
    if (slot->tries == 1 && order > arrivals->newest_order) {
        arrivals->newest_order = order;
        arrivals->newest = slot;
    }
}

static bool bit_of(struct span bitmap, uint32_t n) {
    return (bitmap.data[n / 8] >> n % 8 & 1) != 0;
}

/* Chunks beyond the cumulative one that the bitmap claims; false if it cannot be true. Words are
 * little-endian and bits count from the lowest, which makes it a plain string of bits. */
static bool bitmap_is_sound(const struct ota *ota, uint32_t cumulative, struct span bitmap) {
    if (bitmap.len > BITMAP_BYTES_MAX || bitmap.len % 4 != 0) {
        return false;
    }
    for (uint32_t n = 0; n < bitmap.len * 8; n++) {
        /* The first bit is the first chunk that is missing. */
        if (bit_of(bitmap, n) && (n == 0 || cumulative + 1 + n >= ota->next_new)) {
            return false;
        }
    }
    return true;
}

static uint32_t mark_lost(struct ota *ota, const struct arrivals *arrivals, mono_time now) {
    uint32_t newest = 0, lost = 0;
    for (uint32_t n = 0; n < arrivals->count; n++) {
        newest = arrivals->orders[n] > newest ? arrivals->orders[n] : newest;
    }
    int64_t patience_us = ota->c.srtt_us + spread_us(ota);
    for (uint32_t index = ota->cumulative + 1; index < ota->next_new; index++) {
        struct ota_slot *slot = slot_of(ota, index);
        if (slot->state != SLOT_FLIGHT || slot->order >= newest) {
            continue;
        }
        for (uint32_t n = 0; n < arrivals->count && slot->passed < PASSED_MAX; n++) {
            slot->passed = (uint8_t)(slot->passed + (arrivals->orders[n] > slot->order ? 1 : 0));
        }
        if (slot->passed >= PASSED_MAX ||
            (slot->passed > 0 && age_us(ota, slot, now) > patience_us)) {
            slot->state = SLOT_LOST;
            ota->c.flight--;
            ota->c.lost++;
            lost++;
        }
    }
    return lost;
}

static void cut_to_half(struct ota *ota, uint32_t of) {
    ota->c.ssthresh = of / 2 < CWND_CUT_MIN ? CWND_CUT_MIN : of / 2;
    ota->c.cwnd = ota->c.ssthresh;
    ota->c.grown = 0;
}

static void cut(struct ota *ota) {
    cut_to_half(ota, ota->c.cwnd);
}

static void grow(struct ota *ota, uint32_t arrived) {
    uint32_t cap = outstanding_max(ota);
    if (ota->c.cwnd < ota->c.ssthresh) {
        ota->c.cwnd += arrived;
    } else {
        ota->c.grown += arrived;
        if (ota->c.grown >= ota->c.cwnd) {
            ota->c.grown = 0;
            ota->c.cwnd++;
        }
    }
    ota->c.cwnd = ota->c.cwnd < cap ? ota->c.cwnd : cap;
}

/* At most once per window, as the counters begin anew each time. */
static void judge_losses(struct ota *ota, uint32_t arrived, uint32_t lost) {
    ota->c.round_acked += arrived;
    ota->c.round_lost += lost;
    uint32_t total = ota->c.round_acked + ota->c.round_lost;
    if (total < ROUND_MIN || total < ota->c.cwnd) {
        return;
    }
    bool is_many = ota->c.round_lost > total / LOSS_NOISE_DIVISOR + LOSS_NOISE_SLACK;
    bool is_queue = ota->c.srtt_us > 2 * ota->c.rtt_min_us + QUEUE_US;
    if (is_many || (ota->c.round_lost > 0 && is_queue)) {
        cut(ota);
    }
    ota->c.round_acked = 0;
    ota->c.round_lost = 0;
}

/* The device has less than an acknowledgement of an earlier transfer said that came late: what is
 * ahead of its word counts as lost, and what is beyond its window as never sent. */
static void stand_back(struct ota *ota, uint32_t cumulative) {
    uint32_t most = cumulative + ota->window + 1;
    ota->cumulative = cumulative;
    ota->next_new = ota->next_new < most ? ota->next_new : most;
    ota->c.flight = 0;
    ota->c.lost = 0;
    for (uint32_t index = cumulative + 1; index < ota->next_new; index++) {
        *slot_of(ota, index) = (struct ota_slot){.state = SLOT_LOST, .tries = 1};
        ota->c.lost++;
    }
}

/* The chunk behind the cumulative one is missing by the device's latest word, whatever an earlier
 * transfer's bitmap said of it. */
static void miss_first(struct ota *ota) {
    struct ota_slot *slot = slot_of(ota, ota->cumulative + 1);
    if (ota->cumulative + 1 < ota->next_new && slot->state == SLOT_ARRIVED) {
        slot->state = SLOT_LOST;
        slot->passed = 0;
        ota->c.lost++;
    }
}

int window_acked(struct ota *ota, uint32_t cumulative, struct span bitmap, mono_time now) {
    if (cumulative >= ota->next_new || !bitmap_is_sound(ota, cumulative, bitmap)) {
        return SW_E_INPUT;
    }
    bool is_behind = cumulative < ota->cumulative;
    if (is_behind && ota->c.timeouts < DOUBTED_TIMEOUTS) {
        return SW_E_EXISTS; /* overtaken by a later one */
    }
    if (is_behind) {
        stand_back(ota, cumulative);
        if (!bitmap_is_sound(ota, cumulative, bitmap)) {
            return SW_E_INPUT;
        }
    }
    struct arrivals arrivals;
    arrivals.count = 0;
    arrivals.newest_order = 0;
    arrivals.newest = NULL;
    for (uint32_t index = ota->cumulative + 1; index <= cumulative; index++) {
        arrive(ota, index, now, &arrivals);
    }
    for (uint32_t n = 1; n < bitmap.len * 8; n++) {
        if (bit_of(bitmap, n)) {
            arrive(ota, cumulative + 1 + n, now, &arrivals);
        }
    }
    bool is_progress = arrivals.count > 0 || cumulative > ota->cumulative;
    ota->cumulative = cumulative;
    miss_first(ota);
    if (arrivals.newest != NULL) {
        window_measured(ota, age_us(ota, arrivals.newest, now));
    }
    uint32_t lost = mark_lost(ota, &arrivals, now);
    if (is_progress) {
        ota->c.timeouts = 0;
        ota->c.progress = now;
        grow(ota, arrivals.count);
        ota->c.timer = ota->c.flight > 0 ? mono_add_us(now, rto_us(ota)) : MONO_NEVER;
    }
    judge_losses(ota, arrivals.count, lost);
    return is_behind ? SW_E_INPUT : SW_OK;
}

/* --- what goes out --- */

void window_timeout(struct ota *ota) {
    for (uint32_t index = ota->cumulative + 1; index < ota->next_new; index++) {
        struct ota_slot *slot = slot_of(ota, index);
        if (slot->state == SLOT_FLIGHT) {
            slot->state = SLOT_LOST;
            ota->c.flight--;
            ota->c.lost++;
        }
    }
    /* While it is still on its way back from an earlier timeout, the window says nothing about the
     * link: half of what it was on its way to. And only once for several in a row (RFC 5681 section
     * 3.1), or two lost repetitions would leave a distant device with next to no window for long.
     */
    bool is_recovering = ota->c.cwnd < ota->c.ssthresh && ota->c.ssthresh < OTA_WINDOW_MAX;
    if (ota->c.timeouts == 0) {
        cut_to_half(ota, is_recovering ? ota->c.ssthresh : ota->c.cwnd);
    }
    ota->c.cwnd = CWND_TIMEOUT;
    ota->c.round_acked = 0;
    ota->c.round_lost = 0;
    ota->c.timeouts++;
    ota->c.timer = MONO_NEVER;
}

/* Chunks that leave together cost a third of single ones, as the kernel cuts them out of one: so
 * new ones wait until there is room for a few, as long as so many are under way that their
 * acknowledgements make it soon. What is lost is repeated at once. */
static bool is_bursting(struct ota *ota, uint32_t most) {
    uint32_t burst = most / 2 < BURST ? most / 2 : BURST;
    uint32_t left = ota->chunk_count - ota->next_new + 1;
    if (ota->c.flight >= most) {
        ota->c.is_bursting = false;
    } else if (most - ota->c.flight >= burst || left <= most - ota->c.flight || ota->c.lost > 0) {
        ota->c.is_bursting = true;
    }
    return ota->c.is_bursting;
}

uint32_t window_pick(struct ota *ota) {
    uint32_t cap = outstanding_max(ota);
    if (!is_bursting(ota, ota->c.cwnd < cap ? ota->c.cwnd : cap)) {
        return 0;
    }
    if (ota->c.lost > 0) {
        for (uint32_t index = ota->cumulative + 1; index < ota->next_new; index++) {
            if (ota->c.slots[index % OTA_WINDOW_MAX].state == SLOT_LOST) {
                return index;
            }
        }
    }
    bool fits = ota->next_new <= ota->chunk_count && ota->next_new - ota->cumulative <= ota->window;
    return fits ? ota->next_new : 0;
}

void window_sent(struct ota *ota, uint32_t index, mono_time now) {
    struct ota_slot *slot = slot_of(ota, index);
    if (index == ota->next_new) {
        ota->next_new++;
        slot->tries = 0;
    } else {
        ota->c.lost--;
    }
    *(index > ota->chunks_sent ? &ota->chunks_sent : &ota->chunks_resent) += 1;
    slot->tries = (uint8_t)(slot->tries < UINT8_MAX ? slot->tries + 1 : UINT8_MAX);
    slot->state = SLOT_FLIGHT;
    slot->passed = 0;
    slot->sent_us = (uint32_t)mono_since_us(ota->c.start, now);
    slot->order = (uint32_t)(ota->chunks_sent + ota->chunks_resent);
    if (ota->c.flight++ == 0) {
        ota->c.timer = mono_add_us(now, rto_us(ota));
    }
}
