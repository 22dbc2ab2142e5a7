/* Updates over a session with devices of the older protocol, in its fast mode and chunk by chunk.
 */
#include "update.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct peer *const p = &the_peer;
static struct device *const d = &the_device;

static void legacy_update(void **state) {
    (void)state;
    uint32_t ticket = update_sent(20075);
    assert_memory_equal(d->image, update_image, 20075);
    assert_int_equal(d->chunks, 40);
    for (size_t i = 20075; i < 40 * 512; i++) {
        assert_int_equal(d->image[i], 0);
    }
    peer_confirm(p, ticket);
    assert_silence(p); /* this protocol has no acknowledgement to withhold */
    assert_int_equal(peer_event(p, SESSION_EVENT_TRANSFER)->u.transfer.step,
                     SESSION_TRANSFER_COMMITTED);
}

static void legacy_chunks_are_numbered_in_two_bytes(void **state) {
    (void)state;
    (void)update_sent(200000);
    assert_memory_equal(d->image, update_image, 200000);
}

static void legacy_sends_what_is_missing(void **state) {
    (void)state;
    d->legacy_forgets = 100;
    peer_confirm(p, update_sent(60000));
    assert_memory_equal(d->image, update_image, 60000);
    assert_int_equal(d->chunks, (60000 + 511) / 512 + 100);
    assert_int_equal(d->finishes, 4); /* 40 at a time */
}

static void legacy_is_paced(void **state) {
    (void)state;
    d->finish_error = "{\"r\":-5}";
    assert_int_equal(update_offer(40000), SW_OK);
    device_answer(d, p, &update_log);
    update_run_s(1); /* 20 KB a second, as the device has no way to slow it down */
    assert_in_range(d->chunks, 35, 45);
    update_run_s(4);
    assert_int_equal(update_failed()->u.transfer.failure, OTA_FAILURE_REJECTED);
    assert_int_equal(update_failed()->u.transfer.device_error, -5);
    assert_int_equal(d->chunks, 79);
}

static void legacy_slow_mode_is_chunk_by_chunk(void **state) {
    (void)state;
    d->is_slow = true;
    uint32_t ticket = update_sent(20075);
    assert_memory_equal(d->image, update_image, 20075);
    assert_int_equal(d->chunks, 40);
    assert_int_equal(d->finishes, 1);
    peer_confirm(p, ticket);
    assert_int_equal(peer_event(p, SESSION_EVENT_TRANSFER)->u.transfer.step,
                     SESSION_TRANSFER_COMMITTED);
}

static void legacy_slow_mode_repeats_what_is_damaged(void **state) {
    (void)state;
    d->is_slow = true;
    d->legacy_forgets = 3;
    peer_confirm(p, update_sent(5000));
    assert_memory_equal(d->image, update_image, 5000);
    assert_int_equal(d->chunks, 10 + 3);
}

static void legacy_slow_mode_over_a_lossy_link(void **state) {
    (void)state;
    d->is_slow = true;
    d->loss = 20; /* of chunks: each is repeated until it is acknowledged */
    peer_confirm(p, update_sent(30000));
    assert_memory_equal(d->image, update_image, 30000);
    assert_true(d->chunks > 59);
}

static void legacy_slow_chunks_are_written_as_the_device_reads_them(void **state) {
    (void)state;
    p->session.coap_id = 0x1001;
    p->session.coap_token = 0x10;
    assert_int_equal(update_offer(600), SW_OK);
    assert_reply(p, "4102100111b175ff010200000002580000000000");
    peer_say(p, "60001001");
    peer_say(p, "4144000b11ff00"); /* no fast OTA */
    assert_int_equal(p->reply_count, 2);
    assert_int_equal(p->replies[0].message.type, COAP_ACK);
    const struct peer_reply *chunk = &p->replies[1];
    static const uint8_t head[] = {0x41, 2, 0x10, 2, 0x12, 0xb1, 'c', 0x44};
    assert_memory_equal(chunk->bytes, head, sizeof head);
    assert_int_equal(chunk->len, 13 + 512);
    peer_say(p, "60001002");
    assert_silence(p); /* its answer is yet to come */
    peer_say(p, "4144000c12");
    assert_reply(p, "6000000c");
    peer_tick_at(p, mono_add_ms(p->now, 100)); /* paced like any other */
    assert_int_equal(p->reply_count, 1);
    assert_int_equal(p->replies[0].message.token.data[0], 0x13);
    peer_say(p, "4144000c12"); /* repeated: the acknowledgement was lost */
    assert_reply(p, "6000000c");
    peer_say(p, "61a3100313ff7b22636f6465223a2d3231397d"); /* flash error, {"code":-219} */
    const struct session_event *event = peer_event(p, SESSION_EVENT_TRANSFER);
    assert_int_equal(event->u.transfer.failure, OTA_FAILURE_REFUSED);
    assert_int_equal(event->u.transfer.device_error, -219);
}

static void legacy_slow_mode_ends_when_a_chunk_is_never_answered(void **state) {
    (void)state;
    d->is_slow = true;
    d->loss = 100;
    assert_int_equal(update_offer(5000), SW_OK);
    device_answer(d, p, &update_log);
    update_run_s(300);
    assert_int_equal(update_failed()->u.transfer.failure, OTA_FAILURE_TIMEOUT);
    assert_in_range(d->chunks, 4, 7); /* transmissions of the first */
}

int main(void) {
#define LEGACY(test) cmocka_unit_test_setup_teardown(test, update_legacy, peer_done)
    const struct CMUnitTest tests[] = {
        LEGACY(legacy_update),
        LEGACY(legacy_chunks_are_numbered_in_two_bytes),
        LEGACY(legacy_sends_what_is_missing),
        LEGACY(legacy_is_paced),
        LEGACY(legacy_slow_mode_is_chunk_by_chunk),
        LEGACY(legacy_slow_mode_repeats_what_is_damaged),
        LEGACY(legacy_slow_mode_over_a_lossy_link),
        LEGACY(legacy_slow_chunks_are_written_as_the_device_reads_them),
        LEGACY(legacy_slow_mode_ends_when_a_chunk_is_never_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
