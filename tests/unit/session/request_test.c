/* What the server asks of a device, written as Device OS reads it, and what comes back. */
#include "update.h"

#include "session/work.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct peer *const p = &the_peer;

#define PENDING_HEX "b1450d127061727469636c652f6465766963652f757064617465732f70656e64696e67ff"

static int known(void **state) {
    (void)peer_greeted(state);
    p->session.coap_id = 0x2001;
    p->session.coap_token = 0x30;
    return 0;
}

static int request(enum session_request_kind kind, const char *name, struct span argument,
                   uint32_t *number) {
    int status = session_request(&p->session, p->crypto, kind, span_text(name), argument, p->now,
                                 &p->out, number);
    peer_collect(p);
    return status;
}

static void assert_answer(uint32_t number, uint8_t code, const char *payload) {
    const struct session_event *event = peer_event(p, SESSION_EVENT_ANSWER);
    assert_int_equal(event->u.answer.request, number);
    assert_int_equal(event->u.answer.code, code);
    assert_true(span_is_text(event->u.answer.payload, payload));
}

static void payload_exactly_true_or_false(void **state) {
    (void)state;
    assert_int_equal(session_tell_pending(&p->session, p->crypto, true, p->now, &p->out), SW_OK);
    peer_collect(p);
    assert_reply(p, "40022001" PENDING_HEX "74727565");
    peer_say(p, "60002001");
    assert_int_equal(session_tell_pending(&p->session, p->crypto, false, p->now, &p->out), SW_OK);
    peer_collect(p);
    assert_reply(p, "40022002" PENDING_HEX "66616c7365");
    peer_say(p, "60002002");
    assert_int_equal(session_tell_forced(&p->session, p->crypto, true, p->now, &p->out), SW_OK);
    peer_collect(p);
    assert_reply(p, "40022003" FORCED_HEX "74727565");
    peer_say(p, "60002003");
    assert_silence(p);
    assert_int_equal(p->event_count, 0);
}

static void the_last_wish_wins(void **state) {
    (void)state;
    assert_int_equal(session_tell_pending(&p->session, p->crypto, true, p->now, &p->out), SW_OK);
    assert_int_equal(session_tell_pending(&p->session, p->crypto, false, p->now, &p->out), SW_OK);
    assert_int_equal(session_tell_forced(&p->session, p->crypto, true, p->now, &p->out), SW_OK);
    assert_int_equal(session_ping(&p->session, p->crypto, p->now, &p->out), SW_OK);
    assert_int_equal(session_tell_pending(&p->session, p->crypto, true, p->now, &p->out), SW_OK);
    peer_collect(p);
    assert_reply(p, "40022001" PENDING_HEX "74727565"); /* one at a time */
    peer_say(p, "60002001");
    assert_reply(p, "40022002" FORCED_HEX "74727565");
    peer_say(p, "60002002");
    assert_reply(p, "40002003"); /* ping */
    peer_say(p, "60002003");
    assert_silence(p);
    assert_true(session_deadline(&p->session).us > p->now.us);
}

static void every_request_has_its_path_first_and_one_byte_of_token(void **state) {
    (void)state;
    static const struct {
        enum session_request_kind kind;
        const char *name, *argument;
        size_t argument_len;
        const char *hex;
    } requests[] = {
        {SESSION_REQUEST_FUNCTION, "echo", "abc", 3, "4102200131b166046563686f43616263"},
        {SESSION_REQUEST_FUNCTION, "echo", "", 0, "4102200131b166046563686f40"},
        {SESSION_REQUEST_VARIABLE, "uptime", "", 0, "4101200131b17606757074696d65"},
        {SESSION_REQUEST_DESCRIBE, "", "\x01", 1, "4101200131b1644101"},
        {SESSION_REQUEST_DESCRIBE, "", "\x02", 1, "4101200131b1644102"},
        {SESSION_REQUEST_DESCRIBE, "", "\x04", 1, "4101200131b1644104"},
        {SESSION_REQUEST_SIGNAL, "", "\x01", 1, "4103200131b1734101"},
        {SESSION_REQUEST_SIGNAL, "", "\0", 1, "4103200131b1734100"},
        {SESSION_REQUEST_EVENT, "spark/device/reset", "reboot", 6,
         "40022001b1450d05737061726b2f6465766963652f7265736574ff7265626f6f74"},
    };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        uint32_t number;
        known(NULL);
        assert_int_equal(request(requests[i].kind, requests[i].name,
                                 span_of(requests[i].argument, requests[i].argument_len), &number),
                         SW_OK);
        assert_reply(p, requests[i].hex);
        peer_close(p);
    }
    peer_open(p);
}

