/* More handshakes than there is time or room for. */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define HALVES 8
#define STORM  600

static struct rig rig;

static int setup(void **state) {
    (void)state;
    rig_open(&rig, &(struct gateway_config){.half_open_max = HALVES, .sessions_max = 64});
    return 0;
}

static int teardown(void **state) {
    (void)state;
    rig_close(&rig);
    return 0;
}

#define COUNTER(name) (gateway_counters(rig.gw)->name)

static void nobody_is_pushed_out_before_he_could_answer(void **state) {
    (void)state;
    static struct peer peers[HALVES + 3];
    for (unsigned n = 0; n < HALVES + 3; n++) {
        peer_open(&peers[n], &rig, n);
    }
    for (unsigned n = 0; n < HALVES + 1; n++) {
        peer_begin(&peers[n], &rig);
    }
    assert_int_equal(COUNTER(handshakes_started), HALVES);
    assert_int_equal(COUNTER(handshakes_evicted), 0);
    /* While nothing can be done for him the loop is not kept busy. */
    gateway_tick(rig.gw, rig.now, (wall_time){.ms = 0});
    assert_false(mono_reached(rig.now, gateway_deadline(rig.gw)));
    /* The last one waits. Who is through makes room for it at once. */
    size_t seen = rig.sent_count;
    peer_go(&peers[3], &rig);
    assert_true(peers[3].is_established);
    peer_go(&peers[HALVES], &rig);
    assert_true(peers[HALVES].is_established);
    assert_true(rig.sent_count > seen);
    assert_int_equal(COUNTER(handshakes_evicted), 1);
    assert_int_equal(rig_sizes(&rig).half_open, HALVES);
    /* And so does the oldest after two seconds. */
    peer_begin(&peers[HALVES + 1], &rig);
    assert_int_equal(COUNTER(handshakes_evicted), 2); /* the other one that is through */
    peer_begin(&peers[HALVES + 2], &rig);
    assert_int_equal(COUNTER(handshakes_evicted), 2);
    rig.now.us += 2000000;
    gateway_tick(rig.gw, rig.now, (wall_time){.ms = 0});
    peer_go(&peers[HALVES + 2], &rig);
    assert_int_equal(COUNTER(handshakes_evicted), 3);
    assert_true(peers[HALVES + 2].is_established);
    peer_go(&peers[0], &rig);
    assert_false(peers[0].is_established);
    peer_go(&peers[1], &rig);
    assert_true(peers[1].is_established);
    for (unsigned n = 0; n < HALVES + 3; n++) {
        peer_close(&peers[n]);
    }
}

/* A ClientHello that anybody may send again and again, from another port each time. */
static struct span hello_of(struct peer *peer, uint8_t data[4096]) {
    static const uint8_t entropy[DTLS_HANDSHAKE_ENTROPY] = {1};
    struct outbox box;
    outbox_init(&box, data, 4096);
    assert_int_equal(dtls_handshake_connect(&peer->hs, peer->endpoint, entropy, rig.now, &box),
                     SW_OK);
    return outbox_datagram(&box, 0);
}

static void make_storm(struct gateway_arrival items[STORM], struct peer *peer, struct span hello) {
    for (unsigned n = 0; n < STORM; n++) {
        items[n] = (struct gateway_arrival){.path = 1, .from = peer->address, .bytes = hello};
        items[n].from.port = (uint16_t)(1000 + n);
    }
}

static struct span ping_of(struct peer *peer, uint8_t record[128]) {
    static const uint8_t ping[4] = {0x40, 0, 0, 99};
    struct writer w = writer_of(record, 128);
    assert_int_equal(dtls_seal(dtls_endpoint_crypto(peer->endpoint), &peer->session,
                               DTLS_APPLICATION_DATA, span_of(ping, sizeof ping), &w),
                     SW_OK);
    return writer_span(&w);
}

static void established_devices_are_answered_first(void **state) {
    (void)state;
    static struct gateway_arrival items[STORM];
    uint8_t data[4096], record[128];
    struct peer device, stranger;
    peer_open(&device, &rig, 1);
    peer_open(&stranger, &rig, 2);
    peer_connect(&device, &rig);
    make_storm(items, &stranger, hello_of(&stranger, data));
    /* The last one of the first 250 that came together. */
    items[249].from = device.address;
    items[249].bytes = ping_of(&device, record);
    rig_forget(&rig);
    gateway_arrivals(rig.gw, items, 250, rig.now, (wall_time){.ms = 0});
    assert_true(rig.sent_count > 1);
    assert_true(address_equal(&rig.sent[0].to, &device.address));
    for (size_t n = 1; n < rig.sent_count; n++) {
        assert_false(address_equal(&rig.sent[n].to, &device.address));
    }
    peer_close(&device);
    peer_close(&stranger);
}

static void a_turn_takes_no_more_hellos_than_it_can(void **state) {
    (void)state;
    static struct gateway_arrival items[STORM];
    static uint8_t times[STORM];
    uint8_t data[4096];
    struct peer stranger;
    memset(times, 0, sizeof times);
    peer_open(&stranger, &rig, 2);
    make_storm(items, &stranger, hello_of(&stranger, data));
    uint64_t before = COUNTER(hellos_cookie);
    gateway_arrivals(rig.gw, items, STORM, rig.now, (wall_time){.ms = 0});
    uint64_t first = COUNTER(hellos_cookie) - before;
    assert_true(first > 0 && first < STORM / 2);
    /* The rest waits, and the next turns come at once; the newest are first. */
    size_t seen = rig.sent_count;
    assert_true(gateway_deadline(rig.gw).us <= rig.now.us);
    gateway_tick(rig.gw, rig.now, (wall_time){.ms = 0});
    assert_int_equal(rig.sent[seen].to.port, 1000 + STORM - 1);
    for (unsigned turn = 0; turn < 10; turn++) {
        gateway_tick(rig.gw, rig.now, (wall_time){.ms = 0});
    }
    assert_int_equal(COUNTER(hellos_cookie) - before, STORM);
    assert_int_equal(COUNTER(handshakes_shed), 0);
    assert_true(gateway_deadline(rig.gw).us > rig.now.us);
    for (size_t n = rig.sent_count - STORM; n < rig.sent_count; n++) {
        assert_int_equal(times[rig.sent[n].to.port - 1000]++, 0);
    }
    peer_close(&stranger);
}

static void who_waited_too_long_is_not_answered(void **state) {
    (void)state;
    static struct gateway_arrival items[STORM];
    uint8_t data[4096];
    struct peer stranger;
    peer_open(&stranger, &rig, 2);
    make_storm(items, &stranger, hello_of(&stranger, data));
    uint64_t before = COUNTER(hellos_cookie);
    gateway_arrivals(rig.gw, items, STORM, rig.now, (wall_time){.ms = 0});
    uint64_t answered = COUNTER(hellos_cookie) - before;
    rig.now.us += 6000000;
    for (unsigned turn = 0; turn < 10; turn++) {
        gateway_tick(rig.gw, rig.now, (wall_time){.ms = 0});
    }
    assert_int_equal(COUNTER(hellos_cookie) - before, answered);
    assert_int_equal(COUNTER(handshakes_shed), STORM - answered);
    peer_close(&stranger);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(nobody_is_pushed_out_before_he_could_answer),
        TEST(established_devices_are_answered_first),
        TEST(a_turn_takes_no_more_hellos_than_it_can),
        TEST(who_waited_too_long_is_not_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
