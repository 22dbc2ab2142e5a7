/* Numbers of records are never used twice, whatever the server forgot: all it sends is watched. */
#include "world.h"

#define DTLS_HEADER 13

static uint64_t number_of(const uint8_t *header) {
    uint64_t number = 0;
    for (size_t i = 5; i < 11; i++) {
        number = number << 8 | header[i];
    }
    return number;
}

/* Which session a record belongs to cannot be seen; a device may have two for a while, and each may
 * move to another port. So there must be one of them that this number can follow: the one that was
 * last at that port, else the one that comes nearest. */
static uint64_t *session_number(struct world_device *d, uint16_t port, uint64_t number) {
    uint64_t *best = NULL;
    for (size_t i = 0; i < d->session_count; i++) {
        if (d->sessions[i].number >= number) {
            continue;
        }
        if (d->sessions[i].port == port) {
            return &d->sessions[i].number;
        }
        if (best == NULL || d->sessions[i].number > *best) {
            best = &d->sessions[i].number;
        }
    }
    return best;
}

/* A Finished begins a new session with new keys. */
static void begin_session(struct world_device *d, uint16_t port) {
    d->session_count += d->session_count < SESSIONS_MAX ? 1 : 0;
    memmove(d->sessions + 1, d->sessions, (SESSIONS_MAX - 1) * sizeof d->sessions[0]);
    d->sessions[0].port = port;
    d->sessions[0].number = 0;
}

/* The alert that ended a session may be told again, bit for bit: that is no second use. */
static bool repeats_alert(struct world_device *d, const uint8_t *record, size_t len) {
    if (record[0] != DTLS_ALERT || len > sizeof d->alerts[0].bytes) {
        return false;
    }
    for (size_t i = 0; i < ALERTS_MAX; i++) {
        if (d->alerts[i].len == len && memcmp(d->alerts[i].bytes, record, len) == 0) {
            return true;
        }
    }
    size_t place = d->alert_next++ % ALERTS_MAX;
    d->alerts[place].len = len;
    memcpy(d->alerts[place].bytes, record, len);
    return false;
}

void check_record(struct world *world, unsigned device, uint16_t port, struct span datagram) {
    struct world_device *d = &world->devices[device];
    size_t at = 0;
    while (at + DTLS_HEADER <= datagram.len) {
        const uint8_t *header = datagram.data + at;
        bool is_protected = header[3] != 0 || header[4] != 0;
        uint64_t number = number_of(header);
        size_t len = DTLS_HEADER + ((size_t)header[11] << 8 | header[12]);
        if (is_protected && header[0] == DTLS_HANDSHAKE && number == 0) {
            begin_session(d, port);
        } else if (is_protected && at + len <= datagram.len && !repeats_alert(d, header, len)) {
            uint64_t *last = session_number(d, port, number);
            if (last == NULL) {
                world_fail(world, "a record number to device %u is used again: %llu", device,
                           (unsigned long long)number);
                return;
            }
            *last = number;
        }
        at += len;
    }
}
