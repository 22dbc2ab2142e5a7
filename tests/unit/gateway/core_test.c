#include "rig.h"

#include "gateway/gateway.h"
#include "slipway/util/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct rig rig;

static int setup(void **state) {
    (void)state;
    rig_open(&rig, &rig_small);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    rig_close(&rig);
    return 0;
}

#define COUNTER(name) (gateway_counters(rig.gw)->name)

static void a_hello_is_acknowledged_when_it_is_durable(void **state) {
    (void)state;
    struct peer client;
    peer_open(&client, &rig, 1);
    peer_connect(&client, &rig);
    peer_hello(&client, &rig, 1, &client.id);
    assert_false(peer_is_acked(&client, &rig, 1));
    rig_pump(&rig, STORE_TROUBLE_COMMIT_FAILS);
    assert_false(peer_is_acked(&client, &rig, 1));
    assert_true(COUNTER(jobs_failed) > 0);
    peer_hello(&client, &rig, 1, &client.id);
    assert_false(peer_is_acked(&client, &rig, 1));
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_true(peer_is_acked(&client, &rig, 1));
    /* Repeated: acknowledged again, when its number is kept, and without another report. */
    uint64_t jobs = COUNTER(jobs_submitted);
    peer_hello(&client, &rig, 1, &client.id);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_true(peer_is_acked(&client, &rig, 1));
    assert_int_equal(COUNTER(jobs_submitted), jobs + 1);
    peer_close(&client);
}

static void a_full_store_leaves_the_device_unanswered(void **state) {
    (void)state;
    struct peer client;
    peer_open(&client, &rig, 1);
    peer_connect(&client, &rig);
    rig.refuses = true;
    peer_hello(&client, &rig, 1, &client.id);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_false(peer_is_acked(&client, &rig, 1));
    rig.refuses = false;
    peer_hello(&client, &rig, 1, &client.id);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_true(peer_is_acked(&client, &rig, 1));
    peer_close(&client);
}

static void the_newest_session_of_a_device_wins_after_its_hello(void **state) {
    (void)state;
    struct peer client;
    peer_serve(&client, &rig, 1);
    struct dtls_session old = client.session;
    client.address.port++;
    peer_connect(&client, &rig);
    assert_int_equal(rig_sizes(&rig).sessions, 2);
    struct dtls_session fresh = client.session;
    /* The old one lives until the new one has said who it is. */
    client.session = old;
    peer_say(&client, &rig, span_of("\x40\x00\x12\x34", 4));
    assert_true(peer_is_acked(&client, &rig, 0x1234));
    client.session = fresh;
    peer_hello(&client, &rig, 2, &client.id);
    assert_int_equal(rig_sizes(&rig).sessions, 2);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_true(peer_is_acked(&client, &rig, 2));
    assert_int_equal(rig_sizes(&rig).sessions, 1);
    assert_int_equal(COUNTER(sessions_replaced), 1);
    peer_close(&client);
}

static void a_former_session_that_speaks_on_is_another_device(void **state) {
    (void)state;
    struct peer client;
    peer_serve(&client, &rig, 1);
    struct dtls_session twin = client.session, ours;
    client.address.port++;
    peer_connect(&client, &rig);
    peer_hello(&client, &rig, 2, &client.id);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    ours = client.session;
    rig_forget(&rig);
    client.seen = 0;
    client.session = twin;
    peer_say(&client, &rig, span_of("\x40\x00\x12\x34", 4)); /* late, perhaps */
    assert_int_equal(COUNTER(devices_doubled), 0);
    rig_pass(&rig, 25000);
    rig_forget(&rig);
    client.seen = 0;
    for (unsigned n = 0; n < 3; n++) {
        peer_say(&client, &rig, span_of("\x40\x00\x12\x35", 4));
    }
    assert_int_equal(COUNTER(devices_doubled), 1); /* told once */
    assert_int_equal(rig.sent_count, 0);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_true(rig_has_event(&rig, "slipway/device/duplicate"));
    client.session = ours; /* the newest is served */
    peer_say(&client, &rig, span_of("\x40\x00\x12\x36", 4));
    assert_true(peer_is_acked(&client, &rig, 0x1236));
    peer_close(&client);
}

