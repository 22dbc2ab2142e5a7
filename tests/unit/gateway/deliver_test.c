/* Published events on their way to devices. */
#include "rig.h"

#include "slipway/app/event.h"
#include "slipway/coap/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DEVICES 3

static struct rig rig;
static struct peer peers[DEVICES];

#define COUNTER(name) (gateway_counters(rig.gw)->name)

static int setup(void **state) {
    (void)state;
    static const struct gateway_config config = {.active_max = 8};
    rig_open(&rig, &config);
    for (unsigned n = 0; n < DEVICES; n++) {
        peer_open(&peers[n], &rig, n + 1);
        peer_connect(&peers[n], &rig);
        peer_hello(&peers[n], &rig, 1, &peers[n].id);
        rig_pump(&rig, STORE_TROUBLE_NONE);
        assert_true(peer_is_acked(&peers[n], &rig, 1));
    }
    return 0;
}

static int teardown(void **state) {
    (void)state;
    for (unsigned n = 0; n < DEVICES; n++) {
        peer_close(&peers[n]);
    }
    rig_close(&rig);
    return 0;
}

static void subscribe(unsigned n, uint16_t id, const char *prefix) {
    uint8_t bytes[128];
    struct writer w = writer_of(bytes, sizeof bytes);
    struct coap_writer c = coap_begin(&w, COAP_CON, COAP_GET, id, span_of(NULL, 0));
    coap_put(&c, COAP_URI_PATH, span_text("e"));
    coap_put(&c, COAP_URI_PATH, span_text(prefix));
    peer_say(&peers[n], &rig, writer_span(&w));
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_true(peer_is_acked(&peers[n], &rig, id));
}

static int run_publish(struct app_tx *tx, void *arg) {
    (void)arg;
    const struct app_publish publish = {
        .product_id = 101, .name = "lamp/on", .data = span_of("bright", 6), .ttl_s = 60};
    int code = app_event_publish(tx, &publish);
    return code == SW_OK ? app_event_last(tx, (int64_t *)arg) : code;
}

/* The notice is the loop's to pass on. */
static void pass_on(int64_t event_id) {
    const struct app_notice notice = {.kind = APP_NOTICE_PUBLISHED, .event_id = event_id};
    gateway_notice(rig.gw, &notice, rig.now, (wall_time){.ms = 1});
    rig_pump(&rig, STORE_TROUBLE_NONE);
    rig_pass(&rig, 1);
}

static void publish(void) {
    int64_t event_id = 0;
    assert_int_equal(app_execute(rig.app, run_publish, &event_id, NULL), SW_OK);
    pass_on(event_id);
}

/* An event as Device OS reads it: confirmable, without a token. *id: its own. */
static bool heard_event(unsigned n, struct span expected, uint16_t *id) {
    uint8_t bytes[1400];
    size_t len;
    uint64_t sequence;
    while (peer_hear(&peers[n], &rig, bytes, &len, &sequence)) {
        if (len == 4 + expected.len && bytes[0] == 0x40 && bytes[1] == COAP_POST &&
            memcmp(bytes + 4, expected.data, expected.len) == 0) {
            *id = (uint16_t)(bytes[2] << 8 | bytes[3]);
            return true;
        }
    }
    return false;
}

static bool heard(unsigned n, uint16_t *id) {
    static const char expected[] = "\xb1\x45\x07lamp/on\xff"
                                   "bright";
    return heard_event(n, span_of(expected, sizeof expected - 1), id);
}

static void acknowledge(unsigned n, uint16_t id) {
    const uint8_t bytes[] = {0x60, 0, (uint8_t)(id >> 8), (uint8_t)id};
    peer_say(&peers[n], &rig, span_of(bytes, sizeof bytes));
}

static void an_event_reaches_who_asked_for_it(void **state) {
    (void)state;
    uint16_t id;
    subscribe(0, 10, "lamp");
    subscribe(1, 10, "fan");
    publish();
    assert_true(heard(0, &id));
    assert_false(heard(1, &id));
    assert_false(heard(2, &id));
    assert_int_equal(COUNTER(events_delivered), 1);
    assert_int_equal(COUNTER(events_undelivered), 0);
}

static int run_last(struct app_tx *tx, void *arg) {
    return app_event_last(tx, arg);
}

/* It asked for no events, and is acknowledged before it is told. */
static void a_device_hears_its_address_when_it_asks(void **state) {
    (void)state;
    static const char question[] = "\x40\x02\x00\x0b\xb1\x45\x0d\x05particle/device/ip";
    char answer[64];
    uint16_t id;
    int64_t event_id = 0;
    const uint8_t *ip = peers[1].address.ip + 12;
    int len = snprintf(answer, sizeof answer, "\xb1\x45\x0d\x05particle/device/ip\xff%u.%u.%u.%u",
                       ip[0], ip[1], ip[2], ip[3]);
    peer_say(&peers[1], &rig, span_of(question, sizeof question - 1));
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_true(peer_is_acked(&peers[1], &rig, 11));
    assert_int_equal(app_execute(rig.app, run_last, &event_id, NULL), SW_OK);
    pass_on(event_id);
    assert_true(heard_event(1, span_of(answer, (size_t)len), &id));
    assert_int_equal(COUNTER(events_delivered), 1);
}

/* One request of ours at a time: the next event waits for its turn, and not for ever. */
static void a_busy_device_gets_it_later(void **state) {
    (void)state;
    uint16_t first, second;
    subscribe(0, 10, "lamp");
    publish();
    publish();
    assert_true(heard(0, &first));
    assert_false(heard(0, &second));
    acknowledge(0, first);
    rig_pass(&rig, 300);
    assert_true(heard(0, &second));
    assert_int_not_equal(first, second);
    publish(); /* the second is never acknowledged */
    rig_pass(&rig, 40000);
    assert_int_equal(COUNTER(events_delivered), 2);
    assert_int_equal(COUNTER(events_undelivered), 1);
    assert_true(gateway_deadline(rig.gw).us > rig.now.us); /* nothing spins */
}

/* A resumed session asks for nothing anew. */
static void a_subscription_outlives_the_process(void **state) {
    (void)state;
    uint16_t id;
    subscribe(0, 10, "lamp");
    rig_pass(&rig, 20000);
    rig_crash(&rig);
    rig_pass(&rig, 1000);
    for (uint8_t n = 1; n < 32; n++) { /* some of its numbers are spent */
        peer_say(&peers[0], &rig, span_of((const uint8_t[]){0x40, 0, 0x30, n}, 4));
        rig_pump(&rig, STORE_TROUBLE_NONE);
    }
    publish();
    assert_true(heard(0, &id));
}

static void more_than_can_wait_are_dropped(void **state) {
    (void)state;
    subscribe(0, 10, "lamp");
    for (unsigned n = 0; n < 100; n++) {
        publish();
    }
    assert_true(COUNTER(events_undelivered) >= 80);
    rig_pass(&rig, 60000);
    assert_int_equal(COUNTER(events_delivered) + COUNTER(events_undelivered), 100);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_event_reaches_who_asked_for_it), TEST(a_device_hears_its_address_when_it_asks),
        TEST(a_busy_device_gets_it_later),       TEST(a_subscription_outlives_the_process),
        TEST(more_than_can_wait_are_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
