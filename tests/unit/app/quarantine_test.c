/* Devices that nobody imported, that came with another key, or that an operator refused. */
#include "world.h"

static struct app_plan plan;

static void unknown_and_foreign_devices_get_nothing(void **state) {
    (void)state;
    struct device device;
    struct app_hello greeting = world_hello_of(1, 1);
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
    assert_int_equal(plan.verdict, APP_VERDICT_QUARANTINED);
    assert_false(plan.has_offer);

    /* Importing approves what came, with the key that it came with. */
    world.notice_count = 0;
    assert_int_equal(world_import(&world, world_id_text(1), NULL), SW_OK);
    assert_int_equal(world.notices[0].kind, APP_NOTICE_FORGET);
    struct app_hello other = greeting;
    other.proof.u.key.b[5] = 77;
    assert_int_equal(world_hello(&world, &other, &plan), SW_OK);
    assert_int_equal(plan.verdict, APP_VERDICT_WRONG_KEY);
    world_device(&world, &greeting.id, &device);
    assert_false(device.has_hello);
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
    assert_int_equal(plan.verdict, APP_VERDICT_KNOWN);

    assert_int_equal(world_remove(&world, &greeting.id), SW_OK);
    assert_int_equal(world_hello(&world, &other, &plan), SW_OK);
    assert_int_equal(plan.verdict, APP_VERDICT_QUARANTINED);
}

struct deny_bag {
    struct device_id id;
    struct quarantine_list list;
};

static int run_deny(struct app_tx *tx, void *arg) {
    return app_quarantine_deny(tx, world.product.id, &((struct deny_bag *)arg)->id);
}

static int run_quarantine(struct app_tx *tx, void *arg) {
    const struct app_device_query query = {.product_id = world.product.id};
    return app_quarantine_list(tx, &query, &((struct deny_bag *)arg)->list);
}

static void denied_device_stays_denied(void **state) {
    (void)state;
    struct app_hello greeting = world_hello_of(1, 1);
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
    struct deny_bag bag = {.id = greeting.id};
    assert_int_equal(app_execute(world.app, run_deny, &bag, NULL), SW_OK);
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
    assert_int_equal(plan.verdict, APP_VERDICT_DENIED);
    assert_int_equal(app_read(world.app, world.store, run_quarantine, &bag, NULL), SW_OK);
    assert_int_equal(bag.list.count, 1);
    assert_true(bag.list.items[0].is_denied);
    free(bag.list.items);
}

static void denied_member_leaves_and_stays_out(void **state) {
    (void)state;
    struct app_hello greeting = world_hello_of(1, 1);
    assert_int_equal(world_import(&world, world_id_text(1), NULL), SW_OK);
    struct deny_bag bag = {.id = greeting.id};
    assert_int_equal(app_execute(world.app, run_deny, &bag, NULL), SW_OK);
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
    assert_int_equal(plan.verdict, APP_VERDICT_DENIED);
    /* It never showed a key: after all approved, it binds the one that it shows first. */
    assert_int_equal(world_import(&world, world_id_text(1), NULL), SW_OK);
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
    assert_int_equal(plan.verdict, APP_VERDICT_KNOWN);
}

static void quarantine_is_bounded(void **state) {
    (void)state;
    world_close(&world);
    struct app_options options = {.quarantine_max = 5};
    world_open(&world, &options);
    for (unsigned n = 1; n <= 20; n++) {
        struct app_hello greeting = world_hello_of(n, 1);
        world.now.ms++;
        assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
    }
    struct deny_bag bag = {.list = {.count = 0}};
    assert_int_equal(app_read(world.app, world.store, run_quarantine, &bag, NULL), SW_OK);
    assert_int_equal(bag.list.count, 5);
    assert_int_equal(bag.list.items[0].id.b[11], 20);
    free(bag.list.items);
}

static void strict_keys_must_be_registered(void **state) {
    (void)state;
    world_close(&world);
    struct app_options options = {.key_policy = APP_KEY_STRICT};
    world_open(&world, &options);
    assert_int_equal(world_import(&world, world_id_text(1), NULL), SW_OK);
    struct app_hello greeting = world_hello_of(1, 1);
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
    assert_int_equal(plan.verdict, APP_VERDICT_QUARANTINED);
    struct device device;
    world_device(&world, &greeting.id, &device);
    assert_false(device.has_hello);
}

static int run_welcome(struct app_tx *tx, void *arg) {
    struct product out;
    struct app_product_edit edit = {.has_quarantine = true, .quarantine = false};
    (void)arg;
    return app_product_edit(tx, world.product.id, &edit, &out);
}

static void product_without_quarantine_takes_devices_in(void **state) {
    (void)state;
    assert_int_equal(app_execute(world.app, run_welcome, NULL, NULL), SW_OK);
    struct app_hello greeting = world_hello_of(1, 1);
    assert_int_equal(world_hello(&world, &greeting, &plan), SW_OK);
    assert_int_equal(plan.verdict, APP_VERDICT_KNOWN);
    assert_int_equal(plan.product_id, world.product.id);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, world_fresh, world_done)
        CASE(unknown_and_foreign_devices_get_nothing),
        CASE(denied_device_stays_denied),
        CASE(denied_member_leaves_and_stays_out),
        CASE(quarantine_is_bounded),
        CASE(strict_keys_must_be_registered),
        CASE(product_without_quarantine_takes_devices_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
