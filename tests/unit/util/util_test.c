/* The cursors, hex, tables and generator that everything else leans on. */
#include "slipway/util/check.h"
#include "slipway/util/fsm.h"
#include "slipway/util/hex.h"
#include "slipway/util/outbox.h"
#include "slipway/util/reader.h"
#include "slipway/util/rng.h"
#include "slipway/util/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void integers_come_back_as_written(void **state) {
    (void)state;
    uint8_t bytes[64];
    struct writer w = writer_of(bytes, sizeof bytes);
    writer_u8(&w, 0xfe);
    writer_u16(&w, 0x0102);
    writer_u24(&w, 0x030405);
    writer_u32(&w, 0x06070809);
    writer_u48(&w, 0x0a0b0c0d0e0f);
    writer_u64(&w, UINT64_MAX - 1);
    writer_u16_le(&w, 0x1122);
    writer_u32_le(&w, 0x33445566);
    assert_int_equal(writer_status(&w), SW_OK);
    static const uint8_t start[] = {0xfe, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    assert_memory_equal(bytes, start, sizeof start);
    struct reader r = reader_of(writer_span(&w));
    assert_int_equal(reader_u8(&r), 0xfe);
    assert_int_equal(reader_u16(&r), 0x0102);
    assert_int_equal(reader_u24(&r), 0x030405);
    assert_int_equal(reader_u32(&r), 0x06070809);
    assert_true(reader_u48(&r) == 0x0a0b0c0d0e0f);
    assert_true(reader_u64(&r) == UINT64_MAX - 1);
    assert_int_equal(reader_u16_le(&r), 0x1122);
    assert_int_equal(reader_u32_le(&r), 0x33445566);
    assert_int_equal(reader_end(&r), SW_OK);
}

static void the_first_reading_error_sticks(void **state) {
    (void)state;
    static const uint8_t bytes[] = {1, 2, 3};
    for (size_t len = 0; len < sizeof bytes; len++) {
        struct reader r = reader_of(span_of(bytes, len));
        assert_int_equal(reader_u24(&r), 0);
        assert_true(r.failed);
        assert_string_equal(r.why, "cut short");
        assert_int_equal(r.at, 0);
        assert_int_equal(reader_u8(&r), 0);
        assert_int_equal(reader_left(&r), 0);
        reader_fail(&r, "another reason");
        assert_string_equal(r.why, "cut short");
        assert_int_equal(reader_end(&r), SW_E_INPUT);
    }
    uint8_t out[2] = {9, 9};
    struct reader r = reader_of(span_of(bytes, 1));
    reader_copy(&r, out, sizeof out);
    assert_int_equal(out[0] | out[1], 0);
}

static void left_over_bytes_are_an_error(void **state) {
    (void)state;
    struct reader r = reader_of(span_of("\x01"
                                        "ab",
                                        3));
    assert_true(span_is_text(reader_vector8(&r), "a"));
    assert_int_equal(reader_status(&r), SW_OK);
    assert_int_equal(reader_end(&r), SW_E_INPUT);
}

static void a_full_writer_changes_nothing_more(void **state) {
    (void)state;
    uint8_t bytes[5] = {7, 7, 7, 7, 7};
    struct writer w = writer_of(bytes, 4);
    writer_u24(&w, 1);
    writer_u16(&w, 0xffff);
    writer_u8(&w, 0xff);
    assert_int_equal(writer_status(&w), SW_E_FULL);
    assert_int_equal(bytes[3], 7);
    assert_int_equal(bytes[4], 7);
    assert_int_equal(writer_room(&w), 0);
}

static void lengths_are_filled_in_afterwards(void **state) {
    (void)state;
    uint8_t bytes[300];
    struct writer w = writer_of(bytes, sizeof bytes);
    size_t outer = writer_open(&w, 3);
    size_t inner = writer_open(&w, 1);
    writer_bytes(&w, span_text("abc"));
    writer_close(&w, inner, 1);
    writer_close(&w, outer, 3);
    static const uint8_t expected[] = {0, 0, 4, 3, 'a', 'b', 'c'};
    assert_true(span_equal(writer_span(&w), span_of(expected, sizeof expected)));
}

