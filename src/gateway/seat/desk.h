/* What only an active session needs: the session's working part, datagrams held until sequence
 * numbers are reserved, its transfer, wishes and requests that wait. Lent from a pool. */
#ifndef SLIPWAY_GATEWAY_SEAT_DESK_H
#define SLIPWAY_GATEWAY_SEAT_DESK_H

#include "gateway/table/table.h"
#include "gateway/update/images.h"

#include "slipway/app/device.h"
#include "slipway/gateway/core.h"
#include "slipway/session/session.h"

#define HELD_MAX     64   /* datagrams for one session: acknowledgements are many and small */
#define HELD_BYTES   5600 /* of all of them */
#define REQUESTS_MAX 4    /* of REST clients to one device */

/* How far the transfer of this session is; the update's own states follow on disk. */
enum transfer_step {
    TRANSFER_NONE,
    TRANSFER_LOADING, /* the image is being read */
    TRANSFER_RUNNING, /* offered, and on */
    TRANSFER_ENDING   /* it failed or was cancelled, and the store does not know yet */
};

struct transfer {
    enum transfer_step step;
    struct app_offer offer;
    struct image_slot *image;  /* in use until the transfer is over */
    enum update_state stored;  /* as the store has it */
    enum update_state reached; /* as the device has it */
    bool is_moving;            /* a job that brings `stored` nearer to `reached` is in flight */
    uint32_t ticket;           /* of the device's 2.04, which waits for REBOOTING to be stored */
    enum ota_failure failure;  /* ENDING */
    int32_t device_error;
    uint32_t progress, progress_stored; /* bytes */
    mono_time progress_due;
    mono_time retry; /* of a job that could not be submitted or failed */
};

struct held {
    gateway_path path;
    uint16_t len;
    struct address from;
    uint8_t bytes[];
};

struct request {
    bool is_used;
    uint8_t kind; /* enum gateway_command_kind */
    uint64_t id;  /* the caller's */
    uint32_t request;
    mono_time deadline;
};

/* At a device that may not be heard after a crash. */
struct knock {
    bool is_on, is_waiting; /* for numbers to be reserved */
    gateway_path path;
    struct address to;
    uint8_t tries; /* at that address */
    uint8_t owed;  /* datagrams from there that no knock has answered yet */
    mono_time due;
};

/* Which messages of its device were acknowledged, so that their repetitions are not taken for new
 * ones: 60 bytes instead of a desk for the minutes in which they may come. On the heap. */
struct trace {
    mono_time until;
    size_t len;
    uint8_t bytes[];
};

struct desk {
    struct session_work work;
    uint32_t number;
    uint32_t seat;
    uint32_t held_count, held_bytes;
    struct held *held[HELD_MAX]; /* heap */
    struct transfer transfer;
    uint8_t wish_pending, wish_forced; /* enum app_tell: not yet told */
    struct knock knock;
    struct request requests[REQUESTS_MAX];
};

#endif
