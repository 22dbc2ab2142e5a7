/* Vitals: from Device OS's records to the tree of the REST dialect, and how long they are kept. */
#include "world.h"

#include "slipway/app/vitals.h"

#define DAY_MS INT64_C(86400000)

static int set_up(void **state) {
    (void)state;
    const struct app_options options = {.vitals_device_max = 3, .vitals_max = 5};
    world_open(&world, &options);
    assert_int_equal(world_import(&world, world_id_text(1), NULL), SW_OK);
    assert_int_equal(world_import(&world, world_id_text(2), NULL), SW_OK);
    return 0;
}

struct telling {
    struct device_id id;
    struct span bytes;
};

static int run_tell(struct app_tx *tx, void *arg) {
    const struct telling *telling = (const struct telling *)arg;
    struct app_plan plan;
    return app_device_describe(tx, &telling->id, 4, 0, telling->bytes, &plan);
}

static void tell(unsigned n, const void *bytes, size_t len) {
    struct telling telling = {.id = world_id(n), .bytes = span_of(bytes, len)};
    assert_int_equal(app_execute(world.app, run_tell, &telling, &world.error), SW_OK);
}

/* Uptime alone. */
static void tell_uptime(unsigned n, uint8_t seconds) {
    const uint8_t bytes[] = {0, 4, 0, 2, 0, 4, 0, 6, 0, seconds, 0, 0, 0};
    tell(n, bytes, sizeof bytes);
}

struct reading {
    int64_t num, start_ms, end_ms;
    struct app_vitals_list list;
};

static int run_list(struct app_tx *tx, void *arg) {
    struct reading *reading = (struct reading *)arg;
    return app_vitals_list(tx, reading->num, reading->start_ms, reading->end_ms, &reading->list);
}

static int list(struct reading *reading, unsigned n) {
    struct device device;
    struct device_id id = world_id(n);
    world_device(&world, &id, &device);
    reading->num = device.num;
    return app_read(world.app, world.store, run_list, reading, &world.error);
}

static json_int_t uptime(const struct reading *reading, size_t i) {
    return json_integer_value(
        app_vitals_value(reading->list.items[i].payload, "device.system.uptime"));
}

static void records_become_a_tree(void **state) {
    (void)state;
    static const uint8_t bytes[] = {
        0,    4,    0,    2,    0,    4,    0, /* */
        6,    0,    1,    2,    0,    0,       /* uptime 513 */
        36,   0,    1,    0,    0,    0,       /* Wi-Fi */
        33,   0,    0xA8, 0x42, 0,    0,       /* 66.65625 % */
        37,   0,    0,    0,    0xB3, 0xFF,    /* -77 dBm */
        34,   0x80, 0x2E, 0xFF, 0xFF, 0xFF,    /* quality: error -210 */
        41,   0,    0xF6, 0xFF, 0xFF, 0xFF,    /* network code of two digits */
        28,   0,    99,   0,    0,    0,       /* a reason without a word */
        0xE7, 0x03, 1,    2,    3,    4,       /* nobody knows this one */
        10,   0,    2,    0,    0,    0,       /* connected */
        7,                                     /* half a record */
    };
    int64_t cursor = 0;
    tell(1, bytes, sizeof bytes);
    struct reading reading = {0};
    assert_int_equal(list(&reading, 1), SW_OK);
    assert_int_equal(reading.list.count, 1);
    char *text = json_dumps(reading.list.items[0].payload, JSON_COMPACT);
    assert_string_equal(
        text,
        "{\"device\":{\"network\":{\"signal\":{\"at\":\"Wi-Fi\",\"strength\":66.65625,"
        "\"strengthv\":-77,\"quality\":{\"err\":-210},\"strength_units\":\"%\","
        "\"strengthv_units\":\"dBm\",\"strengthv_type\":\"RSSI\",\"quality_units\":\"%\","
        "\"qualityv_units\":\"dB\",\"qualityv_type\":\"SNR\"},\"cellular\":"
        "{\"cell_global_identity\":{\"mobile_network_code\":\"10\"}},\"connection\":"
        "{\"disconnect_reason\":99}},\"cloud\":{\"connection\":{\"status\":\"connected\"}},"
        "\"power\":{},\"system\":{\"uptime\":513}},\"service\":{\"device\":{\"status\":\"ok\"},"
        "\"cloud\":{\"uptime\":0},\"coap\":{}}}");
    assert_true(world_has_event(&world, &cursor, "spark/device/diagnostics/update", text));
    free(text);
    app_vitals_free(&reading.list);
}

