#include "store/internal.h"

#include "slipway/store/fleet.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void read_device(sqlite3_stmt *q, void *row) {
    struct device *d = (struct device *)row;
    d->num = col_int(q, 0);
    (void)col_blob(q, 1, d->id.b, sizeof d->id.b);
    d->product_id = col_u16(q, 2);
    d->is_denied = col_bool(q, 3);
    col_text(q, 4, d->name, sizeof d->name);
    col_text(q, 5, d->notes, sizeof d->notes);
    d->development = col_bool(q, 6);
    d->locked_version = col_u16(q, 7);
    d->updates_forced = col_bool(q, 8);
    d->is_online = col_bool(q, 9);
    d->updates_enabled = col_bool(q, 10);
    d->updates_forced_echo = col_bool(q, 11);
    d->is_safe_mode = col_bool(q, 12);
    d->running_version = col_u16(q, 13);
    d->platform_id = col_u16(q, 14);
    d->hello_product_id = col_u16(q, 15);
    d->system_version = col_u16(q, 16);
    d->hello_flags = col_u16(q, 17);
    d->message_max = col_u16(q, 18);
    d->binary_max = col_u32(q, 19);
    d->chunk_bytes = col_u16(q, 20);
    d->has_app_hash = col_blob(q, 21, d->app_hash.b, sizeof d->app_hash.b);
    col_text(q, 22, d->iccid, sizeof d->iccid);
    col_text(q, 23, d->imei, sizeof d->imei);
    col_text(q, 24, d->modem_version, sizeof d->modem_version);
    col_text(q, 25, d->serial_number, sizeof d->serial_number);
    col_text(q, 26, d->last_reset, sizeof d->last_reset);
    col_text(q, 27, d->address, sizeof d->address);
    d->handshake_ms = col_int(q, 28);
    d->heard_ms = col_int(q, 29);
    d->hello_ms = col_int(q, 30);
    d->has_hello = d->hello_ms > 0;
    d->created_ms = col_int(q, 31);
    d->updated_ms = col_int(q, 32);
    int64_t pending = col_int(q, 33);
    d->pending_told = (int8_t)(pending < 0 ? -1 : pending > 0 ? 1 : 0);
    d->group_set = col_int(q, 34);
}

int store_device_insert(struct store *store, const struct device_id *id, uint16_t product_id,
                        uint16_t platform_id, int64_t now_ms, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_DEVICE_INSERT, fault);
    bind_blob(q, ":id", id->b, sizeof id->b);
    bind_int(q, ":product", product_id);
    bind_int(q, ":platform", platform_id);
    bind_int(q, ":now", now_ms);
    return stmt_run_one(store, q, fault);
}

int store_device_get(struct store *store, const struct device_id *id, struct device *out,
                     struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_DEVICE_GET, fault);
    bind_blob(q, ":id", id->b, sizeof id->b);
    return stmt_one(store, q, read_device, out, fault);
}

int store_device_by_num(struct store *store, int64_t num, struct device *out, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_DEVICE_BY_NUM, fault);
    bind_int(q, ":num", num);
    return stmt_one(store, q, read_device, out, fault);
}

int store_device_by_name(struct store *store, const char *name, struct device *out,
                         struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_DEVICE_BY_NAME, fault);
    bind_text(q, ":name", name);
    return stmt_one(store, q, read_device, out, fault);
}

int store_device_by_label(struct store *store, const char *label, struct device *out,
                          struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_DEVICE_BY_LABEL, fault);
    bind_text(q, ":label", label);
    return stmt_one(store, q, read_device, out, fault);
}

int store_device_save_wishes(struct store *store, const struct device *device, int64_t now_ms,
                             struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_DEVICE_SAVE_WISHES, fault);
    bind_int(q, ":num", device->num);
    bind_text(q, ":name", device->name);
    bind_text(q, ":notes", device->notes);
    bind_int(q, ":development", device->development);
    bind_int(q, ":denied", device->is_denied);
    if (device->locked_version != 0) {
        bind_int(q, ":locked", device->locked_version);
    }
    bind_int(q, ":forced", device->updates_forced);
    bind_int(q, ":now", now_ms);
    return stmt_run_one(store, q, fault);
}

