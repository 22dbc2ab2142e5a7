/* The wall clock is set, as a machine without a battery does when it finds a time server, or an
 * operator by mistake. What waits for a time waits no longer than it would have. */
#include "world.h"

#define DAY_MS INT64_C(86400000)

static struct app_plan plan;
static const struct device_id *device;

static int set_up(void **state) {
    (void)state;
    static struct device_id id;
    id = world_id(1);
    device = &id;
    world_open(&world, NULL);
    assert_int_equal(world_upload(&world, 1, 0), SW_OK);
    assert_int_equal(world_upload(&world, 2, 0), SW_OK);
    assert_int_equal(world_import(&world, world_id_text(1), NULL), SW_OK);
    assert_int_equal(world_release_default(&world, 2, false), SW_OK);
    return 0;
}

static void hello(uint16_t version) {
    struct app_hello greeting = world_hello_of(1, version);
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
}

/* An update that the device has committed; returns its id. */
static int64_t commit(void) {
    hello(1);
    assert_string_equal(plan.blocked_by, "");
    int64_t id = plan.offer.update_id;
    world.now.ms += 1000;
    world_transfer(&world, id);
    return id;
}

static void assert_update(int64_t id, enum update_state state, const char *reason) {
    struct update update;
    world_update(&world, id, &update);
    assert_int_equal(update.state, state);
    assert_string_equal(update.reason, reason);
}

static int run_expire(struct app_tx *tx, void *arg) {
    return app_updates_expire(tx, (uint32_t *)arg);
}

static uint32_t expire(void) {
    uint32_t count = 0;
    assert_int_equal(app_execute(world.app, run_expire, &count, NULL), SW_OK);
    return count;
}

static void an_attempt_is_due_although_the_clock_was_set_back(void **state) {
    (void)state;
    (void)commit();
    hello(1);
    assert_string_equal(plan.blocked_by, "retry_later");
    world.now.ms -= DAY_MS;
    assert_int_equal(world_plan(&world, device, UPDATE_CAUSE_RULES, &plan), SW_OK);
    assert_true(plan.has_offer);
}

static int go_offline(struct app_tx *tx, void *arg) {
    (void)arg;
    return app_device_online(tx, device, false);
}

static void a_device_that_never_returns_is_not_awaited_for_days(void **state) {
    (void)state;
    int64_t id = commit();
    assert_int_equal(app_execute(world.app, go_offline, NULL, NULL), SW_OK);
    world.now.ms -= 30 * DAY_MS;
    assert_int_equal(expire(), 0); /* it has its full time from here on */
    world.now.ms += 1799999;
    assert_int_equal(expire(), 0);
    world.now.ms += 1;
    assert_int_equal(expire(), 1);
    assert_update(id, UPDATE_FAILED, "not_heard_again");
}

/* It is online, and came back after its commit: by the clock of then that lies ahead. */
static void a_device_that_returned_before_a_jump_is_not_awaited_for_ever(void **state) {
    (void)state;
    int64_t id = commit();
    world.now.ms += 1000;
    assert_int_equal(world_resumed(&world, device, &plan), SW_OK);
    world.now.ms -= 30 * DAY_MS;
    assert_int_equal(expire(), 0);
    assert_int_equal(world_resumed(&world, device, &plan), SW_OK);
    world.now.ms += 1800001;
    assert_int_equal(expire(), 1);
    assert_update(id, UPDATE_FAILED, "not_heard_again");
}

static void a_rollback_is_judged_although_the_clock_was_set_back(void **state) {
    (void)state;
    int64_t id = commit();
    world.now.ms -= DAY_MS;
    assert_int_equal(world_resumed(&world, device, &plan), SW_OK);
    assert_int_equal(
        world_describe(&world, device, world_describe_of(&world, 5000, 1, false), &plan), SW_OK);
    assert_update(id, UPDATE_FAILED, "rolled_back");
}

static void a_device_that_returns_after_a_jump_has_succeeded(void **state) {
    (void)state;
    static const int64_t jumps_ms[] = {-400 * DAY_MS, 400 * DAY_MS};
    for (size_t i = 0; i < 2; i++) {
        int64_t id = commit();
        world.now.ms += jumps_ms[i];
        hello(2);
        assert_update(id, UPDATE_SUCCEEDED, "");
        assert_string_equal(plan.blocked_by, "up_to_date");
        assert_int_equal(world_release_default(&world, 2, false), SW_OK);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define CLOCK(name) cmocka_unit_test_setup_teardown(name, set_up, world_done)
        CLOCK(an_attempt_is_due_although_the_clock_was_set_back),
        CLOCK(a_device_that_never_returns_is_not_awaited_for_days),
        CLOCK(a_device_that_returned_before_a_jump_is_not_awaited_for_ever),
        CLOCK(a_rollback_is_judged_although_the_clock_was_set_back),
        CLOCK(a_device_that_returns_after_a_jump_has_succeeded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
