/* How an application's assets reach a device, and what stands in their way. */
#include "bundle.h"
#include "world.h"

static struct app_plan plan;
static struct zip_entry assets[3];
static struct device_id id;
static struct sha256 target; /* the application's, as the device reports it */

static int set_up(void **state) {
    (void)state;
    static const char *const names[] = {"cat.jpg", "dog.jpg", "sensor.bin"};
    world_open(&world, NULL);
    for (size_t i = 0; i < 3; i++) {
        assets[i] = (struct zip_entry){.name = names[i], .bytes = bundle_raw(names[i], 2000)};
    }
    id = world_id(1);
    assert_int_equal(world_upload(&world, 1, 0), SW_OK);
    assert_int_equal(world_import(&world, world_id_text(1), NULL), SW_OK);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        bundle_forget(&assets[i].bytes);
    }
    world_close(&world);
    return 0;
}

static void release_bundle(uint16_t version, uint16_t needs, size_t body_len, size_t count) {
    struct span zip = bundle_of(version, needs, body_len, assets, count);
    struct app_upload upload = {.version = version, .title = "bundle", .bytes = zip};
    struct firmware firmware;
    assert_int_equal(world_upload_bytes(&world, &upload, &firmware), SW_OK);
    target = firmware.image.module_hash;
    bundle_forget(&zip);
    assert_int_equal(world_release_default(&world, version, false), SW_OK);
}

static void hello(uint16_t version, uint16_t system_version) {
    struct app_hello greeting = world_hello_of(1, version);
    greeting.system_version = system_version;
    world.now.ms += 1000;
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
}

/* It tells what it has: the application, and the assets whose bit is set. */
static void describe(bool has_target, uint16_t system_version, unsigned stored) {
    struct zip_entry there[3];
    struct bundle_describe told = {.system_version = system_version, .stored = there};
    for (size_t i = 0; i < 3; i++) {
        if ((stored >> i & 1) != 0) {
            there[told.stored_count++] = assets[i];
        }
    }
    if (has_target) {
        told.application = target;
        told.needed = assets;
        told.needed_count = 3;
    }
    struct span bytes = bundle_described(&told);
    world.now.ms += 100;
    assert_int_equal(world_described(&world, &id, bytes, &plan), SW_OK);
    bundle_forget(&bytes);
}

static void resumed(void) {
    world.now.ms += 5000;
    assert_int_equal(world_resumed(&world, &id, &plan), SW_OK);
}

static void offers_asset(size_t which) {
    assert_true(plan.has_offer);
    assert_true(plan.offer.is_asset);
    uint8_t file[4096];
    struct image_asset_module module =
        image_asset_of(span_text(assets[which].name), assets[which].bytes);
    int len = image_write_asset(&module, file, sizeof file);
    struct sha256 hash;
    sha256_of(span_of(file, (size_t)len), &hash);
    assert_int_equal(plan.offer.size, len);
    assert_memory_equal(plan.offer.file_hash.b, hash.b, SHA256_BYTES);
}

static void offers_application(void) {
    assert_true(plan.has_offer);
    assert_false(plan.offer.is_asset);
}

static void expect_state(int64_t update, enum update_state state, const char *reason) {
    struct update row;
    world_update(&world, update, &row);
    assert_int_equal(row.state, state);
    assert_string_equal(row.reason, reason);
}

static void assets_go_first_one_by_one(void **state) {
    (void)state;
    release_bundle(2, 0, 500, 2);
    hello(1, 6200);
    assert_false(plan.has_offer); /* what it has is not known yet */
    assert_string_equal(plan.blocked_by, "not_described");
    describe(false, 6200, 0);
    offers_asset(0);
    int64_t update = plan.offer.update_id;
    world_transfer(&world, update);

    /* It restarts, and has the same modules as before: no Hello, no Describe. */
    resumed();
    assert_true(plan.wants_describe);
    assert_true(plan.retry_ms > world.now.ms);
    assert_string_equal(plan.blocked_by, "rebooting");
    expect_state(update, UPDATE_REBOOTING, "");
    describe(false, 6200, 0); /* it has not stored it, or not yet */
    expect_state(update, UPDATE_REBOOTING, "");
    assert_false(plan.wants_describe); /* it has just told; later, again */
    assert_true(plan.retry_ms > world.now.ms);
    describe(false, 6200, 1);
    offers_asset(1);
    assert_int_equal(plan.offer.update_id, update);
    expect_state(update, UPDATE_PLANNED, "asset_stored");
    world_transfer(&world, update);
    resumed();
    describe(false, 6200, 3);
    offers_application();
    assert_int_equal(plan.offer.update_id, update);
    world_transfer(&world, update);

    hello(2, 6200); /* runs the version; whether it has its assets is said next */
    expect_state(update, UPDATE_REBOOTING, "");
    describe(true, 6200, 3);
    expect_state(update, UPDATE_SUCCEEDED, "");
    assert_string_equal(plan.blocked_by, "up_to_date");

    struct device device;
    struct app_asset_list list;
    world_device(&world, &id, &device);
    world_assets(&world, &device, &list);
    assert_int_equal(list.count, 3);
    assert_string_equal(list.items[0].name, "cat.jpg");
    assert_true(list.items[0].is_available && list.items[1].is_available);
    assert_string_equal(list.items[2].name, "sensor.bin");
    assert_false(list.items[2].is_available);
    free(list.items);
}

