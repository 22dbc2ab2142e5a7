/* Opening, refusing, migrating, and the rules that the schema keeps. */
#include "file.h"

#include "slipway/store/catalog.h"
#include "slipway/store/fleet.h"
#include "slipway/store/update.h"
#include "slipway/store/writer.h"

#include "store/migrate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int try_open(struct fault *fault) {
    struct store *store;
    struct store_options options = {.path = db_path};
    int code = store_open(&store, &options, fault);
    assert_true(code != SW_OK || store != NULL);
    store_close(store);
    return code;
}

static void raw(const char *sql) {
    sqlite3 *db;
    assert_int_equal(sqlite3_open(db_path, &db), SQLITE_OK);
    char *why = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK) {
        fail_msg("%s: %s", sql, why);
    }
    (void)sqlite3_close(db);
}

/* --- opening --- */

static void new_file_gets_the_newest_schema(void **state) {
    (void)state;
    struct store *store = must_open();
    struct stat info;
    assert_int_equal(value_of(store, "SELECT max(number) FROM migration"), store_migration_count);
    assert_int_equal(stat(db_path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    store_close(store);
    store = must_open();
    assert_int_equal(value_of(store, "SELECT max(number) FROM migration"), store_migration_count);
    store_close(store);
}

static void foreign_file_is_refused_and_left_alone(void **state) {
    (void)state;
    struct fault fault;
    raw("CREATE TABLE other (a); INSERT INTO other VALUES (1)");
    struct stat before;
    struct stat after;
    assert_int_equal(stat(db_path, &before), 0);
    assert_int_equal(try_open(&fault), SW_E_VERSION);
    assert_non_null(strstr(fault.text, "another program"));
    assert_int_equal(stat(db_path, &after), 0);
    assert_int_equal(before.st_size, after.st_size);
    raw("INSERT INTO other VALUES (2)"); /* still its owner's, in its own mode */
    char wal[SCRATCH_PATH_MAX];
    (void)scratch_path(wal, "test.db-wal");
    assert_int_not_equal(access(wal, F_OK), 0);
}

static void file_that_is_no_database_is_refused(void **state) {
    (void)state;
    struct fault fault;
    FILE *file = fopen(db_path, "w");
    assert_non_null(file);
    for (int i = 0; i < 500; i++) {
        (void)fputs("this is not a database\n", file);
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(try_open(&fault), SW_E_VERSION);
}

static void newer_file_is_refused(void **state) {
    (void)state;
    struct fault fault;
    store_close(must_open());
    raw("INSERT INTO migration VALUES ((SELECT max(number) + 1 FROM migration), 'later', 'x', 1)");
    assert_int_equal(try_open(&fault), SW_E_VERSION);
    assert_non_null(strstr(fault.text, "newer"));
}

static void changed_migration_is_refused(void **state) {
    (void)state;
    struct fault fault;
    store_close(must_open());
    raw("UPDATE migration SET sha256 = 'something else' WHERE number = 1");
    assert_int_equal(try_open(&fault), SW_E_VERSION);
    assert_non_null(strstr(fault.text, "not the one"));
}

static void gap_in_the_history_is_refused(void **state) {
    (void)state;
    struct fault fault;
    store_close(must_open());
    raw("UPDATE migration SET number = number + 1000");
    assert_int_equal(try_open(&fault), SW_E_VERSION);
}

static void folder_that_is_not_there_is_an_error(void **state) {
    (void)state;
    struct store *store;
    struct fault fault;
    struct store_options options = {.path = "/nowhere/at/all.db"};
    assert_int_equal(store_open(&store, &options, &fault), SW_E_IO);
    assert_null(store);
    assert_non_null(strstr(fault.text, "/nowhere/at/all.db"));
}

static void reader_needs_the_same_version_and_cannot_write(void **state) {
    (void)state;
    struct store *reader;
    struct fault fault;
    struct store_options options = {.path = db_path, .is_reader = true};
    assert_int_equal(store_open(&reader, &options, &fault), SW_E_IO);
    store_close(must_open());
    assert_int_equal(store_open(&reader, &options, &fault), SW_OK);
    assert_int_not_equal(store_exec(reader, "DELETE FROM product", &fault), SW_OK);
    store_close(reader);
    raw("INSERT INTO migration VALUES ((SELECT max(number) + 1 FROM migration), 'later', 'x', 1)");
    assert_int_equal(store_open(&reader, &options, &fault), SW_E_VERSION);
}

static const struct migration history[] = {
    {1, "0001_a", "CREATE TABLE a (x INTEGER) STRICT; CREATE TABLE session (x INTEGER) STRICT;",
     "h1"},
    {2, "0002_b", "CREATE TABLE b (x INTEGER) STRICT; INSERT INTO a VALUES (7);", "h2"},
    {3, "0003_c", "CREATE TABLE c (x INTEGER) STRICT; INSERT INTO nowhere VALUES (1);", "h3"},
};

static struct store *bare_store(void) {
    struct store *store = calloc(1, sizeof *store);
    assert_non_null(store);
    assert_int_equal(sqlite3_open(db_path, &store->db), SQLITE_OK);
    return store;
}

static void upgrade_keeps_a_copy_and_a_failing_step_leaves_its_border(void **state) {
    (void)state;
    struct fault fault;
    struct store *store = bare_store();
    assert_int_equal(store_migrate(store, db_path, history, 1, 1, &fault), SW_OK);
    assert_int_equal(store_exec(store, "INSERT INTO session VALUES (1)", &fault), SW_OK);
    assert_int_equal(store_migrate(store, db_path, history, 2, 2, &fault), SW_OK);
    assert_int_equal(value_of(store, "SELECT x FROM a"), 7);
    char copy[SCRATCH_PATH_MAX];
    (void)scratch_path(copy, "test.db.before-0002");
    struct stat info;
    assert_int_equal(stat(copy, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);

    assert_int_not_equal(store_migrate(store, db_path, history, 3, 3, &fault), SW_OK);
    assert_non_null(strstr(fault.text, "0003_c"));
    assert_int_equal(value_of(store, "SELECT count(*) FROM sqlite_schema WHERE name = 'c'"), 0);
    assert_int_equal(value_of(store, "SELECT max(number) FROM migration"), 2);

    sqlite3 *old;
    assert_int_equal(sqlite3_open(copy, &old), SQLITE_OK);
    struct store *before = calloc(1, sizeof *before);
    assert_non_null(before);
    before->db = old;
    assert_int_equal(value_of(before, "SELECT max(number) FROM migration"), 1);
    /* Whoever goes back to the copy may not go back to numbers that sessions have used since. */
    assert_int_equal(value_of(before, "SELECT count(*) FROM session"), 0);
    assert_int_equal(value_of(store, "SELECT count(*) FROM session"), 1);
    store_close(before);
    store_close(store);
}

static void folder_is_locked_once(void **state) {
    (void)state;
    struct fault fault;
    int first;
    int second;
    assert_int_equal(store_lock_folder(scratch_folder, &first, &fault), SW_OK);
    assert_int_equal(store_lock_folder(scratch_folder, &second, &fault), SW_E_BUSY);
    assert_int_equal(close(first), 0);
    assert_int_equal(store_lock_folder(scratch_folder, &second, &fault), SW_OK);
    assert_int_equal(close(second), 0);
}

/* --- rules that the schema itself keeps --- */

struct update_probe {
    struct store_job job;
    struct device device;
    struct update update;
};

static int make_device(struct store_job *job, struct store *store, struct fault *fault) {
    struct update_probe *probe = (struct update_probe *)job;
    struct device_id id = {.b = {1}};
    struct product product = {.id = 101, .platform_id = 13, .name = "p", .slug = "p"};
    int code = store_product_insert(store, &product, fault);
    if (code == SW_OK) {
        code = store_device_insert(store, &id, 101, 13, 1, fault);
    }
    if (code == SW_OK) {
        code = store_device_get(store, &id, &probe->device, fault);
    }
    struct image_record image = {.kind = IMAGE_KIND_ONE_OFF, .size = 3, .platform_id = 13};
    if (code == SW_OK) {
        code = store_image_insert(store, &image, span_text("abc"), fault);
    }
    probe->update = (struct update){.device_num = probe->device.num,
                                    .product_id = 101,
                                    .image_id = image.id,
                                    .step_image_id = image.id,
                                    .version = 2,
                                    .attempt = 1,
                                    .created_ms = 1};
    return code;
}

static int open_update(struct store_job *job, struct store *store, struct fault *fault) {
    return store_update_insert(store, &((struct update_probe *)job)->update, fault);
}

static int cancel_update(struct store_job *job, struct store *store, struct fault *fault) {
    struct store_move move = {.id = ((struct update_probe *)job)->update.id,
                              .from = UPDATE_PLANNED,
                              .to = UPDATE_CANCELLED,
                              .reason = "test",
                              .now_ms = 2};
    return store_update_move(store, &move, fault);
}

struct bundle_probe {
    struct store_job job;
    struct image_record application;
    struct image_record assets[2];
};

static int make_bundle(struct store_job *job, struct store *store, struct fault *fault) {
    struct bundle_probe *probe = (struct bundle_probe *)job;
    probe->application = (struct image_record){
        .kind = IMAGE_KIND_ONE_OFF, .function = MODULE_USER_PART, .platform_id = 13, .size = 3};
    int code = store_image_insert(store, &probe->application, span_text("app"), fault);
    if (code == SW_OK) {
        code = store_bundle_insert(store, probe->application.id, span_text("a zip"), fault);
    }
    for (uint32_t i = 0; code == SW_OK && i < 2; i++) {
        struct image_record *asset = &probe->assets[i];
        *asset =
            (struct image_record){.kind = IMAGE_KIND_ONE_OFF, .function = MODULE_ASSET, .size = 5};
        code = store_image_insert(store, asset, span_text("asset"), fault);
        if (code == SW_OK) { /* the second one goes first */
            code = store_bundle_add(store, probe->application.id, 2 - i, asset->id, fault);
        }
    }
    return code;
}

static int forget_one_offs(struct store_job *job, struct store *store, struct fault *fault) {
    (void)job;
    return store_image_forget_one_offs(store, 100, fault);
}

static int keep_application(struct store_job *job, struct store *store, struct fault *fault) {
    struct update_probe *probe = (struct update_probe *)job;
    struct device_id id = {.b = {1}};
    int code = store_device_get(store, &id, &probe->device, fault);
    probe->update.device_num = probe->device.num;
    return code == SW_OK ? store_update_insert(store, &probe->update, fault) : code;
}

static void assets_live_as_long_as_their_application(void **state) {
    (void)state;
    struct store *store = must_open();
    struct update_probe update = {.job = {.run = make_device}};
    struct bundle_probe probe = {.job = {.run = make_bundle}};
    struct store_job forget = {.run = forget_one_offs};
    assert_int_equal(store_run(store, &update.job, NULL), SW_OK);
    assert_int_equal(store_run(store, &probe.job, NULL), SW_OK);
    update.job.run = keep_application;
    update.update.image_id = probe.application.id;
    update.update.step_image_id = 0; /* not chosen yet */
    assert_int_equal(store_run(store, &update.job, NULL), SW_OK);
    struct update open;
    assert_int_equal(store_update_open(store, update.device.num, &open, NULL), SW_OK);
    assert_int_equal(open.step_image_id, 0);

    /* An open update needs the application, and so its assets. */
    assert_int_equal(store_run(store, &forget, NULL), SW_OK);
    struct image_record *assets;
    size_t count;
    assert_int_equal(store_bundle_assets(store, probe.application.id, &assets, &count, NULL),
                     SW_OK);
    assert_int_equal(count, 2);
    assert_int_equal(assets[0].id, probe.assets[1].id);
    assert_int_equal(assets[1].id, probe.assets[0].id);
    free(assets);
    uint8_t *zip;
    size_t len;
    assert_int_equal(store_bundle_load(store, probe.application.id, &zip, &len, NULL), SW_OK);
    assert_int_equal(len, 5);
    free(zip);

    update.job.run = cancel_update;
    assert_int_equal(store_run(store, &update.job, NULL), SW_OK);
    assert_int_equal(store_run(store, &forget, NULL), SW_OK);
    struct image_record gone;
    assert_int_equal(store_image_get(store, probe.assets[0].id, &gone, NULL), SW_E_NOT_FOUND);
    assert_int_equal(store_image_get(store, probe.assets[1].id, &gone, NULL), SW_E_NOT_FOUND);
    assert_int_equal(store_bundle_load(store, probe.application.id, &zip, &len, NULL),
                     SW_E_NOT_FOUND);
    store_close(store);
}

static void device_has_one_open_update(void **state) {
    (void)state;
    struct store *store = must_open();
    struct update_probe probe = {.job = {.run = make_device}};
    assert_int_equal(store_run(store, &probe.job, NULL), SW_OK);
    probe.job.run = open_update;
    assert_int_equal(store_run(store, &probe.job, NULL), SW_OK);
    int64_t first = probe.update.id;
    assert_int_equal(store_run(store, &probe.job, NULL), SW_E_EXISTS);
    probe.update.id = first;
    probe.job.run = cancel_update;
    assert_int_equal(store_run(store, &probe.job, NULL), SW_OK);
    assert_int_equal(store_run(store, &probe.job, NULL), SW_E_CONFLICT);
    probe.job.run = open_update;
    assert_int_equal(store_run(store, &probe.job, NULL), SW_OK);

    struct update_step *steps;
    size_t count;
    assert_int_equal(store_update_history(store, first, &steps, &count, NULL), SW_OK);
    assert_int_equal(count, 2);
    assert_int_equal(steps[0].from, -1);
    assert_int_equal(steps[1].to, UPDATE_CANCELLED);
    assert_string_equal(steps[1].reason, "test");
    free(steps);
    store_close(store);
}

static void counters_follow_devices(void **state) {
    (void)state;
    struct store *store = must_open();
    struct update_probe probe = {.job = {.run = make_device}};
    assert_int_equal(store_run(store, &probe.job, NULL), SW_OK);
    assert_int_equal(value_of(store, "SELECT device_count FROM product"), 1);
    probe.device.running_version = 7;
    assert_int_equal(store_device_save_told(store, &probe.device, NULL), SW_OK);
    assert_int_equal(value_of(store, "SELECT device_count FROM census WHERE running_version = 7"),
                     1);
    assert_int_equal(value_of(store, "SELECT count(*) FROM census WHERE running_version = 0"), 0);
    assert_int_equal(store_device_delete(store, probe.device.num, NULL), SW_OK);
    assert_int_equal(value_of(store, "SELECT device_count FROM product"), 0);
    assert_int_equal(value_of(store, "SELECT count(*) FROM census"), 0);
    store_close(store);
}

static void events_are_never_changed(void **state) {
    (void)state;
    struct fault fault;
    struct store *store = must_open();
    assert_int_equal(store_exec(store, "INSERT INTO event (at_ms, name) VALUES (1, 'a')", &fault),
                     SW_OK);
    assert_int_not_equal(store_exec(store, "UPDATE event SET name = 'b'", &fault), SW_OK);
    store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define IN_FOLDER(name) cmocka_unit_test_setup_teardown(name, file_set_up, scratch_remove)
        IN_FOLDER(new_file_gets_the_newest_schema),
        IN_FOLDER(foreign_file_is_refused_and_left_alone),
        IN_FOLDER(file_that_is_no_database_is_refused),
        IN_FOLDER(newer_file_is_refused),
        IN_FOLDER(changed_migration_is_refused),
        IN_FOLDER(gap_in_the_history_is_refused),
        IN_FOLDER(folder_that_is_not_there_is_an_error),
        IN_FOLDER(reader_needs_the_same_version_and_cannot_write),
        IN_FOLDER(upgrade_keeps_a_copy_and_a_failing_step_leaves_its_border),
        IN_FOLDER(folder_is_locked_once),
        IN_FOLDER(assets_live_as_long_as_their_application),
        IN_FOLDER(device_has_one_open_update),
        IN_FOLDER(counters_follow_devices),
        IN_FOLDER(events_are_never_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
