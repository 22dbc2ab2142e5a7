/* Store jobs of the gateway. Each carries copies of everything it needs: its run is called on the
 * writer's (or a reader's) thread, which sees nothing else of the gateway. */
#ifndef SLIPWAY_GATEWAY_JOBS_H
#define SLIPWAY_GATEWAY_JOBS_H

#include "gateway/table/table.h"
#include "gateway/update/images.h"

#include "slipway/app/device.h"
#include "slipway/dtls/handshake.h"

enum gateway_job_kind {
    /* reports of a device: the plan comes back, the ticket is confirmed */
    JOB_HELLO,
    JOB_DESCRIBE,
    JOB_RESUMED,
    JOB_UPDATES,
    JOB_PUBLISH,
    JOB_GOODBYE,
    JOB_SUBSCRIBE, /* prefix in tail */
    JOB_ONLINE,
    JOB_PLAN,
    /* its transfer */
    JOB_MOVE,
    JOB_PROGRESS,
    JOB_ENDED,
    /* sessions at rest, and at their end */
    JOB_SAVE,
    JOB_FORGET,
    JOB_LEFT, /* the device has no session any more: it is offline */
    /* the gateway's own */
    JOB_OFFLINE_ALL,
    JOB_EXPIRE,
    JOB_DOUBLED,     /* two devices have one id */
    JOB_RESTORE,     /* on a reader */
    JOB_CANDIDATES,  /* on a reader */
    JOB_INTERRUPTED, /* on a reader */
    JOB_IMAGE,       /* on a reader */
    JOB_SUBSCRIBERS, /* on a reader: whom to send an event that was published */
    JOB_PSK          /* on a reader: the key of a client whose handshake waits for it */
};
#define JOB_KINDS (JOB_PSK + 1)

struct restored {
    struct session session;
    struct app_proof proof;
    bool is_cellular;
};

/* A session sealed for the store. */
#define SEALED_MAX (3 + P256_POINT_BYTES + SESSION_STORED_MAX + SEAL_OVERHEAD)
struct sealed {
    uint8_t cid[APP_CID_BYTES];
    struct device_id device;
    uint16_t len;
    uint8_t bytes[SEALED_MAX];
};
#define SAVES_MAX 32

struct gateway_job {
    struct store_job job; /* first */
    void *ctx;            /* of the ports */
    enum gateway_job_kind kind;
    uint32_t seat; /* SEAT_NONE: of no session */
    uint32_t ticket;
    bool is_called; /* PLAN: from a lane, for a transfer slot */
    wall_time wall;
    struct device_id device;
    struct app_plan plan; /* out */
    union {
        struct app_hello hello;
        struct {
            uint8_t kind;
            uint16_t content_format;
        } describe; /* bytes in tail */
        struct {
            struct app_proof proof;
            char address[ADDRESS_BYTES];
            bool is_reconnected;
        } resumed;
        struct {
            bool is_forced, value;
        } updates;
        struct {
            size_t name_len;
        } publish; /* name and data in tail */
        struct app_goodbye goodbye;
        bool is_online;
        enum update_cause cause;
        struct app_move move;
        struct {
            int64_t update_id;
            enum ota_failure failure;
            int32_t device_error;
            uint32_t progress;
        } ended; /* PROGRESS too */
        struct {
            struct session_reserve granted;
            bool is_last; /* a clean stop: exact state */
            uint32_t count;
            struct sealed *items; /* in the tail */
        } save;
        uint8_t cid[APP_CID_BYTES];
        struct {
            bool is_proved; /* else it is still to be seen whether the proof is the device's */
            struct app_proof proof;
        } left;
        struct {
            const uint8_t *seal_key; /* the gateway's, which outlives the job */
            mono_time now;
            struct restored *items; /* out; malloc'ed */
            size_t count, cap;
            uint32_t max, unreadable;
        } restore;
        struct {
            uint16_t product_id;     /* CANDIDATES; INTERRUPTED looks at the devices in the tail */
            struct device_id *items; /* out; malloc'ed */
            size_t count, cap;
        } candidates;
        struct {
            int64_t event_id;
            struct app_delivery *found; /* out; malloc'ed, as are its ids */
        } subscribers;
        struct {
            int64_t id;
            struct image_slot *slot;
            struct app_image image; /* out */
        } image;
        struct {
            uint32_t half, serial;
            uint8_t identity_len;
            uint8_t identity[DTLS_PSK_IDENTITY_MAX];
            struct app_psk found; /* out */
        } psk;
    } u;
    size_t tail_len;
    uint8_t *tail; /* behind the struct, aligned for anything */
};

/* A blank job with room for a tail; NULL without memory. */
struct gateway_job *job_new(enum gateway_job_kind kind, size_t tail_len);
void job_free(struct gateway_job *job);

#endif
