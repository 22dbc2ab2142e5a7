/* What a device with a good key may cost the others: jobs, rows and looks are bounded for each. */
#include "rig.h"

#include "slipway/coap/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct rig rig;
static struct peer peers[2], *const hostile = &peers[0], *const good = &peers[1];

#define COUNTER(name) (gateway_counters(rig.gw)->name)
#define BURST         256U
#define PER_S         8U
#define AT_ONCE       26U /* and what its session costs */

static int setup(void **state) {
    (void)state;
    static const struct gateway_config config = {.jobs_max = 64, .active_max = 8};
    rig_open(&rig, &config);
    for (unsigned n = 0; n < 2; n++) {
        peer_open(&peers[n], &rig, n + 1);
        peer_connect(&peers[n], &rig);
        peer_hello(&peers[n], &rig, 1, &peers[n].id);
        rig_pump(&rig, STORE_TROUBLE_NONE);
        assert_true(peer_is_acked(&peers[n], &rig, 1));
    }
    rig_forget(&rig);
    hostile->seen = good->seen = 0;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    for (unsigned n = 0; n < 2; n++) {
        peer_close(&peers[n]);
    }
    rig_close(&rig);
    return 0;
}

static void publish(struct peer *client, uint8_t type, uint16_t id, const char *name,
                    const char *data) {
    uint8_t bytes[256];
    struct writer w = writer_of(bytes, sizeof bytes);
    struct coap_writer c = coap_begin(&w, type, COAP_POST, id, span_of(NULL, 0));
    coap_put(&c, COAP_URI_PATH, span_text("E"));
    coap_put(&c, COAP_URI_PATH, span_text(name));
    coap_put_payload(&c, span_text(data));
    peer_say(client, &rig, writer_span(&w));
}

static void shed_is_told_by_nothing_but_its_counter(void) {
    assert_int_equal(COUNTER(jobs_refused), 0);
    assert_int_equal(COUNTER(jobs_failed), 0);
}

/* The store is slow, and one device says what nobody acknowledges as fast as it can: the queue is
 * not its alone. */
static void unconfirmed_events_leave_the_queue_to_others(void **state) {
    (void)state;
    for (unsigned n = 0; n < 3000; n++) { /* until many numbers are reserved for it at a time */
        peer_say(hostile, &rig, span_of("\x40\x00\x12\x34", 4));
        rig_pump(&rig, STORE_TROUBLE_NONE);
        rig_forget(&rig);
        hostile->seen = good->seen = 0;
    }
    uint64_t before = COUNTER(jobs_submitted);
    for (unsigned n = 0; n < 2000; n++) {
        publish(hostile, COAP_NON, (uint16_t)(n + 10), "x", "y");
    }
    assert_true(COUNTER(jobs_submitted) - before <= AT_ONCE);
    publish(good, COAP_CON, 20, "hello", "world");
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_true(peer_is_acked(good, &rig, 20));
    shed_is_told_by_nothing_but_its_counter();
}

/* What is said too often is acknowledged, or the device would end its session, and not kept. */
static void events_are_kept_at_a_bounded_rate(void **state) {
    (void)state;
    rig_pass(&rig, 60000);
    uint64_t before = COUNTER(jobs_submitted);
    for (unsigned n = 0; n < 2000; n++) {
        publish(hostile, COAP_CON, (uint16_t)(n + 10), "x", "y");
        rig_pump(&rig, STORE_TROUBLE_NONE);
        assert_true(peer_is_acked(hostile, &rig, (uint16_t)(n + 10)));
        rig_forget(&rig);
        hostile->seen = 0;
    }
    uint64_t kept = COUNTER(jobs_submitted) - before;
    assert_true(kept >= BURST && kept <= BURST + 40); /* a few are its session's */
    assert_true(COUNTER(reports_shed) >= 2000 - kept);
    rig_pass(&rig, 10000);
    before = COUNTER(jobs_submitted);
    for (unsigned n = 0; n < 200; n++) {
        publish(hostile, COAP_CON, (uint16_t)(n + 5000), "x", "y");
        rig_pump(&rig, STORE_TROUBLE_NONE);
    }
    kept = COUNTER(jobs_submitted) - before;
    assert_true(kept >= 10 * PER_S - 1 && kept <= 10 * PER_S + 20);
    shed_is_told_by_nothing_but_its_counter();
}