static void token_of_exactly_one_byte(void **state) {
    (void)state;
    uint32_t number;
    p->session.coap_token = 0xfe;
    /* Through the wrap: never none, never two bytes, never the value of an absent one. */
    for (unsigned i = 0; i < 600; i++) {
        assert_int_equal(request(SESSION_REQUEST_SIGNAL, "", span_of("\x01", 1), &number), SW_OK);
        assert_int_equal(p->replies[0].message.token.len, 1);
        uint8_t token = p->replies[0].message.token.data[0];
        assert_int_not_equal(token, 0);
        uint16_t id = p->replies[0].message.id;
        uint8_t ack[] = {0x61, COAP_CHANGED, (uint8_t)(id >> 8), (uint8_t)id, token};
        peer_say_bytes(p, span_of(ack, sizeof ack));
        assert_answer(number, COAP_CHANGED, "");
    }
}

static void tokens_that_wait_for_an_answer_are_passed_over(void **state) {
    (void)state;
    uint32_t number;
    assert_int_equal(request(SESSION_REQUEST_VARIABLE, "v", span_of(NULL, 0), &number), SW_OK);
    uint8_t waits = p->replies[0].message.token.data[0];
    p->session.coap_token = (uint8_t)(waits - 1); /* it has come round */
    assert_int_equal(update_offer(100), SW_OK);
    assert_int_equal(p->replies[0].message.token.data[0], waits + 1);
}

static void describe_request_kinds_never_combined(void **state) {
    (void)state;
    uint32_t number;
    for (unsigned kind = 0; kind < 256; kind++) {
        uint8_t byte = (uint8_t)kind;
        bool is_one = kind == 1 || kind == 2 || kind == 4;
        if (!is_one) {
            assert_int_equal(request(SESSION_REQUEST_DESCRIBE, "", span_of(&byte, 1), &number),
                             SW_E_RANGE);
            assert_silence(p);
        }
    }
    assert_int_equal(request(SESSION_REQUEST_DESCRIBE, "", span_of(NULL, 0), &number), SW_E_RANGE);
    assert_int_equal(request(SESSION_REQUEST_DESCRIBE, "", span_of("\x01\x02", 2), &number),
                     SW_E_RANGE);
}

static void events_that_device_os_acts_on_are_not_for_everybody(void **state) {
    (void)state;
    uint32_t number;
    struct span x = span_text("true");
    assert_int_equal(request(SESSION_REQUEST_EVENT, "spark/device/key/restore", x, &number),
                     SW_E_DENIED);
    assert_int_equal(request(SESSION_REQUEST_EVENT, "particle/device/updates/forced", x, &number),
                     SW_E_DENIED);
    assert_int_equal(request(SESSION_REQUEST_EVENT, "particle/device/updates", x, &number),
                     SW_E_DENIED);
    /* A handler of the device's would follow a null pointer. */
    assert_int_equal(
        request(SESSION_REQUEST_EVENT, "spark/device/reset", span_of(NULL, 0), &number),
        SW_E_RANGE);
    assert_silence(p);
}

