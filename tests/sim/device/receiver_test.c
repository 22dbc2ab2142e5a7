#include "sim/receiver.h"
#include "slipway/util/check.h"
#include "slipway/util/rng.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define FILE_BYTES 300000

static uint8_t file[FILE_BYTES], memory[FILE_BYTES];
static const mono_time start = {.us = 1000000};

static void open_receiver(struct receiver *receiver, struct sim_flash *flash, uint32_t file_bytes,
                          uint32_t chunk_bytes) {
    struct receiver_request request = {
        .file_bytes = file_bytes, .chunk_bytes = chunk_bytes, .has_hash = true};
    *receiver = (struct receiver){0};
    *flash = (struct sim_flash){.data = memory, .cap = sizeof memory};
    memset(memory, 0, sizeof memory);
    assert_int_equal(receiver_check(&request), 0);
    assert_int_equal(receiver_start(receiver, flash, &request, start), 0);
}

static enum receiver_verdict give(struct receiver *receiver, struct sim_flash *flash,
                                  uint32_t index, mono_time now) {
    size_t at = receiver->offset + (size_t)(index - 1) * receiver->chunk_bytes;
    size_t left = receiver->file_bytes - at;
    size_t len = left < receiver->chunk_bytes ? left : receiver->chunk_bytes;
    return receiver_chunk(receiver, flash, index, span_of(file + at, len), now);
}

static void test_options(void **state) {
    (void)state;
    static const struct {
        uint32_t file_bytes, chunk_bytes;
        int error;
    } cases[] = {{1000, 512, 0},    {1000, 1136, 0},   {1, 516, 0},        {0, 512, -240},
                 {1000, 508, -240}, {1000, 514, -240}, {1000, 1140, -240}, {1000, 0, -240}};
    for (size_t i = 0; i < SW_COUNT(cases); i++) {
        struct receiver_request request = {.file_bytes = cases[i].file_bytes,
                                           .chunk_bytes = cases[i].chunk_bytes};
        assert_int_equal(receiver_check(&request), cases[i].error);
    }
    struct receiver receiver = {0};
    struct sim_flash flash = {.data = memory, .cap = 999};
    struct receiver_request large = {.file_bytes = 1000, .chunk_bytes = 512};
    assert_int_equal(receiver_start(&receiver, &flash, &large, start), SIM_ERROR_SIZE);
    assert_false(receiver.is_running);
}

static void test_acknowledges_every_second_chunk(void **state) {
    (void)state;
    struct receiver receiver;
    struct sim_flash flash;
    uint8_t bitmap[RECEIVER_BITMAP_BYTES];
    open_receiver(&receiver, &flash, 512 * 5, 512);
    assert_int_equal(give(&receiver, &flash, 1, start), RECEIVER_NOTHING);
    assert_int_equal(give(&receiver, &flash, 2, start), RECEIVER_ACK);
    assert_int_equal(receiver_ack(&receiver, bitmap), 0);
    assert_int_equal(receiver.cumulative, 2);
    assert_int_equal(give(&receiver, &flash, 3, start), RECEIVER_NOTHING);
    assert_false(receiver_ack_due(&receiver, mono_add_ms(start, 199)));
    assert_true(receiver_ack_due(&receiver, mono_add_ms(start, 200)));
    (void)receiver_ack(&receiver, bitmap);
    assert_int_equal(give(&receiver, &flash, 4, mono_add_ms(start, 300)), RECEIVER_ACK);
    (void)receiver_ack(&receiver, bitmap);
    assert_int_equal(give(&receiver, &flash, 5, mono_add_ms(start, 301)), RECEIVER_ACK);
    assert_true(receiver_is_complete(&receiver));
}

