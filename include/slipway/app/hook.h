/* Webhooks: who is told of which events, and how their deliveries went. Sending is the hook
 * module's; here is what it finds to send and where it says what became of it. */
#ifndef SLIPWAY_APP_HOOK_H
#define SLIPWAY_APP_HOOK_H

#include "slipway/app/app.h"
#include "slipway/store/hook.h"

#define HOOKS_MAX          100 /* of one product */
#define HOOK_SECRET_MIN    16
#define HOOK_SECRET_DIGITS 64  /* of one that is made here */
#define HOOK_CHUNK_BYTES   512 /* of an answer in one event */

/* A webhook with what is stored sealed: both are empty, and it is disabled, when this server's key
 * does not open them. */
struct app_hook {
    struct hook row;
    char secret[HOOK_SECRET_BYTES];
    char spec[HOOK_SPEC_BYTES]; /* a JSON object: headers, query, json, form, body, auth, ... */
};

/* NULL or unset fields stay as they are; those of a new hook that are not set get defaults. */
struct app_hook_edit {
    const char *name;
    const char *event;  /* required for a new one: what the names of events begin with */
    const char *url;    /* required for a new one: http or https */
    const char *method; /* GET, POST, PUT, DELETE */
    const char *spec;   /* a JSON object */
    const char *secret; /* HOOK_SECRET_MIN bytes or more; default random */
    bool has_device;    /* device below is meant; NULL = every device */
    const struct device_id *device;
    bool has_disabled, is_disabled; /* enabling it again forgets its failures */
    /* What the caller made spec of; SW_E_CONFLICT if that was changed since. NULL: whatever is
     * there. */
    const struct app_hook *seen;
};
/* product_id 0 = events of every product. SW_E_RANGE also when there are HOOKS_MAX already. */
int app_hook_create(struct app_tx *tx, uint16_t product_id, const struct app_hook_edit *edit,
                    struct app_hook *out) SW_NODISCARD;
/* NOT_FOUND, also when it is another product's. */
int app_hook_get(struct app_tx *tx, uint16_t product_id, const char *uid,
                 struct app_hook *out) SW_NODISCARD;
int app_hook_edit(struct app_tx *tx, uint16_t product_id, const char *uid,
                  const struct app_hook_edit *edit, struct app_hook *out) SW_NODISCARD;
int app_hook_delete(struct app_tx *tx, uint16_t product_id, const char *uid) SW_NODISCARD;

struct hook_list {
    struct app_hook *items; /* free() */
    size_t count;
};
int app_hook_list(struct app_tx *tx, uint16_t product_id, struct hook_list *out) SW_NODISCARD;

/* How its newest deliveries went, the last one first. */
struct hook_log_list {
    struct hook_log *items; /* free() */
    size_t count;
};
int app_hook_log(struct app_tx *tx, int64_t hook_id, bool is_failed,
                 struct hook_log_list *out) SW_NODISCARD;
/* Queues an event "hook-test/..." for this hook alone. SW_E_STATE: it is disabled. */
int app_hook_test(struct app_tx *tx, uint16_t product_id, const char *uid, const char *data,
                  const char *user) SW_NODISCARD;

/* --- for the sender --- */

/* Up to max ids of hooks with something to send now, and when the next of the others may be tried
 * (INT64_MAX = none waits). */
struct app_hook_ready {
    uint32_t max;
    int64_t *ids;
    size_t count;
    int64_t next_ms;
};
int app_hook_ready(struct app_tx *tx, struct app_hook_ready *ready) SW_NODISCARD;

struct app_hook_job {
    struct app_hook hook;
    struct store_delivery delivery;
};
/* The oldest thing to send for a hook: the order of events is kept. NOT_FOUND: nothing, by now. */
int app_hook_job(struct app_tx *tx, int64_t hook_id, struct app_hook_job *out) SW_NODISCARD;

struct app_hook_outcome {
    int64_t hook_id, delivery_id;
    bool is_sent;
    bool is_final;   /* trying again would not help */
    uint16_t status; /* of the answer; 0 = there was none */
    char reason[REASON_BYTES];
    /* What the events that tell of it are called; NULL = hook-response/NAME, hook-error/NAME. */
    const char *topic, *error_topic;
    /* Told in events of HOOK_CHUNK_BYTES; NULL = nothing. For a failure, its reason is told. */
    const char *answer;
    size_t answer_len;
    bool was_disabled; /* out: the hook failed for too long */
};
/* Writes down what became of deliveries, with the events hook-sent/NAME, hook-response/NAME/0 and
 * so on, hook-error/NAME/0. These are not offered to webhooks. */
struct app_hook_outcomes {
    struct app_hook_outcome *items;
    size_t count;
};
int app_hook_settle(struct app_tx *tx, struct app_hook_outcomes *outcomes) SW_NODISCARD;

#endif