static void requests_are_bounded(void **state) {
    (void)state;
    uint32_t number;
    static uint8_t argument[1100];
    char name[66];
    memset(name, 'n', sizeof name);
    name[65] = '\0';
    memset(argument, 'a', sizeof argument);
    assert_int_equal(request(SESSION_REQUEST_VARIABLE, name, span_of(NULL, 0), &number),
                     SW_E_RANGE);
    assert_int_equal(request(SESSION_REQUEST_VARIABLE, "", span_of(NULL, 0), &number), SW_E_RANGE);
    name[64] = '\0';
    assert_int_equal(request(SESSION_REQUEST_FUNCTION, name, span_of(argument, 1025), &number),
                     SW_E_RANGE);
    assert_int_equal(request(SESSION_REQUEST_SIGNAL, "", span_of("\x02", 1), &number), SW_E_RANGE);
    assert_silence(p);
    assert_int_equal(request(SESSION_REQUEST_FUNCTION, name, span_of(argument, 1024), &number),
                     SW_OK);
    assert_true(p->replies[0].len <= DEVICE_MESSAGE_MAX);
    assert_int_equal(request(SESSION_REQUEST_VARIABLE, "v", span_of(NULL, 0), &number), SW_E_BUSY);
    p->session.is_trusted = false;
    assert_int_equal(request(SESSION_REQUEST_VARIABLE, "v", span_of(NULL, 0), &number),
                     SW_E_DENIED);
}

static void function_answers_with_a_message_of_its_own(void **state) {
    (void)state;
    uint32_t number;
    assert_int_equal(request(SESSION_REQUEST_FUNCTION, "echo", span_text("abc"), &number), SW_OK);
    peer_say(p, "60002001");
    assert_silence(p);
    peer_say(p, "4144000e32ff00000009"); /* some other token: acknowledged all the same */
    assert_reply(p, "6000000e");
    assert_int_equal(p->event_count, 0);
    peer_say(p, "4144000f31ff00000003");
    assert_reply(p, "6000000f");
    const struct session_event *event = peer_event(p, SESSION_EVENT_ANSWER);
    assert_int_equal(event->u.answer.code, COAP_CHANGED);
    assert_int_equal(event->u.answer.payload.len, 4);
    assert_int_equal(event->u.answer.payload.data[3], 3);
    peer_say(p, "4144000f31ff00000003"); /* repeated */
    assert_reply(p, "6000000f");
    assert_int_equal(p->event_count, 0);
}

static void an_answer_that_overtakes_its_acknowledgement(void **state) {
    (void)state;
    uint32_t number;
    assert_int_equal(request(SESSION_REQUEST_VARIABLE, "v", span_of(NULL, 0), &number), SW_OK);
    peer_say(p, "4145000f31ff68656c6c6f");
    assert_reply(p, "6000000f");
    assert_answer(number, COAP_CONTENT, "hello");
    peer_say(p, "60002001");
    assert_silence(p);
    assert_int_equal(p->event_count, 0);
}

static void errors_are_answers_too(void **state) {
    (void)state;
    uint32_t number;
    assert_int_equal(request(SESSION_REQUEST_VARIABLE, "nope", span_of(NULL, 0), &number), SW_OK);
    peer_say(p, "60002001");
    peer_say(p, "4184001131");
    assert_answer(number, COAP_NOT_FOUND, "");
    assert_int_equal(request(SESSION_REQUEST_DESCRIBE, "", span_of("\x04", 1), &number), SW_OK);
    peer_say(p, "6180200232"); /* piggybacked */
    assert_answer(number, COAP_BAD_REQUEST, "");
    assert_int_equal(request(SESSION_REQUEST_EVENT, "hello", span_of(NULL, 0), &number), SW_OK);
    peer_say(p, "60002003");
    assert_answer(number, COAP_CHANGED, "");
}

static void no_answer_in_time(void **state) {
    (void)state;
    uint32_t number;
    assert_int_equal(request(SESSION_REQUEST_FUNCTION, "nope", span_of(NULL, 0), &number), SW_OK);
    peer_say(p, "60002001"); /* and then nothing, as for an unknown function */
    for (unsigned i = 0; i < 10 && !peer_has_event(p, SESSION_EVENT_ANSWER); i++) {
        peer_tick_at(p, session_deadline(&p->session));
        assert_silence(p);
    }
    assert_answer(number, COAP_EMPTY, "");
    assert_false(peer_has_event(p, SESSION_EVENT_UNREACHABLE));
    assert_int_equal(request(SESSION_REQUEST_FUNCTION, "nope", span_of(NULL, 0), &number), SW_OK);
    unsigned transmissions = 1;
    for (unsigned i = 0; i < 10 && !peer_has_event(p, SESSION_EVENT_ANSWER); i++) {
        peer_tick_at(p, session_deadline(&p->session));
        transmissions += (unsigned)p->reply_count;
    }
    assert_in_range(transmissions, 4, 7);
    assert_answer(number, COAP_EMPTY, "");
    assert_true(peer_has_event(p, SESSION_EVENT_UNREACHABLE));
}

