/* Knocks: after a crash a device that was busy is heard again at once, and still nothing that was
 * accepted is accepted again, however often the server crashes and whatever is replayed. */
#include "peer.h"

#include "slipway/util/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct peer *const p = &the_peer;

#define RECORDS_MAX 1024
#define WORD_BYTES  128

/* What the device ever sent; an attacker has all of it. */
static struct {
    uint8_t bytes[WORD_BYTES];
    size_t len;
    bool is_word, was_accepted; /* is_word: no answer to a ping */
} records[RECORDS_MAX];
static size_t record_count;

static struct {
    uint8_t bytes[SESSION_STORED_MAX], coming[SESSION_STORED_MAX];
    size_t len, coming_len;
    bool is_writing;
    struct session_reserve want;
} disk;

static void disk_begin(void) {
    if (!disk.is_writing && session_reserve_due(&p->session, p->now, &disk.want)) {
        struct writer w = writer_of(disk.coming, sizeof disk.coming);
        assert_int_equal(session_encode(&p->session, &disk.want, &w), SW_OK);
        disk.coming_len = w.at;
        disk.is_writing = true;
    }
}

static void disk_land(bool is_told) {
    if (disk.is_writing) {
        memcpy(disk.bytes, disk.coming, sizeof disk.bytes);
        disk.len = disk.coming_len;
        disk.is_writing = false;
        if (is_told) {
            session_reserved(&p->session, &disk.want, p->now);
        }
    }
}

static void disk_settle(void) {
    for (disk_begin(); disk.is_writing; disk_begin()) {
        disk_land(true);
    }
}

static void crash(void) {
    disk.is_writing = false;
    (void)session_close(&p->session);
    assert_int_equal(session_decode(span_of(disk.bytes, disk.len), p->now, &p->session), SW_OK);
    session_attach(&p->session, &p->work);
}

static size_t say(struct span message, bool is_word) {
    size_t at = record_count++;
    assert_true(at < RECORDS_MAX);
    records[at].len = peer_seal(p, message, records[at].bytes, WORD_BYTES).len;
    records[at].is_word = is_word;
    records[at].was_accepted = false;
    return at;
}

static size_t say_ping(uint16_t id) {
    const uint8_t ping[4] = {0x40, 0, (uint8_t)(id >> 8), (uint8_t)id};
    return say(span_of(ping, sizeof ping), true);
}

static size_t say_hello(uint16_t id) {
    uint8_t hello[64];
    size_t len = peer_bytes("40020000b168" HELLO_HEX, hello, sizeof hello);
    hello[2] = (uint8_t)(id >> 8);
    hello[3] = (uint8_t)id;
    return say(span_of(hello, len), true);
}

/* Whether it was accepted now. */
static bool give(size_t at) {
    int status = peer_give(p, span_of(records[at].bytes, records[at].len));
    bool is_accepted = status == SW_OK && p->why == NULL;
    if (is_accepted && records[at].is_word) {
        assert_false(records[at].was_accepted);
        records[at].was_accepted = true;
        if (peer_has_event(p, SESSION_EVENT_HELLO)) {
            peer_confirm(p, peer_event(p, SESSION_EVENT_HELLO)->ticket);
        }
        assert_int_equal(p->reply_count, 1);
    }
    return is_accepted;
}

/* The device hears a knock and answers. */
static size_t answer(uint8_t type) {
    uint8_t record[64], plain[DTLS_RECORD_MAX];
    struct writer w = writer_of(record, sizeof record);
    struct dtls_opened opened;
    assert_int_equal(session_knock(&p->session, p->crypto, &w), SW_OK);
    assert_int_equal(
        dtls_open(p->crypto, &p->device, writer_span(&w), plain, sizeof plain, &opened), SW_OK);
    assert_int_equal(opened.content.len, 4);
    assert_int_equal(opened.content.data[0], 0x40);
    const uint8_t ack[4] = {type, 0, opened.content.data[2], opened.content.data[3]};
    return say(span_of(ack, sizeof ack), false);
}

static int busy(void **state) {
    (void)peer_greeted(state);
    record_count = 0;
    memset(&disk, 0, sizeof disk);
    p->holds_reserves = true;
    p->session.is_unsaved = true;
    for (uint16_t id = 1; id < 400; id++) {
        disk_settle();
        assert_true(give(say_ping(id)));
    }
    disk_settle();
    assert_true(p->session.dtls.seq_in_limit - p->session.dtls.seq_in_top > 100);
    return 0;
}

static void one_answered_knock_is_enough(void **state) {
    (void)state;
    crash();
    size_t unheard = say_ping(1);
    assert_int_equal(peer_give(p, span_of(records[unheard].bytes, records[unheard].len)),
                     SW_E_REPLAY);
    assert_silence(p);
    disk_settle(); /* no knock goes out before its number is on disk */
    p->from.port = 4321;
    assert_true(give(answer(0x60)));
    assert_true(peer_has_event(p, SESSION_EVENT_RESUMED));
    assert_int_equal(p->session.peer.port, 4321);
    disk_settle();
    assert_true(give(say_ping(2)));
    assert_false(give(unheard)); /* nobody knows whether it was accepted before */
}

