/* Handshakes that wait for their turn: their next flights in the order in which they came, and
 * ClientHellos newest first, as under a storm who has just spoken still listens, and who has waited
 * long will repeat itself. Bounded; the oldest gives way, and the memory is there only while
 * somebody waits. */
#ifndef SLIPWAY_GATEWAY_HANDSHAKE_LOBBY_H
#define SLIPWAY_GATEWAY_HANDSHAKE_LOBBY_H

#include "slipway/gateway/core.h"

#define LOBBY_SEATS    2048 /* in each of its rooms */
#define LOBBY_BYTES    512  /* a longer datagram does not wait */
#define LOBBY_STALE_MS 5000

enum lobby_room {
    LOBBY_BEGUN,     /* what continues a handshake: most is spent on these already */
    LOBBY_PROVEN,    /* a ClientHello with a cookie */
    LOBBY_STRANGERS, /* and without */
    LOBBY_ROOMS
};

struct lobby_guest {
    struct address from;
    gateway_path path;
    uint16_t len;
    mono_time came;
    uint8_t bytes[LOBBY_BYTES];
};

struct lobby {
    struct lobby_guest *guests; /* LOBBY_SEATS for each room; NULL = nobody waits */
    struct {
        uint32_t newest, count; /* newest: the seat behind it, modulo LOBBY_SEATS */
    } rooms[LOBBY_ROOMS];
};

/* Gives the memory back; it can be used on. */
void lobby_close(struct lobby *lobby);
bool lobby_is_empty(const struct lobby *lobby);
/* How many were sent away: the oldest for want of a seat, or this one if it is too long or there is
 * no memory. */
unsigned lobby_enter(struct lobby *lobby, enum lobby_room room, const struct gateway_arrival *item,
                     mono_time now);
bool lobby_waits(const struct lobby *lobby, enum lobby_room room);
/* Whose turn it is in a room that has somebody; valid until the next call. */
const struct lobby_guest *lobby_leave(struct lobby *lobby, enum lobby_room room);
/* Sends the stale ones away and says how many. */
unsigned lobby_tidy(struct lobby *lobby, mono_time now);

#endif
