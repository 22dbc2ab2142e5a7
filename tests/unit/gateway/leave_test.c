/* What the store knows of a device whose session has ended. */
#include "rig.h"

#include "slipway/app/fleet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct rig rig;
static struct peer client;

static int setup(void **state) {
    (void)state;
    rig_open(&rig, &rig_small);
    peer_open(&client, &rig, 1);
    peer_connect(&client, &rig);
    peer_hello(&client, &rig, 1, &client.id);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    peer_close(&client);
    rig_close(&rig);
    return 0;
}

static void say_goodbye(struct peer *peer) {
    uint8_t record[64];
    struct writer w = writer_of(record, sizeof record);
    assert_int_equal(dtls_seal_close(dtls_endpoint_crypto(peer->endpoint), &peer->session, &w),
                     SW_OK);
    peer_datagram(peer, &rig, writer_span(&w));
}

static void who_says_close_notify_is_offline(void **state) {
    (void)state;
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_true(rig_is_online(&rig, &client.id));
    say_goodbye(&client);
    assert_null(rig_seat(&rig, &client.id));
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_false(rig_is_online(&rig, &client.id));
    peer_connect(&client, &rig);
    peer_hello(&client, &rig, 2, &client.id);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_true(rig_is_online(&rig, &client.id));
}

static void who_leaves_while_its_hello_is_written_is_offline(void **state) {
    (void)state;
    say_goodbye(&client);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_false(rig_is_online(&rig, &client.id));
    assert_true(rig_has_event(&rig, "spark/status")); /* it has been online */
}

static void whose_session_is_taken_away_is_offline(void **state) {
    (void)state;
    rig_pump(&rig, STORE_TROUBLE_NONE);
    const struct gateway_command forget = {.kind = GATEWAY_COMMAND_FORGET, .device = client.id};
    assert_int_equal(gateway_command(rig.gw, &forget, rig.now, (wall_time){.ms = 0}), SW_OK);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_false(rig_is_online(&rig, &client.id));
}

static void a_newer_session_of_the_same_device_keeps_it_online(void **state) {
    (void)state;
    rig_pump(&rig, STORE_TROUBLE_NONE);
    struct dtls_session old = client.session;
    client.address.port++;
    peer_connect(&client, &rig);
    peer_hello(&client, &rig, 2, &client.id);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    client.session = old;
    say_goodbye(&client);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_true(rig_is_online(&rig, &client.id));
    assert_non_null(rig_seat(&rig, &client.id));
}

static void another_key_cannot_put_it_offline(void **state) {
    (void)state;
    struct peer thief;
    peer_open(&thief, &rig, 2);
    peer_connect(&thief, &rig);
    peer_hello(&thief, &rig, 1, &client.id);
    say_goodbye(&thief); /* before either has its verdict */
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_true(rig_is_online(&rig, &client.id));
    peer_connect(&thief, &rig);
    peer_hello(&thief, &rig, 2, &client.id);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    say_goodbye(&thief); /* after it */
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_true(rig_is_online(&rig, &client.id));
    peer_close(&thief);
}

/* It is served under its own name, and takes another's with its next Hello. */
static void a_device_cannot_put_another_offline(void **state) {
    (void)state;
    struct peer thief;
    peer_open(&thief, &rig, 2);
    peer_connect(&thief, &rig);
    peer_hello(&thief, &rig, 1, &thief.id);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_true(rig_is_online(&rig, &thief.id));
    peer_hello(&thief, &rig, 2, &client.id);
    say_goodbye(&thief);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_true(rig_is_online(&rig, &client.id));
    assert_non_null(rig_seat(&rig, &client.id));
    assert_false(rig_is_online(&rig, &thief.id)); /* it has left, whatever it said last */
    peer_close(&thief);
}

/* The same with a Hello that comes to nothing, because it said too much, and silence instead of a
 * farewell. */
static void a_device_cannot_put_another_offline_by_silence(void **state) {
    (void)state;
    static const uint8_t ping[4] = {0x40, 0, 9, 9};
    struct gateway_config impatient = rig.config;
    struct peer thief;
    impatient.offline_cellular_s = 60;
    gateway_configure(rig.gw, &impatient);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    peer_open(&thief, &rig, 2);
    peer_connect(&thief, &rig);
    uint16_t id = 1;
    while (gateway_counters(rig.gw)->reports_shed == 0) {
        peer_hello(&thief, &rig, id++, &thief.id);
        rig_pump(&rig, STORE_TROUBLE_NONE);
    }
    peer_hello(&thief, &rig, id, &client.id);
    for (unsigned n = 0; n < 12; n++) {
        peer_say(&client, &rig, span_of(ping, sizeof ping));
        rig_pass(&rig, 10000);
        rig_pump(&rig, STORE_TROUBLE_NONE);
        assert_true(rig_is_online(&rig, &client.id));
    }
    assert_false(rig_is_online(&rig, &thief.id));
    peer_close(&thief);
}

