/* The sending side of the Device OS OTA protocol version 3, as a pure machine: it says which chunk
 * to send when, and learns from the device's acknowledgements. It knows no CoAP and no sockets; the
 * session turns its actions into messages. One machine for each running transfer.
 *
 *   STARTING --accepted--> SENDING --all acknowledged--> FINISHING --2.04--> COMMITTED
 *       \--refused / error / silence--------> FAILED <-----/ */
#ifndef SLIPWAY_OTA_OTA_H
#define SLIPWAY_OTA_OTA_H

#include "slipway/util/error.h"
#include "slipway/util/fsm.h"
#include "slipway/util/span.h"
#include "slipway/util/time.h"

#define OTA_CHUNK_MIN  512
#define OTA_CHUNK_MAX  1136
#define OTA_RATE_MIN   256 /* so that a slow transfer is never mistaken for a dead one */
#define OTA_WINDOW_MAX 256 /* chunks that the device can track beyond its cumulative one */

enum ota_state { OTA_STARTING, OTA_SENDING, OTA_FINISHING, OTA_COMMITTED, OTA_FAILED, OTA_STATES };

extern const struct fsm ota_fsm;

struct ota_params {
    uint32_t file_bytes;      /* > 0 */
    uint16_t chunk_bytes;     /* 512..1136, a multiple of 4 */
    uint32_t rate_bytes_s;    /* pacing, at least OTA_RATE_MIN; 0 = none */
    uint16_t outstanding_max; /* chunks in flight; 0 = 32, and up to 96 for a distant device */
};

#define OTA_ERROR_DISABLED (-1380) /* the device's code for: its application lets no update in */

/* What ended a transfer; also the reason recorded with the update. */
enum ota_failure {
    OTA_FAILURE_NONE,
    OTA_FAILURE_DISABLED,  /* not a failure of the device; wait for updates/enabled */
    OTA_FAILURE_REFUSED,   /* UpdateStart answered with another error */
    OTA_FAILURE_REJECTED,  /* UpdateFinish answered with an error: validation */
    OTA_FAILURE_RESET,     /* the device sent RST for a chunk */
    OTA_FAILURE_TIMEOUT,   /* silence */
    OTA_FAILURE_PROTOCOL,  /* acknowledged what was never sent, window of 0, offset past the end */
    OTA_FAILURE_CANCELLED, /* by us */
    OTA_FAILURE_RESTARTED, /* the device came back in mid-transfer: offer again, it resumes */
    OTA_FAILURES
};
const char *ota_failure_name(enum ota_failure failure);

struct ota {
    uint8_t state; /* enum ota_state; only ota.c writes it */
    uint8_t failure;
    int32_t device_error; /* the device's own code, e.g. -1330; 0 = none */
    struct ota_params params;
    uint32_t offset;      /* where the device resumed */
    uint32_t chunk_count; /* chunks from the offset to the end */
    uint32_t cumulative;  /* chunks 1..cumulative are with the device */
    uint32_t next_new;    /* the next chunk never sent */
    uint16_t window;      /* announced by the device, at most OTA_WINDOW_MAX */
    uint8_t strange;      /* acknowledgements that made no sense */
    bool is_finish_sent;
    /* Congestion, round-trip time and pacing: private to src/ota. Chunk i is at i % OTA_WINDOW_MAX.
     */
    struct {
        struct ota_slot {
            uint32_t sent_us; /* when last sent, since `start`, modulo 2^32 */
            uint32_t order;   /* its transmission's number, counted over all chunks */
            uint8_t state;    /* enum ota_slot_state */
            uint8_t tries;    /* transmissions, saturating */
            uint8_t passed;   /* later transmissions that arrived before it */
        } slots[OTA_WINDOW_MAX];
        uint32_t flight, lost;                  /* slots in each of these states */
        uint32_t cwnd, ssthresh;                /* chunks */
        uint32_t grown;                         /* acknowledged since cwnd last grew by one */
        uint32_t round_acked, round_lost;       /* since the last look at the loss rate */
        uint32_t timeouts;                      /* in a row */
        bool is_bursting;                       /* new chunks go out until the window is full */
        int64_t srtt_us, rttvar_us, rtt_min_us; /* srtt 0 = not yet measured */
        mono_time start, progress, pace;
        mono_time timer;    /* retransmission; MONO_NEVER = nothing in flight */
        mono_time deadline; /* when this state gives up */
    } c;
    uint64_t chunks_sent, chunks_resent; /* sent: for the first time */
};

enum ota_action {
    OTA_WAIT,        /* nothing now; call again at .deadline or after an input */
    OTA_SEND_CHUNK,  /* .index (1-based), .at and .len: bytes of the file */
    OTA_HELD,        /* a chunk is due and may not go: call again when it may, or at .deadline */
    OTA_SEND_FINISH, /* send UpdateFinish (once; the session's CoAP layer retransmits) */
    OTA_ENDED        /* COMMITTED or FAILED */
};

struct ota_output {
    enum ota_action action;
    uint32_t index;
    uint32_t at, len;
    mono_time deadline; /* with OTA_WAIT and OTA_HELD */
};

/* The session has sent UpdateStart. SW_E_RANGE on bad parameters. */
int ota_begin(struct ota *ota, const struct ota_params *params, mono_time now) SW_NODISCARD;
/* 2.01 with Window-Size and File-Size (the resume offset). */
void ota_accepted(struct ota *ota, uint32_t window, uint32_t offset, mono_time now);
/* How long the device took to acknowledge UpdateStart: a first idea of the round trip. */
void ota_measured(struct ota *ota, int64_t rtt_us);
/* An error response to UpdateStart or UpdateFinish, with the device's code (0 if none). */
void ota_refused(struct ota *ota, int32_t device_error, mono_time now);
/* UpdateAck. Nonsense in it fails the transfer (PROTOCOL) or is ignored, never believed. */
void ota_acked(struct ota *ota, uint32_t cumulative, struct span bitmap, mono_time now);
/* 2.04 to UpdateFinish: the caller acknowledges it *after* the commit is durable. */
void ota_finished(struct ota *ota, mono_time now);
/* RST for a chunk, or the session's CoAP layer gave up. */
void ota_aborted(struct ota *ota, enum ota_failure failure, mono_time now);
/* What to do now. Call until OTA_WAIT, OTA_HELD or OTA_ENDED; a returned chunk counts as sent.
 * may_send: whether a chunk may go out, should one be due. */
void ota_next(struct ota *ota, mono_time now, bool may_send, struct ota_output *out);
/* Bytes of the file that the device has for certain. */
uint32_t ota_progress(const struct ota *ota);

#endif
