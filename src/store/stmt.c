#include "store/internal.h"

#include "slipway/util/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RO true
#define RW false

static const struct {
    const char *name;
    const char *sql;
    bool read_only;
} list[STMT_COUNT] = {
#define STMT(name, access, sql) [STMT_##name] = {#name, sql, access},
#include "store/stmts.def"
#undef STMT
};

const char *stmt_sql(enum stmt_name name) {
    return list[name].sql;
}

bool stmt_is_read_only(enum stmt_name name) {
    return list[name].read_only;
}

static int code_of(int extended) {
    switch (extended) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
        return SW_E_EXISTS;
    case SQLITE_CONSTRAINT_FOREIGNKEY:
        return SW_E_CONFLICT;
    default:
        break;
    }
    switch (extended & 0xFF) {
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
        return SW_E_RANGE;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return SW_E_BUSY;
    case SQLITE_NOMEM:
        return SW_E_MEMORY;
    case SQLITE_FULL:
        return SW_E_SPACE;
    case SQLITE_NOTADB:
        return SW_E_VERSION;
    case SQLITE_TOOBIG:
        return SW_E_RANGE;
    default:
        return SW_E_IO;
    }
}

int store_failed(struct store *store, const char *doing, struct fault *fault) {
    int code = code_of(sqlite3_extended_errcode(store->db));
    int problem = sqlite3_system_errno(store->db);
    if (code == SW_E_IO && (problem == ENOSPC || problem == EDQUOT || problem == EFBIG)) {
        code = SW_E_SPACE; /* SQLite says so of some of its files only */
    }
    return fault_set(fault, code, "%s: %s", doing, sqlite3_errmsg(store->db));
}

int store_exec(struct store *store, const char *sql, struct fault *fault) {
    if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        return store_failed(store, "database", fault);
    }
    return SW_OK;
}

sqlite3_stmt *stmt(struct store *store, enum stmt_name name, struct fault *fault) {
    SW_CHECK(!store->is_reader || list[name].read_only);
    sqlite3_stmt **q = &store->stmts[name];
    if (*q == NULL && sqlite3_prepare_v3(store->db, list[name].sql, -1, SQLITE_PREPARE_PERSISTENT,
                                         q, NULL) != SQLITE_OK) {
        (void)store_failed(store, list[name].name, fault);
        return NULL;
    }
    stmt_end(*q);
    return *q;
}

static int parameter(sqlite3_stmt *q, const char *name) {
    int index = sqlite3_bind_parameter_index(q, name);
    SW_CHECK(index > 0);
    return index;
}

void bind_int(sqlite3_stmt *q, const char *name, int64_t value) {
    if (q != NULL) {
        SW_CHECK(sqlite3_bind_int64(q, parameter(q, name), value) == SQLITE_OK);
    }
}

void bind_text(sqlite3_stmt *q, const char *name, const char *value) {
    if (q != NULL) {
        SW_CHECK(sqlite3_bind_text(q, parameter(q, name), value, -1, SQLITE_STATIC) == SQLITE_OK);
    }
}

void bind_blob(sqlite3_stmt *q, const char *name, const void *data, size_t len) {
    if (q != NULL) {
        /* An empty blob is not NULL. */
        SW_CHECK(sqlite3_bind_blob64(q, parameter(q, name), data != NULL ? data : "", len,
                                     SQLITE_STATIC) == SQLITE_OK);
    }
}

void bind_null(sqlite3_stmt *q, const char *name) {
    if (q != NULL) {
        SW_CHECK(sqlite3_bind_null(q, parameter(q, name)) == SQLITE_OK);
    }
}

void stmt_end(sqlite3_stmt *q) {
    if (q != NULL) {
        /* Reset repeats the error of the step, which was already reported. */
        (void)sqlite3_reset(q);
        (void)sqlite3_clear_bindings(q);
    }
}

int stmt_next(struct store *store, sqlite3_stmt *q, struct fault *fault) {
    if (q == NULL) {
        return fault != NULL && fault->code < 0 ? fault->code : SW_E_IO;
    }
    int step = sqlite3_step(q);
    if (step == SQLITE_ROW) {
        return 1;
    }
    int code = step == SQLITE_DONE ? 0 : store_failed(store, "database", fault);
    stmt_end(q);
    return code;
}

int stmt_run(struct store *store, sqlite3_stmt *q, struct fault *fault) {
    int code = stmt_next(store, q, fault);
    if (code == 1) { /* RETURNING is not used: a row here is our own mistake */
        stmt_end(q);
        SW_CHECK(code != 1);
    }
    return code < 0 ? code : sqlite3_changes(store->db);
}

int stmt_do(struct store *store, sqlite3_stmt *q, struct fault *fault) {
    int changed = stmt_run(store, q, fault);
    return changed < 0 ? changed : SW_OK;
}

int stmt_run_one(struct store *store, sqlite3_stmt *q, struct fault *fault) {
    int changed = stmt_run(store, q, fault);
    if (changed < 0) {
        return changed;
    }
    SW_CHECK(changed <= 1);
    return changed == 1 ? SW_OK : SW_E_NOT_FOUND;
}