static void an_abandoned_request_makes_room_for_the_next(void **state) {
    (void)state;
    uint32_t number, next;
    assert_int_equal(request(SESSION_REQUEST_FUNCTION, "nope", span_of(NULL, 0), &number), SW_OK);
    peer_say(p, "60002001");
    assert_int_equal(request(SESSION_REQUEST_VARIABLE, "a", span_of(NULL, 0), &next), SW_E_BUSY);
    session_abandon(&p->session, number + 1, p->now); /* another's */
    assert_int_equal(request(SESSION_REQUEST_VARIABLE, "a", span_of(NULL, 0), &next), SW_E_BUSY);
    session_abandon(&p->session, number, p->now);
    assert_int_equal(request(SESSION_REQUEST_VARIABLE, "a", span_of(NULL, 0), &next), SW_OK);
    peer_say(p, "4144001131ff00000001"); /* the first one's answer after all: only acknowledged */
    assert_reply(p, "60000011");
    assert_false(peer_has_event(p, SESSION_EVENT_ANSWER));
    peer_say(p, "60002002");
    peer_say(p, "4145001232ff616263");
    assert_answer(next, COAP_CONTENT, "abc");
}

static void a_reboot_ends_what_was_asked(void **state) {
    (void)state;
    uint32_t number;
    assert_int_equal(request(SESSION_REQUEST_FUNCTION, "echo", span_of(NULL, 0), &number), SW_OK);
    peer_say(p, "40020009b168" HELLO_HEX);
    assert_answer(number, COAP_EMPTY, "");
    assert_true(peer_has_event(p, SESSION_EVENT_HELLO));
}

static void at_most_two_requests_are_unacknowledged(void **state) {
    (void)state;
    uint32_t number;
    struct session_offer offer = {.image = span_text("firmware")};
    assert_int_equal(request(SESSION_REQUEST_FUNCTION, "echo", span_of(NULL, 0), &number), SW_OK);
    assert_int_equal(p->reply_count, 1);
    assert_int_equal(session_tell_pending(&p->session, p->crypto, true, p->now, &p->out), SW_OK);
    peer_collect(p);
    assert_int_equal(p->reply_count, 1);
    assert_int_equal(session_offer(&p->session, p->crypto, &offer, p->now, &p->out), SW_OK);
    peer_collect(p);
    assert_silence(p); /* waits */
    peer_say(p, "60002001");
    assert_int_equal(p->reply_count, 1);
    assert_true(coap_path_is(&p->replies[0].message, 'S'));
}

static void describe_on_request_is_acknowledged_when_kept(void **state) {
    (void)state;
    uint32_t number;
    assert_int_equal(request(SESSION_REQUEST_DESCRIBE, "", span_of("\x02", 1), &number), SW_OK);
    peer_say(p, "60002001");
    peer_say(p, "4145000c31ff7b7d");
    assert_silence(p);
    const struct session_event *event = peer_event(p, SESSION_EVENT_DESCRIBE);
    assert_int_equal(event->u.describe.kind, DESCRIBE_APPLICATION);
    assert_true(span_is_text(event->u.describe.bytes, "{}"));
    assert_answer(number, COAP_CONTENT, "{}");
    peer_confirm(p, event->ticket);
    assert_reply(p, "6000000c");
}

static uint8_t describe[4096];

static void say_block(uint16_t id, uint32_t number, bool is_more, size_t len, char etag) {
    uint8_t message[1152];
    struct writer w = writer_of(message, sizeof message);
    struct coap_writer c =
        coap_begin(&w, COAP_CON, COAP_CONTENT, id, span_of(&p->session.coap_token, 1));
    coap_put(&c, COAP_ETAG, span_of(&etag, 1));
    coap_put_uint(&c, COAP_CONTENT_FORMAT, 42);
    coap_put_uint(&c, COAP_BLOCK2, number << 4 | (is_more ? 8U : 0U) | 6U);
    coap_put_payload(&c, span_of(describe + 1024 * number, len));
    peer_say_bytes(p, writer_span(&w));
}

