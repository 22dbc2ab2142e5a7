/* The operator's side: what is created, released, locked and refused. */
#include "scratch.h"
#include "world.h"

#include "slipway/crypto/hash.h"

static struct app_plan plan;

static void expect_error(int code, const char *field, const char *part) {
    assert_int_equal(world.error.code, code);
    assert_string_equal(world.error.field, field);
    if (strstr(world.error.description, part) == NULL) {
        fail_msg("no \"%s\" in \"%s\"", part, world.error.description);
    }
}

/* --- products --- */

static int run_create(struct app_tx *tx, void *arg) {
    struct product out;
    return app_product_create(tx, (const struct app_product_new *)arg, &out);
}

static void products_are_checked(void **state) {
    (void)state;
    assert_int_equal(world.product.id, 101);
    assert_string_equal(world.product.slug, "test-product");
    struct app_product_new request = {.name = "Test product", .platform_id = PLATFORM_BORON};
    assert_int_equal(app_execute(world.app, run_create, &request, &world.error), SW_E_EXISTS);
    expect_error(SW_E_EXISTS, "name", "already exists");
    request.name = "Another";
    request.platform_id = 9999;
    assert_int_equal(app_execute(world.app, run_create, &request, &world.error), SW_E_RANGE);
    expect_error(SW_E_RANGE, "platform_id", "9999");
    request.platform_id = PLATFORM_BORON;
    request.name = "";
    assert_int_equal(app_execute(world.app, run_create, &request, &world.error), SW_E_INPUT);
    expect_error(SW_E_INPUT, "name", "required");
    request.name = "bad \xC3\x28 text";
    assert_int_equal(app_execute(world.app, run_create, &request, &world.error), SW_E_INPUT);
    expect_error(SW_E_INPUT, "name", "UTF-8");
    request.name = "Another";
    request.id = 100;
    assert_int_equal(app_execute(world.app, run_create, &request, &world.error), SW_E_RANGE);
    request.id = 4711;
    assert_int_equal(app_execute(world.app, run_create, &request, &world.error), SW_OK);
}

static int run_get(struct app_tx *tx, void *arg) {
    struct product out;
    return app_product_get(tx, (const char *)arg, &out);
}

static int get_product(const char *name) {
    char text[64];
    (void)snprintf(text, sizeof text, "%s", name);
    return app_read(world.app, world.store, run_get, text, &world.error);
}

static void products_are_found_by_number_and_slug(void **state) {
    (void)state;
    assert_int_equal(get_product("101"), SW_OK);
    assert_int_equal(get_product("test-product"), SW_OK);
    assert_int_equal(get_product("102"), SW_E_NOT_FOUND);
    assert_int_equal(get_product("101x"), SW_E_NOT_FOUND);
    assert_int_equal(get_product("99999999999999999999"), SW_E_NOT_FOUND);
    assert_int_equal(get_product(""), SW_E_NOT_FOUND);
    assert_string_equal(world.error.description, "Product not found.");
}

/* --- firmware --- */

static void uploads_are_held_against_their_claim(void **state) {
    (void)state;
    struct firmware firmware;
    struct app_upload upload = {
        .version = 3, .title = "three", .bytes = world_module(2, 0), .uploaded_by = "tester"};
    assert_int_equal(world_upload_bytes(&world, &upload, &firmware), SW_E_RANGE);
    expect_error(SW_E_RANGE, "file", "version");
    upload.version = 2;
    upload.title = "";
    assert_int_equal(world_upload_bytes(&world, &upload, &firmware), SW_E_INPUT);
    expect_error(SW_E_INPUT, "title", "required");
    upload.title = "two";
    upload.version = 70000;
    assert_int_equal(world_upload_bytes(&world, &upload, &firmware), SW_E_RANGE);
    expect_error(SW_E_RANGE, "version", "65534");
    upload.version = 2;
    assert_int_equal(world_upload_bytes(&world, &upload, &firmware), SW_OK);
    assert_int_equal(firmware.version, 2);
    assert_int_equal(strlen(firmware.uid), UID_DIGITS);
    assert_int_equal(world_upload_bytes(&world, &upload, &firmware), SW_E_EXISTS);
    assert_string_equal(world.error.description, "Firmware version already exists");

    struct span cut = span_of(upload.bytes.data, upload.bytes.len - 1);
    struct app_upload broken = upload;
    broken.bytes = cut;
    assert_int_equal(world_upload_bytes(&world, &broken, &firmware), SW_E_INPUT);
    expect_error(SW_E_INPUT, "file", "not a valid firmware module");
    free((void *)(uintptr_t)upload.bytes.data);
}