static void test_the_bitmap_is_the_documented_one(void **state) {
    (void)state;
    struct receiver receiver;
    struct sim_flash flash;
    uint8_t bitmap[RECEIVER_BITMAP_BYTES];
    open_receiver(&receiver, &flash, 512 * 300, 512);
    assert_int_equal(give(&receiver, &flash, 2, start), RECEIVER_ACK);
    assert_int_equal(give(&receiver, &flash, 3, start), RECEIVER_ACK);
    assert_int_equal(receiver_ack(&receiver, bitmap), 4);
    assert_memory_equal(bitmap, "\x06\0\0\0", 4);
    assert_int_equal(give(&receiver, &flash, 256, start), RECEIVER_ACK); /* the window's last */
    assert_int_equal(receiver_ack(&receiver, bitmap), 32);
    assert_int_equal(bitmap[31], 0x80);
    assert_int_equal(give(&receiver, &flash, 257, start), RECEIVER_ACK); /* beyond: not taken */
    assert_int_equal(receiver.ahead, 3);
    assert_int_equal(give(&receiver, &flash, 1, start), RECEIVER_ACK); /* closes the gap */
    assert_int_equal(receiver.cumulative, 3);
    assert_int_equal(receiver_ack(&receiver, bitmap), 32);
    assert_int_equal(bitmap[31], 0x10);
    assert_int_equal(give(&receiver, &flash, 2, start), RECEIVER_ACK); /* a duplicate */
    assert_int_equal(receiver.duplicates, 1);
}

static void test_impossible_chunks(void **state) {
    (void)state;
    struct receiver receiver;
    struct sim_flash flash;
    open_receiver(&receiver, &flash, 1000, 512);
    assert_int_equal(receiver_chunk(&receiver, &flash, 0, span_of(file, 512), start),
                     RECEIVER_RESET);
    assert_int_equal(receiver_chunk(&receiver, &flash, 3, span_of(file, 512), start),
                     RECEIVER_RESET);
    assert_int_equal(receiver_chunk(&receiver, &flash, 1, span_of(file, 511), start),
                     RECEIVER_RESET);
    assert_int_equal(receiver_chunk(&receiver, &flash, 2, span_of(file, 512), start),
                     RECEIVER_RESET);
    assert_int_equal(receiver_chunk(&receiver, &flash, 2, span_of(file, 488), start), RECEIVER_ACK);
}

static void test_any_order_with_loss_and_breaks_gives_the_file(void **state) {
    (void)state;
    struct rng rng;
    rng_seed(&rng, 4);
    rng_fill(&rng, file, sizeof file);
    for (int round = 0; round < 30; round++) {
        struct receiver receiver;
        struct sim_flash flash;
        uint32_t chunk_bytes = (uint32_t)(512 + 4 * rng_below(&rng, 157));
        open_receiver(&receiver, &flash, FILE_BYTES - (uint32_t)rng_below(&rng, 1000), chunk_bytes);
        struct receiver_request again = {.file_bytes = receiver.file_bytes, .has_hash = true};
        while (!receiver_is_complete(&receiver)) {
            if (rng_below(&rng, 500) == 0) { /* a break: it goes on where it was */
                again.chunk_bytes = (uint32_t)(512 + 4 * rng_below(&rng, 157));
                uint32_t before = receiver_bytes(&receiver);
                assert_int_equal(receiver_start(&receiver, &flash, &again, start), 0);
                assert_int_equal(receiver.offset, before);
                continue;
            }
            uint64_t span = receiver.chunk_count - receiver.cumulative;
            uint32_t index =
                receiver.cumulative + 1 + (uint32_t)rng_below(&rng, span < 40 ? span : 40);
            assert_int_not_equal(give(&receiver, &flash, index, start), RECEIVER_RESET);
        }
        assert_memory_equal(memory, file, receiver.file_bytes);
    }
}

static void test_silence(void **state) {
    (void)state;
    struct receiver receiver;
    struct sim_flash flash;
    open_receiver(&receiver, &flash, 5000, 512);
    assert_false(receiver_is_silent(&receiver, mono_add_ms(start, 299999)));
    assert_true(receiver_is_silent(&receiver, mono_add_ms(start, 300000)));
    receiver_stop(&receiver, &flash, false);
    assert_int_equal(receiver_deadline(&receiver).us, MONO_NEVER.us);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_acknowledges_every_second_chunk),
        cmocka_unit_test(test_the_bitmap_is_the_documented_one),
        cmocka_unit_test(test_impossible_chunks),
        cmocka_unit_test(test_any_order_with_loss_and_breaks_gives_the_file),
        cmocka_unit_test(test_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
