/* What a device says and what it is answered: each trap of the protocol has a test by name. */
#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct peer *const p = &the_peer;

static void time_is_ten_bytes_with_the_devices_token(void **state) {
    (void)state;
    peer_say(p, "4101010355b174");
    assert_reply(p, "6145010355ff6553f100");
    assert_int_equal(p->event_count, 0);
    /* Without its one-byte token the device would read the clock from the wrong place. */
    peer_say(p, "40010104b174");
    assert_reply(p, "60000104");
    peer_say(p, "420101055556b174");
    assert_reply(p, "60000105");
    p->session.is_trusted = false; /* in quarantine */
    peer_say(p, "4101010755b174");
    assert_reply(p, "60000107");
    p->session.is_trusted = true;
    p->wall.ms = 0; /* our own clock is not set */
    peer_say(p, "4101010655b174");
    assert_reply(p, "60000106");
}

static void only_time_requests_get_2_05(void **state) {
    (void)state;
    for (unsigned code = 1; code <= 7; code++) {
        for (unsigned letter = 33; letter < 127; letter++) {
            uint8_t bytes[] = {0x41, (uint8_t)code, (uint8_t)code,  (uint8_t)letter,
                               0x55, 0xb1,          (uint8_t)letter};
            peer_say_bytes(p, span_of(bytes, sizeof bytes));
            for (size_t i = 0; i < p->reply_count; i++) {
                bool is_time = code == COAP_GET && letter == 't';
                assert_int_equal(p->replies[i].message.code == COAP_CONTENT, is_time);
            }
        }
    }
}

static void never_rst(void **state) {
    (void)state; /* peer_collect asserts it of every reply of every test; here of junk */
    static const char *junk[] = {
        "70000001", "7000ffff",         "6044000155",   "60000fff",     "50000001",
        "40e00001", "414500ff55ff01",   "61450102aaff", "40840001",     "5002000ab141e106e902",
        "40ff0001", "40070001",         "400200012161", "40010001b162", "4002000ab141e106e902",
        "40020001", "42020001aabbb16c", "40000001ff",   "00",           "41a300017aff7b7d",
    };
    for (size_t i = 0; i < sizeof junk / sizeof junk[0]; i++) {
        peer_say(p, junk[i]);
        assert_true(p->reply_count <= 1);
    }
}

static void every_confirmable_message_is_acknowledged(void **state) {
    (void)state;
    static const struct {
        const char *say, *reply;
    } words[] = {
        {"4000012c", "6000012c"},                       /* ping */
        {"40010105b165087061727469636c65", "60000105"}, /* subscription */
        {"41020106aab17a", "60000106"},                 /* unknown path */
        {"40070107", "60000107"},                       /* unknown code, no path */
        {"41020108aab14c", "61840108aa"},               /* the ledger that we have not got */
        {"40020109b145", "60000109"},                   /* an event without a name */
        {"4002010a" ENABLED_HEX "79", "6000010a"},      /* a flag that is neither */
        {"4145010b66", "6000010b"},                     /* an answer to nothing */
        {"4041010c", "6000010c"},                       /* the same, without a token */
        {"4184010d66", "6000010d"},                     /* an error to nothing */
        {"4144010e66ff00000001", "6000010e"},           /* a function's late result */
        {"4002010fb178ffff", "6000010f"},               /* a goodbye that is cut short */
        {"41020110aab164ff7b7d", "61800110aa"},         /* a Describe without its kind */
        {"41020111aab164410fff7b7d", "61800111aa"},     /* or of an unknown one */
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        peer_say(p, words[i].say);
        assert_reply(p, words[i].reply);
        assert_int_equal(p->event_count, 0);
    }
}

static void duplicate_con_is_reacked_not_reprocessed(void **state) {
    (void)state;
    peer_say(p, "4002000ab1450b766465762f6f6e6c696e65ff68656c6c6f");
    assert_silence(p);
    const struct session_event *event = peer_event(p, SESSION_EVENT_PUBLISH);
    assert_true(span_is_text(event->u.publish.name, "vdev/online"));
    assert_true(span_is_text(event->u.publish.data, "hello"));
    assert_int_equal(event->u.publish.content_format, 0xffff);
    uint32_t ticket = event->ticket;
    peer_say(p, "4002000ab1450b766465762f6f6e6c696e65ff68656c6c6f");
    assert_silence(p); /* not before it is kept */
    assert_int_equal(p->event_count, 0);
    peer_confirm(p, ticket);
    assert_reply(p, "6000000a");
    for (int i = 0; i < 4; i++) { /* as long as a device may repeat itself */
        p->now = mono_add_ms(p->now, 24000);
        peer_say(p, "4002000ab1450b766465762f6f6e6c696e65ff68656c6c6f");
        assert_reply(p, "6000000a");
        assert_int_equal(p->event_count, 0);
    }
    p->now = mono_add_ms(p->now, 10000); /* 106 s: the id has come round */
    peer_say(p, "4002000ab1450b766465762f6f6e6c696e65ff68656c6c6f");
    assert_int_equal(p->event_count, 1);
}

