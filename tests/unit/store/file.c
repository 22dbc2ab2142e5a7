#include "file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

char db_path[SCRATCH_PATH_MAX];

int file_set_up(void **state) {
    int status = scratch_make(state);
    (void)scratch_path(db_path, "test.db");
    return status;
}

struct store *must_open(void) {
    struct store *store;
    struct fault fault;
    struct store_options options = {.path = db_path, .now = {.ms = 5}};
    if (store_open(&store, &options, &fault) != SW_OK) {
        fail_msg("%s", fault.text);
    }
    return store;
}

void must_exec(struct store *store, const char *sql) {
    struct fault fault;
    if (store_exec(store, sql, &fault) != SW_OK) {
        fail_msg("%s: %s", sql, fault.text);
    }
}

int64_t value_of(struct store *store, const char *sql) {
    sqlite3_stmt *q = NULL;
    assert_int_equal(sqlite3_prepare_v2(store->db, sql, -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(q, 0);
    (void)sqlite3_finalize(q);
    return value;
}
