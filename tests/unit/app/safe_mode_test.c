/* Devices whose application lacks a module that it needs: they run Device OS alone, and can be
 * updated. Hardware tells the version of that application all the same. */
#include "world.h"

static struct app_plan plan;

static int set_up(void **state) {
    (void)state;
    world_open(&world, NULL);
    assert_int_equal(world_upload(&world, 1, 0), SW_OK);
    assert_int_equal(world_upload(&world, 2, 0), SW_OK);
    assert_int_equal(world_upload(&world, 3, 6200), SW_OK);
    assert_int_equal(world_import(&world, world_id_text(1), NULL), SW_OK);
    return 0;
}

static void hello(unsigned n, uint16_t version) {
    struct app_hello greeting = world_hello_of(n, version);
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
}

static void hello_of_os(uint16_t version, uint16_t system_version) {
    struct app_hello greeting = world_hello_of(1, version);
    greeting.system_version = system_version;
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
}

/* Its application needs Device OS 6200 and it has 5000. */
static void describe_unmet(void) {
    static const char json[] =
        "{\"p\":13,\"m\":[{\"l\":\"m\",\"vc\":30,\"vv\":30,\"f\":\"s\",\"n\":\"1\",\"v\":5000,"
        "\"d\":[]},{\"l\":\"m\",\"vc\":30,\"vv\":26,\"f\":\"u\",\"n\":\"1\",\"v\":6,"
        "\"d\":[{\"f\":\"s\",\"n\":\"1\",\"v\":6200}]}]}";
    struct device_id id = world_id(1);
    assert_int_equal(world_describe(&world, &id, json, &plan), SW_OK);
}

static struct update update_of(int64_t id) {
    struct update update;
    world_update(&world, id, &update);
    return update;
}

static void safe_mode_is_a_missing_dependency(void **state) {
    (void)state;
    struct device_id id = world_id(1);
    assert_int_equal(world_release_default(&world, 2, false), SW_OK);
    hello(1, 1);
    int64_t update = plan.offer.update_id;
    world_transfer(&world, update);
    hello(1, 0);
    assert_int_equal(world_describe(&world, &id, world_describe_of(&world, 5000, 2, true), &plan),
                     SW_OK);
    assert_int_equal(update_of(update).state, UPDATE_FAILED);
    assert_string_equal(update_of(update).reason, "missing_dependency");
}

static void device_in_safe_mode_is_repaired(void **state) {
    (void)state;
    struct device_id id = world_id(1);
    int64_t cursor = 0;
    assert_int_equal(world_system(&world, 6200), SW_OK);
    assert_int_equal(world_release_default(&world, 3, false), SW_OK);
    hello(1, 0); /* flashed by cable with what it cannot run */
    assert_int_equal(world_describe(&world, &id, world_describe_of(&world, 5000, 3, true), &plan),
                     SW_OK);
    assert_true(world_has_event(
        &world, &cursor, "spark/status/safe-mode",
        "{\"p\":13,\"imei\":\"\",\"iccid\":\"\",\"cellfw\":\"\",\"m\":[{\"f\":\"s\",\"n\":\"1\","
        "\"v\":5000,\"d\":[]},{\"f\":\"u\",\"n\":\"1\",\"v\":6,\"d\":[]}]}"));
    assert_true(plan.has_offer);
    int64_t update = plan.offer.update_id;
    world_transfer(&world, update);
    assert_true(world_has_event(&world, &cursor, "spark/safe-mode-updater/updating",
                                "{\"f\":\"s\",\"n\":\"1\",\"v\":6200}"));
    struct app_hello greeting = world_hello_of(1, 3); /* its application runs now */
    greeting.system_version = 6200;
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
    assert_int_equal(update_of(update).state, UPDATE_SUCCEEDED);
    assert_false(plan.has_offer);
}

/* It has what is released, and cannot run it: the rules alone would leave it there. */
static void what_it_should_run_and_cannot_is_repaired(void **state) {
    (void)state;
    assert_int_equal(world_system(&world, 6200), SW_OK);
    assert_int_equal(world_release_default(&world, 3, false), SW_OK);
    hello(1, 3);
    assert_false(plan.has_offer);
    describe_unmet();
    assert_true(plan.has_offer);
    int64_t update = plan.offer.update_id;
    assert_string_equal(update_of(update).rule, "safe_mode");
    world_transfer(&world, update);
    hello_of_os(3, 6200);
    assert_int_equal(update_of(update).state, UPDATE_SUCCEEDED);
    assert_false(plan.has_offer);
    assert_string_equal(plan.blocked_by, "up_to_date");
}

static void a_repair_needs_no_release(void **state) {
    (void)state;
    assert_int_equal(world_system(&world, 6200), SW_OK);
    hello(1, 3);
    describe_unmet();
    assert_true(plan.has_offer);
    int64_t update = plan.offer.update_id;
    world_transfer(&world, update);
    hello_of_os(3, 6200);
    assert_int_equal(update_of(update).state, UPDATE_SUCCEEDED);
    assert_string_equal(plan.blocked_by, "no_release");
}

