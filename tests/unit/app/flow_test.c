/* A device's way from its first Hello to a judged update, and everything that stands in it. */
#include "world.h"

static struct app_plan plan;

static int set_up(void **state) {
    (void)state;
    world_open(&world, NULL);
    assert_int_equal(world_upload(&world, 1, 0), SW_OK);
    assert_int_equal(world_upload(&world, 2, 0), SW_OK);
    assert_int_equal(world_import(&world, world_id_text(1), NULL), SW_OK);
    return 0;
}

static void hello(unsigned n, uint16_t version) {
    struct app_hello greeting = world_hello_of(n, version);
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
}

static enum update_state state_of(int64_t id) {
    struct update update;
    world_update(&world, id, &update);
    return update.state;
}

static const char *reason_of(int64_t id) {
    static struct update update;
    world_update(&world, id, &update);
    return update.reason;
}

static void release_leads_to_a_judged_update(void **state) {
    (void)state;
    int64_t cursor = 0;
    hello(1, 1);
    assert_int_equal(plan.verdict, APP_VERDICT_KNOWN);
    assert_false(plan.has_offer);
    assert_string_equal(plan.blocked_by, "no_release");
    assert_int_equal(plan.pending, APP_TELL_FALSE);
    assert_int_equal(world_release_default(&world, 2, false), SW_OK);

    hello(1, 1);
    assert_true(plan.has_offer);
    struct firmware firmware;
    world_firmware(&world, 2, &firmware);
    assert_memory_equal(plan.offer.file_hash.b, firmware.image.file_hash.b, SHA256_BYTES);
    assert_int_equal(plan.offer.size, firmware.image.size);
    int64_t id = plan.offer.update_id;
    world_transfer(&world, id);
    assert_true(world_has_event(&world, &cursor, "spark/status", "auto-update"));
    assert_true(world_has_event(&world, &cursor, "spark/flash/status", "started "));
    assert_true(world_has_event(&world, &cursor, "spark/flash/status", "success "));

    hello(1, 2);
    assert_int_equal(state_of(id), UPDATE_SUCCEEDED);
    assert_false(plan.has_offer);
    assert_string_equal(plan.blocked_by, "up_to_date");
    assert_true(world_has_event(&world, &cursor, "spark/status", "offline"));
    assert_true(world_has_event(&world, &cursor, "spark/status", "online"));
    world_firmware(&world, 2, &firmware);
    assert_int_equal(firmware.device_count, 1);
    assert_int_not_equal(firmware.tested_ms, 0);
}

static void success_may_be_told_by_the_hash_alone(void **state) {
    (void)state;
    struct device_id id = world_id(1);
    assert_int_equal(world_release_default(&world, 2, false), SW_OK);
    hello(1, 0);
    int64_t update = plan.offer.update_id;
    world_transfer(&world, update);
    hello(1, 0); /* says no version: waits for the Describe */
    assert_int_equal(state_of(update), UPDATE_REBOOTING);
    assert_string_equal(plan.blocked_by, "rebooting");
    assert_int_equal(world_describe(&world, &id, world_describe_of(&world, 5000, 2, false), &plan),
                     SW_OK);
    assert_int_equal(state_of(update), UPDATE_SUCCEEDED);
}

static void old_version_back_means_rolled_back(void **state) {
    (void)state;
    assert_int_equal(world_release_default(&world, 2, false), SW_OK);
    for (unsigned attempt = 1; attempt <= 3; attempt++) {
        hello(1, 1);
        assert_true(plan.has_offer);
        int64_t update = plan.offer.update_id;
        world_transfer(&world, update);
        hello(1, 1);
        assert_int_equal(state_of(update), UPDATE_FAILED);
        assert_string_equal(reason_of(update), "rolled_back");
        assert_false(plan.has_offer);
        assert_string_equal(plan.blocked_by, attempt < 3 ? "retry_later" : "attempts");
        if (attempt < 3) {
            assert_true(plan.retry_ms > world.now.ms);
            world.now.ms = plan.retry_ms;
        }
    }
    world.now.ms += 1000000000;
    hello(1, 1);
    assert_string_equal(plan.blocked_by, "attempts");
    /* A new release is a new chance. */
    assert_int_equal(world_release_default(&world, 2, false), SW_OK);
    hello(1, 1);
    assert_true(plan.has_offer);
}

