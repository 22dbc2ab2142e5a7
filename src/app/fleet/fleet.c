#include "slipway/app/fleet.h"

#include "slipway/store/catalog.h"
#include "slipway/store/fleet.h"
#include "slipway/store/update.h"

#include "app/firmware/file.h"
#include "app/internal.h"
#include "app/update/plan.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_DEFAULT 25
#define PAGE_MAX     1000

int app_device_get(struct app_tx *tx, uint16_t product_id, const struct device_id *id,
                   struct device *out) {
    int code = store_device_get(tx->store, id, out, tx->fault);
    bool is_other = code == SW_OK && product_id != 0 && out->product_id != product_id;
    return code == SW_E_NOT_FOUND || is_other ? app_no_device(tx) : code;
}

int app_device_find(struct app_tx *tx, const char *id_or_name, struct device *out) {
    struct device_id id;
    int code = SW_E_NOT_FOUND;
    if (device_id_parse(id_or_name, strlen(id_or_name), &id) == SW_OK) {
        code = store_device_get(tx->store, &id, out, tx->fault);
    }
    if (code == SW_E_NOT_FOUND) {
        code = store_device_by_name(tx->store, id_or_name, out, tx->fault);
    }
    return code == SW_E_NOT_FOUND ? app_no_device(tx) : code;
}

int app_device_labelled(struct app_tx *tx, const char *label, struct device *out) {
    int code = store_device_by_label(tx->store, label, out, tx->fault);
    return code == SW_E_NOT_FOUND ? app_no_device(tx) : code;
}

/* --- list --- */

static void lower(const char *text, char out[NAME_BYTES]) {
    size_t at = 0;
    for (; at < NAME_BYTES - 1 && text[at] != '\0'; at++) {
        out[at] = (char)tolower((unsigned char)text[at]);
    }
    out[at] = '\0';
}

/* Groups that do not exist have no members: they are left out, which may leave none. */
static int find_groups(struct app_tx *tx, const struct app_device_query *query, int64_t **ids,
                       struct store_device_filter *filter) {
    filter->group_count = 0;
    *ids = calloc(query->group_count > 0 ? query->group_count : 1, sizeof **ids);
    if (*ids == NULL) {
        return fault_set(tx->fault, SW_E_MEMORY, "out of memory for a device list");
    }
    int code = SW_OK;
    for (size_t i = 0; code == SW_OK && i < query->group_count; i++) {
        struct group group;
        code = store_group_get(tx->store, query->product_id, query->groups[i], &group, tx->fault);
        if (code == SW_OK) {
            (*ids)[filter->group_count++] = group.id;
            filter->group_devices += group.device_count;
        }
        code = code == SW_E_NOT_FOUND ? SW_OK : code;
    }
    return code;
}

static enum store_device_order order_of(enum app_device_sort sort) {
    switch (sort) {
    case APP_SORT_ID:
        return STORE_DEVICES_BY_ID;
    case APP_SORT_NAME:
        return STORE_DEVICES_BY_NAME;
    case APP_SORT_VERSION:
        return STORE_DEVICES_BY_VERSION;
    case APP_SORT_CONNECTION:
        break;
    }
    return STORE_DEVICES_BY_HANDSHAKE;
}

/* Entries of a page, and how many are before it. */
static uint32_t page_of(const struct app_device_query *query, uint32_t *skip) {
    uint32_t max = query->per_page > 0 ? query->per_page : PAGE_DEFAULT;
    max = max > PAGE_MAX ? PAGE_MAX : max;
    uint64_t before = query->page > 1 ? (uint64_t)(query->page - 1) * max : 0;
    *skip = before > UINT32_MAX ? UINT32_MAX : (uint32_t)before;
    return max;
}