static void a_standard_client_answers_with_a_reset(void **state) {
    (void)state;
    crash();
    disk_settle();
    assert_true(give(answer(0x70)));
    disk_settle();
    assert_true(give(say_ping(2)));
}

static void nothing_is_accepted_before_the_answer_is_on_disk(void **state) {
    (void)state;
    crash();
    disk_settle();
    assert_true(give(answer(0x60)));
    size_t word = say_ping(2);
    assert_int_equal(peer_give(p, span_of(records[word].bytes, records[word].len)), SW_E_LIMIT);
    disk_settle();
    assert_true(give(word));
}

/* Each refused number is good for one knock, and only in their order. */
static void a_repeated_record_is_refused_without_a_word(void **state) {
    (void)state;
    crash();
    size_t first = say_ping(1), second = say_ping(2);
    for (int i = 0; i < 2; i++) {
        int status = peer_give(p, span_of(records[second].bytes, records[second].len));
        assert_int_equal(status, i == 0 ? SW_E_REPLAY : SW_OK);
        assert_non_null(p->why);
        assert_false(give(first));
    }
    /* What was accepted long ago does not even get as far. */
    assert_false(give(0));
    assert_true(p->session.is_doubtful);
}

static void a_device_that_is_not_far_behind_needs_no_knock(void **state) {
    (void)state;
    crash();
    while (p->device.seq_out < p->session.dtls.seq_in_top) {
        (void)say_ping(1);
    }
    size_t word = say_ping(2);
    assert_int_equal(peer_give(p, span_of(records[word].bytes, records[word].len)), SW_E_LIMIT);
    disk_settle();
    assert_true(give(word));
    assert_false(p->session.is_doubtful);
    disk_settle();
    assert_int_equal(session_knock(&p->session, p->crypto, &(struct writer){0}), SW_E_STATE);
}

static void nothing_is_asked_in_doubt(void **state) {
    (void)state;
    crash();
    disk_settle();
    const struct session_offer offer = {.image = span_text("firmware")};
    assert_int_equal(session_offer(&p->session, p->crypto, &offer, p->now, &p->out), SW_E_BUSY);
    assert_int_equal(session_ping(&p->session, p->crypto, p->now, &p->out), SW_E_BUSY);
    assert_int_equal(session_tell_pending(&p->session, p->crypto, true, p->now, &p->out),
                     SW_E_BUSY);
}

static void a_clean_stop_in_doubt_leaves_the_doubt(void **state) {
    (void)state;
    crash();
    disk_settle();
    struct writer w = writer_of(disk.bytes, sizeof disk.bytes);
    assert_int_equal(session_encode(&p->session, NULL, &w), SW_OK);
    disk.len = w.at;
    crash();
    assert_true(p->session.is_doubtful);
    disk_settle();
    assert_true(give(answer(0x60)));
}

/* A device listens to nothing before its Hello is acknowledged, so knocks would be in vain. */
static void a_hello_in_doubt_is_taken_at_once(void **state) {
    (void)state;
    crash();
    p->from.port = 4321;
    size_t hello = say_hello(900);
    assert_int_equal(peer_give(p, span_of(records[hello].bytes, records[hello].len)), SW_E_LIMIT);
    disk_begin();
    assert_int_equal(peer_give(p, span_of(records[hello].bytes, records[hello].len)), SW_E_LIMIT);
    disk_settle();
    assert_true(give(hello));
    assert_int_equal(p->session.peer.port, 4321);
    assert_true(p->session.is_doubtful); /* it may have been under way for long */
    assert_false(give(hello));
    assert_int_equal(peer_give(p, span_of(records[hello - 1].bytes, records[hello - 1].len)),
                     SW_OK);
    assert_non_null(p->why);
    assert_false(give(say_ping(901)));
    assert_true(give(answer(0x60)));
    disk_settle();
    assert_true(give(say_ping(902)));
}

static void a_hello_is_kept_before_it_is_taken(void **state) {
    (void)state;
    size_t hello = say_hello(900);
    assert_int_equal(peer_give(p, span_of(records[hello].bytes, records[hello].len)), SW_E_LIMIT);
    disk_settle();
    assert_true(give(hello));
    crash(); /* before anything is written of it */
    size_t next = say_hello(901);
    assert_false(give(hello));
    disk_settle();
    assert_false(give(hello));
    assert_false(give(next));
    disk_settle();
    assert_true(give(next));
}

/* The store could not keep it, and meanwhile the working part went. */
static void a_hello_in_doubt_that_was_refused_is_taken_when_it_comes_again(void **state) {
    (void)state;
    crash();
    size_t hello = say_hello(900);
    assert_int_equal(peer_give(p, span_of(records[hello].bytes, records[hello].len)), SW_E_LIMIT);
    disk_settle();
    assert_int_equal(peer_give(p, span_of(records[hello].bytes, records[hello].len)), SW_OK);
    session_refuse(&p->session, peer_event(p, SESSION_EVENT_HELLO)->ticket);
    (void)session_detach(&p->session);
    size_t again = say_hello(900);
    assert_int_equal(peer_give(p, span_of(records[again].bytes, records[again].len)), SW_E_STATE);
    session_attach(&p->session, &p->work);
    assert_true(give(again));
}

