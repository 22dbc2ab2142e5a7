/* The device's side: what it reports, what it is due, and how its update goes on. Called by the
 * gateway in write jobs; reports are acknowledged to the device only after the job is durable. */
#ifndef SLIPWAY_APP_DEVICE_H
#define SLIPWAY_APP_DEVICE_H

#include "slipway/app/proof.h"
#include "slipway/ota/ota.h"

struct app_hello {
    struct device_id id;
    struct app_proof proof; /* of the handshake */
    uint16_t product_id;
    uint16_t product_version; /* VERSION_NONE = none */
    uint16_t flags;           /* of the Hello */
    uint16_t platform_id;
    uint16_t system_version;
    uint16_t message_max;
    uint32_t binary_max;
    uint16_t chunk_bytes;
    char address[ADDRESS_BYTES]; /* the peer's, without its port */
};

enum app_verdict {
    APP_VERDICT_KNOWN,       /* serve it */
    APP_VERDICT_QUARANTINED, /* recorded for an operator; serve it nothing */
    APP_VERDICT_WRONG_KEY,   /* the id is bound to another proof: recorded; serve it nothing */
    APP_VERDICT_DENIED       /* an operator said no, or the record is full; serve it nothing */
};

enum app_tell { APP_TELL_NOTHING, APP_TELL_FALSE, APP_TELL_TRUE };

/* One transfer to make. What session_offer needs besides the bytes, and what the Hello told. */
struct app_offer {
    int64_t update_id;
    int64_t image_id; /* for app_image_load */
    uint16_t version; /* of the update's target; 0 = a one-off file */
    uint32_t size;
    struct sha256 file_hash;
    bool discard; /* the last transfer left bad data behind */
    bool is_asset;
};

/* What to do with a device now. */
struct app_plan {
    enum app_verdict verdict; /* nothing else counts unless KNOWN */
    uint16_t product_id;
    bool has_offer;
    struct app_offer offer;
    enum app_tell pending; /* tell it particle/device/updates/pending */
    enum app_tell forced;  /* TRUE: tell it forced and wait for the echo, then plan again */
    bool wants_describe;   /* ask it for its system Describe: what it reports decides */
    bool has_looked;       /* at all that decides: what the next two say counts */
    int64_t open_update;   /* a transfer of any other must be cancelled; 0 = none is open */
    int64_t due_image; /* what is to be sent next, now or later: what the device holds of another
                          image will never be of use; 0 = nothing */
    /* Why there is no offer: "" or a word: up_to_date, quarantined, denied, development,
     * no_release, updates_disabled, waiting_for_force, rebooting, in_progress, attempts,
     * retry_later, device_os, platform, too_large, compressed, encrypted, image_missing,
     * not_described, protocol. */
    char blocked_by[24];
    char sentence[SENTENCE_BYTES];
    int64_t retry_ms; /* wall time from which planning again may help; 0 = on an event only */
};

/* Reports. Each is one transaction and leaves the plan that follows from it.
 *   SW_E_NOT_FOUND  the device was removed meanwhile: plan->verdict says QUARANTINED; forget it */
int app_device_hello(struct app_tx *tx, const struct app_hello *hello,
                     struct app_plan *plan) SW_NODISCARD;
/* kind: 1 system (protobuf for content format 42, else JSON), 2 application (JSON), 3 both in one
 * (JSON, Device OS 3.0 to 3.2), 4 metrics.
 * Bytes that cannot be decoded are kept as they are, unused: the device must not repeat them for
 * ever; an event says so. */
int app_device_describe(struct app_tx *tx, const struct device_id *id, unsigned kind,
                        unsigned content_format, struct span bytes,
                        struct app_plan *plan) SW_NODISCARD;
/* The first authentic word of a session that slept or moved. proof: the session's, or NULL when it
 * is not kept: then APP_NOTICE_FORGET alone ends the sessions of a key that was replaced.
 * is_reconnected: in a connection of its own, for which it may have restarted; else perhaps only
 * from another address. */
int app_device_resumed(struct app_tx *tx, const struct device_id *id, const struct app_proof *proof,
                       const char *address, bool is_reconnected,
                       struct app_plan *plan) SW_NODISCARD;
/* particle/device/updates/enabled or, with is_forced, .../forced. */
int app_device_updates(struct app_tx *tx, const struct device_id *id, bool is_forced, bool value,
                       struct app_plan *plan) SW_NODISCARD;
/* Any other event. Names that only the server may speak (spark/status ...) are dropped, SW_OK. */
int app_device_published(struct app_tx *tx, const struct device_id *id, struct span name,
                         struct span data, struct app_plan *plan) SW_NODISCARD;
/* It wants the events whose names begin so, until its next Hello. At most APP_SUBSCRIPTIONS_MAX of
 * a device are kept; SW_OK also for those that are not. */
#define APP_SUBSCRIPTIONS_MAX 32
int app_device_subscribed(struct app_tx *tx, const struct device_id *id,
                          struct span prefix) SW_NODISCARD;
