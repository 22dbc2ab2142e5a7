/* What came in, a batch at a time. Established devices are served first, then handshakes under way,
 * and ClientHellos only as fast as they can be completed: each costs the server a signature before
 * it knows whether the peer goes on, so that a storm that is taken in as it comes leaves no time to
 * finish any. What a turn cannot take waits in the lobby.
 *
 * With a hundred thousand sessions each datagram's session is far from the cache. So a batch is
 * looked through ahead: where in the index, which session, who is beside it; and only then what it
 * says. */
#include "gateway/gateway.h"

#include <string.h>

#define BATCH_MAX 256U
/* What a turn may spend on handshakes, in units of about 4 us; one tick begins the next. While
 * there are some to go on with, strangers are given no more cookies than that: what cannot be
 * finished need not be begun. */
#define TURN_COST   256
#define COST_STEP   24 /* a key exchange and a signature of the peer's */
#define COST_ACCEPT 8  /* keys and a signature of ours */
#define COST_REPLY  1  /* a cookie */
/* Below these are no clients, but services that answer whatever comes, such as echo. */
#define SERVER_PORTS 1024
/* While no handshake may give way, between looks for one that may. */
#define ROOM_LOOK_MS 10

enum arrival_class {
    ARRIVAL_ESTABLISHED, /* or nobody's */
    ARRIVAL_BEGUN,       /* continues a handshake, or is established by what comes before it */
    ARRIVAL_PROVEN,      /* a ClientHello with a cookie */
    ARRIVAL_STRANGER,    /* and without */
    ARRIVAL_CLASSES
};

struct arrival {
    struct dtls_sorted sorted;
    uint32_t hash; /* of the connection id */
    uint32_t seat; /* its number in all likelihood, or SEAT_NONE */
    uint8_t class; /* enum arrival_class */
};

static bool allowance_take(struct allowance *allowance, mono_time now) {
    int64_t cost_us = 1000000 / (int64_t)allowance->per_s;
    allowance->left_us += mono_since_us(allowance->filled, now);
    allowance->filled = now;
    if (allowance->left_us > 1000000) {
        allowance->left_us = 1000000;
    }
    if (allowance->left_us < cost_us) {
        return false;
    }
    allowance->left_us -= cost_us;
    return true;
}

/* Unchanged, and only if it says its own length: nobody gains a byte by a forged source. And never
 * to where servers are, which might echo it again, and we theirs, for ever. */
static void arrive_probe(struct gateway *gw, const struct gateway_arrival *item, mono_time now) {
    bool is_server = item->from.port < SERVER_PORTS || item->from.port == GATEWAY_PORT;
    if (is_server || !allowance_take(&gw->probes, now)) {
        gw->counters.probes_dropped++;
        return;
    }
    outbox_clear(&gw->out.box);
    memcpy(outbox_begin(&gw->out.box, item->bytes.len), item->bytes.data, item->bytes.len);
    outbox_commit(&gw->out.box, item->bytes.len);
    gw->counters.probes_echoed++;
    gw->counters.datagrams_out++;
    gw->ports.send(gw->ports.ctx, item->path, &item->from, &gw->out.box);
    outbox_clear(&gw->out.box);
}

/* A device that missed the end of its session: the alert is smaller than what it answers, and of no
 * use to anybody but the holder of the session's keys. */
static bool arrive_farewell(struct gateway *gw, const struct gateway_arrival *item, struct span cid,
                            mono_time now) {
    struct span alert = farewell_find(&gw->farewells, cid, now);
    if (alert.len == 0 || alert.len > item->bytes.len) {
        return false;
    }
    memcpy(outbox_begin(&gw->out.box, alert.len), alert.data, alert.len);
    outbox_commit(&gw->out.box, alert.len);
    gw->counters.dropped_unknown++;
    gw->counters.farewells++;
    gw->counters.datagrams_out++;
    gw->ports.send(gw->ports.ctx, item->path, &item->from, &gw->out.box);
    session_out_clear(&gw->out);
    return true;
}

/* A session that a newer one of its device has replaced: the newer one is served. */
static void arrive_former(struct gateway *gw, const struct gateway_arrival *item, struct span cid,
                          struct moment now) {
    struct device_id device;
    if (!former_speaks(&gw->formers, gw->crypto, cid, item->bytes, now.mono, &device)) {
        return;
    }
    struct gateway_job *job = job_new(JOB_DOUBLED, 0);
    gw->counters.devices_doubled++;
    if (job != NULL) {
        job->device = device;
        address_text(&item->from, job->u.resumed.address);
    }
    (void)!job_submit(gw, job, NULL, now);
}

