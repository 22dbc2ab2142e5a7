/* Retransmission, duplicates and block-wise transfers. */
#include "slipway/coap/block.h"
#include "slipway/coap/retry.h"
#include "slipway/coap/seen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static mono_time at_ms(int64_t ms) {
    return (mono_time){.us = ms * 1000};
}

/* The times of all transmissions and of giving up, in ms. */
static size_t run_retry(int64_t rtt_ms, uint16_t jitter, int64_t *times) {
    struct coap_retry retry;
    size_t count = 0;
    coap_retry_start_known(&retry, rtt_ms * 1000, jitter, at_ms(0));
    times[count++] = 0;
    for (;;) {
        mono_time now = retry.deadline;
        assert_int_equal(coap_retry_step(&retry, mono_add_us(now, -1)), COAP_RETRY_WAIT);
        times[count++] = now.us / 1000;
        if (coap_retry_step(&retry, now) == COAP_RETRY_GIVE_UP) {
            return count;
        }
        assert_true(retry.deadline.us > now.us);
    }
}

static void four_transmissions_then_giving_up(void **state) {
    (void)state;
    int64_t times[8];
    static const int64_t least[] = {0, 4000, 12000, 28000, 60000};
    assert_int_equal(run_retry(0, 0, times), 5);
    assert_memory_equal(times, least, sizeof least);
    static const int64_t most[] = {0, 6000, 18000, 42000, 90000};
    assert_int_equal(run_retry(0, UINT16_MAX, times), 5);
    assert_memory_equal(times, most, sizeof most);
}

static void a_near_device_is_told_again_sooner_and_not_given_up_sooner(void **state) {
    (void)state;
    int64_t times[10];
    static const int64_t near[] = {0, 500, 1500, 3500, 7500, 15500, 31500, 63500};
    assert_int_equal(run_retry(40, 0, times), 8);
    assert_memory_equal(times, near, sizeof near);
    static const int64_t far[] = {0, 800, 2400, 5600, 12000, 24800, 60000};
    assert_int_equal(run_retry(400, 0, times), 7);
    assert_memory_equal(times, far, sizeof far);
    for (int64_t rtt_ms = 1; rtt_ms < 5000; rtt_ms++) {
        for (unsigned jitter = 0; jitter <= UINT16_MAX; jitter += UINT16_MAX) {
            size_t count = run_retry(rtt_ms, (uint16_t)jitter, times);
            assert_in_range(times[count - 2], 19000, 42000); /* the device still knows it */
            assert_in_range(times[count - 1], 60000, 90000);
            assert_true(times[1] >= 2 * rtt_ms || times[1] >= 4000);
        }
    }
}

static void duplicates_are_known_for_100_s(void **state) {
    (void)state;
    struct coap_seen seen = {0};
    assert_int_equal(coap_seen_until(&seen).us, MONO_NEVER.us);
    assert_false(coap_seen_has(&seen, 7, at_ms(5)));
    for (int64_t start = 0; start < 100; start += 7) {
        coap_seen_add(&seen, (uint16_t)start, at_ms(1000 * 1000 * start + start));
        mono_time last = at_ms(1000 * 1000 * start + start + COAP_SEEN_MS);
        assert_true(coap_seen_has(&seen, (uint16_t)start, last));
        assert_true(coap_seen_until(&seen).us > last.us);
        assert_true(coap_seen_until(&seen).us <= last.us + 200 * 1000);
        assert_false(coap_seen_has(&seen, (uint16_t)start, coap_seen_until(&seen)));
        assert_int_equal(seen.count, 0);
    }
}

static void what_was_seen_can_be_put_away(void **state) {
    (void)state;
    static uint8_t bytes[COAP_SEEN_SAVED_BYTES(COAP_SEEN_MAX)];
    for (unsigned count = 0; count <= COAP_SEEN_MAX + 3; count += 5) {
        struct coap_seen seen = {0}, again = {.count = 3};
        for (unsigned n = 0; n < count; n++) {
            coap_seen_add(&seen, (uint16_t)(3 * n), at_ms(7000000 + 100 * n));
        }
        struct writer w = writer_of(bytes, sizeof bytes);
        coap_seen_save(&seen, &w);
        assert_int_equal(w.at, COAP_SEEN_SAVED_BYTES(seen.count));
        assert_int_equal(coap_seen_load(&again, writer_span(&w)), SW_OK);
        assert_int_equal(coap_seen_until(&again).us, coap_seen_until(&seen).us);
        mono_time now = at_ms(7000000 + 100 * COAP_SEEN_MAX);
        for (unsigned n = 0; n < count; n++) {
            bool is_kept = n + COAP_SEEN_MAX >= count;
            assert_int_equal(coap_seen_has(&again, (uint16_t)(3 * n), now), is_kept);
        }
        assert_int_equal(coap_seen_load(&again, span_of(bytes, w.at - 1)), SW_E_INPUT);
        assert_int_equal(again.count, 0);
    }
}

static void a_steady_stream_expires_in_order(void **state) {
    (void)state;
    struct coap_seen seen = {0};
    /* Four a second for five hours: the origin has to move along. */
    for (int64_t i = 0; i < 4 * 5 * 3600; i++) {
        mono_time now = at_ms(i * 250);
        coap_seen_add(&seen, (uint16_t)i, now);
        assert_true(coap_seen_has(&seen, (uint16_t)i, now));
        if (i >= 500) {
            assert_true(coap_seen_has(&seen, (uint16_t)(i - 400), now));
            assert_false(coap_seen_has(&seen, (uint16_t)(i - 402), now));
        }
        assert_true(seen.count <= 402);
    }
}

