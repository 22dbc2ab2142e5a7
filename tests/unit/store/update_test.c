/* Updates of devices as rows: what an upgrade makes of those that are there, and which are kept. */
#include "file.h"

#include "slipway/store/fleet.h"
#include "slipway/store/update.h"

#include "store/migrate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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
    assert_int_equal(sqlite3_open(db_path, &old->db), SQLITE_OK);
    assert_int_equal(store_migrate(old, db_path, store_migrations, 7, 1, &fault), SW_OK);
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
    struct store_options options = {.path = db_path};
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

/* --- retention --- */

#define EACH_OF(n)                                                                                 \
    "WITH RECURSIVE i (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < " n ") "

static struct store *open_with_updates(void) {
    struct store *store;
    struct fault fault;
    struct store_options options = {.path = db_path};
    assert_int_equal(store_open(&store, &options, &fault), SW_OK);
    /* In turn of two devices, the one of number n ended at n * 10; device 1 has an open one. */
    must_exec(
        store,
        A_DEVICE EACH_OF(
            "40") "INSERT INTO device_update (id, device_num, product_id, version, from_version, "
                  "cause, "
                  "rule, state, created_ms, updated_ms, finished_ms) SELECT n, 1 + n % 2, 101, n, "
                  "0, "
                  "'rules', '', CASE n WHEN 10 THEN 'sending' ELSE 'failed' END, n * 10, n * 10, "
                  "CASE n WHEN 10 THEN 0 ELSE n * 10 END FROM i");
    must_exec(store, EACH_OF("40") "INSERT INTO update_history (update_id, at_ms, from_state, "
                                   "to_state) SELECT n, n, NULL, 'planned' FROM i");
    return store;
}

/* A whole round, in steps of that many rows; returns how many went. */
static uint32_t prune(struct store *store, struct store_update_prune limits) {
    int64_t cursor = 0;
    uint32_t all = 0;
    uint32_t steps = 0;
    do {
        uint32_t count;
        assert_int_equal(store_update_prune(store, &limits, &cursor, &count, NULL), SW_OK);
        assert_true(count <= limits.look_max);
        all += count;
        assert_true(++steps < 100);
    } while (cursor != 0);
    assert_int_equal(value_of(store, "SELECT count(*) FROM update_history"),
                     value_of(store, "SELECT count(*) FROM device_update"));
    assert_int_equal(value_of(store, "SELECT count(*) FROM device_update WHERE id = 10"), 1);
    return all;
}

static void updates_go_by_age(void **state) {
    (void)state;
    struct store *store = open_with_updates();
    struct store_update_prune limits = {
        .rows_max = 1000, .before_ms = 205, .device_keep = 5, .look_max = 7};
    assert_int_equal(prune(store, limits), 19);
    assert_int_equal(value_of(store, "SELECT count(*) FROM device_update WHERE id <= 20"), 1);
    assert_int_equal(value_of(store, "SELECT count(*) FROM device_update WHERE id > 20"), 20);
    assert_int_equal(prune(store, limits), 0);
    store_close(store);
}

static void updates_go_by_number(void **state) {
    (void)state;
    struct store *store = open_with_updates();
    struct store_update_prune limits = {
        .rows_max = 12, .before_ms = 0, .device_keep = 1, .look_max = 1000};
    assert_int_equal(prune(store, limits), 27);
    assert_int_equal(value_of(store, "SELECT min(id) FROM device_update WHERE id <> 10"), 29);
    store_close(store);
}

static void newest_of_each_device_stay(void **state) {
    (void)state;
    struct store *store = open_with_updates();
    struct store_update_prune limits = {
        .rows_max = 1, .before_ms = INT64_MAX, .device_keep = 3, .look_max = 3};
    assert_int_equal(prune(store, limits), 40 - 7);
    assert_int_equal(value_of(store, "SELECT min(id) FROM device_update WHERE id <> 10"), 35);
    for (int device = 1; device <= 2; device++) {
        struct update last;
        assert_int_equal(store_update_last(store, device, &last, NULL), SW_OK);
        assert_int_equal(last.id, device == 1 ? 40 : 39);
    }
    store_close(store);
}

/* A device that disables and enables updates for ever. */
static void the_history_of_one_update_is_bounded(void **state) {
    (void)state;
    struct store *store = open_with_updates();
    must_exec(store, "UPDATE device_update SET state = 'planned' WHERE id = 10");
    struct store_move move = {.id = 10, .from = UPDATE_PLANNED, .to = UPDATE_DEFERRED};
    for (int64_t n = 1; n <= 1000; n++) {
        enum update_state from = move.from;
        move.reason = "flap";
        move.now_ms = n + 1000;
        assert_int_equal(store_update_move(store, &move, NULL), SW_OK);
        move.from = move.to;
        move.to = from;
    }
    struct update_step *items = NULL;
    size_t count = 0;
    assert_int_equal(store_update_history(store, 10, &items, &count, NULL), SW_OK);
    assert_int_equal(count, UPDATE_HISTORY_MAX);
    assert_int_equal(items[0].at_ms, 10); /* how it began */
    assert_int_equal(items[1].at_ms, 2000 - (UPDATE_HISTORY_MAX - 2));
    assert_int_equal(items[count - 1].at_ms, 2000);
    free(items);
    assert_int_equal(value_of(store, "SELECT count(*) FROM update_history"),
                     39 + UPDATE_HISTORY_MAX);
    store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(upgrade_keeps_every_update, file_set_up, scratch_remove),
        cmocka_unit_test_setup_teardown(updates_go_by_age, file_set_up, scratch_remove),
        cmocka_unit_test_setup_teardown(updates_go_by_number, file_set_up, scratch_remove),
        cmocka_unit_test_setup_teardown(newest_of_each_device_stay, file_set_up, scratch_remove),
        cmocka_unit_test_setup_teardown(the_history_of_one_update_is_bounded, file_set_up,
                                        scratch_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
