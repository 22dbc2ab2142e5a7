/* What a device says and what it is answered: each trap of the protocol has a test by name. */
#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ENABLED_HEX "b1450d127061727469636c652f6465766963652f757064617465732f656e61626c6564ff"
#define FORCED_HEX  "b1450d117061727469636c652f6465766963652f757064617465732f666f72636564ff"

static struct peer peer, *const p = &peer;

static int fresh(void **state) {
    (void)state;
    peer_open(p);
    return 0;
}

static int known(void **state) {
    (void)state;
    peer_open(p);
    peer_known(p, 0xb6);
    return 0;
}

static int done(void **state) {
    (void)state;
    peer_close(p);
    return 0;
}

static void hello_is_acknowledged_only_when_confirmed(void **state) {
    (void)state;
    peer_say(p, "40020001b168" HELLO_HEX);
    assert_silence(p);
    const struct session_event *event = peer_event(p, SESSION_EVENT_HELLO);
    uint32_t ticket = event->ticket;
    assert_int_not_equal(ticket, 0);
    assert_int_equal(event->u.hello.product_id, 3);
    assert_int_equal(event->u.hello.product_version, 42);
    assert_int_equal(event->u.hello.flags, 0xb6);
    assert_int_equal(event->u.hello.platform_id, 3);
    assert_int_equal(event->u.hello.system_version, 6200);
    assert_int_equal(event->u.hello.message_max, 1152);
    assert_int_equal(event->u.hello.binary_max, 10 * 1024 * 1024);
    assert_int_equal(event->u.hello.chunk_bytes, 512);
    assert_memory_equal(p->session.device.b, "\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67",
                        12);
    /* It repeats itself: still silence, and the owner is not told twice. */
    p->now = mono_add_ms(p->now, 5000);
    peer_say(p, "40020001b168" HELLO_HEX);
    assert_silence(p);
    assert_int_equal(p->event_count, 0);
    peer_confirm(p, ticket + 1); /* some other ticket */
    assert_silence(p);
    peer_confirm(p, ticket);
    assert_reply(p, "60000001");
    assert_true(p->session.is_known);
    peer_confirm(p, ticket);
    assert_silence(p);
}

static void nothing_before_hello_is_acknowledged(void **state) {
    (void)state;
    uint32_t request;
    struct session_offer offer = {.image = span_of("x", 1)};
    p->session.is_trusted = true;
    for (int step = 0; step < 2; step++) {
        assert_int_equal(session_tell_pending(&p->session, p->crypto, true, p->now, &p->out),
                         SW_E_STATE);
        assert_int_equal(session_tell_forced(&p->session, p->crypto, true, p->now, &p->out),
                         SW_E_STATE);
        assert_int_equal(session_ping(&p->session, p->crypto, p->now, &p->out), SW_E_STATE);
        assert_int_equal(session_offer(&p->session, p->crypto, &offer, p->now, &p->out),
                         SW_E_STATE);
        assert_int_equal(session_request(&p->session, p->crypto, SESSION_REQUEST_VARIABLE,
                                         span_text("v"), span_of(NULL, 0), p->now, &p->out,
                                         &request),
                         SW_E_STATE);
        peer_tick_at(p, mono_add_ms(p->now, 1000));
        assert_silence(p);
        /* Events of a device that did not introduce itself have no owner. */
        peer_say(p, "40020104" ENABLED_HEX "74727565");
        assert_silence(p);
        assert_int_equal(p->event_count, 0);
        peer_say(p, "40020001b168" HELLO_HEX); /* told, but not confirmed */
        assert_silence(p);
    }
}

static void a_second_hello_silences_the_session_again(void **state) {
    (void)state;
    assert_int_equal(session_tell_pending(&p->session, p->crypto, true, p->now, &p->out), SW_OK);
    peer_collect(p);
    assert_int_equal(p->reply_count, 1);
    p->session.updates_enabled = false;
    p->session.updates_forced = true;
    peer_say(p, "40020009b168" HELLO_HEX);
    uint32_t ticket = peer_event(p, SESSION_EVENT_HELLO)->ticket;
    assert_true(p->session.updates_enabled); /* flags of the boot before are void */
    assert_false(p->session.updates_forced);
    peer_tick_at(p, mono_add_ms(p->now, 30000)); /* no repetition of the old request */
    assert_silence(p);
    assert_int_equal(session_tell_pending(&p->session, p->crypto, true, p->now, &p->out),
                     SW_E_STATE);
    peer_confirm(p, ticket);
    assert_reply(p, "60000009");
}

