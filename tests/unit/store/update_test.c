/* Updates of devices as rows: what an upgrade makes of those that are there. */
#include "slipway/store/fleet.h"
#include "slipway/store/update.h"

#include "store/internal.h"
#include "store/migrate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static char path[128];

static int set_up(void **state) {
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/slipway-update-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/test.db", folder);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    static const char *const suffixes[] = {"", "-wal", "-shm", ".before-0008"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char name[160];
        (void)snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        (void)unlink(name);
    }
    return rmdir(folder);
}

static void must_exec(struct store *store, const char *sql) {
    struct fault fault;
    if (store_exec(store, sql, &fault) != SW_OK) {
        fail_msg("%s: %s", sql, fault.text);
    }
}

static int64_t value_of(struct store *store, const char *sql) {
    sqlite3_stmt *q = NULL;
    assert_int_equal(sqlite3_prepare_v2(store->db, sql, -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(q, 0);
    (void)sqlite3_finalize(q);
    return value;
}

#define A_DEVICE                                                                                   \
    "PRAGMA foreign_keys = ON;"                                                                    \
    "INSERT INTO product (id, slug, name, platform_id, created_ms, updated_ms) "                   \
    "VALUES (101, 'p', 'P', 12, 1, 1);"                                                            \
    "INSERT INTO device (num, id, product_id, pending_told, created_ms, updated_ms) "              \
    "VALUES (1, zeroblob(12), 101, 1, 1, 1), "                                                     \
    "(2, x'010000000000000000000000', 101, -1, 1, 1);"

static void upgrade_keeps_every_update(void **state) {
    (void)state;
    struct fault fault;
    struct store *old = calloc(1, sizeof *old);
    assert_non_null(old);
    assert_int_equal(sqlite3_open(path, &old->db), SQLITE_OK);
    assert_int_equal(store_migrate(old, path, store_migrations, 7, 1, &fault), SW_OK);
    must_exec(old, A_DEVICE
              "INSERT INTO device_update (id, device_num, product_id, version, from_version, "
              "cause, rule, state, created_ms, updated_ms, finished_ms) VALUES "
              "(4, 1, 101, 2, 1, 'immediate', 'default', 'failed', 1, 5, 5), "
              "(9, 1, 101, 3, 1, 'flash', '', 'sending', 6, 7, 0);"
              "INSERT INTO update_history (update_id, at_ms, from_state, to_state) VALUES "
              "(4, 1, NULL, 'planned'), (4, 5, 'planned', 'failed'), (9, 6, NULL, 'planned');"
              "INSERT INTO describe VALUES (1, 1, 50, x'7b7d', 3)");
    store_close(old);

    struct store *store;
    struct store_options options = {.path = path};
    assert_int_equal(store_open(&store, &options, &fault), SW_OK);
    struct update update;
    assert_int_equal(store_update_get(store, 4, &update, NULL), SW_OK);
    assert_int_equal(update.state, UPDATE_FAILED);
    assert_int_equal(update.cause, UPDATE_CAUSE_IMMEDIATE);
    assert_int_equal(store_update_open(store, 1, &update, NULL), SW_OK);
    assert_int_equal(update.id, 9);
    assert_int_equal(update.state, UPDATE_SENDING);
    assert_int_equal(update.cause, UPDATE_CAUSE_FLASH);
    struct update *items;
    size_t count;
    assert_int_equal(store_update_in_transit(store, &items, &count, NULL), SW_OK);
    assert_int_equal(count, 1);
    free(items);
    assert_int_equal(value_of(store, "SELECT count(*) FROM update_history"), 3);
    assert_int_equal(value_of(store, "SELECT pending_told FROM device WHERE num = 1"), 1);
    assert_int_equal(value_of(store, "SELECT pending_told FROM device WHERE num = 2"), -1);
    assert_int_equal(value_of(store, "SELECT count(*) FROM describe WHERE kind = 1"), 1);
    assert_int_equal(value_of(store, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(upgrade_keeps_every_update, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
