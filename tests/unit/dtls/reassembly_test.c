#include "dtls/reassembly.h"
#include "slipway/util/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static uint8_t text[4096];

static struct fragment piece(uint16_t seq, size_t message_len, size_t offset, size_t len) {
    return (struct fragment){.type = (uint8_t)(seq % 20),
                             .message_len = (uint32_t)message_len,
                             .message_seq = seq,
                             .offset = (uint32_t)offset,
                             .bytes = span_of(text + seq * 7 + offset, len)};
}

static int set_up(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (uint8_t)(i * 31 + i / 256);
    }
    return 0;
}

static void expect_message(const struct reassembly *r, uint16_t seq, size_t len) {
    uint8_t type;
    struct span body;
    assert_true(reassembly_peek(r, &type, &body));
    assert_int_equal(type, seq % 20);
    assert_true(span_equal(body, span_of(text + seq * 7, len)));
}

static void overlapping_pieces_in_any_order_make_the_message(void **state) {
    (void)state;
    struct reassembly r;
    uint8_t type;
    struct span body;
    for (unsigned seed = 0; seed < 300; seed++) {
        struct rng rng;
        rng_seed(&rng, seed);
        reassembly_init(&r, 3);
        size_t lens[REASSEMBLY_SLOTS], missing = REASSEMBLY_SLOTS;
        for (size_t i = 0; i < REASSEMBLY_SLOTS; i++) {
            lens[i] = rng_below(&rng, 400);
        }
        uint16_t next = 3;
        for (unsigned tries = 0; missing > 0; tries++) {
            assert_true(tries < 400000);
            size_t i = rng_below(&rng, REASSEMBLY_SLOTS);
            size_t offset = rng_below(&rng, lens[i] + 1);
            size_t len = rng_below(&rng, lens[i] - offset + 1);
            struct fragment f = piece((uint16_t)(3 + i), lens[i], offset, len);
            enum reassembly_result result = reassembly_add(&r, &f);
            assert_int_equal(result, 3 + i < next ? REASSEMBLY_OLD : REASSEMBLY_KEPT);
            while (missing > 0 && reassembly_peek(&r, &type, &body)) {
                expect_message(&r, next, lens[next - 3]);
                reassembly_taken(&r);
                next++;
                missing--;
            }
        }
        assert_int_equal(r.used, 0);
    }
}

static void what_contradicts_is_dropped(void **state) {
    (void)state;
    struct reassembly r;
    reassembly_init(&r, 0);
    struct fragment f = piece(0, 50, 0, 20);
    assert_int_equal(reassembly_add(&r, &f), REASSEMBLY_KEPT);
    f = piece(0, 51, 20, 31);
    assert_int_equal(reassembly_add(&r, &f), REASSEMBLY_DROPPED);
    f = piece(0, 50, 20, 30);
    f.type++;
    assert_int_equal(reassembly_add(&r, &f), REASSEMBLY_DROPPED);
    f = piece(REASSEMBLY_SLOTS, 10, 0, 10);
    assert_int_equal(reassembly_add(&r, &f), REASSEMBLY_DROPPED);
    f = piece(0, 50, 20, 30);
    assert_int_equal(reassembly_add(&r, &f), REASSEMBLY_KEPT);
    expect_message(&r, 0, 50);
    /* What came first stays. */
    uint8_t other[50] = {0};
    f.offset = 0;
    f.bytes = span_of(other, 50);
    assert_int_equal(reassembly_add(&r, &f), REASSEMBLY_KEPT);
    expect_message(&r, 0, 50);
}

static void the_message_that_is_due_always_finds_room(void **state) {
    (void)state;
    struct reassembly r;
    reassembly_init(&r, 0);
    for (uint16_t seq = 1; seq < REASSEMBLY_SLOTS; seq++) {
        struct fragment f = piece(seq, 900, 0, 10);
        enum reassembly_result result = reassembly_add(&r, &f);
        assert_int_equal(result, seq <= 3 ? REASSEMBLY_KEPT : REASSEMBLY_DROPPED);
    }
    size_t longest = REASSEMBLY_BYTES * 8 / 9;
    struct fragment f = piece(0, longest, 0, longest);
    assert_int_equal(reassembly_add(&r, &f), REASSEMBLY_KEPT);
    expect_message(&r, 0, longest);
    reassembly_init(&r, 0);
    f = piece(0, longest + 1, 0, 1);
    assert_int_equal(reassembly_add(&r, &f), REASSEMBLY_TOO_LARGE);
    f = piece(1, 0xffffff, 0, 1);
    assert_int_equal(reassembly_add(&r, &f), REASSEMBLY_DROPPED);
    assert_int_equal(r.used, 0);
}

static void empty_messages_are_whole(void **state) {
    (void)state;
    struct reassembly r;
    reassembly_init(&r, 4);
    struct fragment f = piece(4, 0, 0, 0);
    assert_int_equal(reassembly_add(&r, &f), REASSEMBLY_KEPT);
    expect_message(&r, 4, 0);
    reassembly_taken(&r);
    assert_int_equal(reassembly_add(&r, &f), REASSEMBLY_OLD);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overlapping_pieces_in_any_order_make_the_message),
        cmocka_unit_test(what_contradicts_is_dropped),
        cmocka_unit_test(the_message_that_is_due_always_finds_room),
        cmocka_unit_test(empty_messages_are_whole),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
