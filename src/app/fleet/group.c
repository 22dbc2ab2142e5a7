#include "slipway/app/group.h"

#include "slipway/store/catalog.h"

#include "app/internal.h"

#include <stdio.h>
#include <string.h>

static const struct app_text_rule description_rule = {.field = "description", .is_long = true};

static int take_color(struct app_tx *tx, const char *color, char out[8]) {
    if (!group_color_is_valid(color) && color[0] != '\0') {
        return app_fail(tx, SW_E_RANGE, "invalid_request", "color", "color must look like #34495e");
    }
    memcpy(out, color, strlen(color) + 1);
    return SW_OK;
}

static int taken(struct app_tx *tx, const char *name) {
    return app_fail(tx, SW_E_EXISTS, "invalid_request", "name", "Group %.64s already exists", name);
}

int app_group_create(struct app_tx *tx, uint16_t product_id, const struct app_group_edit *fields,
                     struct group *out) {
    struct group group = {
        .product_id = product_id, .created_ms = tx->now.ms, .updated_ms = tx->now.ms};
    int code = app_check_group_name(tx, "name", fields->name);
    if (code == SW_OK) {
        (void)snprintf(group.name, sizeof group.name, "%s", fields->name);
        code = app_take_text(tx, &description_rule, fields->description, group.description,
                             sizeof group.description);
    }
    if (code == SW_OK && fields->color != NULL) {
        code = take_color(tx, fields->color, group.color);
    }
    if (code == SW_OK) {
        code = store_group_insert(tx->store, &group, tx->fault);
        code = code == SW_E_EXISTS     ? taken(tx, group.name)
               : code == SW_E_CONFLICT ? app_no_product(tx)
                                       : code;
    }
    return code == SW_OK ? store_group_get(tx->store, product_id, group.name, out, tx->fault)
                         : code;
}

int app_group_get(struct app_tx *tx, uint16_t product_id, const char *name, struct group *out) {
    int code = store_group_get(tx->store, product_id, name, out, tx->fault);
    return code == SW_E_NOT_FOUND ? app_no_group(tx, name) : code;
}

int app_group_list(struct app_tx *tx, uint16_t product_id, const char *part,
                   struct group_list *out) {
    return store_group_list(tx->store, product_id, part, &out->items, &out->count, tx->fault);
}

/* The versions that are released to a group tell its name. */
static int touch_release(struct app_tx *tx, const struct group *group) {
    return group->version == 0 ? SW_OK
                               : store_firmware_touch(tx->store, group->product_id, group->version,
                                                      tx->now.ms, tx->fault);
}

int app_group_edit(struct app_tx *tx, uint16_t product_id, const char *name,
                   const struct app_group_edit *edit, struct group *out) {
    struct group group;
    int code = app_group_get(tx, product_id, name, &group);
    if (code == SW_OK && edit->name != NULL) {
        code = app_check_group_name(tx, "name", edit->name);
        if (code == SW_OK) {
            (void)snprintf(group.name, sizeof group.name, "%s", edit->name);
        }
    }
    if (code == SW_OK && edit->description != NULL) {
        code = app_take_text(tx, &description_rule, edit->description, group.description,
                             sizeof group.description);
    }
    if (code == SW_OK && edit->color != NULL) {
        code = take_color(tx, edit->color, group.color);
    }
    if (code == SW_OK) {
        group.updated_ms = tx->now.ms;
        code = store_group_update(tx->store, &group, tx->fault);
        code = code == SW_E_EXISTS ? taken(tx, group.name) : code;
    }
    if (code == SW_OK && edit->name != NULL) {
        code = touch_release(tx, &group);
    }
    *out = group;
    return code;
}

int app_group_delete(struct app_tx *tx, uint16_t product_id, const char *name) {
    struct group group;
    int code = app_group_get(tx, product_id, name, &group);
    if (code == SW_OK) {
        code = touch_release(tx, &group);
    }
    if (code == SW_OK) {
        code = store_group_delete(tx->store, group.id, tx->fault);
    }
    const struct app_notice notice = {.kind = APP_NOTICE_TARGETS, .product_id = product_id};
    return code == SW_OK ? app_tell(tx, &notice) : code;
}