static void another_key_cannot_end_a_session_or_speak_for_its_device(void **state) {
    (void)state;
    struct peer device, thief;
    peer_open(&device, &rig, 1);
    peer_open(&thief, &rig, 2);
    peer_connect(&device, &rig);
    peer_hello(&device, &rig, 1, &device.id);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_true(peer_is_acked(&device, &rig, 1));
    peer_connect(&thief, &rig);
    peer_hello(&thief, &rig, 1, &device.id);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_int_equal(rig_sizes(&rig).sessions, 2);
    assert_int_equal(COUNTER(sessions_replaced), 0);
    assert_true(COUNTER(quarantined) > 0);
    assert_non_null(rig_seat(&rig, &device.id));
    peer_say(&device, &rig, span_of("\x40\x00\x00\x09", 4));
    assert_true(peer_is_acked(&device, &rig, 9));
    /* A device that is served says Hello again and names another: nobody listens. */
    thief.address.port++;
    peer_connect(&thief, &rig);
    peer_hello(&thief, &rig, 2, &thief.id);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_true(rig_seat(&rig, &thief.id)->is_served);
    peer_hello(&thief, &rig, 3, &device.id);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_false(peer_is_acked(&thief, &rig, 3));
    assert_true(rig_seat(&rig, &thief.id)->is_served);
    assert_true(rig_seat(&rig, &device.id)->is_present);
    peer_close(&device);
    peer_close(&thief);
}

static void a_session_survives_a_crash_and_no_number_is_used_twice(void **state) {
    (void)state;
    struct peer client;
    uint64_t highest = 0;
    unsigned unheard = 0;
    peer_serve(&client, &rig, 1);
    for (unsigned id = 2; id < 250; id++) {
        uint8_t message[1400];
        size_t len;
        uint64_t sequence = 0;
        const uint8_t ping[4] = {0x40, 0, 0, (uint8_t)id};
        bool heard = false;
        peer_say(&client, &rig, span_of(ping, sizeof ping));
        rig_pump(&rig, STORE_TROUBLE_NONE);
        while (peer_hear(&client, &rig, message, &len, &sequence)) {
            assert_true(sequence > highest || highest == 0);
            highest = sequence;
            heard = true;
        }
        /* Right after a restart the device's next numbers may lie below what was reserved: those
         * words are lost, and it repeats them. */
        unheard = heard ? 0 : unheard + 1;
        assert_true(unheard <= 32);
        rig_pass(&rig, 1000);
        if (id % 50 == 0) {
            rig_crash(&rig);
            assert_int_equal(rig_sizes(&rig).sessions, 1);
            assert_int_equal(COUNTER(sessions_restored), 1);
        }
        rig_forget(&rig);
        client.seen = 0;
    }
    assert_true(highest > 0);
    peer_close(&client);
}

static void a_word_at_the_limit_is_held_until_more_is_reserved(void **state) {
    (void)state;
    struct peer client;
    peer_serve(&client, &rig, 1);
    rig_pass(&rig, 1000);
    rig_crash(&rig);
    /* What was promised on disk is void: nothing may be answered before a new promise is. */
    client.session.seq_out += 100000;
    rig_forget(&rig);
    client.seen = 0;
    peer_say(&client, &rig, span_of("\x40\x00\x00\x63", 4));
    assert_int_equal(rig.sent_count, 0);
    assert_int_equal(COUNTER(held), 1);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_true(peer_is_acked(&client, &rig, 0x63));
    assert_true(COUNTER(reservations) > 0);
    assert_int_equal(COUNTER(sessions_resumed), 1);
    peer_close(&client);
}

static void a_clean_stop_loses_nothing(void **state) {
    (void)state;
    struct peer client;
    peer_serve(&client, &rig, 1);
    assert_true(peer_is_acked(&client, &rig, 1));
    gateway_drain(rig.gw, rig.now, (wall_time){0});
    peer_say(&client, &rig, span_of("\x40\x00\x00\x20", 4));
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_false(peer_is_acked(&client, &rig, 0x20));
    assert_true(gateway_is_drained(rig.gw));
    rig_crash(&rig);
    /* The very next number is accepted. */
    rig_forget(&rig);
    client.seen = 0;
    peer_say(&client, &rig, span_of("\x40\x00\x00\x21", 4));
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_true(peer_is_acked(&client, &rig, 0x21));
    peer_close(&client);
}

static void a_full_table_forgets_who_was_silent_longest(void **state) {
    (void)state;
    static struct peer clients[66];
    for (unsigned n = 0; n < 66; n++) {
        peer_open(&clients[n], &rig, n);
        peer_connect(&clients[n], &rig);
        peer_hello(&clients[n], &rig, 1, &clients[n].id);
        rig_pump(&rig, STORE_TROUBLE_NONE);
        rig.now.us += 1000;
    }
    assert_int_equal(rig_sizes(&rig).sessions, 64);
    assert_int_equal(COUNTER(sessions_evicted), 2);
    assert_null(rig_seat(&rig, &clients[1].id));
    assert_non_null(rig_seat(&rig, &clients[2].id));
    for (unsigned n = 0; n < 66; n++) {
        peer_close(&clients[n]);
    }
}