static void what_it_has_is_not_sent(void **state) {
    (void)state;
    release_bundle(2, 0, 500, 3);
    hello(1, 6200);
    describe(false, 6200, 5);
    offers_asset(1);
    world_transfer(&world, plan.offer.update_id);
    resumed();
    describe(false, 6200, 7);
    offers_application();
}

static void a_transfer_that_broke_off_goes_on_with_the_same_asset(void **state) {
    (void)state;
    release_bundle(2, 0, 500, 2);
    hello(1, 6200);
    describe(false, 6200, 0);
    int64_t update = plan.offer.update_id;
    assert_int_equal(world_move(&world, update, UPDATE_PLANNED, UPDATE_OFFERED), SW_OK);
    assert_int_equal(world_move(&world, update, UPDATE_OFFERED, UPDATE_SENDING), SW_OK);
    hello(1, 6200);
    offers_asset(0);
    assert_int_equal(plan.offer.update_id, update);
}

/* Device OS clears what the running application has no use for before it stores an asset. */
static void what_a_device_drops_follows_the_application(void **state) {
    (void)state;
    release_bundle(2, 0, 500, 2);
    hello(1, 6200);
    describe(false, 6200, 0);
    offers_asset(0);
    int64_t update = plan.offer.update_id;
    world_transfer(&world, update);
    resumed();
    describe(false, 6200, 1);
    world_transfer(&world, update);
    resumed();
    describe(false, 6200, 2); /* the second in place of the first */
    offers_application();
    world_transfer(&world, update);
    hello(2, 6200);
    describe(true, 6200, 2);
    expect_state(update, UPDATE_PLANNED, "application_installed");
    offers_asset(0);
    world_transfer(&world, update);
    resumed();
    describe(true, 6200, 3);
    expect_state(update, UPDATE_SUCCEEDED, "");
}

static void a_store_that_loses_assets_ends_the_update(void **state) {
    (void)state;
    release_bundle(2, 0, 500, 2);
    hello(1, 6200);
    describe(false, 6200, 3);
    int64_t update = plan.offer.update_id;
    offers_application();
    world_transfer(&world, update);
    hello(2, 6200);
    describe(true, 6200, 0);
    offers_asset(0);
    world_transfer(&world, update);
    resumed();
    describe(true, 6200, 1);
    offers_asset(1);
    world_transfer(&world, update);
    resumed();
    describe(true, 6200, 2);
    expect_state(update, UPDATE_FAILED, "assets_missing");
    assert_string_equal(plan.blocked_by, "retry_later");
}

/* A long transfer runs over the asset store. When its target goes before it is through, the device
 * stays what it was and does not restart: nothing would tell that its assets are gone. */
static void a_transfer_that_is_called_off_may_have_cost_assets(void **state) {
    (void)state;
    release_bundle(2, 0, 500, 1);
    hello(1, 6200);
    describe(false, 6200, 1);
    world_transfer(&world, plan.offer.update_id);
    hello(2, 6200);
    describe(true, 6200, 1);
    assert_int_equal(world_upload(&world, 3, 0), SW_OK);
    assert_int_equal(world_release_default(&world, 3, true), SW_OK);
    assert_int_equal(world_plan(&world, &id, UPDATE_CAUSE_IMMEDIATE, &plan), SW_OK);
    assert_true(plan.has_offer);
    int64_t update = plan.offer.update_id;
    assert_int_equal(world_move(&world, update, UPDATE_PLANNED, UPDATE_OFFERED), SW_OK);
    assert_int_equal(world_move(&world, update, UPDATE_OFFERED, UPDATE_SENDING), SW_OK);
    assert_int_equal(world_release_default(&world, 2, true), SW_OK);
    assert_int_equal(world_plan(&world, &id, UPDATE_CAUSE_IMMEDIATE, &plan), SW_OK);
    expect_state(update, UPDATE_CANCELLED, "up_to_date");
    assert_true(plan.wants_describe);
    describe(true, 6200, 0);
    offers_asset(0);
}