int store_device_save_told(struct store *store, const struct device *device, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_DEVICE_SAVE_TOLD, fault);
    bind_int(q, ":num", device->num);
    bind_int(q, ":online", device->is_online);
    bind_int(q, ":enabled", device->updates_enabled);
    bind_int(q, ":echo", device->updates_forced_echo);
    bind_int(q, ":pending", device->pending_told);
    bind_int(q, ":safe_mode", device->is_safe_mode);
    bind_int(q, ":version", device->running_version);
    bind_int(q, ":platform", device->platform_id);
    bind_int(q, ":hello_product", device->hello_product_id);
    bind_int(q, ":system", device->system_version);
    bind_int(q, ":flags", device->hello_flags);
    bind_int(q, ":message_max", device->message_max);
    bind_int(q, ":binary_max", device->binary_max);
    bind_int(q, ":chunk", device->chunk_bytes);
    if (device->has_app_hash) {
        bind_blob(q, ":hash", device->app_hash.b, sizeof device->app_hash.b);
    }
    bind_text(q, ":iccid", device->iccid);
    bind_text(q, ":imei", device->imei);
    bind_text(q, ":modem", device->modem_version);
    bind_text(q, ":serial", device->serial_number);
    bind_text(q, ":last_reset", device->last_reset);
    bind_text(q, ":address", device->address);
    bind_int(q, ":handshake", device->handshake_ms);
    bind_int(q, ":heard", device->heard_ms);
    bind_int(q, ":hello", device->hello_ms);
    return stmt_run_one(store, q, fault);
}

int store_device_delete(struct store *store, int64_t num, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_DEVICE_DELETE, fault);
    bind_int(q, ":num", num);
    return stmt_run_one(store, q, fault);
}

int store_device_all_offline(struct store *store, struct fault *fault) {
    int code = stmt_run(store, stmt(store, STMT_DEVICE_ALL_OFFLINE, fault), fault);
    return code < 0 ? code : SW_OK;
}

static void read_id(sqlite3_stmt *q, void *row) {
    (void)col_blob(q, 0, row, DEVICE_ID_BYTES);
}

int store_device_online(struct store *store, uint16_t product_id, struct device_id **items,
                        size_t *count, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_DEVICE_ONLINE, fault);
    bind_int(q, ":product", product_id);
    int code = SW_OK;
    *items = stmt_all(store, q, read_id, sizeof **items, count, &code, fault);
    return code;
}

/* The group ids as a JSON array, the one form in which a statement takes a list. */
static char *group_array(const struct store_device_filter *filter) {
    size_t cap = filter->group_count * 21 + 3;
    char *text = malloc(cap);
    if (text == NULL) {
        return NULL;
    }
    size_t at = 0;
    text[at++] = '[';
    for (size_t i = 0; i < filter->group_count; i++) {
        int len = snprintf(text + at, cap - at, "%s%" PRId64, i > 0 ? "," : "", filter->groups[i]);
        at += (size_t)len;
    }
    text[at++] = ']';
    text[at] = '\0';
    return text;
}

static void bind_filter(sqlite3_stmt *q, const struct store_device_filter *filter,
                        const char *groups) {
    bind_int(q, ":product", filter->product_id);
    bind_text(q, ":id_part", filter->id_part);
    bind_text(q, ":name_part", filter->name_part);
    bind_text(q, ":serial_part", filter->serial_part);
    bind_text(q, ":groups", groups);
}

static enum stmt_name page_stmt(const struct store_device_filter *filter) {
    switch (filter->order) {
    case STORE_DEVICES_BY_ID:
        return filter->ascending ? STMT_DEVICE_PAGE_ID_UP : STMT_DEVICE_PAGE_ID_DOWN;
    case STORE_DEVICES_BY_NAME:
        return filter->ascending ? STMT_DEVICE_PAGE_NAME_UP : STMT_DEVICE_PAGE_NAME_DOWN;
    case STORE_DEVICES_BY_VERSION:
        return filter->ascending ? STMT_DEVICE_PAGE_VERSION_UP : STMT_DEVICE_PAGE_VERSION_DOWN;
    case STORE_DEVICES_BY_HANDSHAKE:
        break;
    }
    return filter->ascending ? STMT_DEVICE_PAGE_SEEN_UP : STMT_DEVICE_PAGE_SEEN_DOWN;
}