static void silence_makes_a_device_offline_and_a_month_of_it_forgotten(void **state) {
    (void)state;
    struct peer client;
    peer_open(&client, &rig, 1);
    peer_connect(&client, &rig);
    peer_hello(&client, &rig, 1, &client.id); /* a Boron, cellular */
    rig_pump(&rig, STORE_TROUBLE_NONE);
    rig_pass(&rig, 3500 * 1000);
    assert_true(rig_seat(&rig, &client.id)->is_present);
    rig_pass(&rig, 200 * 1000);
    assert_false(rig_seat(&rig, &client.id)->is_present);
    assert_int_equal(rig_sizes(&rig).active, 0);
    rig_forget(&rig);
    client.seen = 0;
    peer_say(&client, &rig, span_of("\x40\x00\x00\x21", 4));
    rig_pump(&rig, STORE_TROUBLE_NONE);
    assert_true(rig_seat(&rig, &client.id)->is_present);
    rig_pass(&rig, 31LL * 86400 * 1000);
    assert_null(rig_seat(&rig, &client.id));
    assert_int_equal(COUNTER(sessions_expired), 1);
    rig_crash(&rig);
    assert_int_equal(rig_sizes(&rig).sessions, 0);
    peer_close(&client);
}

/* The alert that ends a session may miss its device, as when that restarts just then. */
static bool is_online(const struct peer *client) {
    return rig_seat(&rig, &client->id)->is_present;
}

/* A cellular device, of which 23 minutes are expected and an hour is granted. */
static void silence_is_measured_by_the_devices_own_interval(void **state) {
    (void)state;
    static const struct {
        int64_t interval_s, patience_s;
    } cases[] = {{30, 78}, {10, 75}, {1380, 3600}, {7200, 18782}};
    for (size_t n = 0; n < sizeof cases / sizeof cases[0]; n++) {
        struct peer client;
        peer_open(&client, &rig, (unsigned)n + 1);
        peer_connect(&client, &rig);
        peer_hello(&client, &rig, 1, &client.id);
        rig_pump(&rig, STORE_TROUBLE_NONE);
        for (uint8_t id = 1; id < 4; id++) {
            const uint8_t ping[4] = {0x40, 0, 1, id};
            rig_pass(&rig, cases[n].interval_s * 1000);
            rig_forget(&rig);
            peer_say(&client, &rig, span_of(ping, sizeof ping));
            rig_pump(&rig, STORE_TROUBLE_NONE);
        }
        rig_pass(&rig, cases[n].patience_s * 1000 - 1000);
        assert_true(is_online(&client));
        rig_pass(&rig, 2000);
        assert_false(is_online(&client));
        peer_close(&client);
    }
}

static void going_offline_waits_for_the_store(void **state) {
    (void)state;
    struct peer client;
    peer_serve(&client, &rig, 1);
    rig.refuses = true;
    rig_pass(&rig, 3700 * 1000);
    assert_true(is_online(&client));
    rig.refuses = false;
    rig_pass(&rig, 1000);
    assert_false(is_online(&client));
    peer_close(&client);
}

static void who_missed_the_end_of_its_session_is_told_again(void **state) {
    (void)state;
    struct peer client;
    uint8_t message[1400];
    struct dtls_opened opened;
    peer_serve(&client, &rig, 1);
    struct gateway_command forget = {.kind = GATEWAY_COMMAND_FORGET, .device = client.id};
    assert_int_equal(gateway_command(rig.gw, &forget, rig.now, (wall_time){0}), SW_OK);
    assert_int_equal(rig_sizes(&rig).sessions, 0);
    for (unsigned n = 0; n < 3; n++) {
        rig_forget(&rig); /* lost */
        client.address.port++;
        peer_say(&client, &rig, span_of("\x40\x00\x12\x34", 4));
        assert_int_equal(rig.sent_count, 1);
        assert_true(address_equal(&rig.sent[0].to, &client.address));
    }
    assert_int_equal(COUNTER(farewells), 3);
    assert_int_equal(dtls_open(dtls_endpoint_crypto(client.endpoint), &client.session,
                               span_of(rig.sent[0].bytes, rig.sent[0].len), message, sizeof message,
                               &opened),
                     SW_OK);
    assert_int_equal(opened.type, DTLS_ALERT);
    assert_memory_equal(opened.content.data, "\x01\x00", 2);
    rig_forget(&rig);
    rig_pass(&rig, 700000); /* not for ever */
    peer_say(&client, &rig, span_of("\x40\x00\x12\x34", 4));
    assert_int_equal(rig.sent_count, 0);
    peer_close(&client);
}