static void disabled_updates_are_deferred_until_enabled_or_forced(void **state) {
    (void)state;
    struct device_id id = world_id(1);
    int64_t cursor = 0;
    assert_int_equal(world_release_default(&world, 2, false), SW_OK);
    hello(1, 1);
    assert_int_equal(world_updates(&world, &id, false, false, &plan), SW_OK);
    assert_false(plan.has_offer);
    assert_string_equal(plan.blocked_by, "updates_disabled");
    assert_int_equal(plan.pending, APP_TELL_TRUE);
    assert_true(world_has_event(&world, &cursor, "particle/device/updates/pending", "true"));
    assert_int_equal(world_plan(&world, &id, UPDATE_CAUSE_RULES, &plan), SW_OK);
    assert_int_equal(plan.pending, APP_TELL_NOTHING); /* told once */

    struct app_device_edit force = {.has_forced = true, .forced = true};
    assert_int_equal(world_edit(&world, &id, &force, NULL), SW_OK);
    assert_int_equal(world_plan(&world, &id, UPDATE_CAUSE_IMMEDIATE, &plan), SW_OK);
    assert_false(plan.has_offer);
    assert_int_equal(plan.forced, APP_TELL_TRUE);
    assert_string_equal(plan.blocked_by, "waiting_for_force");
    assert_int_equal(world_updates(&world, &id, true, true, &plan), SW_OK);
    assert_true(plan.has_offer);

    assert_int_equal(world_updates(&world, &id, true, false, &plan), SW_OK);
    assert_false(plan.has_offer);
    assert_int_equal(world_updates(&world, &id, false, true, &plan), SW_OK);
    assert_true(plan.has_offer);
    assert_int_equal(state_of(plan.offer.update_id), UPDATE_PLANNED);
}

static void refusal_because_disabled_is_no_failure(void **state) {
    (void)state;
    assert_int_equal(world_release_default(&world, 2, false), SW_OK);
    hello(1, 1);
    int64_t update = plan.offer.update_id;
    assert_int_equal(world_move(&world, update, UPDATE_PLANNED, UPDATE_OFFERED), SW_OK);
    assert_int_equal(world_ended(&world, update, OTA_FAILURE_DISABLED, -1380, &plan), SW_OK);
    assert_int_equal(state_of(update), UPDATE_DEFERRED);
    assert_string_equal(plan.blocked_by, "updates_disabled");
    assert_int_equal(plan.pending, APP_TELL_TRUE);
}

static void silence_spends_no_attempt_and_errors_do(void **state) {
    (void)state;
    assert_int_equal(world_release_default(&world, 2, false), SW_OK);
    hello(1, 1);
    int64_t update = plan.offer.update_id;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(world_move(&world, update, UPDATE_PLANNED, UPDATE_OFFERED), SW_OK);
        assert_int_equal(world_ended(&world, update, OTA_FAILURE_TIMEOUT, 0, &plan), SW_OK);
        assert_int_equal(plan.offer.update_id, update);
        assert_true(plan.has_offer);
    }
    assert_int_equal(world_move(&world, update, UPDATE_PLANNED, UPDATE_OFFERED), SW_OK);
    assert_int_equal(world_ended(&world, update, OTA_FAILURE_REJECTED, -1330, &plan), SW_OK);
    assert_int_equal(state_of(update), UPDATE_FAILED);
    assert_string_equal(plan.blocked_by, "retry_later");
    assert_int_equal(world_ended(&world, update, OTA_FAILURE_REJECTED, -1330, &plan),
                     SW_E_CONFLICT);
}

static void permanent_errors_are_not_repeated(void **state) {
    (void)state;
    assert_int_equal(world_release_default(&world, 2, false), SW_OK);
    hello(1, 1);
    int64_t update = plan.offer.update_id;
    assert_int_equal(world_move(&world, update, UPDATE_PLANNED, UPDATE_OFFERED), SW_OK);
    assert_int_equal(world_ended(&world, update, OTA_FAILURE_REFUSED, -1360, &plan), SW_OK);
    assert_string_equal(plan.blocked_by, "attempts");
}