static void malformed_hellos_are_ignored(void **state) {
    (void)state;
    peer_say(p, "40020001b168ff0003002a00b60003000c01234567");
    assert_silence(p);
    assert_int_equal(p->event_count, 0);
    assert_non_null(p->why);
    peer_say(p, "40020002b168ff0003002a00b60003000b0123456789abcdef012345");
    assert_int_equal(p->event_count, 0);
    /* Before 3.0 it ended with the id. */
    peer_say(p, "40020003b168ff0003002a00360003000c0123456789abcdef01234567");
    const struct session_event *event = peer_event(p, SESSION_EVENT_HELLO);
    assert_int_equal(event->u.hello.system_version, 0);
    assert_int_equal(event->u.hello.chunk_bytes, 0);
}

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
    assert_true(session_is_idle(&p->session, p->now));
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

static void describe_in_one_message(void **state) {
    (void)state;
    peer_say(p, "4102010254b164112a3101ff0a0b0c");
    const struct session_event *event = peer_event(p, SESSION_EVENT_DESCRIBE);
    assert_int_equal(event->u.describe.kind, DESCRIBE_SYSTEM);
    assert_int_equal(event->u.describe.content_format, 42);
    assert_true(span_is_text(event->u.describe.bytes, "\x0a\x0b\x0c"));
    assert_silence(p);
    peer_confirm(p, event->ticket);
    assert_reply(p, "60000102");
    peer_say(p, "4102010355b1644102ff7b7d");
    event = peer_event(p, SESSION_EVENT_DESCRIBE);
    assert_int_equal(event->u.describe.kind, DESCRIBE_APPLICATION);
    assert_int_equal(event->u.describe.content_format, 0xffff);
    assert_true(span_is_text(event->u.describe.bytes, "{}"));
}

static uint8_t describe[12000];

/* POST /d of one block, as the device writes it: a new id and a new token each. */
static void say_block(uint16_t id, uint8_t kind, uint32_t number, bool is_more, size_t bytes,
                      size_t len) {
    uint8_t message[1200];
    uint8_t token = (uint8_t)(id + 7);
    struct writer w = writer_of(message, sizeof message);
    struct coap_writer c = coap_begin(&w, COAP_CON, COAP_POST, id, span_of(&token, 1));
    coap_put(&c, COAP_URI_PATH, span_text("d"));
    if (kind == DESCRIBE_SYSTEM) {
        coap_put_uint(&c, COAP_CONTENT_FORMAT, 42);
    }
    coap_put(&c, COAP_URI_QUERY, span_of(&kind, 1));
    coap_put_uint(&c, COAP_BLOCK1, number << 4 | (is_more ? 8U : 0U) | (bytes == 1024 ? 6U : 5U));
    coap_put_payload(&c, span_of(describe + number * bytes, len));
    peer_say_bytes(p, writer_span(&w));
}

static void assert_acknowledged(uint16_t id) {
    assert_int_equal(p->reply_count, 1);
    assert_int_equal(p->replies[0].message.type, COAP_ACK);
    assert_int_equal(p->replies[0].message.id, id);
    assert_int_equal(p->replies[0].message.code, COAP_EMPTY);
}

static void describe_in_blocks(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof describe; i++) {
        describe[i] = (uint8_t)(i ^ i >> 8);
    }
    say_block(0x201, 1, 0, true, 1024, 1024);
    assert_acknowledged(0x201);
    say_block(0x201, 1, 0, true, 1024, 1024); /* repeated: acknowledged, not gathered anew */
    assert_acknowledged(0x201);
    /* The other Describe meanwhile: there is no room for it yet, it will be repeated. */
    say_block(0x202, 2, 0, true, 512, 512);
    assert_silence(p);
    say_block(0x203, 1, 1, true, 1024, 1024);
    assert_acknowledged(0x203);
    say_block(0x204, 1, 2, false, 1024, 77);
    assert_silence(p); /* the last acknowledgement waits until it is kept */
    const struct session_event *event = peer_event(p, SESSION_EVENT_DESCRIBE);
    uint32_t ticket = event->ticket;
    assert_int_equal(event->u.describe.kind, 1);
    assert_int_equal(event->u.describe.content_format, 42);
    assert_int_equal(event->u.describe.bytes.len, 2125);
    assert_memory_equal(event->u.describe.bytes.data, describe, 2125);
    /* Could not be kept: the device repeats the last block, and the whole is told again. */
    session_refuse(&p->session, ticket);
    say_block(0x204, 1, 2, false, 1024, 77);
    event = peer_event(p, SESSION_EVENT_DESCRIBE);
    assert_int_equal(event->u.describe.bytes.len, 2125);
    peer_confirm(p, event->ticket);
    assert_acknowledged(0x204);
    /* Now the other one. */
    say_block(0x202, 2, 0, true, 512, 512);
    assert_acknowledged(0x202);
    say_block(0x205, 2, 1, false, 512, 512);
    event = peer_event(p, SESSION_EVENT_DESCRIBE);
    assert_int_equal(event->u.describe.kind, 2);
    assert_int_equal(event->u.describe.bytes.len, 1024);
}

