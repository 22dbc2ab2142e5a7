#include "store/hints.h"
#include "store/internal.h"

#include "slipway/store/fleet.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void store_read_listed(sqlite3_stmt *q, void *row) {
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
    d->is_safe_mode = col_bool(q, 11);
    d->running_version = col_u16(q, 12);
    d->platform_id = col_u16(q, 13);
    d->hello_product_id = col_u16(q, 14);
    d->system_version = col_u16(q, 15);
    col_text(q, 16, d->iccid, sizeof d->iccid);
    col_text(q, 17, d->imei, sizeof d->imei);
    col_text(q, 18, d->serial_number, sizeof d->serial_number);
    col_text(q, 19, d->address, sizeof d->address);
    d->handshake_ms = col_int(q, 20);
    d->group_set = col_int(q, 21);
}

static void read_device(sqlite3_stmt *q, void *row) {
    struct device *d = (struct device *)row;
    store_read_listed(q, row);
    d->updates_forced_echo = col_bool(q, 22);
    d->hello_flags = col_u16(q, 23);
    d->message_max = col_u16(q, 24);
    d->binary_max = col_u32(q, 25);
    d->chunk_bytes = col_u16(q, 26);
    d->has_app_hash = col_blob(q, 27, d->app_hash.b, sizeof d->app_hash.b);
    col_text(q, 28, d->modem_version, sizeof d->modem_version);
    col_text(q, 29, d->last_reset, sizeof d->last_reset);
    d->heard_ms = col_int(q, 30);
    d->hello_ms = col_int(q, 31);
    d->has_hello = d->hello_ms > 0;
    d->created_ms = col_int(q, 32);
    d->updated_ms = col_int(q, 33);
    int64_t pending = col_int(q, 34);
    d->pending_told = (int8_t)(pending < 0 ? -1 : pending > 0 ? 1 : 0);
}

int store_device_insert(struct store *store, const struct device_id *id, uint16_t product_id,
                        uint16_t platform_id, int64_t now_ms, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_DEVICE_INSERT, fault);
    bind_blob(q, ":id", id->b, sizeof id->b);
    bind_int(q, ":product", product_id);
    bind_int(q, ":platform", platform_id);
    bind_int(q, ":now", now_ms);
    int code = stmt_run_one(store, q, fault);
    return code == SW_E_NOT_FOUND ? SW_E_EXISTS : code;
}

int store_device_get(struct store *store, const struct device_id *id, struct device *out,
                     struct fault *fault) {
    int64_t num = hints_find(store->hints, id);
    if (num != 0) {
        sqlite3_stmt *at = stmt(store, STMT_DEVICE_AT, fault);
        bind_int(at, ":num", num);
        bind_blob(at, ":id", id->b, sizeof id->b);
        int code = stmt_one(store, at, read_device, out, fault);
        if (code != SW_E_NOT_FOUND) {
            return code;
        }
    }
    sqlite3_stmt *q = stmt(store, STMT_DEVICE_GET, fault);
    bind_blob(q, ":id", id->b, sizeof id->b);
    int code = stmt_one(store, q, read_device, out, fault);
    if (code == SW_OK) {
        hints_learn(store->hints, id, out->num);
    }
    return code;
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
    return stmt_do(store, stmt(store, STMT_DEVICE_ALL_OFFLINE, fault), fault);
}

static void read_id(sqlite3_stmt *q, void *row) {
    (void)col_blob(q, 0, row, DEVICE_ID_BYTES);
}

int store_subscription_put(struct store *store, int64_t num, const char *prefix, uint32_t max,
                           struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_SUBSCRIPTION_PUT, fault);
    bind_int(q, ":num", num);
    bind_text(q, ":prefix", prefix);
    bind_int(q, ":max", max);
    return stmt_do(store, q, fault);
}

int store_subscription_clear(struct store *store, int64_t num, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_SUBSCRIPTION_CLEAR, fault);
    bind_int(q, ":num", num);
    return stmt_do(store, q, fault);
}

int store_subscribers(struct store *store, uint16_t product_id, const char *name, uint32_t max,
                      struct device_id **ids, size_t *count, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_SUBSCRIBERS, fault);
    bind_int(q, ":product", product_id);
    bind_text(q, ":name", name);
    bind_int(q, ":max", max);
    return stmt_all(store, q, read_id, sizeof **ids, ids, count, fault);
}

int store_subscriber(struct store *store, const struct device_id *device, const char *name,
                     struct device_id **ids, size_t *count, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_SUBSCRIBER, fault);
    bind_blob(q, ":id", device->b, sizeof device->b);
    bind_text(q, ":name", name);
    return stmt_all(store, q, read_id, sizeof **ids, ids, count, fault);
}

int store_device_online(struct store *store, uint16_t product_id, struct device_id **items,
                        size_t *count, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_DEVICE_ONLINE, fault);
    bind_int(q, ":product", product_id);
    return stmt_all(store, q, read_id, sizeof **items, items, count, fault);
}
