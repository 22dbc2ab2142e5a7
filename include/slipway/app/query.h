/* Questions that only we answer: which rule decided and why, what blocks a device now, how its
 * updates went. For readers. */
#ifndef SLIPWAY_APP_QUERY_H
#define SLIPWAY_APP_QUERY_H

#include "slipway/app/fleet.h"
#include "slipway/rules/decision.h"

struct app_decision {
    struct decision decision; /* .group points to group below */
    char group[GROUP_NAME_BYTES];
    uint16_t running_version;
    char blocked_by[24];           /* "" = nothing; words as in struct app_plan */
    char sentence[SENTENCE_BYTES]; /* why, when blocked */
    int64_t retry_ms;              /* next attempt not before; 0 = none planned */
    bool has_update;               /* the open one, else the last one */
    struct update update;
};
int app_decision(struct app_tx *tx, const struct device_id *id,
                 struct app_decision *out) SW_NODISCARD;
/* The groups of a device, and the version that they and the product's default give
 * (targeted_firmware_release_version). *set is borrowed until the next call or the view's end. */
int app_device_released(struct app_tx *tx, const struct device *device,
                        const struct group_set **set, uint16_t *version) SW_NODISCARD;

struct app_update_query {
    uint16_t product_id;
    const struct device_id *device; /* NULL = all */
    int state;                      /* enum update_state, or -1 */
    uint16_t version;               /* 0 = all */
    bool open_only;
    int64_t before_id; /* 0 = from the newest */
    uint32_t max;      /* 0 = 25; at most 1000 */
};
struct update_list {
    struct update *items; /* free(); newest first */
    size_t count;
};
int app_update_list(struct app_tx *tx, const struct app_update_query *query,
                    struct update_list *out) SW_NODISCARD;
int app_update_get(struct app_tx *tx, int64_t update_id, struct update *out) SW_NODISCARD;
struct update_step_list {
    struct update_step *items; /* free(); oldest first */
    size_t count;
};
int app_update_history(struct app_tx *tx, int64_t update_id,
                       struct update_step_list *out) SW_NODISCARD;
/* An operator calls an open update off. SW_E_STATE: past recall. A write job. */
int app_update_cancel(struct app_tx *tx, int64_t update_id) SW_NODISCARD;

#endif
