/* Making a version the target of groups or of the whole product. */
#ifndef SLIPWAY_APP_RELEASE_H
#define SLIPWAY_APP_RELEASE_H

#include "slipway/app/firmware.h"

enum app_tri { APP_UNSET, APP_FALSE, APP_TRUE };

struct app_release {
    uint16_t product_id;
    int64_t version;
    enum app_tri product_default; /* becomes the default; no longer is; stays as it is */
    bool has_groups;              /* else see below */
    const char *const *groups;    /* the absolute list of groups that this version is released to */
    size_t group_count;
    bool immediate;
    const char *by;
};
/* Without product_default and groups: becomes the default (the old clients' form). With
 * product_default but without groups: released to no group any more. A group belongs to one version
 * at a time: it is taken from the one that had it.
 *   NOT_FOUND  the version, or a group (field "groups")
 *   DENIED     never run by a device, and the product enforces that */
struct app_release_result {
    struct firmware firmware;
    bool is_untested; /* no device of the product has run it yet: warn */
    bool changed;     /* false: everything was so before */
};
int app_release(struct app_tx *tx, const struct app_release *request,
                struct app_release_result *out) SW_NODISCARD;

struct release_list {
    struct release *items; /* free() */
    size_t count;
};
/* Newest first; version 0 = of all; before_id 0 = from the newest. */
int app_release_history(struct app_tx *tx, uint16_t product_id, uint16_t version, int64_t before_id,
                        size_t max, struct release_list *out) SW_NODISCARD;

/* How many devices would change if this release were made, by the version that they run now. */
struct app_impact {
    uint32_t total;
    struct {
        uint16_t version; /* 0 = none */
        uint32_t count;
    } * by_version; /* free(); ascending */
    size_t count;
};
int app_impact(struct app_tx *tx, const struct app_release *request,
               struct app_impact *out) SW_NODISCARD;

#endif
