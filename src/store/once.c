#include "slipway/store/once.h"

#include "store/internal.h"

struct row {
    struct once_row *out;
    struct fault *fault;
    int code;
};

static void read_row(sqlite3_stmt *q, void *arg) {
    struct row *row = (struct row *)arg;
    (void)col_blob(q, 0, row->out->fingerprint.b, sizeof row->out->fingerprint.b);
    row->out->status = (int)col_u16(q, 1);
    row->code = col_alloc(q, 2, &row->out->body, &row->out->body_len, row->fault);
    col_text(q, 3, row->out->location, sizeof row->out->location);
    col_text(q, 4, row->out->etag, sizeof row->out->etag);
}

int store_once_claim(struct store *store, const struct once_key *key, int64_t now_ms,
                     struct once_row *out, struct fault *fault) {
    *out = (struct once_row){.status = 0};
    sqlite3_stmt *q = stmt(store, STMT_ONCE_INSERT, fault);
    bind_int(q, ":user", key->user_id);
    bind_text(q, ":key", key->key);
    bind_blob(q, ":fingerprint", key->fingerprint.b, sizeof key->fingerprint.b);
    bind_int(q, ":now", now_ms);
    int changed = stmt_run(store, q, fault);
    if (changed != 0) {
        return changed < 0 ? changed : SW_OK;
    }
    q = stmt(store, STMT_ONCE_GET, fault);
    bind_int(q, ":user", key->user_id);
    bind_text(q, ":key", key->key);
    struct row row = {.out = out, .fault = fault};
    int code = stmt_one(store, q, read_row, &row, fault);
    if (code == SW_OK) {
        code = row.code;
    }
    return code == SW_OK ? SW_E_EXISTS : code;
}

int store_once_answer(struct store *store, const struct once_key *key,
                      const struct once_answer *answer, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_ONCE_ANSWER, fault);
    bind_int(q, ":user", key->user_id);
    bind_text(q, ":key", key->key);
    bind_int(q, ":status", answer->status);
    bind_text(q, ":location", answer->location);
    bind_text(q, ":etag", answer->etag);
    if (answer->body.data != NULL) {
        bind_blob(q, ":body", answer->body.data, answer->body.len);
    } else {
        bind_null(q, ":body");
    }
    return stmt_run_one(store, q, fault);
}

int store_once_forget(struct store *store, const struct once_key *key, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_ONCE_FORGET, fault);
    bind_int(q, ":user", key->user_id);
    bind_text(q, ":key", key->key);
    return stmt_do(store, q, fault);
}

int store_once_expire(struct store *store, int64_t before_ms, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_ONCE_EXPIRE, fault);
    bind_int(q, ":before", before_ms);
    return stmt_do(store, q, fault);
}