int app_device_list(struct app_tx *tx, const struct app_device_query *query,
                    struct device_list *out) {
    *out = (struct device_list){.total = 0};
    char id_part[NAME_BYTES];
    char name_part[NAME_BYTES];
    char serial_part[NAME_BYTES];
    struct store_device_filter filter = {.product_id = query->product_id,
                                         .order = order_of(query->sort),
                                         .ascending = query->ascending};
    filter.max = page_of(query, &filter.skip);
    if (query->after != NULL) {
        filter.order = STORE_DEVICES_BY_ID;
        filter.ascending = true;
        filter.after = query->after;
        filter.skip = 0;
    }
    if (query->id_part != NULL) {
        lower(query->id_part, id_part);
        filter.id_part = id_part;
    }
    if (query->name_part != NULL) {
        lower(query->name_part, name_part);
        filter.name_part = name_part;
    }
    if (query->serial_part != NULL) {
        lower(query->serial_part, serial_part);
        filter.serial_part = serial_part;
    }
    int64_t *groups = NULL;
    int code = SW_OK;
    if (query->groups != NULL) {
        code = find_groups(tx, query, &groups, &filter);
        filter.groups = groups;
    }
    if (code == SW_OK && query->product_id != 0) {
        struct product product;
        code = store_product_get(tx->store, query->product_id, &product, tx->fault);
        filter.product_devices = product.device_count;
        code = code == SW_E_NOT_FOUND ? app_no_product(tx) : code;
    }
    if (code == SW_OK) {
        code = store_device_count(tx->store, &filter, &out->total, tx->fault);
    }
    if (code == SW_OK) {
        code = store_device_list(tx->store, &filter, &out->items, &out->count, tx->fault);
    }
    free(groups);
    return code;
}

static bool is_given(const char *part) {
    return part != NULL && part[0] != '\0';
}

int app_quarantine_list(struct app_tx *tx, const struct app_device_query *query,
                        struct quarantine_list *out) {
    *out = (struct quarantine_list){.total = 0};
    struct product product;
    int code = store_product_get(tx->store, query->product_id, &product, tx->fault);
    if (code == SW_E_NOT_FOUND) {
        return app_no_product(tx);
    }
    if (is_given(query->name_part) || is_given(query->serial_part) || query->group_count > 0) {
        return code;
    }
    char id_part[NAME_BYTES];
    struct store_quarantine_filter filter = {.product_id = product.id,
                                             .platform_id = product.platform_id};
    filter.max = page_of(query, &filter.skip);
    if (query->id_part != NULL) {
        lower(query->id_part, id_part);
        filter.id_part = id_part;
    }
    return code == SW_OK ? store_quarantine_list(tx->store, &filter, &out->items, &out->count,
                                                 &out->total, tx->fault)
                         : code;
}

/* --- groups of a device --- */

/* A group by its name; one that is not there is made. */
static int need_group(struct app_tx *tx, uint16_t product_id, const char *name, struct group *out) {
    int code = app_check_group_name(tx, "groups", name);
    if (code == SW_OK) {
        code = store_group_get(tx->store, product_id, name, out, tx->fault);
    }
    if (code == SW_E_NOT_FOUND) {
        struct group group = {
            .product_id = product_id, .created_ms = tx->now.ms, .updated_ms = tx->now.ms};
        (void)snprintf(group.name, sizeof group.name, "%s", name);
        code = store_group_insert(tx->store, &group, tx->fault);
        if (code == SW_OK) {
            code = store_group_get(tx->store, product_id, name, out, tx->fault);
        }
    }
    return code;
}

static int need_groups(struct app_tx *tx, uint16_t product_id, const char *const *names,
                       size_t count, int64_t **ids) {
    *ids = calloc(count > 0 ? count : 1, sizeof **ids);
    if (*ids == NULL) {
        return fault_set(tx->fault, SW_E_MEMORY, "out of memory for groups");
    }
    int code = SW_OK;
    for (size_t i = 0; code == SW_OK && i < count; i++) {
        struct group group;
        code = need_group(tx, product_id, names[i], &group);
        (*ids)[i] = group.id;
    }
    return code;
}