static void a_refused_report_is_told_again_when_repeated(void **state) {
    (void)state;
    peer_say(p, "4002000ab1450b766465762f6f6e6c696e65ff68656c6c6f");
    session_refuse(&p->session, peer_event(p, SESSION_EVENT_PUBLISH)->ticket);
    peer_say(p, "4002000ab1450b766465762f6f6e6c696e65ff68656c6c6f");
    assert_silence(p);
    peer_confirm(p, peer_event(p, SESSION_EVENT_PUBLISH)->ticket);
    assert_reply(p, "6000000a");
}

static void a_report_that_nobody_confirms_is_forgotten(void **state) {
    (void)state;
    peer_say(p, "4002000ab1450b766465762f6f6e6c696e65ff68656c6c6f");
    uint32_t ticket = peer_event(p, SESSION_EVENT_PUBLISH)->ticket;
    mono_time end = mono_add_ms(p->now, 130000);
    while (session_deadline(&p->session).us <= end.us) {
        peer_tick_at(p, session_deadline(&p->session));
    }
    assert_true(peer_is_idle(p, p->now));
    peer_confirm(p, ticket);
    assert_silence(p);
}

static void too_many_unconfirmed_reports_wait_at_the_device(void **state) {
    (void)state;
    uint8_t bytes[] = {0x40, 2, 1, 0, 0xb1, 'E', 0x01, 'x'};
    uint32_t first = 0;
    unsigned told = 0;
    for (uint8_t i = 0; i < 40; i++) {
        bytes[3] = i;
        peer_say_bytes(p, span_of(bytes, sizeof bytes));
        assert_silence(p);
        told += peer_has_event(p, SESSION_EVENT_PUBLISH) ? 1 : 0;
        if (i == 0) {
            first = peer_event(p, SESSION_EVENT_PUBLISH)->ticket;
        }
    }
    assert_int_equal(told, 16);
    peer_confirm(p, first);
    assert_int_equal(p->reply_count, 1);
    bytes[3] = 39;
    peer_say_bytes(p, span_of(bytes, sizeof bytes)); /* repeated, and now there is room */
    assert_true(peer_has_event(p, SESSION_EVENT_PUBLISH));
}

static void update_flags(void **state) {
    (void)state;
    peer_say(p, "40020104" ENABLED_HEX "66616c7365");
    const struct session_event *event = peer_event(p, SESSION_EVENT_UPDATES);
    assert_false(event->u.updates.is_forced);
    assert_false(event->u.updates.value);
    assert_false(p->session.updates_enabled);
    peer_confirm(p, event->ticket);
    assert_reply(p, "60000104");
    peer_say(p, "40020105" FORCED_HEX "74727565");
    event = peer_event(p, SESSION_EVENT_UPDATES);
    assert_true(event->u.updates.is_forced);
    assert_true(event->u.updates.value);
    assert_true(p->session.updates_forced);
    /* As NON they need no confirmation, and get no acknowledgement. */
    peer_say(p, "50020106" ENABLED_HEX "74727565");
    assert_silence(p);
    assert_true(p->session.updates_enabled);
}

/* The first word is lost on its way; its repetition comes after the second. */
static void an_overtaken_update_flag_is_no_news(void **state) {
    (void)state;
    peer_say(p, "40020107" ENABLED_HEX "66616c7365");
    peer_confirm(p, peer_event(p, SESSION_EVENT_UPDATES)->ticket);
    peer_say(p, "40020106" ENABLED_HEX "74727565");
    assert_false(peer_has_event(p, SESSION_EVENT_UPDATES));
    assert_reply(p, "60000106"); /* or the device would repeat it for ever */
    assert_false(p->session.updates_enabled);
    peer_say(p, "40020105" FORCED_HEX "74727565"); /* the other flag has an order of its own */
    assert_true(peer_event(p, SESSION_EVENT_UPDATES)->u.updates.is_forced);
    peer_say(p, "40020108" ENABLED_HEX "74727565");
    assert_true(p->session.updates_enabled);
    /* After a restart the device may count anew. */
    peer_say(p, "40020009b168" HELLO_HEX);
    peer_confirm(p, peer_event(p, SESSION_EVENT_HELLO)->ticket);
    peer_say(p, "4002000a" ENABLED_HEX "66616c7365");
    assert_true(peer_has_event(p, SESSION_EVENT_UPDATES));
    assert_false(p->session.updates_enabled);
}