static void new_target_supersedes_what_is_under_way(void **state) {
    (void)state;
    struct device_id id = world_id(1);
    assert_int_equal(world_upload(&world, 3, 0), SW_OK);
    assert_int_equal(world_release_default(&world, 2, true), SW_OK);
    hello(1, 1);
    int64_t update = plan.offer.update_id;
    assert_int_equal(world_move(&world, update, UPDATE_PLANNED, UPDATE_OFFERED), SW_OK);
    assert_int_equal(world_release_default(&world, 3, true), SW_OK);
    assert_int_equal(world_plan(&world, &id, UPDATE_CAUSE_IMMEDIATE, &plan), SW_OK);
    assert_int_not_equal(plan.open_update, update); /* its transfer is to be cancelled */
    assert_int_equal(plan.open_update, plan.offer.update_id);
    assert_int_equal(plan.due_image, plan.offer.image_id); /* and what came of it forgotten */
    assert_int_equal(state_of(update), UPDATE_SUPERSEDED);
    assert_true(plan.has_offer);
    assert_int_equal(plan.offer.version, 3);
    /* The transfer under way learns that it lost. */
    assert_int_equal(world_move(&world, update, UPDATE_OFFERED, UPDATE_SENDING), SW_E_CONFLICT);
}

static void rebooting_is_past_recall(void **state) {
    (void)state;
    assert_int_equal(world_upload(&world, 3, 0), SW_OK);
    assert_int_equal(world_release_default(&world, 2, false), SW_OK);
    hello(1, 1);
    int64_t update = plan.offer.update_id;
    world_transfer(&world, update);
    assert_int_equal(world_release_default(&world, 3, false), SW_OK);
    struct device_id id = world_id(1);
    assert_int_equal(world_plan(&world, &id, UPDATE_CAUSE_RULES, &plan), SW_OK);
    assert_string_equal(plan.blocked_by, "rebooting");
    hello(1, 2);
    assert_int_equal(state_of(update), UPDATE_SUCCEEDED);
    assert_true(plan.has_offer);
    assert_int_equal(plan.offer.version, 3);
}

static void gradual_release_waits_for_the_next_session(void **state) {
    (void)state;
    struct device_id id = world_id(1);
    hello(1, 1);
    assert_int_equal(world_release_default(&world, 2, false), SW_OK);
    assert_int_equal(world_plan(&world, &id, UPDATE_CAUSE_IMMEDIATE, &plan), SW_OK);
    assert_false(plan.has_offer);
    assert_string_equal(plan.blocked_by, "next_session");
    assert_int_equal(world_resumed(&world, &id, &plan), SW_OK);
    assert_true(plan.has_offer);
}

static bool candidate(void *arg, const struct device_id *id) {
    (void)id;
    ++*(unsigned *)arg;
    return true;
}

static int count_candidate(struct app_tx *tx, void *arg) {
    return app_plan_candidates(tx, world.product.id, candidate, arg);
}

static void immediate_release_is_told_and_finds_its_devices(void **state) {
    (void)state;
    struct device_id id = world_id(1);
    hello(1, 1);
    world.notice_count = 0;
    assert_int_equal(world_release_default(&world, 2, true), SW_OK);
    assert_int_equal(world.notice_count, 2);
    assert_int_equal(world.notices[0].kind, APP_NOTICE_PRODUCT);
    assert_int_equal(world.notices[0].product_id, world.product.id);
    assert_int_equal(world.notices[1].kind, APP_NOTICE_EVENTS);
    unsigned found = 0;
    assert_int_equal(app_read(world.app, world.store, count_candidate, &found, NULL), SW_OK);
    assert_int_equal(found, 1);
    assert_int_equal(world_plan(&world, &id, UPDATE_CAUSE_IMMEDIATE, &plan), SW_OK);
    assert_true(plan.has_offer);
}

/* What is being sent may have lost its reason. */
static void every_change_of_targets_is_told(void **state) {
    (void)state;
    const struct app_release withdrawal = {.version = 2, .product_default = APP_FALSE};
    struct app_release_result result;
    world.notice_count = 0;
    assert_int_equal(world_release_default(&world, 2, false), SW_OK);
    assert_int_equal(world.notices[0].kind, APP_NOTICE_TARGETS);
    assert_int_equal(world.notices[0].product_id, world.product.id);
    world.notice_count = 0;
    assert_int_equal(world_release(&world, &withdrawal, &result), SW_OK);
    assert_int_equal(world.notices[0].kind, APP_NOTICE_TARGETS);
}