static int set_groups(struct app_tx *tx, const struct device *device,
                      const struct app_device_edit *edit, int64_t *set_id) {
    int64_t *ids = NULL;
    int code = need_groups(tx, device->product_id, edit->groups, edit->group_count, &ids);
    if (code == SW_OK) {
        code = store_group_set_need(tx->store, ids, edit->group_count, set_id, tx->fault);
    }
    if (code == SW_OK) {
        code =
            store_device_save_set(tx->store, device->num, *set_id, device->updated_ms, tx->fault);
    }
    free(ids);
    return code;
}

/* Adding and removing for many devices. Those that were in the same groups before are in the same
 * groups afterwards, and often come one after the other. */
struct regroup {
    const struct app_batch_groups *batch;
    int64_t *add, *remove;
    bool has_last;
    int64_t last_from, last_to;
};

static bool is_among(const int64_t *ids, size_t count, int64_t id) {
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

/* The set after the change, for devices that were in this one: what is both added and
 * removed is not in it. */
static int regroup_set(struct app_tx *tx, struct regroup *regroup, int64_t from, int64_t *to) {
    const struct app_batch_groups *batch = regroup->batch;
    const struct group_set *set;
    int code = store_group_set_get(tx->store, from, &set, tx->fault);
    if (code != SW_OK) {
        return code;
    }
    int64_t *ids = calloc(set->count + batch->add_count + 1, sizeof *ids);
    if (ids == NULL) {
        return fault_set(tx->fault, SW_E_MEMORY, "out of memory for groups");
    }
    size_t count = 0;
    for (size_t i = 0; i < set->count; i++) {
        if (!is_among(regroup->remove, batch->remove_count, set->groups[i].id)) {
            ids[count++] = set->groups[i].id;
        }
    }
    for (size_t i = 0; i < batch->add_count; i++) {
        if (!is_among(regroup->remove, batch->remove_count, regroup->add[i])) {
            ids[count++] = regroup->add[i];
        }
    }
    code = store_group_set_need(tx->store, ids, count, to, tx->fault);
    free(ids);
    return code;
}

static int regroup_device(struct app_tx *tx, struct regroup *regroup, const struct device *device) {
    int code = SW_OK;
    if (!regroup->has_last || regroup->last_from != device->group_set) {
        code = regroup_set(tx, regroup, device->group_set, &regroup->last_to);
        regroup->last_from = device->group_set;
        regroup->has_last = code == SW_OK;
    }
    if (code == SW_OK && regroup->last_to != device->group_set) {
        code = store_device_save_set(tx->store, device->num, regroup->last_to,
                                     app_later(tx, device->updated_ms), tx->fault);
    }
    return code == SW_OK ? plan_notice(tx, device) : code;
}

int app_device_batch_groups(struct app_tx *tx, uint16_t product_id,
                            const struct app_batch_groups *batch) {
    struct regroup regroup = {.batch = batch};
    int code = need_groups(tx, product_id, batch->add, batch->add_count, &regroup.add);
    regroup.remove = calloc(batch->remove_count + 1, sizeof *regroup.remove);
    if (code == SW_OK && regroup.remove == NULL) {
        code = fault_set(tx->fault, SW_E_MEMORY, "out of memory for groups");
    }
    for (size_t k = 0; code == SW_OK && k < batch->remove_count; k++) {
        struct group group;
        code = store_group_get(tx->store, product_id, batch->remove[k], &group, tx->fault);
        regroup.remove[k] = group.id;
        code = code == SW_E_NOT_FOUND ? app_no_group(tx, batch->remove[k]) : code;
    }
    for (size_t i = 0; code == SW_OK && i < batch->device_count; i++) {
        struct device device;
        code = app_device_get(tx, product_id, &batch->devices[i], &device);
        if (code == SW_E_NOT_FOUND) {
            char id[DEVICE_ID_DIGITS + 1];
            device_id_text(&batch->devices[i], id);
            code = app_fail(tx, code, "not_found", "devices", "devices: %s is not in this product",
                            id);
        }
        if (code == SW_OK) {
            code = regroup_device(tx, &regroup, &device);
        }
    }
    free(regroup.add);
    free(regroup.remove);
    return code;
}

/* --- edit --- */

static int apply_lock(struct app_tx *tx, const struct app_device_edit *edit,
                      struct device *device) {
    struct firmware firmware;
    switch (edit->lock) {
    case APP_KEEP:
        return SW_OK;
    case APP_CLEAR:
        device->locked_version = 0;
        return SW_OK;
    case APP_SET:
        break;
    }
    int code = app_check_version(tx, "desired_firmware_version", edit->lock_version);
    if (code == SW_OK) {
        code = store_firmware_get(tx->store, device->product_id, (uint16_t)edit->lock_version,
                                  &firmware, tx->fault);
    }
    if (code == SW_E_NOT_FOUND) {
        return app_fail(tx, code, "not_found", "desired_firmware_version",
                        "desired_firmware_version: version %lld is not uploaded",
                        (long long)edit->lock_version);
    }
    device->locked_version = (uint16_t)edit->lock_version;
    return code;
}

/* A lock with "flash": begun now if it is connected, else it comes with its next session. */
static int flash_lock(struct app_tx *tx, const struct device *device,
                      const struct app_device_edit *edit) {
    struct firmware firmware;
    struct update update;
    bool is_due = device->is_online && !device->development && device->locked_version != 0 &&
                  device->locked_version != device->running_version;
    if (!is_due) {
        return SW_OK;
    }
    int code = store_firmware_get(tx->store, device->product_id, device->locked_version, &firmware,
                                  tx->fault);
    if (code != SW_OK) {
        return code;
    }
    code = store_update_open(tx->store, device->num, &update, tx->fault);
    if (code == SW_OK && update.image_id == firmware.image.id) {
        return store_update_cause(tx->store, update.id, UPDATE_CAUSE_IMMEDIATE, tx->fault);
    }
    if (code != SW_OK && code != SW_E_NOT_FOUND) {
        return code;
    }
    struct plan_target target = {.image = firmware.image,
                                 .version = firmware.version,
                                 .cause = UPDATE_CAUSE_IMMEDIATE,
                                 .rule = rule_name(RULE_LOCKED),
                                 .by = edit->by};
    code = plan_open(tx, device, &target, &update);
    return code == SW_E_STATE ? SW_OK : code; /* rebooting: the next session sees to it */
}

static int apply_texts(struct app_tx *tx, const struct app_device_edit *edit,
                       struct device *device) {
    static const struct app_text_rule name_rule = {.field = "name"};
    static const struct app_text_rule notes_rule = {.field = "notes", .is_long = true};
    int code = SW_OK;
    if (edit->name != NULL) {
        code = app_take_text(tx, &name_rule, edit->name, device->name, sizeof device->name);
    }
    if (code == SW_OK && edit->notes != NULL) {
        code = app_take_text(tx, &notes_rule, edit->notes, device->notes, sizeof device->notes);
    }
    return code;
}

int app_device_edit(struct app_tx *tx, uint16_t product_id, const struct device_id *id,
                    const struct app_device_edit *edit, struct device *out) {
    int code = app_device_get(tx, product_id, id, out);
    if (code == SW_OK) {
        code = apply_texts(tx, edit, out);
    }
    if (code == SW_OK) {
        code = apply_lock(tx, edit, out);
    }
    if (code != SW_OK) {
        return code;
    }
    bool unforces = edit->has_forced && !edit->forced && out->updates_forced;
    out->development = edit->has_development ? edit->development : out->development;
    out->updates_forced = edit->has_forced ? edit->forced : out->updates_forced;
    out->updated_ms = app_later(tx, out->updated_ms);
    code = store_device_save_wishes(tx->store, out, out->updated_ms, tx->fault);
    if (code == SW_OK && edit->has_groups) {
        code = set_groups(tx, out, edit, &out->group_set);
    }
    /* An operator's act gives a device that failed a new chance. */
    bool steers = edit->lock != APP_KEEP || edit->has_development || edit->has_groups;
    if (code == SW_OK && (steers || edit->has_forced)) {
        code = store_attempt_clear_device(tx->store, out->num, tx->fault);
    }
    if (code == SW_OK && edit->flash) {
        code = flash_lock(tx, out, edit);
    }
    if (code == SW_OK && (edit->flash || edit->has_forced || unforces)) {
        return app_tell_device(tx, APP_NOTICE_DEVICE, id, out->product_id);
    }
    return code == SW_OK && steers ? plan_notice(tx, out) : code;
}

int app_device_remove(struct app_tx *tx, uint16_t product_id, const struct device_id *id) {
    struct device device;
    int code = app_device_get(tx, product_id, id, &device);
    if (code == SW_OK && device.is_online) { /* its session ends with it */
        code = app_append(tx, device.product_id, &device, "spark/status", "offline", NULL);
    }
    if (code == SW_OK) {
        code = store_device_delete(tx->store, device.num, tx->fault);
    }
    if (code == SW_OK) {
        code = store_key_delete(tx->store, id, tx->fault);
        code = code == SW_E_NOT_FOUND ? SW_OK : code;
    }
    if (code == SW_OK) {
        code = store_proof_delete_all(tx->store, id, tx->fault);
    }
    if (code == SW_OK) {
        code = store_session_delete_device(tx->store, id, tx->fault);
    }
    return code == SW_OK ? app_tell_device(tx, APP_NOTICE_FORGET, id, product_id) : code;
}

/* --- flash --- */

static int flash_target(struct app_tx *tx, const struct device *device,
                        const struct app_flash *flash, struct plan_target *target) {
    if (flash->version != 0) {
        struct firmware firmware;
        int code = app_firmware_get(tx, device->product_id, flash->version, &firmware);
        target->image = firmware.image;
        target->version = firmware.version;
        return code;
    }
    /* Earlier one-off files have served their purpose. */
    int code = store_image_forget_one_offs(tx->store, tx->now.ms, tx->fault);
    target->image = flash->file->image;
    target->image.created_ms = tx->now.ms;
    bool is_user =
        target->image.function == MODULE_USER_PART || target->image.function == MODULE_MONOLITHIC;
    target->version = is_user ? target->image.product_version : 0;
    (void)snprintf(target->image.name, sizeof target->image.name, "%s",
                   flash->file_name != NULL ? flash->file_name : "");
    return code == SW_OK ? file_store(tx, flash->file, &target->image) : code;
}

int app_device_flash(struct app_tx *tx, const struct app_flash *flash, struct update *out) {
    struct device device;
    int code = app_device_get(tx, 0, &flash->device, &device);
    if (code != SW_OK) {
        return code;
    }
    if (device.is_denied) {
        return app_fail(tx, SW_E_DENIED, "invalid_request", NULL, "The device is denied.");
    }
    struct plan_target target = {.cause = UPDATE_CAUSE_FLASH, .rule = "flash", .by = flash->by};
    code = flash_target(tx, &device, flash, &target);
    struct image_record step;
    struct obstacle obstacle = {.word = ""};
    if (code == SW_OK) {
        code = step_choose(tx, &device, &target.image, NULL, &step, &obstacle);
    }
    if (code == SW_OK && obstacle.word[0] != '\0') {
        return app_fail(tx, SW_E_RANGE, "invalid_request", "file", "%s", obstacle.sentence);
    }
    if (code == SW_OK) {
        code = store_attempt_clear_device(tx->store, device.num, tx->fault);
    }
    if (code == SW_OK) {
        code = plan_open(tx, &device, &target, out);
    }
    if (code == SW_E_STATE) {
        return app_fail(tx, code, "invalid_request", NULL,
                        "The device is applying an update; try again when it is back.");
    }
    return code == SW_OK ? app_tell_device(tx, APP_NOTICE_DEVICE, &flash->device, device.product_id)
                         : code;
}

/* --- what it described --- */

int app_device_described(struct app_tx *tx, const struct device *device, unsigned kind,
                         uint8_t **bytes, size_t *len) {
    unsigned format;
    *bytes = NULL;
    *len = 0;
    return store_describe_get(tx->store, device->num, kind, &format, bytes, len, tx->fault);
}