struct load_bag {
    int64_t id;
    struct app_image image;
};

static int run_load(struct app_tx *tx, void *arg) {
    struct load_bag *bag = (struct load_bag *)arg;
    return app_image_load(tx, bag->id, &bag->image);
}

static void bytes_come_back_as_they_went_in(void **state) {
    (void)state;
    struct firmware firmware;
    struct load_bag load;
    assert_int_equal(world_upload(&world, 1, 0), SW_OK);
    world_firmware(&world, 1, &firmware);
    assert_string_equal(firmware.image.name, "app.bin");
    load.id = firmware.image.id;
    assert_int_equal(app_read(world.app, world.store, run_load, &load, NULL), SW_OK);
    struct span original = world_module(1, 0);
    assert_int_equal(load.image.size, original.len);
    assert_memory_equal(load.image.bytes, original.data, original.len);
    assert_memory_equal(load.image.file_hash.b, firmware.image.file_hash.b, SHA256_BYTES);
    free(load.image.bytes);
    free((void *)(uintptr_t)original.data);
}

static int run_delete(struct app_tx *tx, void *arg) {
    return app_firmware_delete(tx, world.product.id, *(const int64_t *)arg);
}

static int delete_version(int64_t version) {
    return app_execute(world.app, run_delete, &version, &world.error);
}

static void only_unreleased_unlocked_firmware_is_deleted(void **state) {
    (void)state;
    struct device_id id = world_id(1);
    for (uint16_t version = 1; version <= 3; version++) {
        assert_int_equal(world_upload(&world, version, 0), SW_OK);
    }
    assert_int_equal(world_import(&world, world_id_text(1), NULL), SW_OK);
    assert_int_equal(world_release_default(&world, 1, false), SW_OK);
    struct app_device_edit lock = {.lock = APP_SET, .lock_version = 2};
    assert_int_equal(world_edit(&world, &id, &lock, NULL), SW_OK);
    assert_int_equal(delete_version(1), SW_E_DENIED);
    assert_int_equal(delete_version(2), SW_E_DENIED);
    assert_int_equal(delete_version(3), SW_OK);
    assert_int_equal(delete_version(3), SW_E_NOT_FOUND);
    struct app_device_edit unlock = {.lock = APP_CLEAR};
    assert_int_equal(world_edit(&world, &id, &unlock, NULL), SW_OK);
    assert_int_equal(delete_version(2), SW_OK);
}

/* --- releases --- */

static void groups_belong_to_one_version_at_a_time(void **state) {
    (void)state;
    struct firmware firmware;
    assert_int_equal(world_upload(&world, 1, 0), SW_OK);
    assert_int_equal(world_upload(&world, 2, 0), SW_OK);
    assert_int_equal(world_group(&world, "beta"), SW_OK);
    assert_int_equal(world_group(&world, "field"), SW_OK);
    assert_int_equal(world_release_group(&world, 1, "beta", false), SW_OK);
    assert_int_equal(world_release_group(&world, 2, "beta", true), SW_OK);
    world_firmware(&world, 1, &firmware);
    assert_int_equal(firmware.group_count, 0);
    world_firmware(&world, 2, &firmware);
    assert_int_equal(firmware.group_count, 1);
    assert_true(firmware.immediate);
    /* The list is absolute. */
    assert_int_equal(world_release_group(&world, 2, "field", false), SW_OK);
    world_firmware(&world, 2, &firmware);
    assert_int_equal(firmware.group_count, 1);

    assert_int_equal(world_release_group(&world, 2, "nobody", false), SW_E_NOT_FOUND);
    expect_error(SW_E_NOT_FOUND, "groups", "nobody");
}

