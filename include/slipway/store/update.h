/* Rows of updates, their history and the count of failed attempts. Conventions as in
 * store/catalog.h. */
#ifndef SLIPWAY_STORE_UPDATE_H
#define SLIPWAY_STORE_UPDATE_H

#include "slipway/store/record.h"
#include "slipway/store/store.h"

/* Opens it as PLANNED, with the first line of its history; sets update->id. SW_E_EXISTS: the device
 * has an open one, somebody else decided first. created_ms is the time. */
int store_update_insert(struct store *store, struct update *update,
                        struct fault *fault) SW_NODISCARD;
int store_update_get(struct store *store, int64_t id, struct update *out,
                     struct fault *fault) SW_NODISCARD;
int store_update_open(struct store *store, int64_t device_num, struct update *out,
                      struct fault *fault) SW_NODISCARD;
int store_update_last(struct store *store, int64_t device_num, struct update *out,
                      struct fault *fault) SW_NODISCARD;

/* Lines of history that are kept of one update: its first, and its last ones. */
#define UPDATE_HISTORY_MAX 256

/* One step of the machine, with its line of history: only if the row is in `from`, which must allow
 * `to` (the caller's business to have checked). SW_E_CONFLICT: it is not, or is gone. */
struct store_move {
    int64_t id;
    enum update_state from, to;
    const char *reason; /* never NULL */
    int32_t device_error;
    uint32_t progress_bytes;
    int64_t deadline_ms; /* 0 = none */
    bool discard;
    int64_t now_ms;
};
int store_update_move(struct store *store, const struct store_move *move,
                      struct fault *fault) SW_NODISCARD;
/* What is sent next towards the same target. */
int store_update_step(struct store *store, int64_t id, const struct image_record *step,
                      int64_t now_ms, struct fault *fault) SW_NODISCARD;
int store_update_cause(struct store *store, int64_t id, enum update_cause cause,
                       struct fault *fault) SW_NODISCARD;
int store_update_progress(struct store *store, int64_t id, uint32_t bytes, int64_t now_ms,
                          struct fault *fault) SW_NODISCARD;

struct store_update_filter {
    uint16_t product_id;
    int64_t device_num; /* 0 = all of the product */
    int state;          /* -1 = all */
    uint16_t version;   /* 0 = all */
    bool open_only;
    int64_t before_id; /* 0 = from the newest */
    uint32_t max;
};
int store_update_list(struct store *store, const struct store_update_filter *filter,
                      struct update **items, size_t *count, struct fault *fault) SW_NODISCARD;
int store_update_history(struct store *store, int64_t id, struct update_step **items, size_t *count,
                         struct fault *fault) SW_NODISCARD;
/* No deadline lies further ahead than that. */
int store_update_limit_deadlines(struct store *store, int64_t latest_ms,
                                 struct fault *fault) SW_NODISCARD;
/* A bounded number of those past their deadline, whose device is offline or came back since. While
 * it goes on in the session in which it committed, it only puts its restart off. */
int store_update_expired(struct store *store, int64_t now_ms, struct update **items, size_t *count,
                         struct fault *fault) SW_NODISCARD;
/* Deletes ended updates with their history: those that are not among the `rows_max` newest of all,
 * or ended before `before_ms`, but never the `device_keep` newest of a device. Looks at `look_max`
 * rows from *cursor on, which moves along and starts again at the end (0). */
struct store_update_prune {
    uint64_t rows_max;
    int64_t before_ms;
    uint32_t device_keep; /* at least 1 */
    uint32_t look_max;    /* at least 1 */
};
int store_update_prune(struct store *store, const struct store_update_prune *limits,
                       int64_t *cursor, uint32_t *count, struct fault *fault) SW_NODISCARD;
/* Those that were being sent or applied: after a crash nobody sends them. */
int store_update_in_transit(struct store *store, struct update **items, size_t *count,
                            struct fault *fault) SW_NODISCARD;

struct store_attempt {
    uint32_t failures;
    char reason[REASON_BYTES];
    int64_t next_ms; /* not before */
};
int store_attempt_get(struct store *store, int64_t device_num, int64_t image_id,
                      struct store_attempt *out, struct fault *fault) SW_NODISCARD;
int store_attempt_put(struct store *store, int64_t device_num, int64_t image_id,
                      const struct store_attempt *attempt, struct fault *fault) SW_NODISCARD;
/* All of one device, or all with one image: a new chance. */
int store_attempt_clear_device(struct store *store, int64_t device_num,
                               struct fault *fault) SW_NODISCARD;
int store_attempt_clear_image(struct store *store, int64_t image_id,
                              struct fault *fault) SW_NODISCARD;

#endif
