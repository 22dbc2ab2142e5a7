/* Groups: tags on devices, targets of releases. */
#ifndef SLIPWAY_APP_GROUP_H
#define SLIPWAY_APP_GROUP_H

#include "slipway/app/firmware.h"

struct app_group_edit {                     /* NULL = stays (edit) or "" (create) */
    const char *name, *description, *color; /* color: "#rrggbb" */
};
int app_group_create(struct app_tx *tx, uint16_t product_id, const struct app_group_edit *fields,
                     struct group *out) SW_NODISCARD;
int app_group_get(struct app_tx *tx, uint16_t product_id, const char *name,
                  struct group *out) SW_NODISCARD;
struct group_list {
    struct group *items; /* free(); by name */
    size_t count;
};
/* part: NULL, or a part of the name. */
int app_group_list(struct app_tx *tx, uint16_t product_id, const char *part,
                   struct group_list *out) SW_NODISCARD;
/* A rename carries over to members and releases. */
int app_group_edit(struct app_tx *tx, uint16_t product_id, const char *name,
                   const struct app_group_edit *edit, struct group *out) SW_NODISCARD;
int app_group_delete(struct app_tx *tx, uint16_t product_id, const char *name) SW_NODISCARD;

#endif