/* Four a second for its application and as many for the system is what Device OS allows itself. */
static void what_device_os_may_say_is_all_kept(void **state) {
    (void)state;
    for (unsigned n = 0; n < 400; n++) {
        publish(hostile, COAP_CON, (uint16_t)(n + 10), n % 2 == 0 ? "x" : "spark/y", "z");
        rig_pump(&rig, STORE_TROUBLE_NONE);
        rig_pass(&rig, 125);
    }
    assert_int_equal(COUNTER(reports_shed), 0);
}

/* A flag that flaps is state: what is too much waits at the device, which repeats it. */
static void flapping_flags_wait_at_the_device(void **state) {
    (void)state;
    uint16_t id = 10;
    unsigned acked = 0;
    for (; id < 1010; id++) {
        publish(hostile, COAP_CON, id, "particle/device/updates/enabled",
                id % 2 == 0 ? "true" : "false");
        rig_pump(&rig, STORE_TROUBLE_NONE);
        acked += peer_is_acked(hostile, &rig, id);
        rig_forget(&rig);
        hostile->seen = 0;
    }
    assert_true(acked >= BURST - 2 && acked <= BURST + 2);
    rig_pass(&rig, 5000);
    publish(hostile, COAP_CON, id, "particle/device/updates/enabled", "true");
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_true(peer_is_acked(hostile, &rig, id));
    shed_is_told_by_nothing_but_its_counter();
}

/* A session that comes from another address with each word. */
static void a_flapping_address_costs_little(void **state) {
    (void)state;
    uint64_t before = COUNTER(jobs_submitted);
    for (unsigned n = 0; n < 2000; n++) {
        hostile->address.port ^= 1U;
        peer_say(hostile, &rig, span_of("\x40\x00\x12\x34", 4));
        rig_pump(&rig, STORE_TROUBLE_NONE);
        rig_forget(&rig);
        hostile->seen = 0;
    }
    assert_true(COUNTER(jobs_submitted) - before <= 2 * BURST + 60);
    shed_is_told_by_nothing_but_its_counter();
    /* It is served all the same. */
    publish(good, COAP_CON, 20, "hello", "world");
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_true(peer_is_acked(good, &rig, 20));
}

static void reports_in_flight_are_bounded(void **state) {
    (void)state;
    static const struct gateway_config config = {.jobs_max = 4, .active_max = 8};
    rig_open(&rig, &config);
    peer_serve(good, &rig, 1);
    for (uint16_t id = 100; id < 110; id++) {
        publish(good, COAP_CON, id, "temperature", "21");
    }
    assert_int_equal(COUNTER(jobs_refused), 10 - config.jobs_max);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_true(peer_is_acked(good, &rig, 100));
    good->seen = 0;
    assert_false(peer_is_acked(good, &rig, 109)); /* the device repeats it */
    publish(good, COAP_CON, 109, "temperature", "21");
    rig_pump(&rig, STORE_TROUBLE_NONE);
    good->seen = 0;
    assert_true(peer_is_acked(good, &rig, 109));
    peer_close(good);
    rig_close(&rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(unconfirmed_events_leave_the_queue_to_others),
        TEST(events_are_kept_at_a_bounded_rate),
        TEST(what_device_os_may_say_is_all_kept),
        TEST(flapping_flags_wait_at_the_device),
        TEST(a_flapping_address_costs_little),
        cmocka_unit_test(reports_in_flight_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