static void bare_release_sets_the_default_and_false_clears_it(void **state) {
    (void)state;
    struct app_release_result result;
    assert_int_equal(world_upload(&world, 1, 0), SW_OK);
    assert_int_equal(world_group(&world, "beta"), SW_OK);
    assert_int_equal(world_release_group(&world, 1, "beta", false), SW_OK);
    struct app_release bare = {.version = 1};
    assert_int_equal(world_release(&world, &bare, &result), SW_OK);
    assert_true(result.firmware.product_default);
    assert_int_equal(result.firmware.group_count, 1); /* untouched */
    assert_true(result.is_untested);

    struct app_release only_default = {.version = 1, .product_default = APP_TRUE};
    assert_int_equal(world_release(&world, &only_default, &result), SW_OK);
    assert_int_equal(result.firmware.group_count, 0); /* no groups: none any more */
    struct app_release off = {.version = 1, .product_default = APP_FALSE};
    assert_int_equal(world_release(&world, &off, &result), SW_OK);
    assert_false(result.firmware.product_default);
}

static int run_enforce(struct app_tx *tx, void *arg) {
    struct product out;
    struct app_product_edit edit = {.has_enforce_tested = true, .enforce_tested = true};
    (void)arg;
    return app_product_edit(tx, world.product.id, &edit, &out);
}

static void untested_firmware_is_warned_about_or_refused(void **state) {
    (void)state;
    struct app_release_result result;
    struct app_release request = {.version = 1, .product_default = APP_TRUE};
    assert_int_equal(world_upload(&world, 1, 0), SW_OK);
    assert_int_equal(world_release(&world, &request, &result), SW_OK);
    assert_true(result.is_untested);
    assert_int_equal(app_execute(world.app, run_enforce, NULL, NULL), SW_OK);
    assert_int_equal(world_release(&world, &request, &result), SW_E_DENIED);
    expect_error(SW_E_DENIED, "version", "has not run on any device");

    assert_int_equal(world_import(&world, world_id_text(1), NULL), SW_OK);
    struct app_hello greeting = world_hello_of(1, 1);
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
    assert_int_equal(world_release(&world, &request, &result), SW_OK);
    assert_false(result.is_untested);
}

struct impact_bag {
    struct app_release request;
    struct app_impact impact;
};

static int run_impact(struct app_tx *tx, void *arg) {
    struct impact_bag *bag = (struct impact_bag *)arg;
    return app_impact(tx, &bag->request, &bag->impact);
}

static void impact_counts_what_a_release_would_change(void **state) {
    (void)state;
    for (uint16_t version = 1; version <= 2; version++) {
        assert_int_equal(world_upload(&world, version, 0), SW_OK);
    }
    for (unsigned n = 1; n <= 5; n++) {
        assert_int_equal(world_import(&world, world_id_text(n), NULL), SW_OK);
        struct app_hello greeting = world_hello_of(n, n <= 3 ? 1 : 2);
        assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
    }
    struct device_id locked = world_id(1);
    struct app_device_edit lock = {.lock = APP_SET, .lock_version = 1};
    assert_int_equal(world_edit(&world, &locked, &lock, NULL), SW_OK);
    struct impact_bag bag = {
        .request = {.product_id = world.product.id, .version = 2, .product_default = APP_TRUE}};
    assert_int_equal(app_read(world.app, world.store, run_impact, &bag, NULL), SW_OK);
    assert_int_equal(bag.impact.total, 2);
    assert_int_equal(bag.impact.count, 1);
    assert_int_equal(bag.impact.by_version[0].version, 1);
    assert_int_equal(bag.impact.by_version[0].count, 2);
    free(bag.impact.by_version);
}

