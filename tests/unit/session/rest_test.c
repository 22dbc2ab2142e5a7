/* What is learned of a device's rhythm, and what is remembered while it says nothing. */
#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct peer *const p = &the_peer;

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
    assert_true(peer_is_idle(p, p->now));
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
    session_attach(&p->session, &p->work);
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
    assert_false(peer_is_idle(p, p->now));
    size_t len = session_trace_bytes(&p->session, p->now);
    assert_in_range(len, 1, sizeof trace);
    struct writer w = writer_of(trace, len);
    assert_ptr_equal(session_rest(&p->session, &w), &p->work);
    assert_int_equal(session_trace_bytes(&p->session, p->now), 0);

    session_attach(&p->session, &p->work);
    session_recall(&p->session, writer_span(&w));
    peer_say(p, "40020104" ENABLED_HEX "74727565");
    assert_false(peer_has_event(p, SESSION_EVENT_UPDATES));
    assert_reply(p, "60000104");
    mono_time until = session_trace_until(&p->session);
    assert_int_equal(session_trace_bytes(&p->session, until), 0);
    assert_true(peer_is_idle(p, until));
}

int main(void) {
#define KNOWN(test) cmocka_unit_test_setup_teardown(test, peer_greeted, peer_done)
    const struct CMUnitTest tests[] = {
        KNOWN(the_round_trip_is_learned),
        KNOWN(the_ping_interval_is_learned),
        KNOWN(keep_alive_needs_no_work),
        KNOWN(repetitions_are_known_after_a_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
