/* A Describe in one message or in blocks, kept before its last part is acknowledged. */
#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct peer *const p = &the_peer;

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

int main(void) {
#define KNOWN(test) cmocka_unit_test_setup_teardown(test, peer_greeted, peer_done)
    const struct CMUnitTest tests[] = {
        KNOWN(describe_in_one_message),
        KNOWN(describe_in_blocks),
        KNOWN(describe_blocks_without_a_beginning_are_asked_for_again),
        KNOWN(describe_that_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