static uint32_t impact_total(int64_t version, enum app_tri product_default,
                             const char *const *groups) {
    struct impact_bag bag = {.request = {.product_id = world.product.id,
                                         .version = version,
                                         .product_default = product_default,
                                         .has_groups = groups != NULL,
                                         .groups = groups,
                                         .group_count = groups != NULL ? 1 : 0}};
    assert_int_equal(app_read(world.app, world.store, run_impact, &bag, NULL), SW_OK);
    free(bag.impact.by_version);
    return bag.impact.total;
}

static void impact_leaves_out_who_waits_for_another_version(void **state) {
    (void)state;
    const char *beta[] = {"beta"};
    for (uint16_t version = 1; version <= 3; version++) {
        assert_int_equal(world_upload(&world, version, 0), SW_OK);
    }
    for (unsigned n = 1; n <= 4; n++) {
        assert_int_equal(world_import(&world, world_id_text(n), NULL), SW_OK);
        struct app_hello greeting = world_hello_of(n, n <= 2 ? 1 : 2);
        assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
    }
    struct app_device_edit join = {.has_groups = true, .groups = beta, .group_count = 1};
    struct device_id member = world_id(3);
    assert_int_equal(world_edit(&world, &member, &join, NULL), SW_OK);
    struct app_release request = {
        .product_id = world.product.id, .version = 2, .product_default = APP_TRUE};
    struct app_release_result result;
    assert_int_equal(world_release(&world, &request, &result), SW_OK);
    /* Two of them wait for version 2, whatever becomes of version 3. */
    assert_int_equal(impact_total(3, APP_FALSE, beta), 1);
    assert_int_equal(impact_total(3, APP_TRUE, NULL), 4);
    assert_int_equal(impact_total(2, APP_TRUE, NULL), 2);
    assert_int_equal(impact_total(2, APP_FALSE, NULL), 0);
    assert_int_equal(impact_total(1, APP_TRUE, NULL), 2); /* those who run 2, back */
}

/* --- groups --- */

struct rename_bag {
    const char *from, *to;
    struct group out;
};

static int run_rename(struct app_tx *tx, void *arg) {
    struct rename_bag *bag = (struct rename_bag *)arg;
    struct app_group_edit edit = {.name = bag->to};
    return app_group_edit(tx, world.product.id, bag->from, &edit, &bag->out);
}

static void renamed_group_keeps_members_and_release(void **state) {
    (void)state;
    struct device_id id = world_id(1);
    const char *names[] = {"beta"};
    struct app_device_edit join = {.has_groups = true, .groups = names, .group_count = 1};
    assert_int_equal(world_upload(&world, 1, 0), SW_OK);
    assert_int_equal(world_import(&world, world_id_text(1), NULL), SW_OK);
    assert_int_equal(world_edit(&world, &id, &join, NULL), SW_OK); /* made on the way */
    assert_int_equal(world_release_group(&world, 1, "beta", false), SW_OK);
    struct rename_bag bag = {.from = "beta", .to = "early"};
    assert_int_equal(app_execute(world.app, run_rename, &bag, &world.error), SW_OK);
    struct app_decision decision;
    world_decision(&world, &id, &decision);
    assert_int_equal(decision.decision.rule, RULE_GROUP);
    assert_string_equal(decision.decision.group, "early");
    bag = (struct rename_bag){.from = "early", .to = "Not Valid"};
    assert_int_equal(app_execute(world.app, run_rename, &bag, &world.error), SW_E_RANGE);
    expect_error(SW_E_RANGE, "name", "a-z");
    assert_int_equal(world_group(&world, "early"), SW_E_EXISTS);
}

