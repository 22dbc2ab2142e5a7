#include "gateway/handshake/lobby.h"

#include "slipway/util/check.h"

#include <stdlib.h>
#include <string.h>

void lobby_close(struct lobby *lobby) {
    free(lobby->guests);
    memset(lobby, 0, sizeof *lobby);
}

bool lobby_is_empty(const struct lobby *lobby) {
    return lobby->rooms[LOBBY_PROVEN].count == 0 && lobby->rooms[LOBBY_STRANGERS].count == 0;
}

static struct lobby_guest *guest_at(const struct lobby *lobby, enum lobby_room room,
                                    uint32_t seat) {
    return &lobby->guests[(uint32_t)room * LOBBY_SEATS + seat % LOBBY_SEATS];
}

unsigned lobby_enter(struct lobby *lobby, enum lobby_room room, const struct gateway_arrival *item,
                     mono_time now) {
    if (item->bytes.len > LOBBY_BYTES) {
        return 1;
    }
    if (lobby->guests == NULL) {
        lobby->guests = malloc(sizeof *lobby->guests * LOBBY_SEATS * LOBBY_ROOMS);
        if (lobby->guests == NULL) {
            return 1;
        }
    }
    struct lobby_guest *guest = guest_at(lobby, room, lobby->rooms[room].newest++);
    guest->from = item->from;
    guest->path = item->path;
    guest->len = (uint16_t)item->bytes.len;
    guest->came = now;
    memcpy(guest->bytes, item->bytes.data, item->bytes.len);
    if (lobby->rooms[room].count == LOBBY_SEATS) {
        return 1;
    }
    lobby->rooms[room].count++;
    return 0;
}

bool lobby_waits(const struct lobby *lobby, enum lobby_room room) {
    return lobby->rooms[room].count > 0;
}

const struct lobby_guest *lobby_leave(struct lobby *lobby, enum lobby_room room) {
    SW_CHECK(lobby->rooms[room].count > 0);
    uint32_t oldest = lobby->rooms[room].newest - lobby->rooms[room].count;
    lobby->rooms[room].count--;
    return guest_at(lobby, room, room == LOBBY_BEGUN ? oldest : --lobby->rooms[room].newest);
}

unsigned lobby_tidy(struct lobby *lobby, mono_time now) {
    unsigned stale = 0;
    for (unsigned room = 0; room < LOBBY_ROOMS; room++) {
        uint32_t *count = &lobby->rooms[room].count;
        for (; *count > 0; (*count)--, stale++) {
            const struct lobby_guest *oldest =
                guest_at(lobby, (enum lobby_room)room, lobby->rooms[room].newest - *count);
            if (!mono_reached(now, mono_add_ms(oldest->came, LOBBY_STALE_MS))) {
                break;
            }
        }
    }
    return stale;
}
