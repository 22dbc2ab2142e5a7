/* A device's side of an update, answering what the server sent in the last call: OTA protocol
 * version 3 and the legacy one, as the protocol's description has them. */
#ifndef TESTS_SESSION_DEVICE_H
#define TESTS_SESSION_DEVICE_H

#include "peer.h"
#include "slipway/util/rng.h"

#define DEVICE_IMAGE_MAX 262144

struct device {
    struct rng rng;
    unsigned loss; /* per cent of chunks and of their acknowledgements */
    uint32_t file_bytes, chunk_bytes, offset, count, cumulative;
    bool has[DEVICE_IMAGE_MAX / 512 + 1];
    uint8_t image[DEVICE_IMAGE_MAX];
    uint16_t id; /* of its own messages */
    uint8_t start_token, finish_token;
    bool is_legacy, is_started, is_finished, is_applied;
    unsigned chunks, starts, finishes, since_ack;
    uint16_t commit_id;
    const char *start_error; /* JSON of a refusal of UpdateStart, NULL = accept */
    const char *finish_error;
    unsigned legacy_forgets; /* chunks that it loses at first, or, slow, finds damaged */
    bool is_slow;            /* legacy: takes no fast OTA */
    uint32_t slow_next;      /* the chunk that it expects */
};

/* Answers everything in p->replies, and what the server sends to that, until both are silent.
 * Events of all those calls are left in *events (as many as fit). */
struct device_log {
    size_t count;
    struct session_event events[64];
};
void device_answer(struct device *d, struct peer *p, struct device_log *log);
/* Time passes, until `until` is reached or a commit was reported. */
void device_run(struct device *d, struct peer *p, mono_time until, struct device_log *log);
const struct session_event *device_event(const struct device_log *log, enum session_transfer step);

#endif