/* A resumed device marks its records until it hears an answer: they are one connection all the
 * same. */
static void an_overtaken_update_flag_of_a_moving_device(void **state) {
    (void)state;
    p->is_moved = true;
    peer_say(p, "40020107" ENABLED_HEX "66616c7365");
    peer_confirm(p, peer_event(p, SESSION_EVENT_UPDATES)->ticket);
    peer_say(p, "40020106" ENABLED_HEX "74727565");
    p->is_moved = false;
    assert_false(peer_has_event(p, SESSION_EVENT_UPDATES));
    assert_false(p->session.updates_enabled);
}

static void goodbye_with_its_reasons(void **state) {
    (void)state;
    peer_say(p, "40020201b178ff030546");
    const struct session_event *event = peer_event(p, SESSION_EVENT_GOODBYE);
    assert_int_equal(event->u.goodbye.cloud_reason, 5);
    assert_int_equal(event->u.goodbye.reset_reason, 70);
    assert_int_equal(event->u.goodbye.sleep_s, 0);
    peer_confirm(p, event->ticket);
    assert_reply(p, "60000201");
    peer_say(p, "40020202b178ff0f06a001901c02");
    event = peer_event(p, SESSION_EVENT_GOODBYE);
    assert_int_equal(event->u.goodbye.cloud_reason, 6);
    assert_int_equal(event->u.goodbye.reset_reason, 160);
    assert_int_equal(event->u.goodbye.sleep_s, 3600);
    assert_int_equal(event->u.goodbye.network_reason, 2);
    peer_say(p, "40020203b178"); /* without any */
    assert_true(peer_has_event(p, SESSION_EVENT_GOODBYE));
}

/* Device OS acknowledges PUT /k with the next id of its own instead of the request's. */
static void an_acknowledgement_under_the_devices_own_id_is_no_fault(void **state) {
    (void)state;
    peer_say(p, "60000142");
    assert_silence(p);
    assert_int_equal(p->event_count, 0);
    assert_true(p->session.is_known);
    peer_say(p, "40000143");
    assert_reply(p, "60000143");
}

static void junk_is_not_an_error(void **state) {
    (void)state;
    uint8_t bytes[64] = {0};
    assert_int_equal(peer_give(p, span_of(bytes, 1)), SW_OK);
    assert_non_null(p->why);
    memset(bytes, 0x19, sizeof bytes);
    assert_int_equal(peer_give(p, span_of(bytes, sizeof bytes)), SW_OK);
    assert_non_null(p->why);
    assert_silence(p);
}

static void without_room_nothing_is_lost(void **state) {
    (void)state;
    uint8_t bytes[64], sealed[256];
    size_t len = peer_bytes("40020104" ENABLED_HEX "74727565", bytes, sizeof bytes);
    struct span datagram = peer_seal(p, span_of(bytes, len), sealed, sizeof sealed);
    p->out.event_count = SESSION_EVENTS_MAX - 1;
    const char *why;
    assert_int_equal(
        session_input(&p->session, p->crypto, &p->from, datagram, p->now, p->wall, &p->out, &why),
        SW_E_FULL);
    session_out_clear(&p->out);
    assert_int_equal(peer_give(p, datagram), SW_OK);
    uint32_t ticket = peer_event(p, SESSION_EVENT_UPDATES)->ticket;
    /* A confirmation that finds no room is made good at the next tick. */
    p->out.box.cap = 10;
    peer_confirm(p, ticket);
    assert_silence(p);
    p->out.box.cap = sizeof p->box;
    assert_true(session_deadline(&p->session).us < p->now.us + 100000);
    peer_tick_at(p, session_deadline(&p->session));
    assert_reply(p, "60000104");
}

int main(void) {
#define KNOWN(test) cmocka_unit_test_setup_teardown(test, peer_greeted, peer_done)
    const struct CMUnitTest tests[] = {
        KNOWN(time_is_ten_bytes_with_the_devices_token),
        KNOWN(only_time_requests_get_2_05),
        KNOWN(never_rst),
        KNOWN(every_confirmable_message_is_acknowledged),
        KNOWN(duplicate_con_is_reacked_not_reprocessed),
        KNOWN(a_refused_report_is_told_again_when_repeated),
        KNOWN(a_report_that_nobody_confirms_is_forgotten),
        KNOWN(too_many_unconfirmed_reports_wait_at_the_device),
        KNOWN(update_flags),
        KNOWN(an_overtaken_update_flag_is_no_news),
        KNOWN(an_overtaken_update_flag_of_a_moving_device),
        KNOWN(goodbye_with_its_reasons),
        KNOWN(an_acknowledgement_under_the_devices_own_id_is_no_fault),
        KNOWN(junk_is_not_an_error),
        KNOWN(without_room_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
