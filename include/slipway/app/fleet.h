/* The operator's side of devices: import, look at, lock, mark, group, flash, remove. */
#ifndef SLIPWAY_APP_FLEET_H
#define SLIPWAY_APP_FLEET_H

#include "slipway/app/firmware.h"

/* Import. Each text is a device id (any case), or what names a device already known: a serial
 * number, IMEI or ICCID. Ids in quarantine for this product are approved by it. */
struct device_id_list {
    struct device_id *items; /* free() */
    size_t count;
};
struct text_list {
    char (*items)[65]; /* free(); as given, cut */
    size_t count;
};
struct app_import_result {
    struct device_id_list updated, existing, nonmember;
    struct text_list invalid;
};
int app_device_import(struct app_tx *tx, uint16_t product_id, const struct span *texts,
                      size_t count, struct app_import_result *out) SW_NODISCARD;
void app_import_result_free(struct app_import_result *result);

/* product_id 0: of any product. NOT_FOUND. */
int app_device_get(struct app_tx *tx, uint16_t product_id, const struct device_id *id,
                   struct device *out) SW_NODISCARD;
/* By id or by name, for the routes without a product. */
int app_device_find(struct app_tx *tx, const char *id_or_name, struct device *out) SW_NODISCARD;
/* By serial number, IMEI or ICCID. NOT_FOUND. */
int app_device_labelled(struct app_tx *tx, const char *label, struct device *out) SW_NODISCARD;

enum app_device_sort {
    APP_SORT_CONNECTION, /* last handshake */
    APP_SORT_ID,
    APP_SORT_NAME,
    APP_SORT_VERSION
};
struct app_device_query {
    uint16_t product_id;                           /* 0 = all products */
    const char *id_part, *name_part, *serial_part; /* NULL = any; cases do not matter */
    const char *const *groups;                     /* devices that are in any of these */
    size_t group_count;
    enum app_device_sort sort;
    bool ascending;
    uint32_t page;     /* from 1 */
    uint32_t per_page; /* 0 = 25; at most 1000 */
    /* Instead of page: those after this one in the order of APP_SORT_ID, ascending. */
    const struct device_id *after;
};
struct device_list {
    struct device *items; /* free(); with what lists show of a device, the rest is zero */
    size_t count;
    uint64_t total; /* that match, on all pages */
};
int app_device_list(struct app_tx *tx, const struct app_device_query *query,
                    struct device_list *out) SW_NODISCARD;

/* One PUT: any combination, applied together or not at all. */
struct app_device_edit {
    const char *name, *notes;                   /* NULL = stays */
    enum { APP_KEEP, APP_SET, APP_CLEAR } lock; /* SET: to lock_version */
    int64_t lock_version;
    bool flash; /* with the lock: now, if it is online */
    bool has_development, development;
    bool has_forced, forced;
    bool has_groups; /* the whole set; unknown names are created */
    const char *const *groups;
    size_t group_count;
    const char *by;
};
int app_device_edit(struct app_tx *tx, uint16_t product_id, const struct device_id *id,
                    const struct app_device_edit *edit, struct device *out) SW_NODISCARD;
/* Adds and removes groups of many devices; all or none. */
struct app_batch_groups {
    const struct device_id *devices;
    size_t device_count;
    const char *const *add;
    size_t add_count;
    const char *const *remove;
    size_t remove_count;
};
int app_device_batch_groups(struct app_tx *tx, uint16_t product_id,
                            const struct app_batch_groups *batch) SW_NODISCARD;
int app_device_remove(struct app_tx *tx, uint16_t product_id,
                      const struct device_id *id) SW_NODISCARD;

/* Flashes one device once, whatever the rules say: a stored version (version > 0), or a one-off
 * file that app_one_off_check looked at. Works for development devices. Opens an update
 * with cause FLASH in place of an open one; the gateway is noticed.
 *   SW_E_STATE  an update is past recall (rebooting) */
struct app_flash {
    struct device_id device;
    int64_t version;
    const struct app_file *file; /* borrowed; see slipway/app/firmware.h */
    const char *file_name;
    const char *by;
};
int app_device_flash(struct app_tx *tx, const struct app_flash *flash,
                     struct update *out) SW_NODISCARD;

/* Keys, as particle-cli registers them. Replaces the one that is bound. */
int app_device_register_key(struct app_tx *tx, const struct device_id *id,
                            const struct p256_point *key) SW_NODISCARD;

/* Quarantine: devices that nobody imported. Approving is importing. */
struct quarantine_list {
    struct quarantine *items; /* free() */
    size_t count;
    int64_t total; /* on all pages */
};
/* Those that name the query's product, or none and are of its platform; the last seen first,
 * whatever order is asked for. They have neither names nor groups to look for. */
int app_quarantine_list(struct app_tx *tx, const struct app_device_query *query,
                        struct quarantine_list *out) SW_NODISCARD;
int app_quarantine_deny(struct app_tx *tx, uint16_t product_id,
                        const struct device_id *id) SW_NODISCARD;

/* The last system Describe, decoded. has = false: none yet, or unreadable. */
#define APP_STORED_MAX 96
struct app_describe {
    bool has;
    struct module_states modules;
    char iccid[33], imei[33], modem_version[65];
    uint16_t stored_count; /* assets in its store; more of them are not believed in */
    struct sha256 stored[APP_STORED_MAX];
};
/* The assets that the application on the device depends on, as the device itself told. */
struct app_asset {
    struct sha256 hash;
    char name[NAME_BYTES];
    bool is_available; /* it is in the device's store */
};
struct app_asset_list {
    struct app_asset *items; /* free() */
    size_t count;
};
int app_device_assets(struct app_tx *tx, const struct device *device,
                      struct app_asset_list *out) SW_NODISCARD;
/* The raw last Describe of a kind (2: functions and variables as JSON). *bytes is
 * malloc'ed. NOT_FOUND. */
int app_device_described(struct app_tx *tx, const struct device *device, unsigned kind,
                         uint8_t **bytes, size_t *len) SW_NODISCARD;

#endif