/* A page of a group is found in one of two ways: through the product in the order that is asked
 * for, testing each entry of the index, or through the members, which are then sorted. A member's
 * row costs as much as so many entries. */
#define MEMBER_COST 10

static bool has_few(const struct store_device_filter *filter) {
    if (filter->groups == NULL) {
        return false;
    }
    double members = (double)filter->group_devices;
    double wanted = (double)filter->skip + (double)filter->max;
    double walked = wanted < members ? wanted / members * (double)filter->product_devices
                                     : (double)filter->product_devices;
    return members * MEMBER_COST <= walked;
}

static const char *order_word(enum store_device_order order) {
    switch (order) {
    case STORE_DEVICES_BY_ID:
        return "id";
    case STORE_DEVICES_BY_NAME:
        return "name";
    case STORE_DEVICES_BY_VERSION:
        return "version";
    case STORE_DEVICES_BY_HANDSHAKE:
        break;
    }
    return "handshake";
}

int store_device_list(struct store *store, const struct store_device_filter *filter,
                      struct device **items, size_t *count, struct fault *fault) {
    *items = NULL;
    *count = 0;
    char *groups = NULL;
    sqlite3_stmt *q = NULL;
    if (filter->product_id == 0) {
        q = stmt(store, STMT_DEVICE_RECENT, fault);
    } else {
        enum stmt_name name = page_stmt(filter);
        if (has_few(filter)) {
            name = filter->ascending ? STMT_DEVICE_FEW_UP : STMT_DEVICE_FEW_DOWN;
        }
        if (filter->groups != NULL && (groups = group_array(filter)) == NULL) {
            return fault_set(fault, SW_E_MEMORY, "out of memory for a device list");
        }
        q = stmt(store, name, fault);
        bind_filter(q, filter, groups);
        if (has_few(filter)) {
            bind_text(q, ":order", order_word(filter->order));
            if (filter->after != NULL) {
                bind_blob(q, ":after", filter->after->b, sizeof filter->after->b);
            } else {
                bind_null(q, ":after");
            }
        } else if (name == STMT_DEVICE_PAGE_ID_UP) {
            bind_blob(q, ":after", filter->after != NULL ? filter->after->b : NULL,
                      filter->after != NULL ? sizeof filter->after->b : 0);
        }
    }
    bind_int(q, ":max", filter->max);
    bind_int(q, ":skip", filter->skip);
    int code = SW_OK;
    *items = stmt_all(store, q, read_device, sizeof **items, count, &code, fault);
    free(groups);
    return code;
}

int store_device_count(struct store *store, const struct store_device_filter *filter,
                       uint64_t *count, struct fault *fault) {
    bool has_text =
        filter->id_part != NULL || filter->name_part != NULL || filter->serial_part != NULL;
    *count = filter->product_devices;
    if (filter->product_id != 0 && !has_text && filter->groups == NULL) {
        return SW_OK;
    }
    *count = filter->group_devices;
    if (filter->product_id != 0 && !has_text && filter->group_count <= 1) {
        return SW_OK;
    }
    int64_t found = 0;
    char *groups = NULL;
    if (filter->groups != NULL && (groups = group_array(filter)) == NULL) {
        return fault_set(fault, SW_E_MEMORY, "out of memory for a device list");
    }
    sqlite3_stmt *q = NULL;
    if (filter->product_id == 0) {
        q = stmt(store, STMT_DEVICE_TOTAL, fault);
    } else if (has_text) {
        q = stmt(store, STMT_DEVICE_COUNT, fault);
        bind_filter(q, filter, groups);
    } else {
        q = stmt(store, STMT_DEVICE_COUNT_GROUPS, fault);
        bind_text(q, ":groups", groups); /* groups are of one product */
    }
    int code = stmt_int(store, q, 0, &found, fault);
    free(groups);
    *count = (uint64_t)found;
    return code;
}