/* It leaves on purpose: offline at once, and an event says why. Numbers are Device OS's own. */
struct app_goodbye {
    uint32_t cloud_reason;   /* 0 = not told, as are the others */
    uint32_t reset_reason;   /* it restarts */
    uint32_t sleep_s;        /* it sleeps for so long */
    uint32_t network_reason; /* why its network ended */
};
int app_device_goodbye(struct app_tx *tx, const struct device_id *id,
                       const struct app_goodbye *goodbye) SW_NODISCARD;
/* The gateway's view of its presence; appends spark/status when it changed. */
int app_device_online(struct app_tx *tx, const struct device_id *id, bool is_online) SW_NODISCARD;
/* Its session is over: offline, if the proof is its own (NULL: it was found to be). */
int app_device_left(struct app_tx *tx, const struct device_id *id,
                    const struct app_proof *proof) SW_NODISCARD;
/* Another device with its id and key speaks, from that address: an event says so. */
int app_device_doubled(struct app_tx *tx, const struct device_id *id,
                       const char *address) SW_NODISCARD;
/* Once at the gateway's start: nobody is online yet. An event of each product says how many were.
 */
int app_devices_offline(struct app_tx *tx) SW_NODISCARD;

/* What is it due now? Opens, supersedes or cancels its one open update as the rules say.
 * RULES: at a session's start, IMMEDIATE: an immediate release or a flash asks. */
int app_device_plan(struct app_tx *tx, const struct device_id *id, enum update_cause cause,
                    struct app_plan *plan) SW_NODISCARD;
/* For a reader, before an immediate release's rounds: calls found for every online device of the
 * product whose target differs from what it runs. found returns false to stop. */
int app_plan_candidates(struct app_tx *tx, uint16_t product_id,
                        bool (*found)(void *arg, const struct device_id *id),
                        void *arg) SW_NODISCARD;

/* The transfer's steps: planned -> offered -> sending -> verifying -> rebooting. SW_E_CONFLICT: the
 * update is not in `from` (it was cancelled or superseded): stop the transfer. */
struct app_move {
    int64_t update_id;
    enum update_state from, to;
    const char *reason;   /* a word, or NULL */
    int32_t device_error; /* 0 = none */
    uint32_t progress;    /* bytes that the device has for certain */
};
int app_update_move(struct app_tx *tx, const struct app_move *move) SW_NODISCARD;
/* Only the figure, while SENDING; at most every few seconds. */
int app_update_progress(struct app_tx *tx, int64_t update_id, uint32_t progress) SW_NODISCARD;
/* The transfer ended without a commit. Decides whether it spends an attempt (the device's fault),
 * waits (updates disabled) or is simply due again (silence, our own shedding); leaves the next
 * plan, whose retry_ms may lie ahead. SW_E_CONFLICT: not in a transfer any more. */
int app_update_ended(struct app_tx *tx, int64_t update_id, enum ota_failure failure,
                     int32_t device_error, uint32_t progress, struct app_plan *plan) SW_NODISCARD;
/* Updates past their deadline: a device that never came back after it committed. Call it every
 * minute or so. *count: how many ended. */
int app_updates_expire(struct app_tx *tx, uint32_t *count) SW_NODISCARD;
/* Forgets ended updates that are past the limits of the options, some at a time. Call it every
 * minute or so. *count: how many. */
int app_updates_prune(struct app_tx *tx, uint32_t *count) SW_NODISCARD;

/* For a reader: an event that was published, and the online devices that asked for its like. ids is
 * malloc'ed and the caller's. SW_E_NOT_FOUND: it is gone. */
#define APP_SUBSCRIBERS_MAX 100000
struct app_delivery {
    char name[EVENT_NAME_BYTES];
    char data[EVENT_DATA_BYTES];
    size_t data_len;
    struct device_id *ids;
    size_t count;
};
int app_subscribers(struct app_tx *tx, int64_t event_id, struct app_delivery *out) SW_NODISCARD;

/* The bytes of an image, for the gateway's cache. *out is malloc'ed and the caller's. The hash is
 * checked on the way. SW_E_NOT_FOUND. For a reader. */
struct app_image {
    uint8_t *bytes;
    size_t size;
    struct sha256 file_hash;
};
int app_image_load(struct app_tx *tx, int64_t image_id, struct app_image *out) SW_NODISCARD;

/* Sessions at rest: sealed by the gateway, opaque here. The connection id is the key. */
#define APP_CID_BYTES 8
int app_session_save(struct app_tx *tx, const uint8_t cid[APP_CID_BYTES],
                     const struct device_id *device, struct span sealed) SW_NODISCARD;
int app_session_forget(struct app_tx *tx, const uint8_t cid[APP_CID_BYTES]) SW_NODISCARD;
/* For a reader: every stored session, most recently saved first. each returns false to stop. */
typedef bool app_session_fn(void *arg, const uint8_t cid[APP_CID_BYTES],
                            const struct device_id *device, struct span sealed);
int app_session_each(struct app_tx *tx, app_session_fn *each, void *arg) SW_NODISCARD;

#endif
