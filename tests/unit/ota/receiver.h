/* A device's receiving side of OTA protocol version 3, written from the protocol's description and
 * from nothing else: what it accepts, what it acknowledges and when. */
#ifndef TESTS_OTA_RECEIVER_H
#define TESTS_OTA_RECEIVER_H

#include "slipway/util/span.h"
#include "slipway/util/time.h"

#define RECEIVER_CHUNKS_MAX 4096

struct receiver {
    uint32_t file_bytes, offset, chunk_bytes, window;
    uint32_t count, cumulative;
    bool has[RECEIVER_CHUNKS_MAX + 1];
    uint32_t since_ack;
    mono_time last_chunk, ack_due;
    unsigned duplicates, beyond, acks;
    const char *killed; /* what the sender did wrong; a real device drops the connection */
};

struct receiver_ack {
    bool is_sent;
    uint32_t cumulative;
    size_t len;
    uint8_t bitmap[32];
};

void receiver_init(struct receiver *r, uint32_t file_bytes, uint32_t offset, uint32_t chunk_bytes,
                   uint32_t window);
void receiver_chunk(struct receiver *r, uint32_t index, uint32_t at, uint32_t len, mono_time now,
                    struct receiver_ack *ack);
void receiver_idle(struct receiver *r, mono_time now, struct receiver_ack *ack);
bool receiver_is_complete(const struct receiver *r);

#endif