static void when_full_the_oldest_is_forgotten(void **state) {
    (void)state;
    struct coap_seen seen = {0};
    for (unsigned i = 0; i < COAP_SEEN_MAX + 10; i++) {
        coap_seen_add(&seen, (uint16_t)i, at_ms(i));
    }
    assert_int_equal(seen.count, COAP_SEEN_MAX);
    assert_false(coap_seen_has(&seen, 9, at_ms(1000)));
    assert_true(coap_seen_has(&seen, 10, at_ms(1000)));
    assert_true(coap_seen_has(&seen, COAP_SEEN_MAX + 9, at_ms(1000)));
}

static int block_of(const char *option, size_t len, struct coap_block *out) {
    struct coap_message m = {.option_count = 1};
    m.options[0].number = COAP_BLOCK1;
    m.options[0].value = span_of(option, len);
    return coap_block_get(&m, COAP_BLOCK1, out);
}

static void block_options(void **state) {
    (void)state;
    struct coap_block b;
    assert_int_equal(block_of("\x0e", 1, &b), SW_OK);
    assert_int_equal(b.number, 0);
    assert_true(b.is_more);
    assert_int_equal(b.bytes, 1024);
    assert_int_equal(coap_block_value(&b), 0x0e);
    assert_int_equal(block_of("\x12\x35", 2, &b), SW_OK);
    assert_int_equal(b.number, 0x123);
    assert_false(b.is_more);
    assert_int_equal(b.bytes, 512);
    assert_int_equal(coap_block_value(&b), 0x1235);
    assert_int_equal(block_of("", 0, &b), SW_OK);
    assert_int_equal(b.bytes, 16);
    assert_int_equal(block_of("\x07", 1, &b), SW_E_INPUT);
    assert_int_equal(block_of("\0\0\0\x06", 4, &b), SW_E_INPUT);
    struct coap_message none = {0};
    assert_int_equal(coap_block_get(&none, COAP_BLOCK1, &b), SW_E_NOT_FOUND);
}

static uint8_t source[4096], gathered[3000];

static int add(struct coap_assembly *a, uint32_t number, bool more, uint16_t bytes, size_t len) {
    struct coap_block b = {.number = number, .is_more = more, .bytes = bytes};
    return coap_assembly_add(a, &b, span_of(source + (size_t)number * bytes, len));
}

static void blocks_are_gathered_in_order(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof source; i++) {
        source[i] = (uint8_t)(i * 7 + i / 256);
    }
    struct coap_assembly a;
    coap_assembly_init(&a, gathered, sizeof gathered);
    assert_int_equal(add(&a, 1, true, 1024, 1024), SW_E_STATE); /* nothing was begun */
    assert_int_equal(add(&a, 0, true, 1024, 1024), SW_OK);
    assert_int_equal(add(&a, 2, false, 1024, 10), SW_E_STATE);  /* one is missing */
    assert_int_equal(add(&a, 1, true, 512, 512), SW_E_INPUT);   /* another size */
    assert_int_equal(add(&a, 1, true, 1024, 1023), SW_E_INPUT); /* cut short */
    assert_int_equal(add(&a, 1, true, 1024, 1024), SW_OK);
    assert_int_equal(add(&a, 1, true, 1024, 1024), SW_E_EXISTS); /* repeated */
    assert_false(a.is_complete);
    assert_int_equal(add(&a, 2, false, 1024, 100), SW_OK);
    assert_true(a.is_complete);
    assert_int_equal(a.len, 2148);
    assert_memory_equal(gathered, source, 2148);
    assert_int_equal(add(&a, 2, false, 1024, 100), SW_E_EXISTS);
    assert_int_equal(add(&a, 3, false, 1024, 100), SW_E_STATE);
    /* Block 0 starts anew, at any time. */
    assert_int_equal(add(&a, 0, true, 512, 512), SW_OK);
    assert_int_equal(add(&a, 1, true, 512, 512), SW_OK);
    assert_int_equal(add(&a, 0, false, 512, 9), SW_OK);
    assert_true(a.is_complete);
    assert_int_equal(a.len, 9);
}

static void too_much_closes_the_assembly(void **state) {
    (void)state;
    struct coap_assembly a;
    coap_assembly_init(&a, gathered, sizeof gathered);
    assert_int_equal(add(&a, 0, true, 1024, 1024), SW_OK);
    assert_int_equal(add(&a, 1, true, 1024, 1024), SW_OK);
    assert_int_equal(add(&a, 2, true, 1024, 1024), SW_E_FULL);
    assert_false(a.is_open);
    assert_int_equal(add(&a, 3, false, 1024, 1), SW_E_STATE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_transmissions_then_giving_up),
        cmocka_unit_test(a_near_device_is_told_again_sooner_and_not_given_up_sooner),
        cmocka_unit_test(duplicates_are_known_for_100_s),
        cmocka_unit_test(what_was_seen_can_be_put_away),
        cmocka_unit_test(a_steady_stream_expires_in_order),
        cmocka_unit_test(when_full_the_oldest_is_forgotten),
        cmocka_unit_test(block_options),
        cmocka_unit_test(blocks_are_gathered_in_order),
        cmocka_unit_test(too_much_closes_the_assembly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
