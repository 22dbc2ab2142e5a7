/* What is kept about a device beside its row: its keys, its place in quarantine, what it described,
 * its sessions. */
#include "store/internal.h"

#include "slipway/store/fleet.h"

static void read_point(sqlite3_stmt *q, void *row) {
    (void)col_blob(q, 0, row, P256_POINT_BYTES);
}

int store_key_get(struct store *store, const struct device_id *id, struct p256_point *out,
                  struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_KEY_GET, fault);
    bind_blob(q, ":id", id->b, sizeof id->b);
    return stmt_one(store, q, read_point, out, fault);
}

int store_key_set(struct store *store, const struct device_id *id, const struct p256_point *key,
                  bool is_first_use, int64_t now_ms, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_KEY_SET, fault);
    bind_blob(q, ":id", id->b, sizeof id->b);
    bind_blob(q, ":point", key->b, sizeof key->b);
    bind_text(q, ":source", is_first_use ? "first_use" : "registered");
    bind_int(q, ":now", now_ms);
    return stmt_run_one(store, q, fault);
}

int store_key_delete(struct store *store, const struct device_id *id, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_KEY_DELETE, fault);
    bind_blob(q, ":id", id->b, sizeof id->b);
    return stmt_run_one(store, q, fault);
}

static void read_psk(sqlite3_stmt *q, void *row) {
    (void)col_blob(q, 0, row, STORE_SEALED_PSK_BYTES);
}

int store_psk_get(struct store *store, const struct device_id *id,
                  uint8_t sealed[STORE_SEALED_PSK_BYTES], struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_PSK_GET, fault);
    bind_blob(q, ":id", id->b, sizeof id->b);
    return stmt_one(store, q, read_psk, sealed, fault);
}

int store_psk_set(struct store *store, const struct device_id *id,
                  const uint8_t sealed[STORE_SEALED_PSK_BYTES], int64_t now_ms,
                  struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_PSK_SET, fault);
    bind_blob(q, ":id", id->b, sizeof id->b);
    bind_blob(q, ":sealed", sealed, STORE_SEALED_PSK_BYTES);
    bind_int(q, ":now", now_ms);
    return stmt_run_one(store, q, fault);
}

int store_psk_delete(struct store *store, const struct device_id *id, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_PSK_DELETE, fault);
    bind_blob(q, ":id", id->b, sizeof id->b);
    return stmt_run_one(store, q, fault);
}

int store_certificate_seen(struct store *store, const struct device_id *id, int64_t now_ms,
                           struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_CERTIFICATE_SEEN, fault);
    bind_blob(q, ":id", id->b, sizeof id->b);
    bind_int(q, ":now", now_ms);
    return stmt_do(store, q, fault);
}

int store_proof_has(struct store *store, const struct device_id *id, bool *has,
                    struct fault *fault) {
    int64_t count = 0;
    sqlite3_stmt *q = stmt(store, STMT_PROOF_COUNT, fault);
    bind_blob(q, ":id", id->b, sizeof id->b);
    int code = stmt_int(store, q, 0, &count, fault);
    *has = count > 0;
    return code;
}

int store_proof_delete_all(struct store *store, const struct device_id *id, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_PROOF_DELETE_ALL, fault);
    bind_blob(q, ":id", id->b, sizeof id->b);
    return stmt_do(store, q, fault);
}

static void read_quarantine(sqlite3_stmt *q, void *row) {
    struct quarantine *r = (struct quarantine *)row;
    (void)col_blob(q, 0, r->id.b, sizeof r->id.b);
    r->product_id = col_u16(q, 1);
    r->platform_id = col_u16(q, 2);
    r->version = col_u16(q, 3);
    r->system_version = col_u16(q, 4);
    r->is_wrong_key = col_bool(q, 5);
    r->is_denied = col_bool(q, 6);
    (void)col_blob(q, 7, r->key.b, sizeof r->key.b);
    col_text(q, 8, r->address, sizeof r->address);
    r->first_ms = col_int(q, 9);
    r->last_ms = col_int(q, 10);
}

int store_quarantine_put(struct store *store, const struct quarantine *row, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_QUARANTINE_PUT, fault);
    bind_blob(q, ":id", row->id.b, sizeof row->id.b);
    if (row->product_id != 0) {
        bind_int(q, ":product", row->product_id);
    }
    bind_int(q, ":platform", row->platform_id);
    bind_int(q, ":version", row->version);
    bind_int(q, ":system", row->system_version);
    bind_int(q, ":wrong_key", row->is_wrong_key);
    bind_blob(q, ":point", row->key.b, sizeof row->key.b);
    bind_text(q, ":address", row->address);
    bind_int(q, ":now", row->last_ms);
    return stmt_run_one(store, q, fault);
}

int store_quarantine_get(struct store *store, const struct device_id *id, struct quarantine *out,
                         struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_QUARANTINE_GET, fault);
    bind_blob(q, ":id", id->b, sizeof id->b);
    return stmt_one(store, q, read_quarantine, out, fault);
}

