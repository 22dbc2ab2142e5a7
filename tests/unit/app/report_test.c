/* What devices report of themselves, in the forms that different versions of Device OS use. */
#include "world.h"

#include <describe.pb.h>
#include <pb_encode.h>

static struct device_id id;
static struct device device;
static int64_t cursor;

static int set_up(void **state) {
    (void)state;
    struct app_plan plan;
    world_open(&world, NULL);
    assert_int_equal(world_upload(&world, 1, 0), SW_OK);
    assert_int_equal(world_import(&world, world_id_text(1), NULL), SW_OK);
    id = world_id(1);
    struct app_hello hello = world_hello_of(1, 1);
    assert_int_equal(world_hello(&world, &hello, &plan), SW_OK);
    cursor = 0;
    return 0;
}

struct telling {
    unsigned kind, content_format;
    struct span bytes;
};

static int run_tell(struct app_tx *tx, void *arg) {
    const struct telling *telling = (const struct telling *)arg;
    struct app_plan plan;
    return app_device_describe(tx, &id, telling->kind, telling->content_format, telling->bytes,
                               &plan);
}

static void tell(unsigned kind, unsigned content_format, struct span bytes) {
    struct telling telling = {.kind = kind, .content_format = content_format, .bytes = bytes};
    assert_int_equal(app_execute(world.app, run_tell, &telling, &world.error), SW_OK);
    world_device(&world, &id, &device);
}

struct reading {
    unsigned kind;
    uint8_t *bytes;
    size_t len;
};

static int run_read(struct app_tx *tx, void *arg) {
    struct reading *reading = (struct reading *)arg;
    return app_device_described(tx, &device, reading->kind, &reading->bytes, &reading->len);
}

static bool is_kept(unsigned kind, struct span bytes) {
    struct reading reading = {.kind = kind};
    int code = app_read(world.app, world.store, run_read, &reading, &world.error);
    bool is_same = code == SW_OK && reading.len == bytes.len &&
                   memcmp(reading.bytes, bytes.data, bytes.len) == 0;
    free(reading.bytes);
    return is_same;
}

/* Device OS 3.0 to 3.2 may tell its modules and its functions in one. */
static void a_describe_of_both_kinds(void **state) {
    (void)state;
    static const char json[] =
        "{\"f\":[\"go\"],\"v\":{\"speed\":2},\"p\":13,\"iccid\":\"8988\",\"m\":[{\"s\":671744,"
        "\"l\":\"m\",\"vc\":30,\"vv\":30,\"f\":\"s\",\"n\":\"1\",\"v\":3103,\"d\":[]}]}";
    struct span bytes = span_text(json);
    tell(3, 0xFFFF, bytes);
    assert_int_equal(device.system_version, 3103);
    assert_string_equal(device.iccid, "8988");
    assert_true(is_kept(1, bytes));
    assert_true(is_kept(2, bytes));
    static const char functions[] = "{\"f\":[],\"v\":{}}";
    tell(2, 0xFFFF, span_text(functions));
    assert_true(is_kept(1, bytes));
    assert_true(is_kept(2, span_text(functions)));
}

static bool put_text(pb_ostream_t *stream, const pb_field_t *field, void *const *arg) {
    const char *text = *arg;
    return pb_encode_tag_for_field(stream, field) &&
           pb_encode_string(stream, (const pb_byte_t *)text, strlen(text));
}

/* A modem with a long name for its firmware must not cost its device the whole Describe. */
static void a_long_text_is_cut_and_the_rest_is_understood(void **state) {
    (void)state;
    static char longest[201];
    uint8_t bytes[1024];
    slipway_SystemDescribe describe = slipway_SystemDescribe_init_zero;
    memset(longest, 'x', sizeof longest - 1);
    longest[3] = '\n';
    describe.modem_firmware_version = (pb_callback_t){.funcs.encode = put_text, .arg = longest};
    describe.iccid = (pb_callback_t){.funcs.encode = put_text, .arg = longest};
    describe.imei = (pb_callback_t){.funcs.encode = put_text, .arg = (char[]){"352253090000001"}};
    describe.modules_count = 1;
    describe.modules[0].type = MODULE_SYSTEM_PART;
    describe.modules[0].index = 1;
    describe.modules[0].version = 6200;
    pb_ostream_t stream = pb_ostream_from_buffer(bytes, sizeof bytes);
    assert_true(pb_encode(&stream, slipway_SystemDescribe_fields, &describe));
    tell(1, 42, span_of(bytes, stream.bytes_written));
    assert_int_equal(device.system_version, 6200);
    assert_string_equal(device.imei, "352253090000001");
    assert_int_equal(strlen(device.modem_version), sizeof device.modem_version - 1);
    assert_int_equal(strlen(device.iccid), sizeof device.iccid - 1);
    assert_memory_equal(device.iccid, "xxx?xxx", 7);
}

