/* What belongs to something else, and must not be taken for what is under way: stragglers of an
 * earlier transfer, answers under a number that two requests could share. */
#include "device.h"
#include "session/work.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct peer peer, *const p = &peer;
static struct device device, *const d = &device;
static struct device_log happened;
static uint8_t image[50000];

static int known(void **state) {
    (void)state;
    peer_open(p);
    peer_known(p, 0xb6);
    memset(d, 0, sizeof *d);
    d->id = 100;
    rng_seed(&d->rng, 7);
    happened.count = 0;
    return 0;
}

static int done(void **state) {
    (void)state;
    peer_close(p);
    return 0;
}

static void offer(void) {
    const struct session_offer wanted = {.image = span_of(image, sizeof image)};
    assert_int_equal(session_offer(&p->session, p->crypto, &wanted, p->now, &p->out), SW_OK);
    peer_collect(p);
}

/* A chunk of a cancelled transfer comes late to the device, which knows of no update then; its RST
 * finds the next transfer begun. */
static void rst_for_a_chunk_of_an_earlier_transfer(void **state) {
    (void)state;
    offer();
    d->loss = 100;
    device_answer(d, p, &happened);
    assert_int_equal(d->chunks, 16); /* 8001 to 8010 */
    session_cancel(&p->session, p->crypto, false, p->now, &p->out);
    peer_collect(p);
    device_answer(d, p, &happened);
    offer();
    struct peer_reply start = p->replies[0];
    peer_say(p, "70008003");
    assert_int_equal(p->event_count, 0);
    assert_non_null(p->why);
    p->replies[0] = start;
    p->reply_count = 1;
    device_answer(d, p, &happened);
    assert_int_equal(d->chunks, 32);
    peer_say(p, "70008010");
    assert_int_equal(p->event_count, 0);
    peer_say(p, "70008021"); /* never sent */
    assert_int_equal(p->event_count, 0);
    peer_say(p, "70008011");
    assert_int_equal(peer_event(p, SESSION_EVENT_TRANSFER)->u.transfer.failure, OTA_FAILURE_RESET);
}

/* Tokens are one byte: while a request waits, 255 others may come and go. */
static void a_token_in_use_is_not_given_again(void **state) {
    (void)state;
    offer();
    uint8_t taken = p->replies[0].message.token.data[0];
    for (unsigned n = 0; n < 600; n++) {
        uint32_t number;
        assert_int_equal(session_request(&p->session, p->crypto, SESSION_REQUEST_VARIABLE,
                                         span_text("v"), span_of(NULL, 0), p->now, &p->out,
                                         &number),
                         SW_OK);
        peer_collect(p);
        assert_int_equal(p->reply_count, 1);
        assert_int_not_equal(p->replies[0].message.token.data[0], taken);
        assert_int_not_equal(p->replies[0].message.token.data[0], 0);
        session_abandon(&p->session, number, p->now);
    }
}

int main(void) {
#define KNOWN(test) cmocka_unit_test_setup_teardown(test, known, done)
    const struct CMUnitTest tests[] = {
        KNOWN(rst_for_a_chunk_of_an_earlier_transfer),
        KNOWN(a_token_in_use_is_not_given_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