/* By what it says, to whom it belongs; looked up when its turn has come. */
static void arrive_one(struct gateway *gw, const struct gateway_arrival *item,
                       const struct dtls_sorted *sorted, struct moment now) {
    struct seat *seat = NULL;
    struct half *half = NULL;
    session_out_clear(&gw->out);
    switch (sorted->kind) {
    case DTLS_KIND_NOISE:
        gw->counters.dropped_noise++;
        return;
    case DTLS_KIND_PROBE:
        arrive_probe(gw, item, now.mono);
        return;
    case DTLS_KIND_HANDSHAKE:
        half = half_by_address(&gw->halves, &item->from);
        break;
    case DTLS_KIND_CID:
        /* The client's Finished carries the id before there is a session. */
        seat = table_by_cid(&gw->table, sorted->cid);
        if (seat == NULL && arrive_farewell(gw, item, sorted->cid, now.mono)) {
            return;
        }
        if (seat == NULL) {
            arrive_former(gw, item, sorted->cid, now);
        }
        half = seat == NULL ? half_by_cid(&gw->halves, sorted->cid) : NULL;
        break;
    case DTLS_KIND_PLAIN:
        half = half_by_address(&gw->halves, &item->from);
        if (half == NULL || half->is_established) {
            half = NULL;
            seat = table_by_address(&gw->table, &item->from);
        }
        break;
    case DTLS_KIND_MOVED_30:
        if (sorted->device.len == DEVICE_ID_BYTES) {
            struct device_id device;
            memcpy(device.b, sorted->device.data, DEVICE_ID_BYTES);
            seat = table_by_device(&gw->table, &device, NULL);
        }
        break;
    }
    if (seat != NULL) {
        seat_datagram(gw, seat, item->path, &item->from, item->bytes, now);
    } else if (half != NULL) {
        hello_continue(gw, half, item->bytes, now);
    } else {
        gw->counters.dropped_unknown++;
    }
}

/* --- handshakes --- */

static bool turn_allows(const struct gateway *gw, enum lobby_room room, mono_time now) {
    if (gw->turn.left <= 0 || (room != LOBBY_BEGUN && !half_has_room(&gw->halves, now))) {
        return false;
    }
    return room != LOBBY_STRANGERS || gw->turn.steps == 0 || gw->turn.replies < gw->turn.steps;
}

static void arrive_handshake(struct gateway *gw, const struct gateway_arrival *item,
                             enum lobby_room room, struct moment now) {
    struct dtls_sorted sorted;
    if (room == LOBBY_BEGUN) {
        dtls_sort(item->bytes, &sorted);
        arrive_one(gw, item, &sorted, now);
        gw->turn.left -= COST_STEP;
        gw->turn.steps++;
        return;
    }
    session_out_clear(&gw->out);
    if (hello_take(gw, item, now)) {
        gw->turn.left -= COST_ACCEPT;
        gw->turn.steps++;
    } else {
        gw->turn.left -= COST_REPLY;
        gw->turn.replies++;
    }
}

/* What is too long to wait and belongs to a handshake is worth the delay of the others. */
static void arrive_or_wait(struct gateway *gw, const struct gateway_arrival *item,
                           enum lobby_room room, struct moment now) {
    bool is_long = room == LOBBY_BEGUN && item->bytes.len > LOBBY_BYTES;
    if ((lobby_is_empty(&gw->lobby) && turn_allows(gw, room, now.mono)) || is_long) {
        arrive_handshake(gw, item, room, now);
    } else {
        gw->counters.handshakes_shed += lobby_enter(&gw->lobby, room, item, now.mono);
    }
}

void arrive_waiting(struct gateway *gw, struct moment now) {
    gw->turn = (struct turn){.left = TURN_COST, .at = now.mono};
    gw->counters.handshakes_shed += lobby_tidy(&gw->lobby, now.mono);
    for (unsigned n = 0; n < LOBBY_ROOMS; n++) {
        enum lobby_room room = (enum lobby_room)n;
        while (lobby_waits(&gw->lobby, room) && turn_allows(gw, room, now.mono)) {
            const struct lobby_guest *guest = lobby_leave(&gw->lobby, room);
            const struct gateway_arrival item = {.path = guest->path,
                                                 .from = guest->from,
                                                 .bytes = span_of(guest->bytes, guest->len)};
            arrive_handshake(gw, &item, room, now);
        }
    }
    if (lobby_is_empty(&gw->lobby)) {
        lobby_close(&gw->lobby);
    }
}

