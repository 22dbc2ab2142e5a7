/* The device's end of a session, for tests: seals what a device would send, opens what it is sent,
 * and keeps every message of the server to look at. */
#ifndef TESTS_SESSION_PEER_H
#define TESTS_SESSION_PEER_H

#include "slipway/coap/message.h"
#include "slipway/session/session.h"

#define PEER_REPLIES_MAX 256

struct peer {
    struct session session;
    struct session_work work;
    struct dtls_session device;
    struct dtls_crypto *crypto;
    struct session_out out;
    uint8_t box[256 * 1024];
    mono_time now;
    wall_time wall;
    struct address from;
    bool is_moved;       /* mark records with 253 */
    bool holds_reserves; /* do not grant reservations by itself */
    unsigned reserves;
    uint8_t last[DTLS_RECORD_MAX]; /* the last datagram of the device */
    size_t last_len;
    const char *why;
    size_t reply_count; /* of the last call */
    struct peer_reply {
        size_t len;
        uint8_t bytes[DTLS_RECORD_MAX];
        struct coap_message message;
    } replies[PEER_REPLIES_MAX];
    size_t event_count;
    struct session_event events[SESSION_EVENTS_MAX];
    size_t alert_count; /* of the last call: they are no replies */
    uint8_t alert[2];
    void (*watch)(struct span datagram); /* every datagram of the server's; NULL = nobody */
    bool lose_replies; /* the device does not get them; replies[] has them all the same */
};

/* A fresh session with a work. *p is zeroes, or one that was open before. */
void peer_open(struct peer *p);
void peer_close(struct peer *p);
/* Seals and gives one message (hexadecimal, or bytes) and takes what comes of it. */
void peer_say(struct peer *p, const char *hex);
void peer_say_bytes(struct peer *p, struct span message);
int peer_give(struct peer *p, struct span datagram);
/* Seals without giving it. */
struct span peer_seal(struct peer *p, struct span message, uint8_t *out, size_t cap);
void peer_tick_at(struct peer *p, mono_time now);
/* Its work is not needed: nothing is under way, and no repetition is to be expected. */
bool peer_is_idle(const struct peer *p, mono_time now);
void peer_confirm(struct peer *p, uint32_t ticket);
/* Collects datagrams and events after a direct call with &p->out. */
void peer_collect(struct peer *p);
/* Hello with these flags, confirmed; updates enabled; trusted. */
void peer_known(struct peer *p, uint16_t hello_flags);

/* Asserts exactly one reply, and that it is these bytes. */
void assert_reply(const struct peer *p, const char *hex);
void assert_silence(const struct peer *p);
/* The first event of that kind; fails if there is none. */
const struct session_event *peer_event(const struct peer *p, enum session_event_kind kind);
bool peer_has_event(const struct peer *p, enum session_event_kind kind);
size_t peer_bytes(const char *hex, uint8_t *out, size_t cap);

/* The peer of a test program; its set-up, new or after its Hello, and its end for cmocka. */
extern struct peer the_peer;
int peer_fresh(void **state);
int peer_greeted(void **state);
int peer_done(void **state);

/* What follows a message's head: a Hello, and the paths of update events up to their payload. */
#define HELLO_HEX   "ff0003002a00b60003000c0123456789abcdef012345671838048000a000000200"
#define ENABLED_HEX "b1450d127061727469636c652f6465766963652f757064617465732f656e61626c6564ff"
#define FORCED_HEX  "b1450d117061727469636c652f6465766963652f757064617465732f666f72636564ff"

#endif