/* The disk was full for a moment: nobody but the gateway can tell it later. */
static void whose_silence_could_not_be_written_is_offline_later(void **state) {
    (void)state;
    struct gateway_config impatient = rig.config;
    impatient.offline_after_s = 60;
    impatient.offline_cellular_s = 60;
    gateway_configure(rig.gw, &impatient);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    rig_pass(&rig, 59000);
    assert_true(rig_is_online(&rig, &client.id));
    uint64_t failed = gateway_counters(rig.gw)->jobs_failed;
    rig.now = mono_add_ms(rig.now, 2000);
    gateway_tick(rig.gw, rig.now, (wall_time){.ms = 0});
    rig_pump(&rig, STORE_TROUBLE_COMMIT_FAILS);
    assert_true(gateway_counters(rig.gw)->jobs_failed > failed);
    assert_true(rig_is_online(&rig, &client.id));
    rig_pass(&rig, 60000);
    assert_false(rig_is_online(&rig, &client.id));
}

/* POST /x: it goes to sleep. */
#define GOODBYE_BYTES "\x40\x02\x02\x01\xb1\x78\xff\x01\x06"

static void leave_word(void) {
    peer_say(&client, &rig, span_of(GOODBYE_BYTES, sizeof GOODBYE_BYTES - 1));
    rig_pump(&rig, STORE_TROUBLE_NONE);
}

/* Our acknowledgement was lost; it also still answers what it was asked before. */
static void what_a_device_repeats_when_it_has_left_is_no_return(void **state) {
    (void)state;
    rig_pump(&rig, STORE_TROUBLE_NONE);
    leave_word();
    assert_false(rig_is_online(&rig, &client.id));
    rig_pass(&rig, 5000);
    leave_word();
    peer_say(&client, &rig, span_of("\x60\x00\x00\x01", 4));
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_false(rig_is_online(&rig, &client.id));
}

static void who_comes_back_in_its_session_is_online(void **state) {
    (void)state;
    rig_pump(&rig, STORE_TROUBLE_NONE);
    leave_word();
    rig_pass(&rig, 5000);
    client.address.port++; /* soon, and from elsewhere */
    peer_say(&client, &rig, span_of("\x40\x00\x02\x02", 4));
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_true(rig_is_online(&rig, &client.id));
    /* Later, from the same place, with nothing to tell it by. */
    peer_say(&client, &rig, span_of("\x40\x02\x02\x09\xb1\x78\xff\x01\x06", 9));
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_false(rig_is_online(&rig, &client.id));
    rig_pass(&rig, 60000);
    peer_say(&client, &rig, span_of("\x40\x00\x02\x0a", 4));
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_true(rig_is_online(&rig, &client.id));
}

static int run_deny(struct app_tx *tx, void *arg) {
    return app_quarantine_deny(tx, PRODUCT_ID_FIRST, arg);
}

/* It speaks on in its session, and a new one is the only thing that lets it in: once it is approved
 * after all, the old one must be found. */
static void the_session_of_a_denied_device_can_be_ended(void **state) {
    (void)state;
    rig_pump(&rig, STORE_TROUBLE_NONE);
    struct app_notice forget = {.kind = APP_NOTICE_FORGET, .device = client.id};
    assert_int_equal(app_execute(rig.app, run_deny, &client.id, NULL), SW_OK);
    gateway_notice(rig.gw, &forget, rig.now, (wall_time){.ms = 0});
    peer_connect(&client, &rig);
    peer_hello(&client, &rig, 2, &client.id);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_true(gateway_counters(rig.gw)->quarantined > 0);
    assert_int_equal(rig_sizes(&rig).sessions, 1);
    gateway_notice(rig.gw, &forget, rig.now, (wall_time){.ms = 0});
    assert_int_equal(rig_sizes(&rig).sessions, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(who_says_close_notify_is_offline),
        TEST(who_leaves_while_its_hello_is_written_is_offline),
        TEST(whose_session_is_taken_away_is_offline),
        TEST(a_newer_session_of_the_same_device_keeps_it_online),
        TEST(another_key_cannot_put_it_offline),
        TEST(a_device_cannot_put_another_offline),
        TEST(a_device_cannot_put_another_offline_by_silence),
        TEST(whose_silence_could_not_be_written_is_offline_later),
        TEST(what_a_device_repeats_when_it_has_left_is_no_return),
        TEST(who_comes_back_in_its_session_is_online),
        TEST(the_session_of_a_denied_device_can_be_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