static void without_a_hello_a_session_is_short_lived(void **state) {
    (void)state;
    struct peer client;
    peer_open(&client, &rig, 1);
    peer_connect(&client, &rig);
    assert_int_equal(rig_sizes(&rig).sessions, 1);
    rig_pass(&rig, 130000);
    assert_int_equal(rig_sizes(&rig).sessions, 0);
    assert_int_equal(rig_sizes(&rig).active, 0);
    peer_close(&client);
}

static void probes_are_echoed_if_they_say_their_length(void **state) {
    (void)state;
    struct peer client;
    peer_open(&client, &rig, 1);
    uint8_t probe[13 + 64] = {252, 0xfe, 0xfd, 0x80, 1, [12] = 64};
    peer_datagram(&client, &rig, span_of(probe, sizeof probe));
    assert_int_equal(rig.sent_count, 1);
    assert_memory_equal(rig.sent[0].bytes, probe, sizeof probe);
    assert_int_equal(rig.sent[0].path, 1);
    peer_datagram(&client, &rig, span_of(probe, sizeof probe - 1));
    peer_datagram(&client, &rig, span_of(probe, 13));
    peer_datagram(&client, &rig, span_of(probe, 1));
    assert_int_equal(rig.sent_count, 1);
    for (unsigned n = 0; n < 3000; n++) {
        peer_datagram(&client, &rig, span_of(probe, sizeof probe));
    }
    assert_int_equal(rig.sent_count, 1000); /* a second's worth, however many come */
    peer_close(&client);
}

/* Two servers that echo each other's would never end. */
static void probes_of_servers_are_not_echoed(void **state) {
    (void)state;
    struct peer client;
    peer_open(&client, &rig, 1);
    uint8_t probe[13 + 64] = {252, 0xfe, 0xfd, 0x80, 1, [12] = 64};
    static const uint16_t servers[] = {GATEWAY_PORT, 7, 1023, 0};
    for (size_t n = 0; n < SW_COUNT(servers); n++) {
        client.address.port = servers[n];
        peer_datagram(&client, &rig, span_of(probe, sizeof probe));
        assert_int_equal(rig.sent_count, 0);
    }
    assert_int_equal(COUNTER(probes_dropped), SW_COUNT(servers));
    client.address.port = 1024;
    peer_datagram(&client, &rig, span_of(probe, sizeof probe));
    assert_int_equal(rig.sent_count, 1);
    peer_close(&client);
}