static sqlite3_stmt *stmt_listed(struct store *store, enum stmt_name name,
                                 const struct store_quarantine_filter *filter,
                                 struct fault *fault) {
    sqlite3_stmt *q = stmt(store, name, fault);
    bind_int(q, ":product", filter->product_id);
    bind_int(q, ":platform", filter->platform_id);
    bind_text(q, ":id_part", filter->id_part);
    return q;
}

int store_quarantine_list(struct store *store, const struct store_quarantine_filter *filter,
                          struct quarantine **items, size_t *count, int64_t *total,
                          struct fault *fault) {
    *items = NULL;
    *count = 0;
    int code =
        stmt_int(store, stmt_listed(store, STMT_QUARANTINE_LISTED, filter, fault), 0, total, fault);
    if (code != SW_OK) {
        return code;
    }
    sqlite3_stmt *q = stmt_listed(store, STMT_QUARANTINE_LIST, filter, fault);
    bind_int(q, ":max", filter->max);
    bind_int(q, ":skip", filter->skip);
    return stmt_all(store, q, read_quarantine, sizeof **items, items, count, fault);
}

int store_quarantine_delete(struct store *store, const struct device_id *id, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_QUARANTINE_DELETE, fault);
    bind_blob(q, ":id", id->b, sizeof id->b);
    return stmt_run_one(store, q, fault);
}

int store_quarantine_deny(struct store *store, const struct device_id *id, uint16_t product_id,
                          struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_QUARANTINE_DENY, fault);
    bind_blob(q, ":id", id->b, sizeof id->b);
    bind_int(q, ":product", product_id);
    return stmt_run_one(store, q, fault);
}

int store_quarantine_count(struct store *store, int64_t *count, struct fault *fault) {
    return stmt_int(store, stmt(store, STMT_QUARANTINE_COUNT, fault), 0, count, fault);
}

int store_quarantine_evict(struct store *store, struct fault *fault) {
    return stmt_run_one(store, stmt(store, STMT_QUARANTINE_EVICT, fault), fault);
}

int store_describe_put(struct store *store, int64_t num, unsigned kind, unsigned content_format,
                       struct span bytes, int64_t now_ms, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_DESCRIBE_PUT, fault);
    bind_int(q, ":num", num);
    bind_int(q, ":kind", kind);
    bind_int(q, ":format", content_format);
    bind_blob(q, ":bytes", bytes.data, bytes.len);
    bind_int(q, ":now", now_ms);
    return stmt_run_one(store, q, fault);
}

int store_describe_get(struct store *store, int64_t num, unsigned kind, unsigned *content_format,
                       uint8_t **bytes, size_t *len, struct fault *fault) {
    *bytes = NULL;
    *len = 0;
    *content_format = 0;
    sqlite3_stmt *q = stmt(store, STMT_DESCRIBE_GET, fault);
    bind_int(q, ":num", num);
    bind_int(q, ":kind", kind);
    int code = stmt_next(store, q, fault);
    if (code != 1) {
        return code < 0 ? code : SW_E_NOT_FOUND;
    }
    *content_format = col_u16(q, 0);
    code = col_alloc(q, 1, bytes, len, fault);
    stmt_end(q);
    return code;
}

int store_session_put(struct store *store, const uint8_t cid[STORE_CID_BYTES],
                      const struct device_id *device, struct span sealed, int64_t now_ms,
                      struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_SESSION_PUT, fault);
    bind_blob(q, ":cid", cid, STORE_CID_BYTES);
    bind_blob(q, ":device", device->b, sizeof device->b);
    bind_blob(q, ":sealed", sealed.data, sealed.len);
    bind_int(q, ":now", now_ms);
    return stmt_run_one(store, q, fault);
}

int store_session_delete(struct store *store, const uint8_t cid[STORE_CID_BYTES],
                         struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_SESSION_DELETE, fault);
    bind_blob(q, ":cid", cid, STORE_CID_BYTES);
    return stmt_do(store, q, fault);
}

int store_session_delete_device(struct store *store, const struct device_id *device,
                                struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_SESSION_DELETE_DEVICE, fault);
    bind_blob(q, ":device", device->b, sizeof device->b);
    return stmt_do(store, q, fault);
}

int store_session_each(struct store *store, store_session_fn *each, void *arg,
                       struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_SESSION_LIST, fault);
    int code;
    while ((code = stmt_next(store, q, fault)) == 1) {
        uint8_t cid[STORE_CID_BYTES];
        struct device_id device;
        (void)col_blob(q, 0, cid, sizeof cid);
        (void)col_blob(q, 1, device.b, sizeof device.b);
        const void *sealed = sqlite3_column_blob(q, 2);
        if (!each(arg, cid, &device, span_of(sealed, (size_t)sqlite3_column_bytes(q, 2)))) {
            stmt_end(q);
            return SW_OK;
        }
    }
    return code;
}