static void describe_blocks_without_a_beginning_are_asked_for_again(void **state) {
    (void)state;
    say_block(0x301, 1, 3, true, 1024, 1024);
    /* Acknowledged, so that the device goes on, and the whole is asked for. */
    assert_int_equal(p->reply_count, 2);
    assert_int_equal(p->replies[0].message.id, 0x301);
    assert_int_equal(p->replies[1].message.code, COAP_GET);
    assert_true(coap_path_is(&p->replies[1].message, 'd'));
}

static void describe_that_is_too_long_is_refused(void **state) {
    (void)state;
    for (uint16_t i = 0; i < 8; i++) {
        say_block((uint16_t)(0x400 + i), 1, i, true, 1024, 1024);
        assert_acknowledged((uint16_t)(0x400 + i));
    }
    say_block(0x408, 1, 8, true, 1024, 1024);
    assert_int_equal(p->reply_count, 1);
    assert_int_equal(p->replies[0].message.code, COAP_TOO_LARGE);
    assert_int_equal(p->event_count, 0);
    assert_false(peer_has_event(p, SESSION_EVENT_DESCRIBE));
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

static void say_ping_after(int64_t seconds, uint16_t id) {
    const uint8_t ping[4] = {0x40, 0, (uint8_t)(id >> 8), (uint8_t)id};
    p->now = mono_add_ms(p->now, seconds * 1000);
    peer_say_bytes(p, span_of(ping, sizeof ping));
    assert_int_equal(p->reply_count, 1);
}

static void the_round_trip_is_learned(void **state) {
    (void)state;
    peer_say(p, "4002000cb168" HELLO_HEX);
    p->session.rtt_ms = 0;
    peer_confirm(p, peer_event(p, SESSION_EVENT_HELLO)->ticket);
    p->now = mono_add_ms(p->now, 239);
    peer_say(p, "4000012c"); /* what it has to say next */
    assert_int_equal(p->session.rtt_ms, 240);
    assert_int_equal(session_ping(&p->session, p->crypto, p->now, &p->out), SW_OK);
    peer_collect(p);
    uint16_t id = p->replies[0].message.id;
    const uint8_t ack[4] = {0x60, 0, (uint8_t)(id >> 8), (uint8_t)id};
    p->now = mono_add_ms(p->now, 639);
    peer_say_bytes(p, span_of(ack, sizeof ack));
    assert_int_equal(p->session.rtt_ms, 340);
}

static void the_ping_interval_is_learned(void **state) {
    (void)state;
    assert_int_equal(p->session.ping_s, 0);
    say_ping_after(25, 300);
    assert_int_equal(p->session.ping_s, 25);
    say_ping_after(5, 300); /* repeated: its acknowledgement was lost */
    assert_int_equal(p->session.ping_s, 25);
    say_ping_after(1380, 301); /* its application asked for longer ones */
    assert_int_equal(p->session.ping_s, 1380);
    for (uint16_t id = 302; id < 320; id++) { /* and for shorter ones again */
        say_ping_after(60, id);
    }
    assert_in_range(p->session.ping_s, 60, 62);
    p->from.port++; /* it came back from somewhere: no interval */
    say_ping_after(7200, 400);
    p->is_moved = true;
    say_ping_after(7200, 401);
    p->is_moved = false;
    assert_in_range(p->session.ping_s, 60, 62);
    say_ping_after(10000000, 402);
    assert_int_equal(p->session.ping_s, UINT16_MAX);
}

static void keep_alive_needs_no_work(void **state) {
    (void)state;
    p->now = mono_add_ms(p->now, 110000);
    peer_tick_at(p, p->now);
    assert_true(session_is_idle(&p->session, p->now));
    assert_ptr_equal(session_detach(&p->session), &p->work);
    peer_say(p, "4000012c");
    assert_reply(p, "6000012c");
    peer_say(p, "4101010355b174");
    assert_reply(p, "6145010355ff6553f100");
    peer_say(p, "40010105b165087061727469636c65");
    assert_reply(p, "60000105");
    peer_say(p, "60000fff"); /* an acknowledgement of nothing */
    assert_silence(p);
    /* What has to be remembered does. The same datagram counts once a work is there. */
    uint8_t bytes[64], sealed[256];
    size_t len = peer_bytes("40020104" ENABLED_HEX "74727565", bytes, sizeof bytes);
    struct span datagram = peer_seal(p, span_of(bytes, len), sealed, sizeof sealed);
    assert_int_equal(peer_give(p, datagram), SW_E_STATE);
    assert_int_equal(p->event_count, 0);
    session_attach(&p->session, &p->work, p->now);
    assert_int_equal(peer_give(p, datagram), SW_OK);
    assert_true(peer_has_event(p, SESSION_EVENT_UPDATES));
    assert_int_equal(peer_give(p, datagram), SW_OK);
    assert_int_equal(p->event_count, 0);
    assert_non_null(p->why); /* a replayed record */
}

static void repetitions_are_known_after_a_rest(void **state) {
    (void)state;
    uint8_t trace[64];
    peer_say(p, "40020104" ENABLED_HEX "74727565");
    assert_true(peer_has_event(p, SESSION_EVENT_UPDATES));
    assert_false(session_is_resting(&p->session)); /* nothing is acknowledged yet */
    peer_confirm(p, peer_event(p, SESSION_EVENT_UPDATES)->ticket);
    assert_true(session_is_resting(&p->session));
    assert_false(session_is_idle(&p->session, p->now));
    size_t len = session_trace_bytes(&p->session, p->now);
    assert_in_range(len, 1, sizeof trace);
    struct writer w = writer_of(trace, len);
    assert_ptr_equal(session_rest(&p->session, &w), &p->work);
    assert_int_equal(session_trace_bytes(&p->session, p->now), 0);

    session_attach(&p->session, &p->work, p->now);
    session_recall(&p->session, writer_span(&w));
    peer_say(p, "40020104" ENABLED_HEX "74727565");
    assert_false(peer_has_event(p, SESSION_EVENT_UPDATES));
    assert_reply(p, "60000104");
    mono_time until = session_trace_until(&p->session);
    assert_int_equal(session_trace_bytes(&p->session, until), 0);
    assert_true(session_is_idle(&p->session, until));
}

static void resumed_by_its_mark(void **state) {
    (void)state;
    p->now = mono_add_ms(p->now, 3600000);
    p->is_moved = true;
    p->from.port = 4711;
    peer_say(p, "4000012c");
    assert_reply(p, "6000012c");
    assert_true(peer_has_event(p, SESSION_EVENT_RESUMED));
    assert_true(address_equal(&p->session.peer, &p->from));
    peer_say(p, "40020104" ENABLED_HEX "74727565");
    assert_false(peer_has_event(p, SESSION_EVENT_RESUMED)); /* once */
    p->is_moved = false;
    peer_say(p, "4000012d");
    assert_int_equal(p->event_count, 0);
    p->is_moved = true;
    peer_say(p, "4000012e"); /* and again, from the same address */
    assert_true(peer_has_event(p, SESSION_EVENT_RESUMED));
}

static void a_marked_hello_is_no_resumption(void **state) {
    (void)state;
    p->is_moved = true;
    p->from.port = 4712;
    peer_say(p, "40020009b168" HELLO_HEX);
    assert_true(peer_has_event(p, SESSION_EVENT_HELLO));
    assert_false(peer_has_event(p, SESSION_EVENT_RESUMED));
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
#define FRESH(test) cmocka_unit_test_setup_teardown(test, fresh, done)
#define KNOWN(test) cmocka_unit_test_setup_teardown(test, known, done)
    const struct CMUnitTest tests[] = {
        FRESH(hello_is_acknowledged_only_when_confirmed),
        FRESH(nothing_before_hello_is_acknowledged),
        KNOWN(a_second_hello_silences_the_session_again),
        FRESH(malformed_hellos_are_ignored),
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
        KNOWN(describe_in_one_message),
        KNOWN(describe_in_blocks),
        KNOWN(describe_blocks_without_a_beginning_are_asked_for_again),
        KNOWN(describe_that_is_too_long_is_refused),
        KNOWN(an_acknowledgement_under_the_devices_own_id_is_no_fault),
        KNOWN(the_round_trip_is_learned),
        KNOWN(the_ping_interval_is_learned),
        KNOWN(keep_alive_needs_no_work),
        KNOWN(repetitions_are_known_after_a_rest),
        KNOWN(resumed_by_its_mark),
        KNOWN(a_marked_hello_is_no_resumption),
        KNOWN(junk_is_not_an_error),
        KNOWN(without_room_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