static void a_repair_that_did_not_install_is_a_failure(void **state) {
    (void)state;
    assert_int_equal(world_system(&world, 6200), SW_OK);
    hello(1, 3);
    describe_unmet();
    int64_t update = plan.offer.update_id;
    world_transfer(&world, update);
    hello(1, 3);
    assert_int_equal(update_of(update).state, UPDATE_REBOOTING);
    describe_unmet();
    assert_int_equal(update_of(update).state, UPDATE_FAILED);
    assert_false(plan.has_offer);
    assert_string_equal(plan.blocked_by, "retry_later");
}

static void what_the_library_lacks_is_named(void **state) {
    (void)state;
    struct device_id id = world_id(1);
    struct app_decision decision;
    assert_int_equal(world_release_default(&world, 3, false), SW_OK);
    hello(1, 3);
    describe_unmet();
    assert_false(plan.has_offer);
    assert_string_equal(plan.blocked_by, "device_os");
    assert_non_null(strstr(plan.sentence, "6.2.0 (6200)"));
    world_decision(&world, &id, &decision);
    assert_string_equal(decision.blocked_by, "device_os");
    assert_string_equal(decision.sentence, plan.sentence);
}

static void who_is_left_alone_is_not_repaired(void **state) {
    (void)state;
    struct device_id id = world_id(1);
    const struct app_device_edit mark = {.has_development = true, .development = true};
    assert_int_equal(world_system(&world, 6200), SW_OK);
    assert_int_equal(world_edit(&world, &id, &mark, NULL), SW_OK);
    hello(1, 3);
    describe_unmet();
    assert_false(plan.has_offer);
    assert_string_equal(plan.blocked_by, "development");
}

/* The part that it needs was there when it was sent, and is not when the device returns. */
static void a_version_that_cannot_run_is_no_success(void **state) {
    (void)state;
    struct device_id id = world_id(1);
    assert_int_equal(world_release_default(&world, 3, false), SW_OK);
    hello_of_os(1, 6200);
    assert_true(plan.has_offer);
    int64_t update = plan.offer.update_id;
    world_transfer(&world, update);
    hello_of_os(3, 5000);
    assert_int_equal(update_of(update).state, UPDATE_REBOOTING);
    assert_int_equal(world_describe(&world, &id, world_describe_of(&world, 5000, 3, true), &plan),
                     SW_OK);
    assert_int_equal(update_of(update).state, UPDATE_FAILED);
    assert_string_equal(update_of(update).reason, "missing_dependency");
}

static int run_safemode(struct app_tx *tx, void *arg) {
    return app_device_published(tx, (const struct device_id *)arg,
                                span_text("spark/device/safemode"), span_of(NULL, 0), &plan);
}

static int run_reconnect(struct app_tx *tx, void *arg) {
    return app_device_resumed(tx, (const struct device_id *)arg, NULL, "192.0.2.9", true, &plan);
}

static bool is_in_safe_mode(void) {
    struct device_id id = world_id(1);
    struct device device;
    world_device(&world, &id, &device);
    return device.is_safe_mode;
}

/* An operator sent it there and let it go again: its modules are the same, so it says no Hello. */
static void safe_mode_ends_with_the_connection_that_told_of_it(void **state) {
    (void)state;
    struct device_id id = world_id(1);
    hello(1, 2);
    assert_int_equal(app_execute(world.app, run_safemode, &id, NULL), SW_OK);
    assert_true(is_in_safe_mode());
    assert_int_equal(world_resumed(&world, &id, &plan), SW_OK); /* from another address */
    assert_true(is_in_safe_mode());
    assert_int_equal(app_execute(world.app, run_reconnect, &id, NULL), SW_OK);
    assert_false(is_in_safe_mode());
}

static void who_lacks_a_module_stays_in_safe_mode(void **state) {
    (void)state;
    struct device_id id = world_id(1);
    hello(1, 3);
    describe_unmet();
    assert_int_equal(app_execute(world.app, run_reconnect, &id, NULL), SW_OK);
    assert_true(is_in_safe_mode());
}

#define SAFE(name) cmocka_unit_test_setup_teardown(name, set_up, world_done)

int main(void) {
    const struct CMUnitTest tests[] = {
        SAFE(safe_mode_is_a_missing_dependency),
        SAFE(device_in_safe_mode_is_repaired),
        SAFE(what_it_should_run_and_cannot_is_repaired),
        SAFE(a_repair_needs_no_release),
        SAFE(a_repair_that_did_not_install_is_a_failure),
        SAFE(what_the_library_lacks_is_named),
        SAFE(who_is_left_alone_is_not_repaired),
        SAFE(safe_mode_ends_with_the_connection_that_told_of_it),
        SAFE(who_lacks_a_module_stays_in_safe_mode),
        SAFE(a_version_that_cannot_run_is_no_success),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
