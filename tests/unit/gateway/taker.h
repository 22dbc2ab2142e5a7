/* A peer of the rig that takes updates as OTA protocol version 3 has them, without loss; and the
 * application's side: a version released to everybody. */
#ifndef SLIPWAY_TEST_GATEWAY_TAKER_H
#define SLIPWAY_TEST_GATEWAY_TAKER_H

#include "rig.h"

#include "slipway/app/query.h"
#include "slipway/coap/message.h"

struct taker {
    struct peer peer;
    uint16_t id;           /* of its next message */
    bool is_mute;          /* hears, and says nothing */
    bool acknowledges_not; /* chunks */
    bool is_refusing;      /* its application has disabled updates: -1380 */
    bool is_started;
    bool is_committed; /* its 2.04 was acknowledged */
    uint32_t file_bytes, chunk_bytes, offset, count, cumulative;
    uint32_t since_ack;
    uint64_t bytes; /* of chunks that came */
    unsigned starts, cancels;
    unsigned discards; /* of these cancels */
    uint16_t commit_id;
    struct coap_message last; /* request of the server that was no part of an update */
    uint8_t last_bytes[1400];
    size_t last_count;
};

/* Connects, says Hello and that updates are enabled. */
void taker_open(struct taker *taker, struct rig *rig, unsigned number);
void taker_close(struct taker *taker);
/* Takes what came and answers it, until the server is silent; all of them in turn. Forgets what was
 * sent. */
void takers_turn(struct taker *takers, size_t count, struct rig *rig);
/* Time passes, with a turn whenever the gateway wants one. */
void takers_run(struct taker *takers, size_t count, struct rig *rig, int64_t ms);
void taker_say_updates(struct taker *taker, struct rig *rig, bool is_enabled);

/* Seals and sends one message that was written so. */
void taker_say(struct taker *taker, struct rig *rig, const struct writer *w);
/* The newest update of that device. */
void rig_update(struct rig *rig, const struct device_id *device, struct update *out);
/* Uploads a version of so many bytes and makes it the product's default. */
void rig_release(struct rig *rig, uint16_t version, size_t bytes, bool is_immediate);

#endif