static int run_goodbye(struct app_tx *tx, void *arg) {
    return app_device_goodbye(tx, &id, (const struct app_goodbye *)arg);
}

static void a_goodbye_leaves_its_reasons(void **state) {
    (void)state;
    static const struct {
        struct app_goodbye goodbye;
        const char *text;
    } words[] = {
        {{.cloud_reason = 5, .reset_reason = 70}, "{\"reason\":\"reset\",\"reset\":\"update\"}"},
        {{.cloud_reason = 6, .sleep_s = 3600}, "{\"reason\":\"sleep\",\"sleep\":3600}"},
        {{.cloud_reason = 3, .network_reason = 2}, "{\"reason\":\"network\",\"network\":2}"},
        {{.cloud_reason = 77, .reset_reason = 75}, "{\"reason\":77,\"reset\":75}"},
        {{UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX},
         "{\"reason\":4294967295,\"reset\":4294967295,\"sleep\":4294967295,"
         "\"network\":4294967295}"},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct app_goodbye goodbye = words[i].goodbye;
        assert_int_equal(app_execute(world.app, run_goodbye, &goodbye, &world.error), SW_OK);
        assert_true(world_has_event(&world, &cursor, "slipway/device/goodbye", words[i].text));
    }
    world_device(&world, &id, &device);
    assert_false(device.is_online);
    struct app_goodbye without = {0};
    assert_int_equal(app_execute(world.app, run_goodbye, &without, &world.error), SW_OK);
    assert_false(world_has_event(&world, &cursor, "slipway/device/goodbye", NULL));
}

struct wish {
    struct device_id device;
    const char *prefix;
};

static int run_subscribe(struct app_tx *tx, void *arg) {
    const struct wish *wish = (const struct wish *)arg;
    return app_device_subscribed(tx, &wish->device, span_text(wish->prefix));
}

static void subscribe(unsigned n, const char *prefix) {
    struct wish wish = {.device = world_id(n), .prefix = prefix};
    assert_int_equal(app_execute(world.app, run_subscribe, &wish, &world.error), SW_OK);
}

static int run_publish(struct app_tx *tx, void *arg) {
    return app_event_publish(tx, (const struct app_publish *)arg);
}

struct asking {
    int64_t event_id;
    struct app_delivery found;
};

static int run_ask(struct app_tx *tx, void *arg) {
    struct asking *asking = (struct asking *)arg;
    return app_subscribers(tx, asking->event_id, &asking->found);
}

static int64_t published_id(void) {
    int64_t event_id = 0;
    for (size_t i = 0; i < world.notice_count; i++) {
        bool is_it = world.notices[i].kind == APP_NOTICE_PUBLISHED;
        event_id = is_it ? world.notices[i].event_id : event_id;
    }
    return event_id;
}

/* How many would get it, as the notice leads there. */
static size_t subscribers(uint16_t product_id, const char *name) {
    struct app_publish publish = {
        .product_id = product_id, .name = name, .data = span_of("\0\xff", 2), .ttl_s = 60};
    struct asking asking = {.event_id = 0};
    world.notice_count = 0;
    assert_int_equal(app_execute(world.app, run_publish, &publish, &world.error), SW_OK);
    asking.event_id = published_id();
    assert_true(asking.event_id > 0);
    assert_int_equal(app_read(world.app, world.store, run_ask, &asking, &world.error), SW_OK);
    assert_string_equal(asking.found.name, name);
    assert_int_equal(asking.found.data_len, 2);
    assert_memory_equal(asking.found.data, "\0\xff", 2);
    free(asking.found.ids);
    return asking.found.count;
}

static void events_go_to_those_who_asked(void **state) {
    (void)state;
    struct app_plan plan;
    struct app_hello second = world_hello_of(2, 1);
    assert_int_equal(world_import(&world, world_id_text(2), NULL), SW_OK);
    assert_int_equal(world_hello(&world, &second, &plan), SW_OK);
    subscribe(1, "lamp/");
    subscribe(1, "lamp/on"); /* of two that fit it gets one */
    subscribe(2, "lamp/on");
    subscribe(2, "lamp/on");
    subscribe(2, "");
    subscribe(2, "not printable");
    uint16_t product = world.product.id;
    assert_int_equal(subscribers(product, "lamp/on"), 2);
    assert_int_equal(subscribers(product, "lamp/one"), 2);
    assert_int_equal(subscribers(0, "lamp/off"), 1);
    assert_int_equal(subscribers(product, "lamp"), 0);
    assert_int_equal(subscribers(product, "lam%/on"), 0);
    assert_int_equal(subscribers(product, "zebra"), 0);
    assert_int_equal(subscribers((uint16_t)(product + 1), "lamp/on"), 0);
    /* With its next Hello it asks anew. */
    assert_int_equal(world_hello(&world, &second, &plan), SW_OK);
    assert_int_equal(subscribers(product, "lamp/on"), 1);
    struct app_goodbye goodbye = {.cloud_reason = 6};
    assert_int_equal(app_execute(world.app, run_goodbye, &goodbye, &world.error), SW_OK);
    assert_int_equal(subscribers(product, "lamp/on"), 0);
}

