/* What somebody else may send, or repeat: what ends a session, what is refused inside it, what
 * moves its address, and what is never told. */
#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct peer *const p = &the_peer;

static void only_the_newest_record_moves_the_address(void **state) {
    (void)state;
    uint8_t ping[4] = {0x40, 0, 1, 1}, first[128], second[128];
    struct address home = p->from;
    struct span older = peer_seal(p, span_of(ping, 4), first, sizeof first);
    ping[3] = 2;
    struct span newer = peer_seal(p, span_of(ping, 4), second, sizeof second);
    assert_int_equal(peer_give(p, newer), SW_OK);
    p->from.port = 6666; /* somebody repeats the older one from elsewhere */
    assert_int_equal(peer_give(p, older), SW_OK);
    assert_reply(p, "60000101");
    assert_true(address_equal(&p->session.peer, &home));
    assert_int_equal(peer_give(p, newer), SW_OK); /* or the newer one: a replay */
    assert_silence(p);
    assert_true(address_equal(&p->session.peer, &home));
    second[40] ^= 1;
    assert_int_equal(peer_give(p, newer), SW_OK); /* or a forged one */
    assert_silence(p);
    assert_true(address_equal(&p->session.peer, &home));
    peer_say(p, "40000103");
    assert_int_equal(p->session.peer.port, 6666);
    assert_true(peer_has_event(p, SESSION_EVENT_RESUMED));
}

static void say_record(uint8_t type, struct span content) {
    uint8_t sealed[256];
    struct writer w = writer_of(sealed, sizeof sealed);
    assert_int_equal(dtls_seal(p->crypto, &p->device, type, content, &w), SW_OK);
    assert_int_equal(peer_give(p, writer_span(&w)), SW_OK);
}

static void say_alert(uint8_t level, uint8_t description) {
    uint8_t alert[2] = {level, description};
    say_record(DTLS_ALERT, span_of(alert, 2));
}

static void alerts_close_the_session(void **state) {
    (void)state;
    say_alert(1, 90); /* a warning */
    assert_false(peer_has_event(p, SESSION_EVENT_CLOSED));
    assert_int_equal(p->alert_count, 0);
    say_alert(1, 0); /* close_notify */
    assert_true(peer_has_event(p, SESSION_EVENT_CLOSED));
    assert_int_equal(p->alert_count, 1); /* RFC 5246 section 7.2.1: answered with our own */
    assert_memory_equal(p->alert, "\x01\x00", 2);
    peer_close(p);
    peer_open(p);
    peer_known(p, 0xb6);
    say_alert(2, 20);
    assert_true(peer_has_event(p, SESSION_EVENT_CLOSED));
    assert_int_equal(p->alert_count, 0);
    assert_silence(p);
}

/* Whether a tag is wrong or there is nothing but padding behind a right one: the peer sees neither,
 * and the session goes on. */
static void what_does_not_open_is_dropped_without_a_word(void **state) {
    (void)state;
    uint8_t sealed[128];
    for (unsigned way = 0; way < 4; way++) {
        struct writer w = writer_of(sealed, sizeof sealed);
        /* Types that no content has: 0 leaves zeroes only, which are all padding. */
        uint8_t type = way == 2 ? 0 : way == 3 ? 99 : DTLS_APPLICATION_DATA;
        assert_int_equal(dtls_seal(p->crypto, &p->device, type, span_of(NULL, 0), &w), SW_OK);
        if (way == 0) {
            sealed[w.at - 1] ^= 1; /* tag */
        } else if (way == 1) {
            sealed[w.at - 20] ^= 1; /* ciphertext */
        }
        struct address home = p->session.peer;
        p->from.port = (uint16_t)(7000 + way);
        assert_int_equal(peer_give(p, writer_span(&w)), SW_OK);
        assert_non_null(p->why);
        assert_silence(p);
        assert_int_equal(p->alert_count, 0);
        assert_int_equal(p->event_count, 0);
        assert_true(address_equal(&p->session.peer, &home));
        p->from = home;
        peer_say(p, "40000103");
        assert_reply(p, "60000103");
    }
}

static void renegotiation_is_refused_with_a_warning(void **state) {
    (void)state;
    uint8_t hello[64] = {1, [3] = 52, [11] = 52}, request[12] = {0}, finished[24] = {20, [3] = 12};
    say_record(DTLS_HANDSHAKE, span_of(hello, sizeof hello));
    assert_int_equal(p->alert_count, 1);
    assert_memory_equal(p->alert, "\x01\x64", 2); /* warning, no_renegotiation */
    assert_silence(p);
    assert_false(peer_has_event(p, SESSION_EVENT_CLOSED));
    /* A Finished that is repeated, a client's HelloRequest, a cut message: nothing to say. */
    say_record(DTLS_HANDSHAKE, span_of(finished, sizeof finished));
    assert_int_equal(p->alert_count, 0);
    say_record(DTLS_HANDSHAKE, span_of(request, sizeof request));
    assert_int_equal(p->alert_count, 0);
    say_record(DTLS_HANDSHAKE, span_of(hello, 11));
    assert_int_equal(p->alert_count, 0);
    peer_say(p, "40000103"); /* the session goes on */
    assert_reply(p, "60000103");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, peer_greeted, peer_done)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(only_the_newest_record_moves_the_address),
        TEST(alerts_close_the_session),
        TEST(renegotiation_is_refused_with_a_warning),
        TEST(what_does_not_open_is_dropped_without_a_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
