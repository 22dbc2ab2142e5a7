/* After a crash: a device that was busy speaks in numbers that may not be accepted. It is knocked
 * at, also when knocks get lost, and nobody is flooded. */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct rig rig;
static struct peer client;

#define COUNTER(name) gateway_counters(rig.gw)->name

/* Its numbers are reserved far ahead, and then the server is gone and comes back. */
static int busy_before_a_crash(void **state) {
    (void)state;
    const struct gateway_config config = {0};
    rig_open(&rig, &config);
    peer_open(&client, &rig, 1);
    peer_connect(&client, &rig);
    peer_hello(&client, &rig, 1, &client.id);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    for (unsigned id = 2; id < 250; id++) {
        const uint8_t ping[4] = {0x40, 0, 0, (uint8_t)id};
        peer_say(&client, &rig, span_of(ping, sizeof ping));
        rig_pump(&rig, STORE_TROUBLE_NONE);
    }
    rig_crash(&rig);
    rig_forget(&rig);
    client.seen = 0;
    client.address.port++;
    return 0;
}

static int over(void **state) {
    (void)state;
    peer_close(&client);
    rig_close(&rig);
    return 0;
}

static void say_ping(uint8_t id) {
    const uint8_t ping[4] = {0x40, 0, 1, id};
    peer_say(&client, &rig, span_of(ping, sizeof ping));
    rig_pump(&rig, STORE_TROUBLE_NONE);
}

/* Hears one knock and answers it; false when none came. */
static bool answer(void) {
    uint8_t message[1400];
    size_t len;
    uint64_t sequence;
    if (!peer_hear(&client, &rig, message, &len, &sequence)) {
        return false;
    }
    assert_int_equal(len, 4);
    assert_int_equal(message[0], 0x40);
    message[0] = 0x60;
    peer_say(&client, &rig, span_of(message, len));
    rig_pump(&rig, STORE_TROUBLE_NONE);
    return true;
}

static void one_knock_and_it_is_heard(void **state) {
    (void)state;
    say_ping(1);
    assert_int_equal(COUNTER(knocks), 1);
    assert_int_equal(rig.sent_count, 1);
    assert_true(address_equal(&rig.sent[0].to, &client.address));
    assert_true(rig.sent[0].len < 52); /* the shortest that a device sends */
    assert_true(answer());
    assert_int_equal(COUNTER(sessions_resumed), 1);
    say_ping(2);
    assert_true(peer_is_acked(&client, &rig, 0x102));
    rig_pass(&rig, 60000);
    assert_int_equal(COUNTER(knocks), 1);
}

static void a_lost_knock_is_repeated(void **state) {
    (void)state;
    say_ping(1);
    say_ping(2);
    say_ping(3);
    assert_int_equal(COUNTER(knocks), 1);
    rig_forget(&rig); /* it is lost */
    rig_pass(&rig, 300);
    assert_int_equal(COUNTER(knocks), 2);
    assert_true(answer());
    say_ping(4);
    assert_true(peer_is_acked(&client, &rig, 0x104));
}

/* An address that has proved nothing gets less than it sent, whatever it repeats. */
static void no_more_knocks_than_datagrams(void **state) {
    (void)state;
    struct dtls_session before = client.session;
    for (int round = 0; round < 5; round++) {
        client.session = before;
        say_ping(1);
        say_ping(2);
    }
    rig_pass(&rig, 600000);
    assert_int_equal(COUNTER(knocks), 2);
}

static void the_address_where_it_was_gets_a_few(void **state) {
    (void)state;
    client.address.port--;
    say_ping(1);
    rig_pass(&rig, 5000);
    assert_in_range(COUNTER(knocks), 3, 6);
    rig_pass(&rig, 600000);
    assert_in_range(COUNTER(knocks), 5, 8);
}

/* It restarted just then, and listens to nothing before its Hello is acknowledged. */
static void a_hello_is_heard_without_a_knock(void **state) {
    (void)state;
    peer_hello(&client, &rig, 900, &client.id);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_int_equal(COUNTER(knocks), 0);
    assert_true(peer_is_acked(&client, &rig, 900));
    say_ping(1);
    assert_int_equal(COUNTER(knocks), 1);
    assert_true(answer());
    say_ping(2);
    assert_true(peer_is_acked(&client, &rig, 0x102));
}

/* The store is busy when it comes, and takes it when it is not, without another Hello. */
static void a_hello_waits_for_a_busy_store(void **state) {
    (void)state;
    rig.refuses = true;
    peer_hello(&client, &rig, 900, &client.id);
    rig_pass(&rig, 1000);
    assert_false(peer_is_acked(&client, &rig, 900));
    rig.refuses = false;
    rig_pass(&rig, 300);
    assert_true(peer_is_acked(&client, &rig, 900));
}

/* The store takes no jobs for a while: no numbers, so no knock, and the timer does not spin. */
static void without_numbers_a_knock_waits(void **state) {
    (void)state;
    rig.refuses = true;
    say_ping(1);
    rig_pass(&rig, 1000);
    assert_int_equal(COUNTER(knocks), 0);
    rig.refuses = false;
    rig_pass(&rig, 1000);
    assert_int_equal(COUNTER(knocks), 1);
    assert_true(answer());
    assert_int_equal(COUNTER(sessions_resumed), 1);
}

int main(void) {
#define CRASHED(test) cmocka_unit_test_setup_teardown(test, busy_before_a_crash, over)
    const struct CMUnitTest tests[] = {
        CRASHED(one_knock_and_it_is_heard),        CRASHED(a_lost_knock_is_repeated),
        CRASHED(no_more_knocks_than_datagrams),    CRASHED(the_address_where_it_was_gets_a_few),
        CRASHED(a_hello_is_heard_without_a_knock), CRASHED(a_hello_waits_for_a_busy_store),
        CRASHED(without_numbers_a_knock_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