static void failed_release_tells_nobody(void **state) {
    (void)state;
    world.notice_count = 0;
    assert_int_equal(world_release_default(&world, 9, true), SW_E_NOT_FOUND);
    assert_int_equal(world.notice_count, 0);
}

static void lock_with_flash_is_begun_at_once(void **state) {
    (void)state;
    struct device_id id = world_id(1);
    struct device device;
    hello(1, 1);
    world.notice_count = 0;
    struct app_device_edit lock = {.lock = APP_SET, .lock_version = 2, .flash = true};
    assert_int_equal(world_edit(&world, &id, &lock, &device), SW_OK);
    assert_int_equal(device.locked_version, 2);
    assert_int_equal(world.notices[0].kind, APP_NOTICE_DEVICE);
    assert_int_equal(world_plan(&world, &id, UPDATE_CAUSE_IMMEDIATE, &plan), SW_OK);
    assert_true(plan.has_offer);
    assert_int_equal(plan.offer.version, 2);
    /* Unlocked before it was sent: nothing is due any more. */
    struct app_device_edit unlock = {.lock = APP_CLEAR};
    assert_int_equal(world_edit(&world, &id, &unlock, NULL), SW_OK);
    int64_t update = plan.offer.update_id;
    assert_int_equal(world_plan(&world, &id, UPDATE_CAUSE_IMMEDIATE, &plan), SW_OK);
    assert_false(plan.has_offer);
    assert_int_equal(state_of(update), UPDATE_CANCELLED);
}

static void development_device_is_flashed_but_never_released_to(void **state) {
    (void)state;
    struct device_id id = world_id(1);
    struct app_device_edit mark = {
        .has_development = true, .development = true, .lock = APP_SET, .lock_version = 2};
    assert_int_equal(world_edit(&world, &id, &mark, NULL), SW_OK);
    assert_int_equal(world_release_default(&world, 2, true), SW_OK);
    hello(1, 1);
    assert_false(plan.has_offer);
    assert_string_equal(plan.blocked_by, "development");

    struct update update;
    struct app_flash flash = {.device = id, .version = 2, .by = "tester"};
    assert_int_equal(world_flash(&world, &flash, &update), SW_OK);
    assert_int_equal(world_plan(&world, &id, UPDATE_CAUSE_IMMEDIATE, &plan), SW_OK);
    assert_true(plan.has_offer);
    assert_int_equal(plan.offer.update_id, update.id);
    world_transfer(&world, update.id);
    hello(1, 2);
    assert_int_equal(state_of(update.id), UPDATE_SUCCEEDED);
}

static void device_os_goes_first_or_nothing_goes(void **state) {
    (void)state;
    struct device_id id = world_id(1);
    assert_int_equal(world_upload(&world, 3, 6200), SW_OK);
    assert_int_equal(world_release_default(&world, 3, false), SW_OK);
    hello(1, 1);
    assert_false(plan.has_offer);
    assert_string_equal(plan.blocked_by, "device_os");
    assert_non_null(strstr(plan.sentence, "Needs Device OS 6.2.0 (6200) on Boron, which is not in "
                                          "the library; the device runs "));

    assert_int_equal(world_system(&world, 6200), SW_OK);
    hello(1, 1);
    assert_true(plan.has_offer);
    struct firmware firmware;
    world_firmware(&world, 3, &firmware);
    assert_int_not_equal(plan.offer.image_id, firmware.image.id);
    int64_t update = plan.offer.update_id;
    world_transfer(&world, update);

    struct app_hello greeting = world_hello_of(1, 1);
    greeting.system_version = 6200;
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
    assert_true(plan.has_offer);
    assert_int_equal(plan.offer.update_id, update);
    assert_int_equal(plan.offer.image_id, firmware.image.id);
    world_transfer(&world, update);
    greeting.product_version = 3;
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
    assert_int_equal(state_of(update), UPDATE_SUCCEEDED);
    (void)id;
}

