/* Transfers as the gateway runs them: what starts them, what ends them, and what the store and the
 * network may do meanwhile. */
#include "taker.h"

#include "slipway/app/release.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct rig rig;
static struct taker taker, *const t = &taker;

#define COUNTER(name) (gateway_counters(rig.gw)->name)

static int setup(void **state) {
    (void)state;
    rig_open(&rig, &rig_small);
    rig_release(&rig, 7, 100000, false);
    return 0;
}

static int setup_bare(void **state) {
    (void)state;
    rig_open(&rig, &rig_small);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    taker_close(t);
    rig_close(&rig);
    return 0;
}

static void an_update_from_hello_to_commit(void **state) {
    (void)state;
    taker_open(t, &rig, 1);
    takers_run(t, 1, &rig, 1000);
    assert_true(t->is_committed);
    assert_int_equal(t->bytes, t->file_bytes);
    assert_int_equal(COUNTER(transfers_committed), 1);
}

/* It wishes for what the protocol does not have: it gets what every device takes. */
static void a_chunk_size_out_of_range_stops_no_update(void **state) {
    (void)state;
    static const uint16_t wishes[] = {64, 1000 + 2, 1140, 4096};
    for (size_t n = 0; n < sizeof wishes / sizeof wishes[0]; n++) {
        memset(t, 0, sizeof *t);
        peer_open(&t->peer, &rig, (unsigned)n + 2);
        peer_connect(&t->peer, &rig);
        t->peer.chunk_bytes = wishes[n];
        peer_hello(&t->peer, &rig, ++t->id, &t->peer.id);
        rig_pump(&rig, STORE_TROUBLE_NONE);
        taker_say_updates(t, &rig, true);
        takers_run(t, 1, &rig, 5000);
        assert_true(t->is_committed);
        assert_int_equal(t->chunk_bytes, 512);
        taker_close(t);
    }
    taker_open(t, &rig, 1);
}

/* As fast as the device speaks, with a disk that takes its time: nothing of it may be lost. */
static void no_acknowledgement_is_dropped_while_numbers_are_reserved(void **state) {
    (void)state;
    enum { WORDS = 90 };
    taker_open(t, &rig, 1);
    t->acknowledges_not = true;
    takers_run(t, 1, &rig, 50);
    assert_true(t->bytes > 0);
    uint64_t held = COUNTER(held);
    for (unsigned n = 0; n < WORDS; n++) {
        const uint8_t ping[4] = {0x40, 0, 1, (uint8_t)n};
        peer_say(&t->peer, &rig, span_of(ping, sizeof ping));
    }
    assert_true(COUNTER(held) > held); /* the store says nothing yet */
    assert_int_equal(COUNTER(dropped_busy), 0);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    for (unsigned n = 0; n < WORDS; n++) {
        assert_true(peer_is_acked(&t->peer, &rig, (uint16_t)(0x100 + n)));
    }
}

static void what_is_held_is_bounded(void **state) {
    (void)state;
    taker_open(t, &rig, 1);
    t->is_mute = true;
    takers_run(t, 1, &rig, 50);
    for (unsigned n = 0; n < 1000; n++) {
        const uint8_t ping[4] = {0x40, 0, (uint8_t)(n >> 8), (uint8_t)n};
        peer_say(&t->peer, &rig, span_of(ping, sizeof ping));
    }
    assert_in_range(COUNTER(held), 1, 64);
    assert_true(COUNTER(dropped_busy) > 0);
}

/* Its bootloader refused the image: the device resumes as if nothing had been. */
static void a_silent_rollback_is_found_out(void **state) {
    (void)state;
    struct update update;
    taker_open(t, &rig, 1);
    takers_run(t, 1, &rig, 1000);
    assert_true(t->is_committed);
    takers_run(t, 1, &rig, 5000);
    t->peer.address.port++;
    peer_say(&t->peer, &rig, span_of("\x40\x00\x12\x34", 4));
    takers_run(t, 1, &rig, 90000);
    rig_update(&rig, &t->peer.id, &update);
    assert_int_equal(update.state, UPDATE_REBOOTING);
    assert_int_equal(t->last_count, 0);
    takers_run(t, 1, &rig, 10000);
    assert_int_equal(t->last_count, 1); /* it is asked what it runs */
    struct span kind;
    assert_true(t->last.code == COAP_GET && coap_path_is(&t->last, 'd'));
    assert_true(coap_option_at(&t->last, COAP_URI_QUERY, 0, &kind));
    assert_memory_equal(kind.data, "\x01", 1);
    uint8_t bytes[256];
    struct writer w = writer_of(bytes, sizeof bytes);
    struct coap_writer c = coap_begin(&w, COAP_CON, COAP_CONTENT, 0x4000, t->last.token);
    coap_put_payload(&c, span_text("{\"p\":13,\"m\":[{\"f\":\"s\",\"n\":\"1\",\"v\":6200}]}"));
    taker_say(t, &rig, &w);
    takers_run(t, 1, &rig, 1000);
    rig_update(&rig, &t->peer.id, &update);
    assert_int_equal(update.state, UPDATE_FAILED);
    assert_string_equal(update.reason, "rolled_back");
    assert_int_equal(COUNTER(transfers_started), 1); /* the next try comes later */
}