static void an_asset_that_was_not_stored_is_a_failure(void **state) {
    (void)state;
    release_bundle(2, 0, 500, 1);
    hello(1, 6200);
    describe(false, 6200, 0);
    int64_t update = plan.offer.update_id;
    world_transfer(&world, update);
    resumed();
    describe(false, 6200, 0); /* it may not have restarted yet */
    expect_state(update, UPDATE_REBOOTING, "");
    assert_true(plan.retry_ms > world.now.ms); /* then it is asked once more */
    world.now.ms += 100000;
    describe(false, 6200, 0);
    expect_state(update, UPDATE_FAILED, "not_stored");
}

/* It moves to another address before it restarts, and repeats what it said before it committed. */
static void a_word_from_before_the_restart_is_no_verdict(void **state) {
    (void)state;
    release_bundle(2, 0, 500, 1);
    hello(1, 6200);
    describe(false, 6200, 1);
    offers_application();
    int64_t update = plan.offer.update_id;
    world_transfer(&world, update);
    resumed();
    describe(false, 6200, 1);
    expect_state(update, UPDATE_REBOOTING, "");
    world.now.ms += 100000;
    describe(false, 6200, 1);
    expect_state(update, UPDATE_FAILED, "rolled_back");
}

static void a_large_application_goes_first(void **state) {
    (void)state;
    release_bundle(2, 0, 606208, 2); /* over the end of the store */
    hello(1, 6200);
    describe(false, 6200, 0);
    offers_application();
    int64_t update = plan.offer.update_id;
    world_transfer(&world, update);
    hello(2, 6200);
    describe(true, 6200, 0);
    expect_state(update, UPDATE_PLANNED, "application_installed");
    offers_asset(0);
    world_transfer(&world, update);
    resumed();
    describe(true, 6200, 1);
    offers_asset(1);
    world_transfer(&world, update);
    resumed();
    describe(true, 6200, 3);
    expect_state(update, UPDATE_SUCCEEDED, "");
}

static void what_it_lost_is_sent_again(void **state) {
    (void)state;
    release_bundle(2, 0, 500, 2);
    hello(2, 6200);
    describe(true, 6200, 3);
    assert_string_equal(plan.blocked_by, "up_to_date");
    hello(2, 6200);
    describe(true, 6200, 2);
    offers_asset(0);
    int64_t update = plan.offer.update_id;
    world_transfer(&world, update);
    resumed();
    describe(true, 6200, 3);
    expect_state(update, UPDATE_SUCCEEDED, "");
    assert_string_equal(plan.blocked_by, "up_to_date");
}

static void the_device_os_must_know_assets(void **state) {
    (void)state;
    release_bundle(2, 0, 500, 1);
    hello(1, 5301);
    describe(false, 5301, 0);
    assert_false(plan.has_offer);
    assert_string_equal(plan.blocked_by, "device_os");
    assert_non_null(strstr(plan.sentence, "Needs Device OS 5.5 for its assets"));
}

static void device_os_parts_go_before_assets(void **state) {
    (void)state;
    assert_int_equal(world_system(&world, 6200), SW_OK);
    release_bundle(2, 6200, 500, 1);
    hello(1, 5301);
    describe(false, 5301, 0);
    offers_application(); /* the system part: no asset at least */
    int64_t update = plan.offer.update_id;
    world_transfer(&world, update);
    hello(1, 6200);
    expect_state(update, UPDATE_PLANNED, "part_installed");
    describe(false, 6200, 0);
    offers_asset(0);
}

static void assets_need_the_current_protocol(void **state) {
    (void)state;
    release_bundle(2, 0, 500, 1);
    struct app_hello greeting = world_hello_of(1, 1);
    greeting.flags = 0x36;
    greeting.system_version = 6200;
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
    describe(false, 6200, 0);
    assert_string_equal(plan.blocked_by, "protocol");
    /* Nor is one begun whose assets would have to follow. */
    release_bundle(3, 0, 606208, 1);
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
    assert_string_equal(plan.blocked_by, "protocol");
    assert_false(plan.has_offer);
}

static void what_the_store_cannot_hold_is_not_begun(void **state) {
    (void)state;
    struct span large = bundle_raw("large", 700000);
    struct zip_entry kept[2] = {assets[0], assets[1]};
    assets[0].bytes = large;
    assets[1].bytes = large;
    release_bundle(2, 0, 500, 2);
    hello(1, 6200);
    describe(false, 6200, 0);
    assert_string_equal(plan.blocked_by, "too_large");
    assert_non_null(strstr(plan.sentence, "a Boron stores at most 1114112"));
    assets[0] = kept[0];
    assets[1] = kept[1];
    bundle_forget(&large);
}

