/* Products. Lists are heap arrays: the caller frees items with free(). */
#ifndef SLIPWAY_APP_PRODUCT_H
#define SLIPWAY_APP_PRODUCT_H

#include "slipway/app/app.h"

struct app_product_new {
    const char *name;        /* required, 1..128 bytes */
    const char *description; /* NULL = "" */
    uint16_t platform_id;    /* a platform that model/platform.h knows */
    bool quarantine;
    bool enforce_tested;
    uint16_t id; /* 0 = the next free one */
};
/* A slug is made from the name. EXISTS: the name's slug is taken (field "name"). */
int app_product_create(struct app_tx *tx, const struct app_product_new *request,
                       struct product *out) SW_NODISCARD;
/* By number or slug. NOT_FOUND. */
int app_product_get(struct app_tx *tx, const char *id_or_slug, struct product *out) SW_NODISCARD;

struct product_list {
    struct product *items;
    size_t count;
};
int app_product_list(struct app_tx *tx, struct product_list *out) SW_NODISCARD;

/* NULL or unset fields stay as they are. */
struct app_product_edit {
    const char *name, *description;
    bool has_quarantine, quarantine;
    bool has_enforce_tested, enforce_tested;
};
int app_product_edit(struct app_tx *tx, uint16_t product_id, const struct app_product_edit *edit,
                     struct product *out) SW_NODISCARD;

#endif