static wall_time wall(void) {
    return (wall_time){.ms = 1700000000000 + rig.now.us / 1000};
}

static void notice_product(void) {
    const struct app_notice notice = {.kind = APP_NOTICE_PRODUCT, .product_id = 101};
    gateway_notice(rig.gw, &notice, rig.now, wall());
}

/* The old image's bytes are of no use any more, and the device is told so. */
static void a_superseded_update_is_cancelled_and_the_new_one_sent(void **state) {
    (void)state;
    struct update update;
    taker_open(t, &rig, 1);
    t->acknowledges_not = true;
    takers_run(t, 1, &rig, 50);
    assert_int_equal(t->starts, 1);
    uint32_t old_bytes = t->file_bytes;
    rig_release(&rig, 8, 60000, true);
    notice_product();
    t->acknowledges_not = false;
    takers_run(t, 1, &rig, 10000);
    assert_int_equal(t->cancels, 1);
    assert_int_equal(t->discards, 1);
    assert_int_equal(t->starts, 2);
    assert_true(t->file_bytes < old_bytes);
    assert_true(t->is_committed);
    rig_update(&rig, &t->peer.id, &update);
    assert_int_equal(update.version, 8);
    assert_int_equal(update.state, UPDATE_REBOOTING);
}

static int withdraw(struct app_tx *tx, void *arg) {
    struct app_release_result result;
    const struct app_release request = {
        .product_id = 101, .version = *(const uint16_t *)arg, .product_default = APP_FALSE};
    return app_release(tx, &request, &result);
}

static void notice_targets(void) {
    const struct app_notice notice = {.kind = APP_NOTICE_TARGETS, .product_id = 101};
    gateway_notice(rig.gw, &notice, rig.now, wall());
}

/* Its device would apply it within moments, and says nothing meanwhile that is a reason to look. */
static void what_is_released_no_more_is_not_sent_to_its_end(void **state) {
    (void)state;
    struct update update;
    uint16_t version = 7;
    taker_open(t, &rig, 1);
    t->acknowledges_not = true;
    takers_run(t, 1, &rig, 1000);
    assert_int_equal(t->starts, 1);
    assert_int_equal(app_execute(rig.app, withdraw, &version, NULL), SW_OK);
    notice_targets();
    t->acknowledges_not = false;
    takers_run(t, 1, &rig, 10000);
    assert_int_equal(t->cancels, 1);
    assert_int_equal(t->discards, 1);
    assert_int_equal(t->starts, 1);
    assert_false(t->is_committed);
    rig_update(&rig, &t->peer.id, &update);
    assert_int_equal(update.state, UPDATE_CANCELLED);
}

/* A gradual one at that: the device was being updated, and is. */
static void what_is_released_instead_is_sent_instead(void **state) {
    (void)state;
    struct update update;
    taker_open(t, &rig, 1);
    t->acknowledges_not = true;
    takers_run(t, 1, &rig, 1000);
    rig_release(&rig, 8, 60000, false);
    notice_targets();
    t->acknowledges_not = false;
    takers_run(t, 1, &rig, 10000);
    assert_int_equal(t->cancels, 1);
    assert_int_equal(t->starts, 2);
    assert_true(t->is_committed);
    rig_update(&rig, &t->peer.id, &update);
    assert_int_equal(update.version, 8);
}

static int cancel_update(struct app_tx *tx, void *arg) {
    return app_update_cancel(tx, *(const int64_t *)arg);
}

static int get_update(struct app_tx *tx, void *arg) {
    struct update *update = arg;
    return app_update_get(tx, update->id, update);
}

static void a_cancelled_update_stops_under_way(void **state) {
    (void)state;
    struct update update;
    taker_open(t, &rig, 1);
    t->acknowledges_not = true;
    takers_run(t, 1, &rig, 50);
    rig_update(&rig, &t->peer.id, &update);
    assert_int_equal(app_execute(rig.app, cancel_update, &update.id, NULL), SW_OK);
    const struct app_notice notice = {.kind = APP_NOTICE_DEVICE, .device = t->peer.id};
    gateway_notice(rig.gw, &notice, rig.now, wall());
    t->acknowledges_not = false;
    takers_run(t, 1, &rig, 2000);
    assert_int_equal(t->cancels, 1);
    assert_int_equal(t->discards, 0); /* it is still released: it will be sent again */
    assert_int_equal(app_execute(rig.app, get_update, &update, NULL), SW_OK);
    assert_int_equal(update.state, UPDATE_CANCELLED);
}

static int set_apart(struct app_tx *tx, void *arg) {
    struct device device;
    const struct app_device_edit edit = {.has_development = true, .development = true};
    return app_device_edit(tx, 101, arg, &edit, &device);
}