static int run_question(struct app_tx *tx, void *arg) {
    struct app_plan unused;
    return app_device_published(tx, &id, span_text((const char *)arg), span_of(NULL, 0), &unused);
}

/* As applications ask: they publish the name of the event that they wait for. */
static void a_device_is_told_what_it_asks_of_itself(void **state) {
    (void)state;
    static const struct {
        const char *name, *answer;
    } known[] = {{"particle/device/ip", "192.0.2.1"}, {"spark/device/ip", "192.0.2.1"},
                 {"particle/device/name", "lamp"},    {"spark/device/name", "lamp"},
                 {"particle/device/names", NULL},     {"device/name", NULL}};
    const struct app_device_edit edit = {.name = "lamp"};
    assert_int_equal(world_edit(&world, &id, &edit, NULL), SW_OK);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        world.notice_count = 0;
        char name[32];
        (void)snprintf(name, sizeof name, "%s", known[i].name);
        assert_int_equal(app_execute(world.app, run_question, name, &world.error), SW_OK);
        struct asking asking = {.event_id = published_id()};
        assert_int_equal(asking.event_id != 0, known[i].answer != NULL);
        if (known[i].answer != NULL) {
            assert_int_equal(app_read(world.app, world.store, run_ask, &asking, &world.error),
                             SW_OK);
            assert_int_equal(asking.found.count, 1);
            assert_memory_equal(asking.found.ids[0].b, id.b, sizeof id.b);
            assert_string_equal(asking.found.name, known[i].name);
            assert_int_equal(asking.found.data_len, strlen(known[i].answer));
            assert_memory_equal(asking.found.data, known[i].answer, asking.found.data_len);
            free(asking.found.ids);
        }
    }
}

static void the_subscriptions_of_a_device_are_bounded(void **state) {
    (void)state;
    char prefix[16];
    for (unsigned n = 0; n < 100; n++) {
        (void)snprintf(prefix, sizeof prefix, "p%u", n + 100);
        subscribe(1, prefix);
    }
    unsigned kept = 0;
    for (unsigned n = 0; n < 100; n++) {
        (void)snprintf(prefix, sizeof prefix, "p%u", n + 100);
        kept += (unsigned)subscribers(0, prefix);
    }
    assert_int_equal(kept, APP_SUBSCRIPTIONS_MAX);
}

/* Flashed with what it runs already, and asked meanwhile: a device that was told that this is
 * done would wait in vain for the acknowledgement of its transfer. */
static void what_it_says_in_mid_transfer_is_no_news(void **state) {
    (void)state;
    struct app_flash flash = {.device = id, .version = 1, .by = "tester"};
    struct update update;
    struct app_plan plan;
    static const enum update_state path[] = {UPDATE_PLANNED, UPDATE_OFFERED, UPDATE_SENDING,
                                             UPDATE_VERIFYING, UPDATE_REBOOTING};
    const char *describe = world_describe_of(&world, 6200, 1, false);
    assert_int_equal(world_flash(&world, &flash, &update), SW_OK);
    for (size_t i = 1; i < sizeof path / sizeof path[0]; i++) {
        assert_int_equal(world_move(&world, update.id, path[i - 1], path[i]), SW_OK);
        if (path[i] != UPDATE_REBOOTING) {
            assert_int_equal(world_describe(&world, &id, describe, &plan), SW_OK);
        }
        world_update(&world, update.id, &update);
        assert_int_equal(update.state, path[i]);
    }
    struct app_hello hello = world_hello_of(1, 1);
    assert_int_equal(world_hello(&world, &hello, &plan), SW_OK);
    world_update(&world, update.id, &update);
    assert_int_equal(update.state, UPDATE_SUCCEEDED);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, world_done)
    const struct CMUnitTest tests[] = {
        TEST(a_describe_of_both_kinds),
        TEST(a_long_text_is_cut_and_the_rest_is_understood),
        TEST(a_goodbye_leaves_its_reasons),
        TEST(events_go_to_those_who_asked),
        TEST(a_device_is_told_what_it_asks_of_itself),
        TEST(the_subscriptions_of_a_device_are_bounded),
        TEST(what_it_says_in_mid_transfer_is_no_news),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