static void what_is_no_diagnostics_is_kept_and_shows_nothing(void **state) {
    (void)state;
    uint8_t much[4000];
    memset(much, 0xff, sizeof much);
    tell(1, "", 0);
    tell(1, "{}", 2);
    tell(1, much, sizeof much);
    struct reading reading = {0};
    assert_int_equal(list(&reading, 1), SW_OK);
    assert_int_equal(reading.list.count, 3);
    for (size_t i = 0; i < 3; i++) {
        const json_t *device = json_object_get(reading.list.items[i].payload, "device");
        assert_int_equal(json_object_size(json_object_get(device, "system")), 0);
    }
    app_vitals_free(&reading.list);
}

static void every_vital_fits_the_event(void **state) {
    (void)state;
    uint8_t bytes[1024] = {0, 4, 0, 2, 0, 4, 0};
    size_t len = 7;
    for (const struct vital *vital = app_vitals_known(); vital->path != NULL; vital++) {
        const uint8_t record[] = {(uint8_t)vital->id, 0, 1, 0, 0xff, 0x7f};
        memcpy(bytes + len, record, sizeof record);
        len += sizeof record;
    }
    tell(1, bytes, len);
    struct event_list events = {0};
    struct app_event_query query = {.prefix = "spark/device/diagnostics"};
    struct app_tx tx;
    app_tx_init(&tx, world.store, world.now, NULL);
    assert_int_equal(app_event_list(&tx, &query, &events), SW_OK);
    assert_int_equal(events.count, 1);
    json_t *told = json_loads(events.items[0].data, 0, NULL);
    assert_non_null(app_vitals_value(told, "device.system.uptime"));
    json_decref(told);
    free(events.items);
}

static void a_device_keeps_its_newest(void **state) {
    (void)state;
    for (uint8_t i = 1; i <= 5; i++) {
        tell_uptime(1, i);
    }
    tell_uptime(2, 77);
    struct reading reading = {0};
    assert_int_equal(list(&reading, 1), SW_OK);
    assert_int_equal(reading.list.count, 3);
    assert_int_equal(uptime(&reading, 0), 3);
    assert_int_equal(uptime(&reading, 2), 5);
    app_vitals_free(&reading.list);
    assert_int_equal(list(&reading, 2), SW_OK);
    assert_int_equal(reading.list.count, 1);
    app_vitals_free(&reading.list);
}

static void spans_of_time_are_read_and_judged(void **state) {
    (void)state;
    int64_t first_ms = world.now.ms;
    for (uint8_t i = 0; i < 3; i++) {
        tell_uptime(1, i);
        world.now.ms += DAY_MS;
    }
    struct reading reading = {.start_ms = first_ms + DAY_MS, .end_ms = first_ms + 2 * DAY_MS};
    assert_int_equal(list(&reading, 1), SW_OK);
    assert_int_equal(reading.list.count, 1);
    assert_int_equal(uptime(&reading, 0), 1);
    app_vitals_free(&reading.list);
    reading.start_ms = world.now.ms - 31 * DAY_MS;
    assert_int_equal(list(&reading, 1), SW_E_RANGE);
    assert_string_equal(world.error.description, "start_date must not be more than 30 days ago");
}

static int run_prune(struct app_tx *tx, void *arg) {
    (void)arg;
    return app_vitals_prune(tx);
}

static size_t left(unsigned n) {
    struct reading reading = {0};
    assert_int_equal(list(&reading, n), SW_OK);
    size_t count = reading.list.count;
    app_vitals_free(&reading.list);
    return count;
}

static void old_ones_and_too_many_go(void **state) {
    (void)state;
    for (uint8_t i = 0; i < 3; i++) {
        tell_uptime(1, i);
    }
    for (uint8_t i = 0; i < 3; i++) {
        tell_uptime(2, i);
    }
    assert_int_equal(app_execute(world.app, run_prune, NULL, NULL), SW_OK);
    assert_int_equal(left(1), 2); /* six were too many */
    assert_int_equal(left(2), 3);
    world.now.ms += 31 * DAY_MS;
    assert_int_equal(app_execute(world.app, run_prune, NULL, NULL), SW_OK);
    assert_int_equal(left(1) + left(2), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(records_become_a_tree, set_up, world_done),
        cmocka_unit_test_setup_teardown(what_is_no_diagnostics_is_kept_and_shows_nothing, set_up,
                                        world_done),
        cmocka_unit_test_setup_teardown(every_vital_fits_the_event, set_up, world_done),
        cmocka_unit_test_setup_teardown(a_device_keeps_its_newest, set_up, world_done),
        cmocka_unit_test_setup_teardown(spans_of_time_are_read_and_judged, set_up, world_done),
        cmocka_unit_test_setup_teardown(old_ones_and_too_many_go, set_up, world_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
