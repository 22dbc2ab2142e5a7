/* particle/device/updates/pending: a flag that the device keeps until it restarts or an update
 * begins. Its application may enable updates on nothing else. */
#include "world.h"

static struct app_plan plan;
static struct device_id id;

static int set_up(void **state) {
    (void)state;
    world_open(&world, NULL);
    assert_int_equal(world_upload(&world, 1, 0), SW_OK);
    assert_int_equal(world_upload(&world, 2, 0), SW_OK);
    assert_int_equal(world_import(&world, world_id_text(1), NULL), SW_OK);
    id = world_id(1);
    struct app_hello greeting = world_hello_of(1, 1);
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
    assert_int_equal(plan.pending, APP_TELL_FALSE);
    world.now.ms += 1000;
    return 0;
}

static void updates_enabled(bool value) {
    assert_int_equal(world_updates(&world, &id, false, value, &plan), SW_OK);
}

static int run_last_reset(struct app_tx *tx, void *arg) {
    return app_device_published(tx, &id, span_text("spark/device/last_reset"),
                                span_text("power_management"), arg);
}

/* A sleeper that disables updates as soon as it wakes: it restarted, and resumes its session. */
static void who_slept_is_told_again_that_one_is_pending(void **state) {
    (void)state;
    assert_int_equal(world_release_default(&world, 2, false), SW_OK);
    updates_enabled(false);
    assert_int_equal(plan.pending, APP_TELL_TRUE);
    updates_enabled(false);
    assert_int_equal(plan.pending, APP_TELL_NOTHING);
    assert_int_equal(world_resumed(&world, &id, &plan), SW_OK);
    assert_int_equal(plan.pending, APP_TELL_TRUE);
    updates_enabled(false);
    assert_int_equal(plan.pending, APP_TELL_NOTHING);
}

/* Otherwise System.updateStatus() would say "unknown" until its next Hello. */
static void who_restarted_is_told_again_that_none_is_pending(void **state) {
    (void)state;
    assert_int_equal(world_resumed(&world, &id, &plan), SW_OK);
    assert_int_equal(plan.pending, APP_TELL_NOTHING); /* another address is no restart */
    assert_int_equal(app_execute(world.app, run_last_reset, &plan, NULL), SW_OK);
    updates_enabled(true);
    assert_int_equal(plan.pending, APP_TELL_FALSE);
    updates_enabled(true);
    assert_int_equal(plan.pending, APP_TELL_NOTHING);
}

static void a_restart_that_the_hello_told_of_is_no_news(void **state) {
    (void)state;
    struct app_hello greeting = world_hello_of(1, 1);
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
    assert_int_equal(plan.pending, APP_TELL_FALSE);
    assert_int_equal(app_execute(world.app, run_last_reset, &plan, NULL), SW_OK);
    updates_enabled(true);
    assert_int_equal(plan.pending, APP_TELL_NOTHING);
}

/* The device takes the flag back when the update begins, which may not come to its end. */
static void who_broke_off_an_update_is_told_again(void **state) {
    (void)state;
    assert_int_equal(world_release_default(&world, 2, false), SW_OK);
    updates_enabled(false);
    assert_int_equal(plan.pending, APP_TELL_TRUE);
    updates_enabled(true);
    assert_true(plan.has_offer);
    int64_t update = plan.offer.update_id;
    assert_int_equal(world_move(&world, update, UPDATE_PLANNED, UPDATE_OFFERED), SW_OK);
    assert_int_equal(world_move(&world, update, UPDATE_OFFERED, UPDATE_SENDING), SW_OK);
    assert_int_equal(world_ended(&world, update, OTA_FAILURE_RESTARTED, 0, &plan), SW_OK);
    updates_enabled(false);
    assert_int_equal(plan.pending, APP_TELL_TRUE);
}

#define PENDING(name) cmocka_unit_test_setup_teardown(name, set_up, world_done)

int main(void) {
    const struct CMUnitTest tests[] = {
        PENDING(who_slept_is_told_again_that_one_is_pending),
        PENDING(who_restarted_is_told_again_that_none_is_pending),
        PENDING(a_restart_that_the_hello_told_of_is_no_news),
        PENDING(who_broke_off_an_update_is_told_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