static void hex_goes_both_ways_and_refuses_the_rest(void **state) {
    (void)state;
    uint8_t bytes[3];
    char text[7];
    assert_int_equal(hex_decode("00aBfF", 6, bytes, 3), SW_OK);
    hex_encode(span_of(bytes, 3), text, sizeof text);
    assert_string_equal(text, "00abff");
    assert_int_equal(hex_decode("00abf", 5, bytes, 3), SW_E_INPUT);
    assert_int_equal(hex_decode("00abfg", 6, bytes, 3), SW_E_INPUT);
    assert_int_equal(bytes[0] | bytes[1] | bytes[2], 0);
}

static void tables_are_audited(void **state) {
    (void)state;
    enum { A, B, C };
    struct fsm_state states[] = {
        [A] = {"a", FSM_NEXT(B), false, true},
        [B] = {"b", FSM_NEXT(A) | FSM_NEXT(C), false, true},
        [C] = {"c", 0, true, false},
    };
    struct fsm fsm = {"test", states, 3};
    assert_null(fsm_audit(&fsm, 0));
    assert_true(fsm_allows(&fsm, A, B));
    assert_false(fsm_allows(&fsm, A, C));
    assert_int_equal(fsm_find(&fsm, "b"), B);
    assert_int_equal(fsm_find(&fsm, "d"), -1);
    states[B].needs_timer = false;
    assert_string_equal(fsm_audit(&fsm, 0), "a state waits without a deadline");
    assert_null(fsm_audit(&fsm, FSM_NEXT(B)));
    states[B].next = FSM_NEXT(A);
    assert_string_equal(fsm_audit(&fsm, FSM_NEXT(B)), "a state cannot be reached");
    states[A].next |= FSM_NEXT(C);
    states[B].next = FSM_NEXT(B);
    assert_string_equal(fsm_audit(&fsm, FSM_NEXT(B)), "a state reaches no final one");
}

static void seeds_decide_everything(void **state) {
    (void)state;
    struct rng a, b, c;
    rng_seed(&a, 1);
    rng_seed(&b, 1);
    rng_seed(&c, 2);
    uint64_t seen = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t value = rng_below(&a, 7);
        assert_true(value < 7);
        assert_true(value == rng_below(&b, 7));
        seen |= UINT64_C(1) << value;
        int64_t between = rng_between(&c, -3, 3);
        assert_in_range(between + 3, 0, 6);
    }
    assert_true(seen == 0x7f);
    uint8_t x[13], y[13];
    rng_fill(&a, x, sizeof x);
    rng_fill(&b, y, sizeof y);
    assert_memory_equal(x, y, sizeof x);
}

static void an_outbox_is_full_at_its_end(void **state) {
    (void)state;
    uint8_t memory[10];
    struct outbox box;
    outbox_init(&box, memory, sizeof memory);
    uint8_t *place = outbox_begin(&box, 6);
    assert_non_null(place);
    memcpy(place, "abcd", 4);
    outbox_commit(&box, 4);
    assert_null(outbox_begin(&box, 7));
    assert_non_null(outbox_begin(&box, 6));
    outbox_commit(&box, 0);
    assert_int_equal(box.count, 1);
    assert_true(span_is_text(outbox_datagram(&box, 0), "abcd"));
    outbox_clear(&box);
    assert_non_null(outbox_begin(&box, 10));
}

static void faults_are_prefixed_and_cut(void **state) {
    (void)state;
    struct fault fault;
    assert_int_equal(fault_set(&fault, SW_E_IO, "disk %d", 7), SW_E_IO);
    fault_prefix(&fault, "store");
    assert_string_equal(fault.text, "store: disk 7");
    assert_int_equal(fault.code, SW_E_IO);
    assert_int_equal(fault_set(NULL, SW_E_IO, "x"), SW_E_IO);
    assert_string_equal(sw_error_name(SW_E_LIMIT), "limit");
    assert_string_equal(sw_error_name(SW_E_SPACE), "space");
    assert_string_equal(sw_error_name(5), "unknown");
    assert_string_equal(sw_error_name(-99), "unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_come_back_as_written),
        cmocka_unit_test(the_first_reading_error_sticks),
        cmocka_unit_test(left_over_bytes_are_an_error),
        cmocka_unit_test(a_full_writer_changes_nothing_more),
        cmocka_unit_test(lengths_are_filled_in_afterwards),
        cmocka_unit_test(hex_goes_both_ways_and_refuses_the_rest),
        cmocka_unit_test(tables_are_audited),
        cmocka_unit_test(seeds_decide_everything),
        cmocka_unit_test(an_outbox_is_full_at_its_end),
        cmocka_unit_test(faults_are_prefixed_and_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
