/* What the files of this module share. */
#ifndef SLIPWAY_STORE_INTERNAL_H
#define SLIPWAY_STORE_INTERNAL_H

#include "slipway/model/ids.h"
#include "slipway/store/store.h"

#include <sqlite3.h>

struct cache;
struct group_set;
struct hints;

enum stmt_name {
#define STMT(name, access, sql) STMT_##name,
#include "store/stmts.def"
#undef STMT
    STMT_COUNT
};

struct store {
    sqlite3 *db;
    sqlite3_stmt *stmts[STMT_COUNT]; /* prepared at their first use */
    bool is_reader;
    bool has_view; /* a reader's */
    uint64_t view_mark;
    int wal_pages; /* a writer's: in the log since its last checkpoint */
    struct store_hooks hooks;
    struct cache *cache;   /* a reader's; NULL before its first use */
    struct group_set *set; /* a writer's: what store_group_set_get gave last */
    struct hints *hints;   /* a writer's, which its readers share; NULL: a reader on its own */
    bool is_learning;      /* a writer's: rows behind this id are still to be put into hints */
    struct device_id learnt;
};

/* The statement's text and whether it only reads, for tests. */
const char *stmt_sql(enum stmt_name name);
bool stmt_is_read_only(enum stmt_name name);

/* A prepared statement, reset and without bindings; NULL (and *fault) if it cannot be prepared.
 * SW_CHECKs that a reader does not ask for one that writes. */
sqlite3_stmt *stmt(struct store *store, enum stmt_name name, struct fault *fault);

/* Named parameters; the memory is borrowed until the statement is reset. A NULL statement is
 * ignored, so that a failure to prepare is reported by the step. */
void bind_int(sqlite3_stmt *q, const char *name, int64_t value);
void bind_text(sqlite3_stmt *q, const char *name, const char *value); /* NULL = SQL NULL */
void bind_blob(sqlite3_stmt *q, const char *name, const void *data, size_t len);
void bind_null(sqlite3_stmt *q, const char *name);

/* Runs a statement without rows to its end and resets it: the number of changed rows, or an error.
 */
int stmt_run(struct store *store, sqlite3_stmt *q, struct fault *fault) SW_NODISCARD;
/* The same however many rows change. */
int stmt_do(struct store *store, sqlite3_stmt *q, struct fault *fault) SW_NODISCARD;
/* The same when exactly one row must change: SW_E_NOT_FOUND if none did. */
int stmt_run_one(struct store *store, sqlite3_stmt *q, struct fault *fault) SW_NODISCARD;
/* The next row: 1; at the end or on an error it is reset: 0 or the code. */
int stmt_next(struct store *store, sqlite3_stmt *q, struct fault *fault) SW_NODISCARD;
void stmt_end(sqlite3_stmt *q);

typedef void row_fn(sqlite3_stmt *q, void *row);
/* One row or SW_E_NOT_FOUND. */
int stmt_one(struct store *store, sqlite3_stmt *q, row_fn *read, void *row,
             struct fault *fault) SW_NODISCARD;
/* All rows in a malloc'ed array of *count elements of row_bytes each. `items` is the address of the
 * pointer to them, which is NULL when there are none or it fails. */
int stmt_all(struct store *store, sqlite3_stmt *q, row_fn *read, size_t row_bytes, void *items,
             size_t *count, struct fault *fault) SW_NODISCARD;
/* The same with room for so many from the start; more than 0. */
int stmt_about(struct store *store, sqlite3_stmt *q, row_fn *read, size_t row_bytes,
               size_t expected, void *items, size_t *count, struct fault *fault) SW_NODISCARD;
/* One integer, or otherwise when there is no row or it is NULL. */
int stmt_int(struct store *store, sqlite3_stmt *q, int64_t otherwise, int64_t *out,
             struct fault *fault) SW_NODISCARD;
/* One blob, malloc'ed; SW_E_NOT_FOUND when there is no row. */
int stmt_bytes(struct store *store, sqlite3_stmt *q, uint8_t **bytes, size_t *len,
               struct fault *fault) SW_NODISCARD;

/* Columns. Integers are clamped to what the field can hold: the CHECKs of the schema say that they
 * are in range, and a damaged file must not become undefined behaviour. */
int64_t col_int(sqlite3_stmt *q, int column);
uint8_t col_u8(sqlite3_stmt *q, int column);
uint16_t col_u16(sqlite3_stmt *q, int column);
uint32_t col_u32(sqlite3_stmt *q, int column);
bool col_bool(sqlite3_stmt *q, int column);
bool col_is_null(sqlite3_stmt *q, int column);
void col_text(sqlite3_stmt *q, int column, char *out, size_t cap);
/* Copies exactly len bytes; false (and zeroes) if the column holds another number of them. */
bool col_blob(sqlite3_stmt *q, int column, void *out, size_t len);

/* A malloc'ed copy of a blob; NULL and 0 for an empty one. */
int col_alloc(sqlite3_stmt *q, int column, uint8_t **bytes, size_t *len,
              struct fault *fault) SW_NODISCARD;
/* A name of a group, as a row of its own. */
void read_group_name(sqlite3_stmt *q, void *row);
/* Brings what is in a long log into the file. Not before those who wait for a commit have heard of
 * it: it takes as long as many commits. */
void store_checkpoint(struct store *store);

/* What a writer does once nobody wanted anything for STORE_IDLE_MS: has the log written back, so
 * that readers need not search it, and learns where devices stand. Milliseconds until there is more
 * to do; negative: not before the next job. */
#define STORE_IDLE_MS 1000
int64_t store_idle(struct store *store);
/* Makes wanted() known to a new connection. */
int store_add_functions(struct store *store, struct fault *fault) SW_NODISCARD;
/* What lists show of a device. */
void store_read_listed(sqlite3_stmt *q, void *row);
/* Takes all its devices out of a group. */
int store_group_empty(struct store *store, int64_t group_id, struct fault *fault) SW_NODISCARD;
/* The fields of an image, first in the row. */
void store_read_image(sqlite3_stmt *q, void *row);

/* Fills *fault from the connection's last error and returns its SW_E_* code. */
int store_failed(struct store *store, const char *doing, struct fault *fault);
/* Statements outside the list: pragmas, transactions, migrations. */
int store_exec(struct store *store, const char *sql, struct fault *fault) SW_NODISCARD;

#endif
