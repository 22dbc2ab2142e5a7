/* An answer to UpdateStart or UpdateFinish that was lost: found out by a ping, asked for again. */
#include "update.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* {"recv_chunks":1} */
#define STATISTICS "ff7b22726563765f6368756e6b73223a317d"

static struct peer *const p = &the_peer;

static void wait_ms(int64_t ms) {
    peer_tick_at(p, mono_add_ms(p->now, ms));
}

/* UpdateStart has id 1234 and token 7a, and is acknowledged. */
static void start_acknowledged(size_t len) {
    p->session.coap_id = 0x1234;
    p->session.coap_token = 0x79;
    assert_int_equal(update_offer(len), SW_OK);
    peer_say(p, "60001234");
    assert_silence(p);
}

/* The device has time for the ping; its answer to what came before is not there. */
static void pong_after(int64_t ms, const char *ping, const char *pong) {
    wait_ms(49);
    assert_silence(p);
    wait_ms(2);
    assert_reply(p, ping);
    p->now = mono_add_ms(p->now, ms);
    peer_say(p, pong);
    assert_silence(p);
    wait_ms(49);
    assert_silence(p);
    wait_ms(2);
}

static void update_start_is_made_anew(void **state) {
    (void)state;
    start_acknowledged(100000);
    pong_after(100, "40001235", "60001235");
    assert_int_equal(p->reply_count, 1);
    const struct peer_reply first = p->replies[0];
    assert_int_equal(first.message.type, COAP_CON);
    assert_true(coap_path_is(&first.message, 'S'));
    assert_int_equal(first.message.id, 0x1236);
    assert_int_equal(first.message.token.data[0], 0x7b);
    uint32_t bytes = 0;
    assert_true(coap_option_uint(&first.message, COAP_FILE_SIZE, &bytes));
    assert_int_equal(bytes, 100000);
    peer_say(p, "414100087ae206f8010040"); /* the first one's answer was only late: acknowledged */
    assert_reply(p, "60000008");
    assert_int_equal(p->event_count, 0);
    peer_say(p, "60001236");
    peer_say(p, "414100097be206f8010040");
    assert_int_equal(peer_event(p, SESSION_EVENT_TRANSFER)->u.transfer.step,
                     SESSION_TRANSFER_ACCEPTED);
    assert_true(p->reply_count > 1);
}

static void an_answer_in_time_is_not_asked_for(void **state) {
    (void)state;
    start_acknowledged(512);
    peer_say(p, "414100097ae206f8010040");
    for (unsigned n = 0; n < 20; n++) {
        wait_ms(10);
        for (size_t r = 0; r < p->reply_count; r++) {
            assert_int_equal(p->replies[r].message.type, COAP_NON);
        }
    }
}

/* To erase once more would take it longer than to wait until it repeats itself. */
static void a_device_that_erases_for_long_is_left_alone(void **state) {
    (void)state;
    start_acknowledged(100000);
    pong_after(2000, "40001235", "60001235");
    for (unsigned n = 0; n < 100; n++) {
        wait_ms(100);
        assert_silence(p);
    }
    peer_say(p, "414100097ae206f8010040");
    assert_int_equal(peer_event(p, SESSION_EVENT_TRANSFER)->u.transfer.step,
                     SESSION_TRANSFER_ACCEPTED);
}

static void only_the_newest_report_commits(void **state) {
    (void)state;
    start_acknowledged(512);
    peer_say(p, "414100097ae206f8010040");
    peer_say(p, "5002000ab141e106e901");
    assert_reply(p, "410212357bb146");
    peer_say(p, "60001235");
    pong_after(5000, "40001236", "60001236"); /* however long it validates */
    assert_reply(p, "410212377cb146");
    peer_say(p, "4144000b7b" STATISTICS); /* its acknowledgement would no longer commit */
    assert_silence(p);
    assert_int_equal(p->event_count, 0);
    peer_say(p, "60001237");
    peer_say(p, "4144000c7c" STATISTICS);
    const struct session_event *event = peer_event(p, SESSION_EVENT_TRANSFER);
    assert_int_equal(event->u.transfer.step, SESSION_TRANSFER_COMMIT);
    uint32_t ticket = event->ticket;
    peer_say(p, "4144000b7b" STATISTICS);
    assert_silence(p);
    assert_int_equal(p->event_count, 0);
    peer_confirm(p, ticket);
    assert_int_equal(p->reply_count, 2);
    assert_int_equal(p->replies[0].message.id, 0x000c);
    assert_int_equal(p->replies[1].message.id, 0x000c);
}

/* It answers every ping and never the request. */
static void asking_has_an_end(void **state) {
    (void)state;
    unsigned starts = 0;
    start_acknowledged(100000);
    for (unsigned n = 0; n < 300; n++) {
        wait_ms(60);
        if (p->reply_count > 0) {
            const struct coap_message *message = &p->replies[p->reply_count - 1].message;
            starts += coap_path_is(message, 'S') ? 1 : 0;
            char ack[9] = "60000000";
            static const char digits[] = "0123456789abcdef";
            for (unsigned d = 0; d < 4; d++) {
                ack[4 + d] = digits[message->id >> (12 - 4 * d) & 15];
            }
            peer_say(p, ack);
        }
    }
    assert_int_equal(starts, 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(update_start_is_made_anew, update_greeted, peer_done),
        cmocka_unit_test_setup_teardown(an_answer_in_time_is_not_asked_for, update_greeted,
                                        peer_done),
        cmocka_unit_test_setup_teardown(a_device_that_erases_for_long_is_left_alone, update_greeted,
                                        peer_done),
        cmocka_unit_test_setup_teardown(only_the_newest_report_commits, update_greeted, peer_done),
        cmocka_unit_test_setup_teardown(asking_has_an_end, update_greeted, peer_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
