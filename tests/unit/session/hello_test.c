/* How a device begins: nothing is said to it before its Hello is kept, and how it comes back
 * without one. */
#include "peer.h"

#include "slipway/util/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct peer *const p = &the_peer;

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

/* Each Device OS added a field to the end: 0 stands for what an older one does not say. */
static void hellos_of_older_device_os_are_shorter(void **state) {
    (void)state;
    static const unsigned digits[] = {0, 4, 8, 16, 20};
    for (size_t known = 0; known < SW_COUNT(digits); known++) {
        char hex[] = "40020001b168" HELLO_HEX;
        hex[strlen(hex) - 20 + digits[known]] = '\0';
        peer_say(p, hex);
        const struct session_event *event = peer_event(p, SESSION_EVENT_HELLO);
        assert_int_equal(event->u.hello.product_version, 42);
        assert_int_equal(event->u.hello.system_version, known > 0 ? 6200 : 0);
        assert_int_equal(event->u.hello.message_max, known > 1 ? 1152 : 0);
        assert_int_equal(event->u.hello.binary_max, known > 2 ? 10 * 1024 * 1024 : 0);
        assert_int_equal(event->u.hello.chunk_bytes, known > 3 ? 512 : 0);
        (void)peer_fresh(state);
    }
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

int main(void) {
#define FRESH(test) cmocka_unit_test_setup_teardown(test, peer_fresh, peer_done)
#define KNOWN(test) cmocka_unit_test_setup_teardown(test, peer_greeted, peer_done)
    const struct CMUnitTest tests[] = {
        FRESH(hello_is_acknowledged_only_when_confirmed),
        FRESH(hellos_of_older_device_os_are_shorter),
        FRESH(nothing_before_hello_is_acknowledged),
        KNOWN(a_second_hello_silences_the_session_again),
        FRESH(malformed_hellos_are_ignored),
        KNOWN(resumed_by_its_mark),
        KNOWN(a_marked_hello_is_no_resumption),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
