/* Metrics: what was online when follows from the log and from now. */
#include "world.h"

#include "slipway/app/metric.h"

static int set_up(void **state) {
    (void)state;
    const struct app_options options = {.calls_max = 2};
    world_open(&world, &options);
    world.now.ms = 1000 * METRIC_HOUR_MS;
    assert_int_equal(world_import(&world, world_id_text(1), NULL), SW_OK);
    assert_int_equal(world_import(&world, world_id_text(2), NULL), SW_OK);
    assert_int_equal(world_import(&world, world_id_text(3), NULL), SW_OK);
    return 0;
}

struct presence {
    struct device_id id;
    bool is_online;
};

static int run_presence(struct app_tx *tx, void *arg) {
    const struct presence *presence = (const struct presence *)arg;
    return app_device_online(tx, &presence->id, presence->is_online);
}

static void put(unsigned n, bool is_online) {
    struct presence presence = {.id = world_id(n), .is_online = is_online};
    assert_int_equal(app_execute(world.app, run_presence, &presence, &world.error), SW_OK);
}

struct reading {
    struct app_metric_query query;
    struct app_metric_list list;
};

static int run_read(struct app_tx *tx, void *arg) {
    struct reading *reading = (struct reading *)arg;
    return app_metric_read(tx, &reading->query, &reading->list);
}

static void read_metric(struct reading *reading, enum app_metric metric, int64_t first_hour,
                        int64_t hours) {
    reading->query = (struct app_metric_query){.metric = metric,
                                               .product_id = world.product.id,
                                               .start_ms = first_hour * METRIC_HOUR_MS,
                                               .end_ms = (first_hour + hours) * METRIC_HOUR_MS,
                                               .bucket_ms = METRIC_HOUR_MS,
                                               .version = -1};
    assert_int_equal(app_read(world.app, world.store, run_read, reading, &world.error), SW_OK);
    assert_int_equal(reading->list.count, hours);
}

static void presence_is_walked_back(void **state) {
    (void)state;
    /* Hour 1000: 1 and 2 come; 1001: 2 goes; 1002: nothing; 1003: 3 comes, 1 goes and comes. */
    put(1, true);
    put(2, true);
    world.now.ms += METRIC_HOUR_MS;
    put(2, false);
    world.now.ms += 2 * METRIC_HOUR_MS;
    put(3, true);
    put(1, false);
    put(1, true);
    static const int64_t wanted[] = {0, 2, 1, 1, 2, 2};
    struct reading reading;
    read_metric(&reading, APP_METRIC_ONLINE, 999, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(reading.list.items[i].good, wanted[i]);
        assert_int_equal(reading.list.items[i].at_ms, (int64_t)(999 + i) * METRIC_HOUR_MS);
    }
    free(reading.list.items);
    /* A span that ended long ago knows what came after it. */
    read_metric(&reading, APP_METRIC_ONLINE, 999, 2);
    assert_int_equal(reading.list.items[0].good, 0);
    assert_int_equal(reading.list.items[1].good, 2);
    free(reading.list.items);
}

static int run_restart(struct app_tx *tx, void *arg) {
    (void)arg;
    return app_devices_offline(tx);
}

static void a_restart_hides_nothing(void **state) {
    (void)state;
    int64_t cursor = 0;
    put(1, true);
    put(2, true);
    world.now.ms += METRIC_HOUR_MS;
    assert_int_equal(app_execute(world.app, run_restart, NULL, NULL), SW_OK);
    assert_true(world_has_event(&world, &cursor, "slipway/restarted", "2"));
    world.now.ms += METRIC_HOUR_MS;
    put(1, true);
    assert_int_equal(app_execute(world.app, run_restart, NULL, NULL), SW_OK);
    put(3, true);
    static const int64_t wanted[] = {0, 2, 0, 1};
    struct reading reading;
    read_metric(&reading, APP_METRIC_ONLINE, 999, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(reading.list.items[i].good, wanted[i]);
    }
    free(reading.list.items);
}

static void a_removed_device_went(void **state) {
    (void)state;
    int64_t cursor = 0;
    struct device_id id = world_id(1);
    put(1, true);
    put(2, true);
    world.now.ms += METRIC_HOUR_MS;
    assert_int_equal(world_remove(&world, &id), SW_OK);
    assert_true(world_has_event(&world, &cursor, "spark/status", "offline"));
    struct reading reading;
    read_metric(&reading, APP_METRIC_ONLINE, 1000, 2);
    assert_int_equal(reading.list.items[0].good, 2);
    assert_int_equal(reading.list.items[1].good, 1);
    free(reading.list.items);
}

static void the_log_is_cut_by_time(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++) {
        put(1, i % 2 == 0);
        world.now.ms += METRIC_HOUR_MS;
    }
    struct reading reading;
    read_metric(&reading, APP_METRIC_EVENTS, 1002, 2);
    assert_int_equal(reading.list.items[0].good, 1);
    assert_int_equal(reading.list.items[1].good, 1);
    free(reading.list.items);
    read_metric(&reading, APP_METRIC_EVENTS, 2000, 3);
    assert_int_equal(reading.list.items[0].good + reading.list.items[2].good, 0);
    free(reading.list.items);
}

static void call(unsigned n, bool has_failed) {
    struct device device;
    struct device_id id = world_id(n);
    world_device(&world, &id, &device);
    const struct app_call one = {
        .product_id = world.product.id, .device_num = device.num, .has_failed = has_failed};
    app_call_count(world.app, &one);
    assert_int_equal(app_pump(world.app, STORE_TROUBLE_NONE), 1);
}

static int run_prune(struct app_tx *tx, void *arg) {
    (void)arg;
    return app_call_prune(tx);
}

static void calls_are_counted_and_forgotten(void **state) {
    (void)state;
    call(1, false);
    call(1, true);
    call(2, false);
    world.now.ms += METRIC_HOUR_MS;
    call(1, false);
    struct reading reading;
    read_metric(&reading, APP_METRIC_FUNCTIONS, 1000, 2);
    assert_int_equal(reading.list.items[0].good, 2);
    assert_int_equal(reading.list.items[0].bad, 1);
    assert_int_equal(reading.list.items[1].good, 1);
    free(reading.list.items);
    read_metric(&reading, APP_METRIC_VARIABLES, 1000, 2);
    assert_int_equal(reading.list.items[0].good, 0);
    free(reading.list.items);
    /* Three rows are one too many: the oldest hour goes, or what is older than the limit's. */
    world.now.ms += METRIC_HOUR_MS;
    call(1, false);
    assert_int_equal(app_execute(world.app, run_prune, NULL, NULL), SW_OK);
    read_metric(&reading, APP_METRIC_FUNCTIONS, 1000, 3);
    assert_int_equal(reading.list.items[2].good, 1);
    assert_int_equal(reading.list.items[1].good, 1);
    free(reading.list.items);
    world.now.ms += 40 * 24 * METRIC_HOUR_MS;
    assert_int_equal(app_execute(world.app, run_prune, NULL, NULL), SW_OK);
    read_metric(&reading, APP_METRIC_FUNCTIONS, 1000, 3);
    assert_int_equal(reading.list.items[2].good, 0);
    free(reading.list.items);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(presence_is_walked_back, set_up, world_done),
        cmocka_unit_test_setup_teardown(a_restart_hides_nothing, set_up, world_done),
        cmocka_unit_test_setup_teardown(a_removed_device_went, set_up, world_done),
        cmocka_unit_test_setup_teardown(the_log_is_cut_by_time, set_up, world_done),
        cmocka_unit_test_setup_teardown(calls_are_counted_and_forgotten, set_up, world_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