static void part_that_did_not_install_is_a_failure(void **state) {
    (void)state;
    struct device_id id = world_id(1);
    int64_t cursor = 0;
    assert_int_equal(world_upload(&world, 3, 6200), SW_OK);
    assert_int_equal(world_system(&world, 6200), SW_OK);
    assert_int_equal(world_release_default(&world, 3, false), SW_OK);
    hello(1, 1);
    int64_t update = plan.offer.update_id;
    world_transfer(&world, update);
    /* It runs its application meanwhile: nothing is being repaired. */
    assert_false(world_has_event(&world, &cursor, "spark/safe-mode-updater/updating", NULL));
    hello(1, 1);
    assert_int_equal(state_of(update), UPDATE_REBOOTING); /* its Describe decides */
    assert_int_equal(world_describe(&world, &id, world_describe_of(&world, 5000, 1, false), &plan),
                     SW_OK);
    assert_int_equal(state_of(update), UPDATE_FAILED);
}

static void image_that_cannot_be_taken_is_not_offered(void **state) {
    (void)state;
    assert_int_equal(world_release_default(&world, 2, false), SW_OK);
    struct app_hello greeting = world_hello_of(1, 1);
    greeting.binary_max = 100;
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
    assert_string_equal(plan.blocked_by, "too_large");
    greeting = world_hello_of(1, 1);
    greeting.platform_id = 12;
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
    assert_string_equal(plan.blocked_by, "platform");
    assert_false(plan.has_offer);
}

static void older_protocol_is_served_too(void **state) {
    (void)state;
    assert_int_equal(world_release_default(&world, 2, false), SW_OK);
    struct app_hello greeting = world_hello_of(1, 1);
    greeting.flags = 0x36;
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
    assert_true(plan.has_offer);
}

static void transfer_survives_a_new_session(void **state) {
    (void)state;
    assert_int_equal(world_release_default(&world, 2, false), SW_OK);
    hello(1, 1);
    int64_t update = plan.offer.update_id;
    assert_int_equal(world_move(&world, update, UPDATE_PLANNED, UPDATE_OFFERED), SW_OK);
    assert_int_equal(world_move(&world, update, UPDATE_OFFERED, UPDATE_SENDING), SW_OK);
    hello(1, 1);
    assert_true(plan.has_offer);
    assert_int_equal(plan.offer.update_id, update);
    assert_int_equal(state_of(update), UPDATE_PLANNED);
}

/* Version 2 is released, and the device at its version 1 took it: it is about to restart. */
static int64_t committed_update(void) {
    assert_int_equal(world_release_default(&world, 2, false), SW_OK);
    hello(1, 1);
    int64_t update = plan.offer.update_id;
    world.now.ms += 1000;
    world_transfer(&world, update);
    return update;
}

/* Its bootloader refused the image: it resumes its session, and a Hello never comes. */
static void silent_rollback_spends_an_attempt(void **state) {
    (void)state;
    struct device_id id = world_id(1);
    int64_t update = committed_update();
    world.now.ms += 1000; /* it may still be about to restart */
    assert_int_equal(world_resumed(&world, &id, &plan), SW_OK);
    assert_string_equal(plan.blocked_by, "rebooting");
    assert_false(plan.wants_describe);
    assert_int_equal(plan.retry_ms, world.now.ms + 99000);
    assert_int_equal(world_describe(&world, &id, world_describe_of(&world, 5000, 1, false), &plan),
                     SW_OK); /* repeated, of the time before */
    assert_int_equal(state_of(update), UPDATE_REBOOTING);
    world.now.ms += 99000;
    assert_int_equal(world_plan(&world, &id, UPDATE_CAUSE_RULES, &plan), SW_OK);
    assert_true(plan.wants_describe);
    assert_int_equal(plan.retry_ms, world.now.ms + 100000);
    assert_int_equal(world_describe(&world, &id, world_describe_of(&world, 5000, 1, false), &plan),
                     SW_OK);
    assert_int_equal(state_of(update), UPDATE_FAILED);
    assert_string_equal(reason_of(update), "rolled_back");
    assert_false(plan.has_offer);
    assert_string_equal(plan.blocked_by, "retry_later");
}

static void silent_return_with_the_target_is_a_success(void **state) {
    (void)state;
    struct device_id id = world_id(1);
    int64_t update = committed_update();
    world.now.ms += 150000;
    assert_int_equal(world_resumed(&world, &id, &plan), SW_OK);
    assert_true(plan.wants_describe);
    assert_int_equal(world_describe(&world, &id, world_describe_of(&world, 5000, 2, false), &plan),
                     SW_OK);
    assert_int_equal(state_of(update), UPDATE_SUCCEEDED);
}