mono_time arrive_deadline(const struct gateway *gw) {
    if (lobby_is_empty(&gw->lobby)) {
        return MONO_NEVER;
    }
    bool is_possible =
        lobby_waits(&gw->lobby, LOBBY_BEGUN) || half_has_room(&gw->halves, gw->turn.at);
    return is_possible ? gw->turn.at : mono_add_ms(gw->turn.at, ROOM_LOOK_MS);
}

/* --- batches --- */

static enum arrival_class classify(const struct gateway *gw, const struct gateway_arrival *item,
                                   const struct arrival *arrival) {
    const struct half *half = NULL;
    switch (arrival->sorted.kind) {
    case DTLS_KIND_HANDSHAKE:
        if (arrival->sorted.is_hello) {
            return arrival->sorted.has_cookie ? ARRIVAL_PROVEN : ARRIVAL_STRANGER;
        }
        half = half_by_address(&gw->halves, &item->from);
        break;
    case DTLS_KIND_CID:
        if (arrival->seat == SEAT_NONE) {
            half = half_by_cid(&gw->halves, arrival->sorted.cid);
        }
        break;
    case DTLS_KIND_PLAIN:
        half = half_by_address(&gw->halves, &item->from);
        half = half == NULL || half->is_established ? NULL : half;
        break;
    case DTLS_KIND_NOISE:
    case DTLS_KIND_PROBE:
    case DTLS_KIND_MOVED_30:
        break;
    }
    return half == NULL ? ARRIVAL_ESTABLISHED : ARRIVAL_BEGUN;
}

static void arrive_batch(struct gateway *gw, const struct gateway_arrival *items, size_t count,
                         struct moment now) {
    struct arrival arrivals[BATCH_MAX];
    uint8_t seen = 0;
    for (size_t n = 0; n < count; n++) {
        dtls_sort(items[n].bytes, &arrivals[n].sorted);
        if (arrivals[n].sorted.kind == DTLS_KIND_CID) {
            arrivals[n].hash = table_seek(&gw->table, arrivals[n].sorted.cid);
        }
    }
    for (size_t n = 0; n < count; n++) {
        bool has_cid = arrivals[n].sorted.kind == DTLS_KIND_CID;
        arrivals[n].seat = has_cid ? table_expect(&gw->table, arrivals[n].hash) : SEAT_NONE;
    }
    for (size_t n = 0; n < count; n++) {
        table_approach(&gw->table, arrivals[n].seat);
        arrivals[n].class = (uint8_t)classify(gw, &items[n], &arrivals[n]);
        seen = (uint8_t)(seen | 1U << arrivals[n].class);
    }
    for (unsigned class = 0; class < ARRIVAL_CLASSES; class ++) {
        for (size_t n = 0; (seen & 1U << class) != 0 && n < count; n++) {
            if (arrivals[n].class != class) {
                continue;
            }
            switch ((enum arrival_class) class) {
            case ARRIVAL_ESTABLISHED:
                arrive_one(gw, &items[n], &arrivals[n].sorted, now);
                break;
            case ARRIVAL_BEGUN:
                arrive_or_wait(gw, &items[n], LOBBY_BEGUN, now);
                break;
            case ARRIVAL_PROVEN:
                arrive_or_wait(gw, &items[n], LOBBY_PROVEN, now);
                break;
            case ARRIVAL_STRANGER:
                arrive_or_wait(gw, &items[n], LOBBY_STRANGERS, now);
                break;
            case ARRIVAL_CLASSES:
                break;
            }
        }
    }
}

void gateway_arrivals(struct gateway *gw, const struct gateway_arrival *items, size_t count,
                      mono_time now, wall_time wall) {
    struct moment moment = {.mono = now, .wall = wall};
    gw->counters.datagrams_in += count;
    if (!gateway_is_ready(gw)) {
        gw->counters.dropped_unready += count;
        return;
    }
    for (size_t at = 0; at < count; at += BATCH_MAX) {
        arrive_batch(gw, items + at, count - at < BATCH_MAX ? count - at : BATCH_MAX, moment);
    }
}

void gateway_datagram(struct gateway *gw, gateway_path path, const struct address *from,
                      struct span bytes, mono_time now, wall_time wall) {
    const struct gateway_arrival item = {.path = path, .from = *from, .bytes = bytes};
    gateway_arrivals(gw, &item, 1, now, wall);
}