static void describe_on_request_in_blocks(void **state) {
    (void)state;
    uint32_t number;
    for (size_t i = 0; i < sizeof describe; i++) {
        describe[i] = (uint8_t)(i * 3 + (i >> 8));
    }
    assert_int_equal(request(SESSION_REQUEST_DESCRIBE, "", span_of("\x01", 1), &number), SW_OK);
    peer_say(p, "60002001");
    say_block(0x50, 0, true, 1024, 'e');
    assert_int_equal(p->reply_count, 2);
    assert_int_equal(p->replies[0].message.id, 0x50);
    uint8_t next[16];
    size_t len = peer_bytes("4101200232b16441018116", next, sizeof next);
    assert_int_equal(p->replies[1].len, len);
    assert_memory_equal(p->replies[1].bytes, next, len);
    peer_say(p, "60002002");
    say_block(0x51, 1, true, 1024, 'e');
    peer_say(p, "60002003");
    say_block(0x52, 2, false, 10, 'e');
    assert_silence(p);
    const struct session_event *event = peer_event(p, SESSION_EVENT_DESCRIBE);
    assert_int_equal(event->u.describe.bytes.len, 2058);
    assert_memory_equal(event->u.describe.bytes.data, describe, 2058);
    assert_int_equal(event->u.describe.content_format, 42);
    assert_int_equal(peer_event(p, SESSION_EVENT_ANSWER)->u.answer.payload.len, 2058);
    peer_confirm(p, event->ticket);
    assert_reply(p, "60000052");
    /* One that changes under way is not patched together. */
    assert_int_equal(request(SESSION_REQUEST_DESCRIBE, "", span_of("\x01", 1), &number), SW_OK);
    peer_say(p, "60002004");
    say_block(0x53, 0, true, 1024, 'e');
    peer_say(p, "60002005");
    say_block(0x54, 1, true, 1024, 'f');
    assert_answer(number, COAP_EMPTY, "");
    assert_false(peer_has_event(p, SESSION_EVENT_DESCRIBE));
}

/* The device pushes one of its own at the same time: the two are not mixed. */
static void describe_on_request_finds_the_place_taken(void **state) {
    (void)state;
    uint32_t number;
    assert_int_equal(request(SESSION_REQUEST_DESCRIBE, "", span_of("\x01", 1), &number), SW_OK);
    peer_say(p, "60002001");
    /* POST /d, the first 16 bytes of several. */
    peer_say(p, "4102006055b164112a3101c108ff000102030405060708090a0b0c0d0e0f");
    say_block(0x50, 0, true, 1024, 'e');
    assert_answer(number, COAP_EMPTY, "");
}

static void the_exchange_table_is_sound(void **state) {
    (void)state;
    assert_null(fsm_audit(&exchange_fsm, 0));
}

int main(void) {
#define KNOWN(test) cmocka_unit_test_setup_teardown(test, known, peer_done)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_exchange_table_is_sound),
        KNOWN(payload_exactly_true_or_false),
        KNOWN(the_last_wish_wins),
        KNOWN(every_request_has_its_path_first_and_one_byte_of_token),
        KNOWN(token_of_exactly_one_byte),
        KNOWN(tokens_that_wait_for_an_answer_are_passed_over),
        KNOWN(describe_request_kinds_never_combined),
        KNOWN(events_that_device_os_acts_on_are_not_for_everybody),
        KNOWN(requests_are_bounded),
        KNOWN(function_answers_with_a_message_of_its_own),
        KNOWN(an_answer_that_overtakes_its_acknowledgement),
        KNOWN(errors_are_answers_too),
        KNOWN(no_answer_in_time),
        KNOWN(an_abandoned_request_makes_room_for_the_next),
        KNOWN(a_reboot_ends_what_was_asked),
        KNOWN(at_most_two_requests_are_unacknowledged),
        KNOWN(describe_on_request_is_acknowledged_when_kept),
        KNOWN(describe_on_request_in_blocks),
        KNOWN(describe_on_request_finds_the_place_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