static int run_expire(struct app_tx *tx, void *arg) {
    return app_updates_expire(tx, (uint32_t *)arg);
}

static uint32_t expired(void) {
    uint32_t count = 0;
    assert_int_equal(app_execute(world.app, run_expire, &count, NULL), SW_OK);
    return count;
}

static int run_offline(struct app_tx *tx, void *arg) {
    return app_device_online(tx, (const struct device_id *)arg, false);
}

/* Applications may put a restart off: no session began since the commit, so it is still due. */
static void a_restart_that_is_put_off_is_awaited(void **state) {
    (void)state;
    struct device_id id = world_id(1);
    int64_t update = committed_update();
    world.now.ms += 600000;
    assert_int_equal(world_plan(&world, &id, UPDATE_CAUSE_RULES, &plan), SW_OK);
    assert_string_equal(plan.blocked_by, "rebooting");
    assert_false(plan.wants_describe);
    assert_int_equal(world_describe(&world, &id, world_describe_of(&world, 5000, 1, false), &plan),
                     SW_OK);
    assert_int_equal(state_of(update), UPDATE_REBOOTING);
    world.now.ms += 1800001; /* and is heard, so that it is not lost either */
    assert_int_equal(expired(), 0);
    hello(1, 2);
    assert_int_equal(state_of(update), UPDATE_SUCCEEDED);
}

static void device_that_never_returns_fails_in_time(void **state) {
    (void)state;
    struct device_id id = world_id(1);
    int64_t update = committed_update();
    assert_int_equal(expired(), 0);
    assert_int_equal(app_execute(world.app, run_offline, &id, NULL), SW_OK);
    world.now.ms += 1800001;
    assert_int_equal(expired(), 1);
    assert_string_equal(reason_of(update), "not_heard_again");
}

static void illegal_steps_are_refused(void **state) {
    (void)state;
    assert_int_equal(world_release_default(&world, 2, false), SW_OK);
    hello(1, 1);
    int64_t update = plan.offer.update_id;
    assert_int_equal(world_move(&world, update, UPDATE_PLANNED, UPDATE_REBOOTING), SW_E_STATE);
    assert_int_equal(world_move(&world, update, UPDATE_SENDING, UPDATE_VERIFYING), SW_E_CONFLICT);
    assert_int_equal(world_move(&world, update + 99, UPDATE_PLANNED, UPDATE_OFFERED),
                     SW_E_CONFLICT);
    assert_int_equal(state_of(update), UPDATE_PLANNED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define FLOW(name) cmocka_unit_test_setup_teardown(name, set_up, world_done)
        FLOW(release_leads_to_a_judged_update),
        FLOW(success_may_be_told_by_the_hash_alone),
        FLOW(old_version_back_means_rolled_back),
        FLOW(disabled_updates_are_deferred_until_enabled_or_forced),
        FLOW(refusal_because_disabled_is_no_failure),
        FLOW(silence_spends_no_attempt_and_errors_do),
        FLOW(permanent_errors_are_not_repeated),
        FLOW(new_target_supersedes_what_is_under_way),
        FLOW(rebooting_is_past_recall),
        FLOW(gradual_release_waits_for_the_next_session),
        FLOW(immediate_release_is_told_and_finds_its_devices),
        FLOW(every_change_of_targets_is_told),
        FLOW(failed_release_tells_nobody),
        FLOW(lock_with_flash_is_begun_at_once),
        FLOW(development_device_is_flashed_but_never_released_to),
        FLOW(device_os_goes_first_or_nothing_goes),
        FLOW(part_that_did_not_install_is_a_failure),
        FLOW(image_that_cannot_be_taken_is_not_offered),
        FLOW(older_protocol_is_served_too),
        FLOW(transfer_survives_a_new_session),
        FLOW(silent_rollback_spends_an_attempt),
        FLOW(silent_return_with_the_target_is_a_success),
        FLOW(a_restart_that_is_put_off_is_awaited),
        FLOW(device_that_never_returns_fails_in_time),
        FLOW(illegal_steps_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