static void a_write_from_before_a_hello_does_not_keep_it(void **state) {
    (void)state;
    p->session.is_unsaved = true;
    disk_begin();
    size_t hello = say_hello(900);
    assert_int_equal(peer_give(p, span_of(records[hello].bytes, records[hello].len)), SW_E_LIMIT);
    disk_land(true);
    assert_int_equal(peer_give(p, span_of(records[hello].bytes, records[hello].len)), SW_E_LIMIT);
    disk_settle();
    assert_true(give(hello));
}

/* Message ids come around: lives in which nothing was heard may not use them up. */
static void lives_that_hear_nothing_change_nothing(void **state) {
    (void)state;
    crash();
    uint16_t id = p->session.coap_id, doubt = p->session.doubt;
    for (int life = 0; life < 20; life++) {
        uint64_t number = p->session.dtls.seq_out;
        disk_settle();
        crash();
        assert_true(p->session.dtls.seq_out > number); /* it may have knocked */
        assert_int_equal(p->session.coap_id, id);
        assert_int_equal(p->session.doubt, doubt);
    }
    disk_settle();
    assert_true(give(answer(0x60)));
    disk_settle();
    crash();
    assert_int_not_equal(p->session.coap_id, id);
    assert_true(p->session.doubt < doubt); /* only what came after the answer is in doubt now */
}

/* Crashes at any moment, in doubt and out of it, with whatever of the device's records comes again
 * at any time: give() holds that no word is accepted twice. */
static void whatever_is_replayed_between_crashes(void **state) {
    struct rng rng;
    unsigned crashes = 0, answered = 0, greeted = 0, accepted = 0, lives_without = 0;
    for (unsigned seed = 1; seed <= 300; seed++) {
        rng_seed(&rng, seed);
        (void)busy(state);
        size_t before = record_count;
        unsigned heard = 0;
        for (unsigned step = 0; step < 400; step++) {
            p->now = mono_add_ms(p->now, (int64_t)rng_below(&rng, 2000));
            switch (rng_below(&rng, 11)) {
            case 0:
            case 1:
            case 2:
                if (give(say_ping((uint16_t)step))) {
                    accepted++;
                    heard++;
                }
                break;
            case 3:
                (void)say_ping((uint16_t)step); /* it gets lost, for now */
                break;
            case 4:
            case 5:
                if (p->session.is_resumed &&
                    p->session.dtls.seq_out < p->session.dtls.seq_out_limit) {
                    size_t at = answer(0x60);
                    if (rng_below(&rng, 2) == 0 && give(at)) {
                        answered++;
                    }
                }
                break;
            case 10: {
                size_t at = say_hello((uint16_t)step);
                if (rng_below(&rng, 3) > 0) {
                    (void)give(at);
                    disk_land(true);
                    disk_begin();
                    disk_land(true);
                    disk_begin();
                    greeted += give(at);
                    heard += records[at].was_accepted;
                }
                break;
            }
            case 6:
                (void)give(rng_below(&rng, record_count));
                break;
            case 7:
                for (size_t at = before; at < record_count; at++) {
                    (void)give(at);
                }
                break;
            default:
                disk_land(true);
                break;
            }
            disk_begin();
            if (rng_below(&rng, 16) == 0) {
                if (rng_below(&rng, 2) == 0) {
                    disk_land(false);
                }
                crash();
                crashes++;
                lives_without += heard == 0;
                heard = 0;
            }
        }
        (void)peer_done(state);
    }
    (void)busy(state);
    print_message("%u crashes, %u lives that heard nothing, %u knocks, %u words, %u Hellos\n",
                  crashes, lives_without, answered, accepted, greeted);
    assert_true(answered > 1000 && accepted > 1000 && lives_without > 1000 && greeted > 500);
}

int main(void) {
#define BUSY(test) cmocka_unit_test_setup_teardown(test, busy, peer_done)
    const struct CMUnitTest tests[] = {
        BUSY(one_answered_knock_is_enough),
        BUSY(a_standard_client_answers_with_a_reset),
        BUSY(nothing_is_accepted_before_the_answer_is_on_disk),
        BUSY(a_repeated_record_is_refused_without_a_word),
        BUSY(a_device_that_is_not_far_behind_needs_no_knock),
        BUSY(nothing_is_asked_in_doubt),
        BUSY(a_clean_stop_in_doubt_leaves_the_doubt),
        BUSY(a_hello_in_doubt_is_taken_at_once),
        BUSY(a_hello_is_kept_before_it_is_taken),
        BUSY(a_hello_in_doubt_that_was_refused_is_taken_when_it_comes_again),
        BUSY(a_write_from_before_a_hello_does_not_keep_it),
        BUSY(lives_that_hear_nothing_change_nothing),
        BUSY(whatever_is_replayed_between_crashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