/* --- devices --- */

static void import_sorts_its_ids(void **state) {
    (void)state;
    struct app_import_result result;
    assert_int_equal(world_import(&world, "E00FCE680000000000000001", &result), SW_OK);
    assert_int_equal(result.updated.count, 1);
    app_import_result_free(&result);
    assert_int_equal(world_import(&world, world_id_text(1), &result), SW_OK);
    assert_int_equal(result.updated.count, 0);
    assert_int_equal(result.existing.count, 1);
    app_import_result_free(&result);
    assert_int_equal(world_import(&world, "not an id", &result), SW_OK);
    assert_int_equal(result.invalid.count, 1);
    assert_string_equal(result.invalid.items[0], "not an id");
    app_import_result_free(&result);

    struct app_product_new other = {.name = "Other", .platform_id = PLATFORM_BORON};
    assert_int_equal(app_execute(world.app, run_create, &other, NULL), SW_OK);
    world.product.id = 102;
    assert_int_equal(world_import(&world, world_id_text(1), &result), SW_OK);
    assert_int_equal(result.nonmember.count, 1);
    app_import_result_free(&result);
}

static void edits_are_applied_together_or_not_at_all(void **state) {
    (void)state;
    struct device_id id = world_id(1);
    struct device device;
    assert_int_equal(world_import(&world, world_id_text(1), NULL), SW_OK);
    const char *bad[] = {"fine", "Not Fine"};
    struct app_device_edit edit = {.name = "renamed",
                                   .has_development = true,
                                   .development = true,
                                   .has_groups = true,
                                   .groups = bad,
                                   .group_count = 2};
    assert_int_equal(world_edit(&world, &id, &edit, &device), SW_E_RANGE);
    expect_error(SW_E_RANGE, "groups", "a-z");
    world_device(&world, &id, &device);
    assert_string_equal(device.name, "");
    assert_false(device.development);
    struct app_device_edit lock = {.lock = APP_SET, .lock_version = 5};
    assert_int_equal(world_edit(&world, &id, &lock, &device), SW_E_NOT_FOUND);
    expect_error(SW_E_NOT_FOUND, "desired_firmware_version", "5");
}

/* However fast they come, and when the clock was set back. */
static void no_two_edits_are_of_the_same_moment(void **state) {
    (void)state;
    struct device_id id = world_id(1);
    struct device device;
    struct app_device_edit edit = {.has_development = true};
    assert_int_equal(world_import(&world, world_id_text(1), NULL), SW_OK);
    int64_t last_ms = 0;
    for (int i = 0; i < 5; i++) {
        edit.development = !edit.development;
        assert_int_equal(world_edit(&world, &id, &edit, &device), SW_OK);
        assert_true(device.updated_ms > last_ms);
        last_ms = device.updated_ms;
        world_device(&world, &id, &device);
        assert_int_equal(device.updated_ms, last_ms);
        world.now.ms -= i * 1000;
    }
}

struct list_bag {
    struct app_device_query query;
    struct device_list list;
};

static int run_list(struct app_tx *tx, void *arg) {
    struct list_bag *bag = (struct list_bag *)arg;
    return app_device_list(tx, &bag->query, &bag->list);
}

static void list(struct list_bag *bag) {
    bag->query.product_id = world.product.id;
    assert_int_equal(app_read(world.app, world.store, run_list, bag, NULL), SW_OK);
}