static void addresses_are_told_as_people_write_them(void **state) {
    (void)state;
    static const struct {
        struct address address;
        const char *text;
    } cases[] = {
        {{.ip = {[10] = 0xff, [11] = 0xff, 10, 0, 255, 107}}, "10.0.255.107"},
        {{.ip = {[15] = 1}}, "0:0:0:0:0:0:0:1"},
        {{.ip = {0x20, 1, 0x0d, 0xb8, 0, 0x10, [14] = 0xff, 0xff}}, "2001:db8:10:0:0:0:0:ffff"},
    };
    for (size_t i = 0; i < SW_COUNT(cases); i++) {
        char text[ADDRESS_BYTES];
        address_text(&cases[i].address, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void noise_is_dropped_and_counted(void **state) {
    (void)state;
    struct peer client;
    peer_open(&client, &rig, 1);
    for (unsigned n = 0; n < 20000; n++) {
        uint8_t junk[300];
        size_t len = rng_below(&rig.rng, sizeof junk);
        rng_fill(&rig.rng, junk, len);
        static const uint8_t types[] = {20, 21, 22, 23, 25, 253, 254, 252};
        if (len > 13 && n % 2 == 0) {
            junk[0] = types[n / 2 % 8];
            junk[1] = 0xfe;
            junk[2] = 0xfd;
            junk[3] = 0;
            junk[4] = n % 4 == 0;
        }
        peer_datagram(&client, &rig, span_of(junk, len));
        rig.now.us += 100;
    }
    const struct gateway_counters *c = gateway_counters(rig.gw);
    assert_int_equal(c->datagrams_in, 20000);
    assert_int_equal(c->dropped_noise + c->dropped_unknown + c->dropped_hello + c->probes_dropped +
                         c->probes_echoed,
                     20000);
    assert_int_equal(rig_sizes(&rig).half_open, 0);
    assert_int_equal(rig_sizes(&rig).sessions, 0);
    peer_close(&client);
}

static void a_command_to_nobody_is_answered_at_once(void **state) {
    (void)state;
    struct gateway_command command = {.id = 5, .kind = GATEWAY_COMMAND_PING};
    assert_int_equal(gateway_command(rig.gw, &command, rig.now, (wall_time){0}), SW_OK);
    assert_int_equal(rig.replies, 1);
    assert_int_equal(rig.reply.id, 5);
    assert_int_equal(rig.reply.status, SW_E_NOT_FOUND);
}

static void a_ping_is_answered_by_the_device_or_by_time(void **state) {
    (void)state;
    struct peer client;
    peer_serve(&client, &rig, 1);
    struct gateway_command command = {.id = 6, .kind = GATEWAY_COMMAND_PING, .device = client.id};
    assert_int_equal(gateway_command(rig.gw, &command, rig.now, (wall_time){0}), SW_OK);
    assert_int_equal(rig.replies, 0);
    peer_say(&client, &rig, span_of("\x40\x00\x00\x30", 4));
    assert_int_equal(rig.replies, 1);
    assert_int_equal(rig.reply.status, SW_OK);
    command.id = 7;
    rig_pass(&rig, 200000);
    assert_int_equal(gateway_command(rig.gw, &command, rig.now, (wall_time){0}), SW_OK);
    rig_pass(&rig, 100000);
    assert_int_equal(rig.replies, 2);
    assert_int_equal(rig.reply.id, 7);
    assert_int_equal(rig.reply.status, SW_E_BUSY);
    command.kind = GATEWAY_COMMAND_FORGET;
    assert_int_equal(gateway_command(rig.gw, &command, rig.now, (wall_time){0}), SW_OK);
    assert_int_equal(rig_sizes(&rig).sessions, 0);
    peer_close(&client);
}

static int call(struct peer *client, enum gateway_command_kind kind, const char *name,
                int64_t wait_ms) {
    static uint64_t id = 100;
    const struct gateway_command command = {.id = ++id,
                                            .kind = kind,
                                            .device = client->id,
                                            .name = span_text(name),
                                            .wait_ms = wait_ms};
    return gateway_command(rig.gw, &command, rig.now, (wall_time){0});
}

static void a_caller_that_gives_up_frees_the_lane(void **state) {
    (void)state;
    struct peer client;
    peer_serve(&client, &rig, 1);
    assert_int_equal(call(&client, GATEWAY_COMMAND_FUNCTION, "unknown", 10000), SW_OK);
    rig_pass(&rig, 5000);
    assert_int_equal(rig.replies, 0);
    assert_int_equal(call(&client, GATEWAY_COMMAND_VARIABLE, "v", 10000), SW_OK);
    assert_int_equal(rig.reply.status, SW_E_FULL);
    rig_pass(&rig, 5001);
    assert_int_equal(rig.replies, 2);
    assert_int_equal(rig.reply.status, SW_E_BUSY);
    assert_int_equal(call(&client, GATEWAY_COMMAND_VARIABLE, "v", 10000), SW_OK);
    assert_int_equal(rig.replies, 2); /* it was sent */
    peer_close(&client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_hello_is_acknowledged_when_it_is_durable),
        TEST(a_full_store_leaves_the_device_unanswered),
        TEST(the_newest_session_of_a_device_wins_after_its_hello),
        TEST(a_former_session_that_speaks_on_is_another_device),
        TEST(another_key_cannot_end_a_session_or_speak_for_its_device),
        TEST(a_session_survives_a_crash_and_no_number_is_used_twice),
        TEST(a_word_at_the_limit_is_held_until_more_is_reserved),
        TEST(a_clean_stop_loses_nothing),
        TEST(a_full_table_forgets_who_was_silent_longest),
        TEST(silence_makes_a_device_offline_and_a_month_of_it_forgotten),
        TEST(silence_is_measured_by_the_devices_own_interval),
        TEST(going_offline_waits_for_the_store),
        TEST(who_missed_the_end_of_its_session_is_told_again),
        TEST(without_a_hello_a_session_is_short_lived),
        TEST(probes_are_echoed_if_they_say_their_length),
        TEST(probes_of_servers_are_not_echoed),
        TEST(noise_is_dropped_and_counted),
        cmocka_unit_test(addresses_are_told_as_people_write_them),
        TEST(a_command_to_nobody_is_answered_at_once),
        TEST(a_ping_is_answered_by_the_device_or_by_time),
        TEST(a_caller_that_gives_up_frees_the_lane),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