int stmt_one(struct store *store, sqlite3_stmt *q, row_fn *read, void *row, struct fault *fault) {
    int code = stmt_next(store, q, fault);
    if (code != 1) {
        return code < 0 ? code : SW_E_NOT_FOUND;
    }
    read(q, row);
    stmt_end(q);
    return SW_OK;
}

int stmt_all(struct store *store, sqlite3_stmt *q, row_fn *read, size_t row_bytes, void *items,
             size_t *count, struct fault *fault) {
    return stmt_about(store, q, read, row_bytes, 16, items, count, fault);
}

int stmt_about(struct store *store, sqlite3_stmt *q, row_fn *read, size_t row_bytes,
               size_t expected, void *items, size_t *count, struct fault *fault) {
    unsigned char *rows = NULL;
    size_t cap = 0;
    int code;
    *count = 0;
    while ((code = stmt_next(store, q, fault)) == 1) {
        if (*count == cap) {
            cap = cap == 0 ? expected : cap * 2;
            void *larger = reallocarray(rows, cap, row_bytes);
            if (larger == NULL) {
                stmt_end(q);
                code = fault_set(fault, SW_E_MEMORY, "out of memory for %zu rows", cap);
                break;
            }
            rows = larger;
        }
        unsigned char *row = rows + *count * row_bytes;
        memset(row, 0, row_bytes);
        read(q, row);
        ++*count;
    }
    if (code < 0) {
        free(rows);
        rows = NULL;
        *count = 0;
    }
    memcpy(items, &rows, sizeof rows); /* whatever the type of the pointer */
    return code;
}

int stmt_int(struct store *store, sqlite3_stmt *q, int64_t otherwise, int64_t *out,
             struct fault *fault) {
    *out = otherwise;
    int code = stmt_next(store, q, fault);
    if (code == 1) {
        if (!col_is_null(q, 0)) {
            *out = col_int(q, 0);
        }
        stmt_end(q);
    }
    return code < 0 ? code : SW_OK;
}

int stmt_bytes(struct store *store, sqlite3_stmt *q, uint8_t **bytes, size_t *len,
               struct fault *fault) {
    *bytes = NULL;
    *len = 0;
    int code = stmt_next(store, q, fault);
    if (code != 1) {
        return code < 0 ? code : SW_E_NOT_FOUND;
    }
    code = col_alloc(q, 0, bytes, len, fault);
    stmt_end(q);
    return code;
}

int64_t col_int(sqlite3_stmt *q, int column) {
    return sqlite3_column_int64(q, column);
}

static int64_t clamped(sqlite3_stmt *q, int column, int64_t max) {
    int64_t value = sqlite3_column_int64(q, column);
    return value < 0 ? 0 : value > max ? max : value;
}

uint8_t col_u8(sqlite3_stmt *q, int column) {
    return (uint8_t)clamped(q, column, UINT8_MAX);
}

uint16_t col_u16(sqlite3_stmt *q, int column) {
    return (uint16_t)clamped(q, column, UINT16_MAX);
}

uint32_t col_u32(sqlite3_stmt *q, int column) {
    return (uint32_t)clamped(q, column, UINT32_MAX);
}

bool col_bool(sqlite3_stmt *q, int column) {
    return sqlite3_column_int(q, column) == 1;
}

bool col_is_null(sqlite3_stmt *q, int column) {
    return sqlite3_column_type(q, column) == SQLITE_NULL;
}

void col_text(sqlite3_stmt *q, int column, char *out, size_t cap) {
    /* As bytes: SQLite would copy the text only to end it with a NUL. */
    const unsigned char *text = sqlite3_column_blob(q, column);
    size_t len = text == NULL ? 0 : (size_t)sqlite3_column_bytes(q, column);
    if (len >= cap) {
        len = cap - 1;
        /* Not in the middle of a UTF-8 character. */
        while (len > 0 && (text[len] & 0xC0) == 0x80) {
            len--;
        }
    }
    if (len > 0) {
        memcpy(out, text, len);
    }
    out[len] = '\0';
}

bool col_blob(sqlite3_stmt *q, int column, void *out, size_t len) {
    const void *bytes = sqlite3_column_blob(q, column);
    if (bytes == NULL || (size_t)sqlite3_column_bytes(q, column) != len) {
        memset(out, 0, len);
        return false;
    }
    memcpy(out, bytes, len);
    return true;
}

int col_alloc(sqlite3_stmt *q, int column, uint8_t **bytes, size_t *len, struct fault *fault) {
    *bytes = NULL;
    *len = 0;
    const void *blob = sqlite3_column_blob(q, column);
    size_t size = (size_t)sqlite3_column_bytes(q, column);
    if (size == 0) {
        return SW_OK;
    }
    if (blob == NULL || (*bytes = malloc(size)) == NULL) {
        return fault_set(fault, SW_E_MEMORY, "out of memory for %zu bytes", size);
    }
    memcpy(*bytes, blob, size);
    *len = size;
    return SW_OK;
}