static void devices_are_listed_filtered_sorted_and_paged(void **state) {
    (void)state;
    const char *names[] = {"beta"};
    for (unsigned n = 1; n <= 7; n++) {
        char name[16];
        assert_int_equal(world_import(&world, world_id_text(n), NULL), SW_OK);
        (void)snprintf(name, sizeof name, "Name %c", (char)('A' + (n * 3) % 7));
        struct app_device_edit edit = {
            .name = name, .has_groups = n % 2 == 0, .groups = names, .group_count = 1};
        struct device_id id = world_id(n);
        assert_int_equal(world_edit(&world, &id, &edit, NULL), SW_OK);
    }
    struct list_bag bag = {
        .query = {.sort = APP_SORT_NAME, .ascending = true, .page = 2, .per_page = 3}};
    list(&bag);
    assert_int_equal(bag.list.total, 7);
    assert_int_equal(bag.list.count, 3);
    assert_string_equal(bag.list.items[0].name, "Name D");
    free(bag.list.items);

    bag = (struct list_bag){.query = {.groups = names, .group_count = 1}};
    list(&bag);
    assert_int_equal(bag.list.total, 3);
    free(bag.list.items);
    const char *nobody[] = {"nobody"};
    bag = (struct list_bag){.query = {.groups = nobody, .group_count = 1}};
    list(&bag);
    assert_int_equal(bag.list.total, 0);
    free(bag.list.items);

    bag = (struct list_bag){.query = {.id_part = "E00FCE68", .name_part = "NAME b"}};
    list(&bag);
    assert_int_equal(bag.list.total, 1);
    free(bag.list.items);

    struct device_id after = world_id(5);
    bag = (struct list_bag){.query = {.after = &after}};
    list(&bag);
    assert_int_equal(bag.list.count, 2);
    assert_int_equal(bag.list.items[0].id.b[11], 6);
    free(bag.list.items);
}

/* --- restart --- */

static void restart_resumes_what_was_under_way(void **state) {
    (void)state;
    char path[SCRATCH_PATH_MAX];
    struct app_options options = {.path = scratch_path(path, "slipway.db")};
    world_open(&world, &options);
    assert_int_equal(world_upload(&world, 1, 0), SW_OK);
    assert_int_equal(world_import(&world, world_id_text(1), NULL), SW_OK);
    assert_int_equal(world_release_default(&world, 1, false), SW_OK);
    struct app_hello greeting = world_hello_of(1, 0);
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
    int64_t id = plan.offer.update_id;
    assert_int_equal(world_move(&world, id, UPDATE_PLANNED, UPDATE_OFFERED), SW_OK);
    assert_int_equal(world_move(&world, id, UPDATE_OFFERED, UPDATE_SENDING), SW_OK);
    world_close(&world);
    world_reopen(&world, &options);
    struct update update;
    world_update(&world, id, &update);
    assert_int_equal(update.state, UPDATE_PLANNED);
    assert_string_equal(update.reason, "server_restarted");

    /* Also what was committed: the device may not have been told. If it was, it says so. */
    world_transfer(&world, id);
    world_close(&world);
    world_reopen(&world, &options);
    world_update(&world, id, &update);
    assert_int_equal(update.state, UPDATE_PLANNED);
    greeting.product_version = 1;
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
    world_update(&world, id, &update);
    assert_int_equal(update.state, UPDATE_SUCCEEDED);
    world_close(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, world_fresh, world_done)
        CASE(products_are_checked),
        CASE(products_are_found_by_number_and_slug),
        CASE(uploads_are_held_against_their_claim),
        CASE(bytes_come_back_as_they_went_in),
        CASE(only_unreleased_unlocked_firmware_is_deleted),
        CASE(groups_belong_to_one_version_at_a_time),
        CASE(bare_release_sets_the_default_and_false_clears_it),
        CASE(untested_firmware_is_warned_about_or_refused),
        CASE(impact_counts_what_a_release_would_change),
        CASE(impact_leaves_out_who_waits_for_another_version),
        CASE(renamed_group_keeps_members_and_release),
        CASE(import_sorts_its_ids),
        CASE(edits_are_applied_together_or_not_at_all),
        CASE(no_two_edits_are_of_the_same_moment),
        CASE(devices_are_listed_filtered_sorted_and_paged),
        cmocka_unit_test_setup_teardown(restart_resumes_what_was_under_way, scratch_make,
                                        scratch_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
