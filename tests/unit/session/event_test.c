/* Events of a device: their names, their sizes, and the order of those that are flags. */
#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct peer peer, *const p = &peer;

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

/* POST /E with a name of one or more segments; block < 0: without Block1. */
static void publish(uint16_t id, const char *const *segments, size_t count, int64_t block,
                    size_t len) {
    static const uint8_t data[1024] = {'x'};
    uint8_t bytes[1400];
    struct writer w = writer_of(bytes, sizeof bytes);
    struct coap_writer c = coap_begin(&w, COAP_CON, COAP_POST, id, span_of("\x55", 1));
    coap_put(&c, COAP_URI_PATH, span_text("E"));
    for (size_t i = 0; i < count; i++) {
        coap_put(&c, COAP_URI_PATH, span_text(segments[i]));
    }
    if (block >= 0) {
        coap_put_uint(&c, COAP_BLOCK1, (uint32_t)block);
    }
    coap_put_uint(&c, COAP_NO_RESPONSE, 26);
    coap_put_payload(&c, span_of(data, len));
    assert_int_equal(writer_status(&w), SW_OK);
    peer_say_bytes(p, writer_span(&w));
}

/* The publishing of Device OS 6.3 and later cuts the name at its slashes. */
static void a_name_in_several_segments_is_joined(void **state) {
    (void)state;
    static const char *const segments[] = {"sensor", "4", "", "temperature"};
    publish(0x101, segments, 4, -1, 5);
    const struct session_event *event = peer_event(p, SESSION_EVENT_PUBLISH);
    assert_true(span_is_text(event->u.publish.name, "sensor/4//temperature"));
    assert_int_equal(event->u.publish.data.len, 5);
    peer_confirm(p, event->ticket);
    assert_reply(p, "60000101");
    /* The flags too, whichever way they are named. */
    peer_say(p, "40020102"
                "b145087061727469636c6506646576696365077570646174657307656e61626c6564ff66616c7365");
    assert_false(peer_event(p, SESSION_EVENT_UPDATES)->u.updates.value);
}

static void a_name_of_64_bytes_and_no_more(void **state) {
    (void)state;
    static const char half[] = "abcdefghijklmnopqrstuvwxyz012345", /* 32 */
        rest[] = "abcdefghijklmnopqrstuvwxyz01234";                /* 31 */
    static const char *const fits[] = {half, rest}, *const longer[] = {half, half};
    publish(0x101, fits, 2, -1, 0);
    assert_int_equal(peer_event(p, SESSION_EVENT_PUBLISH)->u.publish.name.len, 64);
    publish(0x102, longer, 2, -1, 0);
    assert_reply(p, "60000102");
    assert_int_equal(p->event_count, 0);
    assert_non_null(p->why);
    /* More options than are understood: acknowledged, or the device would give up its session. */
    static const char *const many[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i",
                                       "j", "k", "l", "m", "n", "o", "p", "q", "r"};
    publish(0x103, many, 18, -1, 1);
    assert_reply(p, "60000103");
    assert_int_equal(p->event_count, 0);
}

/* 1024 bytes are kept of an event: the first of several blocks shows that there are more. A part
 * must not pass for the whole, and the device wants to be told. */
static void an_event_of_several_blocks_is_refused(void **state) {
    (void)state;
    static const char *const name[] = {"log"};
    publish(0x101, name, 1, 0 << 4 | 8 | 6, 1024);
    assert_reply(p, "618d010155");
    assert_int_equal(p->event_count, 0);
    publish(0x102, name, 1, 1 << 4 | 6, 100);
    assert_reply(p, "618d010255");
    assert_int_equal(p->event_count, 0);
    publish(0x103, name, 1, 6, 1024); /* the only one */
    assert_int_equal(peer_event(p, SESSION_EVENT_PUBLISH)->u.publish.data.len, 1024);
    publish(0x104, name, 1, 7, 10); /* a block of no size */
    assert_reply(p, "6180010455");
    assert_int_equal(p->event_count, 0);
}

static void a_subscription_is_kept_before_it_is_acknowledged(void **state) {
    (void)state;
    peer_say(p, "40010101b165087061727469636c65"); /* "particle": every device has it */
    assert_reply(p, "60000101");
    assert_int_equal(p->event_count, 0);
    peer_say(p, "40010103b16508766465762f636d644162"); /* for CBOR or binary data: all the same */
    assert_silence(p);
    const struct session_event *event = peer_event(p, SESSION_EVENT_SUBSCRIBE);
    assert_true(span_is_text(event->u.prefix, "vdev/cmd"));
    uint32_t ticket = event->ticket;
    peer_confirm(p, ticket);
    assert_reply(p, "60000103");
    peer_say(p, "40010103b16508766465762f636d644162");
    assert_reply(p, "60000103");
    assert_int_equal(p->event_count, 0);
    peer_say(p, "40010104b165"); /* to nothing */
    assert_reply(p, "60000104");
    assert_int_equal(p->event_count, 0);
}

/* Message ids tell which of two words came first while they are near each other. Whoever numbers at
 * random is believed. */
static void only_a_repetition_can_be_overtaken(void **state) {
    (void)state;
#define ENABLED_HEX "b1450d127061727469636c652f6465766963652f757064617465732f656e61626c6564ff"
    peer_say(p, "40029000" ENABLED_HEX "66616c7365");
    peer_confirm(p, peer_event(p, SESSION_EVENT_UPDATES)->ticket);
    peer_say(p, "40021000" ENABLED_HEX "74727565");
    assert_true(peer_event(p, SESSION_EVENT_UPDATES)->u.updates.value);
    assert_true(p->session.updates_enabled);
    peer_say(p, "40020ff0" ENABLED_HEX "66616c7365");
    assert_int_equal(p->event_count, 0);
    assert_true(p->session.updates_enabled);
}

int main(void) {
#define KNOWN(test) cmocka_unit_test_setup_teardown(test, known, done)
    const struct CMUnitTest tests[] = {
        KNOWN(a_name_in_several_segments_is_joined),
        KNOWN(a_name_of_64_bytes_and_no_more),
        KNOWN(an_event_of_several_blocks_is_refused),
        KNOWN(a_subscription_is_kept_before_it_is_acknowledged),
        KNOWN(only_a_repetition_can_be_overtaken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
