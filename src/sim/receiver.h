/* The receiving side of the Device OS OTA protocol version 3, as a device has it: chunks in any
 * order into flash, a window, acknowledgements, and a partial transfer that survives. Pure; the
 * flash is the caller's memory. */
#ifndef SLIPWAY_SIM_RECEIVER_H
#define SLIPWAY_SIM_RECEIVER_H

#include "slipway/crypto/hash.h"
#include "slipway/util/span.h"
#include "slipway/util/time.h"

#define RECEIVER_WINDOW_BYTES 131072
#define RECEIVER_WINDOW_MAX   256
#define RECEIVER_CHUNK_MIN    512
#define RECEIVER_CHUNK_MAX    1136
#define RECEIVER_BITMAP_BYTES (RECEIVER_WINDOW_MAX / 8)
#define RECEIVER_ACK_MS       200
#define RECEIVER_SILENCE_MS   300000
#define RECEIVER_SYNC_MS      30000

/* Device OS system errors, as they go into error responses. */
enum sim_error {
    SIM_ERROR_TOO_LARGE = -190,
    SIM_ERROR_INVALID_STATE = -210,
    SIM_ERROR_PROTOCOL = -240,
    SIM_ERROR_INTEGRITY = -1330,
    SIM_ERROR_RESUMED = -1331,
    SIM_ERROR_SIZE = -1351,
    SIM_ERROR_PLATFORM = -1360,
    SIM_ERROR_DISABLED = -1380
};
const char *sim_error_text(int error);

/* What stays through resets: where chunks go, and how far a transfer got. */
struct sim_flash {
    uint8_t *data; /* the caller's */
    size_t cap;
    bool has_partial;
    struct sha256 hash;   /* of the file that the partial transfer belongs to */
    uint32_t file_bytes;  /* its length */
    uint32_t kept_bytes;  /* contiguous from its start */
    uint32_t saved_bytes; /* of those, what also survives a loss of power */
};

struct receiver_request { /* the options of UpdateStart */
    uint32_t file_bytes;
    uint32_t chunk_bytes;
    bool has_hash;
    struct sha256 hash;
    bool discard;
    bool is_asset; /* Module-Function 9 */
};

struct receiver {
    bool is_running;
    bool has_hash;
    struct sha256 hash;
    uint32_t file_bytes, offset;
    uint32_t chunk_bytes, chunk_count;
    uint32_t cumulative;                 /* chunks 1..cumulative are in flash */
    uint32_t window;                     /* chunks */
    uint32_t ahead;                      /* chunks beyond the cumulative one */
    uint8_t have[RECEIVER_BITMAP_BYTES]; /* ring: bit (index - 1) % window */
    uint32_t unacked;
    mono_time chunk_at; /* last chunk */
    mono_time silence_at, sync_at;
    uint32_t received, duplicates, out_of_order, acks;
};

/* 0, or SIM_ERROR_PROTOCOL for options that no server may send. */
int receiver_check(const struct receiver_request *request);
/* 0, or why not (SIM_ERROR_SIZE). Cancels what was running; resumes when file and hash agree. */
int receiver_start(struct receiver *receiver, struct sim_flash *flash,
                   const struct receiver_request *request, mono_time now);
/* Ends it; what is contiguous stays in flash unless discarded. */
void receiver_stop(struct receiver *receiver, struct sim_flash *flash, bool discard);

enum receiver_verdict {
    RECEIVER_NOTHING,
    RECEIVER_ACK,  /* acknowledge now */
    RECEIVER_RESET /* an index or size that is impossible */
};
enum receiver_verdict receiver_chunk(struct receiver *receiver, struct sim_flash *flash,
                                     uint32_t index, struct span data, mono_time now);
/* Chunk-Index and bitmap of an acknowledgement that is being sent. Returns the bitmap's bytes. */
size_t receiver_ack(struct receiver *receiver, uint8_t bitmap[RECEIVER_BITMAP_BYTES]);
/* Whether the idle loop owes an acknowledgement now. */
bool receiver_ack_due(const struct receiver *receiver, mono_time now);
bool receiver_is_silent(const struct receiver *receiver, mono_time now);
/* Makes progress survive a loss of power, every 30 s. */
void receiver_sync(struct receiver *receiver, struct sim_flash *flash, mono_time now);
mono_time receiver_deadline(const struct receiver *receiver);
bool receiver_is_complete(const struct receiver *receiver);
uint32_t receiver_bytes(const struct receiver *receiver);

#endif