/* In the midst of the chunks, when no step of the transfer is due to be stored. */
static void what_the_rules_want_no_more_is_discarded(void **state) {
    (void)state;
    struct update update;
    taker_open(t, &rig, 1);
    t->acknowledges_not = true;
    takers_run(t, 1, &rig, 1000);
    rig_update(&rig, &t->peer.id, &update);
    assert_int_equal(update.state, UPDATE_SENDING);
    assert_int_equal(app_execute(rig.app, set_apart, &t->peer.id, NULL), SW_OK);
    const struct app_notice notice = {.kind = APP_NOTICE_DEVICE, .device = t->peer.id};
    gateway_notice(rig.gw, &notice, rig.now, wall());
    takers_run(t, 1, &rig, 1000);
    assert_int_equal(t->cancels, 1);
    assert_int_equal(t->discards, 1);
    assert_int_equal(t->starts, 1);
    rig_update(&rig, &t->peer.id, &update);
    assert_int_equal(update.state, UPDATE_CANCELLED);
}

static void a_cancel_between_two_steps_stops_the_chunks(void **state) {
    (void)state;
    struct update update;
    taker_open(t, &rig, 1);
    t->acknowledges_not = true;
    takers_run(t, 1, &rig, 1000);
    rig_update(&rig, &t->peer.id, &update);
    assert_int_equal(update.state, UPDATE_SENDING);
    assert_int_equal(app_execute(rig.app, cancel_update, &update.id, NULL), SW_OK);
    const struct app_notice notice = {.kind = APP_NOTICE_DEVICE, .device = t->peer.id};
    gateway_notice(rig.gw, &notice, rig.now, wall());
    takers_run(t, 1, &rig, 100);
    assert_int_equal(t->cancels, 1);
    assert_int_equal(t->discards, 0);
}

static void a_device_that_is_removed_keeps_nothing(void **state) {
    (void)state;
    taker_open(t, &rig, 1);
    t->acknowledges_not = true;
    takers_run(t, 1, &rig, 1000);
    const struct app_notice notice = {.kind = APP_NOTICE_FORGET, .device = t->peer.id};
    gateway_notice(rig.gw, &notice, rig.now, wall());
    takers_turn(t, 1, &rig);
    assert_int_equal(t->discards, 1);
    rig_pump(&rig, STORE_TROUBLE_NONE);
}

/* -1380: the device says no for now. Its slot is free, it is told that one waits, and the start is
 * made again when it enables updates. */
static void a_refusal_waits_for_the_device_and_spends_nothing(void **state) {
    (void)state;
    struct update update;
    taker_open(t, &rig, 1);
    t->is_refusing = true;
    takers_run(t, 1, &rig, 5000);
    rig_update(&rig, &t->peer.id, &update);
    assert_int_equal(update.state, UPDATE_DEFERRED);
    assert_int_equal(rig_sizes(&rig).transfers, 0);
    struct span name;
    assert_true(coap_option_at(&t->last, COAP_URI_PATH, 1, &name));
    assert_true(span_is_text(name, "particle/device/updates/pending"));
    assert_true(span_is_text(t->last.payload, "true"));
    t->is_refusing = false;
    taker_say_updates(t, &rig, true);
    takers_run(t, 1, &rig, 5000);
    assert_true(t->is_committed);
    assert_int_equal(t->starts, 1);
    rig_update(&rig, &t->peer.id, &update);
    assert_int_equal(update.attempt, 1);
}

static void a_transfer_goes_on_where_the_device_says(void **state) {
    (void)state;
    taker_open(t, &rig, 1);
    t->offset = 51200; /* of an earlier one */
    takers_run(t, 1, &rig, 5000);
    assert_true(t->is_committed);
    assert_int_equal(t->bytes, t->file_bytes - 51200);
}

/* Its device may sleep again: the answer to its first word is the start of its update. */
static void a_resumed_session_is_offered_its_update_at_once(void **state) {
    (void)state;
    taker_open(t, &rig, 1);
    rig_release(&rig, 9, 30000, false);
    takers_run(t, 1, &rig, 60000);
    assert_int_equal(t->starts, 0); /* gradual: with its next session */
    t->peer.address.port++;
    peer_say(&t->peer, &rig, span_of("\x40\x00\x12\x34", 4));
    takers_turn(t, 1, &rig); /* no time passes */
    assert_int_equal(t->starts, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_update_from_hello_to_commit),
        TEST(a_chunk_size_out_of_range_stops_no_update),
        TEST(no_acknowledgement_is_dropped_while_numbers_are_reserved),
        TEST(what_is_held_is_bounded),
        TEST(a_silent_rollback_is_found_out),
        TEST(a_superseded_update_is_cancelled_and_the_new_one_sent),
        TEST(what_is_released_no_more_is_not_sent_to_its_end),
        TEST(what_is_released_instead_is_sent_instead),
        TEST(a_cancelled_update_stops_under_way),
        TEST(what_the_rules_want_no_more_is_discarded),
        TEST(a_cancel_between_two_steps_stops_the_chunks),
        TEST(a_device_that_is_removed_keeps_nothing),
        TEST(a_refusal_waits_for_the_device_and_spends_nothing),
        TEST(a_transfer_goes_on_where_the_device_says),
        cmocka_unit_test_setup_teardown(a_resumed_session_is_offered_its_update_at_once, setup_bare,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