static void what_is_worth_packing_is_packed(void **state) {
    (void)state;
    struct span zeroes = bundle_zeroes(2000000); /* more than the store takes, as it is */
    struct zip_entry kept = assets[0];
    assets[0].bytes = zeroes;
    release_bundle(2, 0, 500, 1);
    hello(1, 6200);
    describe(false, 6200, 0);
    assert_true(plan.has_offer && plan.offer.is_asset);
    assert_in_range(plan.offer.size, 100, 4000);

    struct app_hello greeting = world_hello_of(1, 1);
    greeting.flags = 0xB6; /* without compressed updates */
    greeting.system_version = 6200;
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
    assert_string_equal(plan.blocked_by, "compressed");
    assets[0] = kept;
    bundle_forget(&zeroes);
}

static void a_device_may_refuse_for_lack_of_room(void **state) {
    (void)state;
    release_bundle(2, 0, 500, 1);
    hello(1, 6200);
    describe(false, 6200, 0);
    int64_t update = plan.offer.update_id;
    assert_int_equal(world_move(&world, update, UPDATE_PLANNED, UPDATE_OFFERED), SW_OK);
    assert_int_equal(world_ended(&world, update, OTA_FAILURE_REFUSED, -190, &plan), SW_OK);
    expect_state(update, UPDATE_FAILED, "too_large");
    assert_string_equal(plan.blocked_by, "attempts"); /* the next try would end the same way */
}

struct flash {
    struct app_flash request;
    struct app_file file;
    struct span bytes;
};

static int run_look(struct app_tx *tx, void *arg) {
    struct flash *flash = arg;
    return app_one_off_check(tx, PLATFORM_BORON, flash->bytes, &flash->file);
}

static void flash_file(struct span bytes, struct update *out) {
    struct flash flash = {.bytes = bytes};
    assert_int_equal(app_read(world.app, world.store, run_look, &flash, NULL), SW_OK);
    flash.request = (struct app_flash){.device = id, .file = &flash.file, .by = "tester"};
    assert_int_equal(world_flash(&world, &flash.request, out), SW_OK);
    app_file_close(&flash.file);
    assert_int_equal(world_plan(&world, &id, UPDATE_CAUSE_IMMEDIATE, &plan), SW_OK);
}

static void a_bundle_can_be_flashed_to_one_device(void **state) {
    (void)state;
    hello(1, 6200);
    describe(false, 6200, 0);
    struct span zip = bundle_of(9, 0, 300, assets, 1);
    struct update update;
    flash_file(zip, &update);
    bundle_forget(&zip);
    offers_asset(0);
    assert_int_equal(plan.offer.update_id, update.id);
    world_transfer(&world, update.id);
    resumed();
    describe(false, 6200, 1);
    offers_application();
}

static void a_lone_asset_is_judged_by_the_store(void **state) {
    (void)state;
    hello(1, 6200);
    describe(false, 6200, 0);
    uint8_t file[4096];
    struct image_asset_module module = image_asset_of(span_text(assets[0].name), assets[0].bytes);
    int len = image_write_asset(&module, file, sizeof file);
    struct update update;
    flash_file(span_of(file, (size_t)len), &update);
    offers_asset(0);
    world_transfer(&world, update.id);
    resumed();
    assert_true(plan.wants_describe);
    expect_state(update.id, UPDATE_REBOOTING, "");
    describe(false, 6200, 1);
    expect_state(update.id, UPDATE_SUCCEEDED, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(assets_go_first_one_by_one),
        TEST(what_it_has_is_not_sent),
        TEST(a_transfer_that_broke_off_goes_on_with_the_same_asset),
        TEST(what_a_device_drops_follows_the_application),
        TEST(a_store_that_loses_assets_ends_the_update),
        TEST(a_transfer_that_is_called_off_may_have_cost_assets),
        TEST(an_asset_that_was_not_stored_is_a_failure),
        TEST(a_word_from_before_the_restart_is_no_verdict),
        TEST(a_large_application_goes_first),
        TEST(what_it_lost_is_sent_again),
        TEST(the_device_os_must_know_assets),
        TEST(device_os_parts_go_before_assets),
        TEST(assets_need_the_current_protocol),
        TEST(what_the_store_cannot_hold_is_not_begun),
        TEST(what_is_worth_packing_is_packed),
        TEST(a_device_may_refuse_for_lack_of_room),
        TEST(a_bundle_can_be_flashed_to_one_device),
        TEST(a_lone_asset_is_judged_by_the_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
