/* The legacy sending machine: its pace, its rounds of missing chunks, its ends. */
#include "slipway/ota/legacy.h"
#include "slipway/util/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct ota_legacy begun(uint32_t bytes) {
    struct ota_legacy ota;
    struct ota_params params = {.file_bytes = bytes, .chunk_bytes = 512};
    assert_int_equal(ota_legacy_begin(&ota, &params, (mono_time){0}), SW_OK);
    ota_legacy_ready(&ota, true, (mono_time){0});
    assert_int_equal(ota.state, OTA_SENDING);
    return ota;
}

static void the_table_is_sound(void **state) {
    (void)state;
    assert_null(fsm_audit(&ota_legacy_fsm, 0));
}

/* Over links that lose up to 40 %: every round asks for what is missing, at most 40 at a time. */
static void every_seed_converges(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct rng rng;
        rng_seed(&rng, seed);
        static bool has[OTA_LEGACY_CHUNKS_MAX];
        memset(has, 0, sizeof has);
        uint64_t loss = rng_below(&rng, 41);
        struct ota_legacy ota = begun((uint32_t)rng_between(&rng, 1, 150000));
        mono_time now = {0};
        while (ota.state != OTA_COMMITTED) {
            struct ota_output out;
            ota_legacy_next(&ota, now, true, &out);
            if (out.action == OTA_WAIT) {
                assert_true(out.deadline.us > now.us);
                now = out.deadline;
            } else if (out.action == OTA_SEND_CHUNK) {
                assert_true(out.index < ota.chunk_count);
                assert_int_equal(out.at, out.index * 512);
                assert_true(out.at + out.len <= ota.params.file_bytes);
                has[out.index] |= rng_below(&rng, 100) >= loss;
            } else {
                assert_int_equal(out.action, OTA_SEND_FINISH);
                uint8_t missing[2 * OTA_LEGACY_MISSING_MAX];
                size_t len = 0;
                for (uint32_t i = 0; i < ota.chunk_count && len < sizeof missing; i++) {
                    if (!has[i]) {
                        missing[len++] = (uint8_t)(i >> 8);
                        missing[len++] = (uint8_t)i;
                    }
                }
                if (len == 0) {
                    ota_legacy_finished(&ota, 0, now);
                } else {
                    ota_legacy_missing(&ota, span_of(missing, len), now);
                }
            }
        }
        assert_int_equal(ota.chunks_sent, ota.chunk_count);
        assert_true(loss > 0 || ota.chunks_resent == 0);
        assert_int_equal(ota_legacy_progress(&ota), ota.params.file_bytes);
    }
}

static void run_to_finish(struct ota_legacy *ota, mono_time *now) {
    struct ota_output out;
    do {
        ota_legacy_next(ota, *now, true, &out);
        *now = out.action == OTA_WAIT ? out.deadline : *now;
    } while (out.action != OTA_SEND_FINISH);
}

static void nonsense_in_the_list_is_left_out(void **state) {
    (void)state;
    struct ota_legacy ota = begun(5120);
    mono_time now = {0};
    struct ota_output out;
    ota_legacy_missing(&ota, span_of("\0\1", 2), now); /* nobody asked yet */
    assert_int_equal(ota.state, OTA_SENDING);
    assert_int_equal(ota.missing_count, 0);
    run_to_finish(&ota, &now);
    ota_legacy_missing(&ota, span_of("\0\x09\0\x0a\xff\xff\0", 7), now); /* 9; 10, 65535; half */
    assert_int_equal(ota.missing_count, 1);
    do {
        ota_legacy_next(&ota, now, true, &out);
        now = out.action == OTA_WAIT ? out.deadline : now;
    } while (out.action == OTA_WAIT);
    assert_int_equal(out.index, 9);
    run_to_finish(&ota, &now);
    ota_legacy_missing(&ota, span_of("\0\x0a", 2), now); /* nothing of it exists */
    assert_int_equal(ota.failure, OTA_FAILURE_PROTOCOL);
}

static void a_device_that_is_never_content_is_given_up(void **state) {
    (void)state;
    struct ota_legacy ota = begun(5120);
    mono_time now = {0};
    for (unsigned round = 0; round < 5000 && ota.state != OTA_FAILED; round++) {
        run_to_finish(&ota, &now);
        ota_legacy_missing(&ota, span_of("\0\1", 2), now);
    }
    assert_int_equal(ota.failure, OTA_FAILURE_PROTOCOL);
}

static struct ota_legacy begun_slow(uint32_t bytes) {
    struct ota_legacy ota;
    struct ota_params params = {.file_bytes = bytes, .chunk_bytes = 512, .rate_bytes_s = 1000000};
    assert_int_equal(ota_legacy_begin(&ota, &params, (mono_time){0}), SW_OK);
    ota_legacy_ready(&ota, false, (mono_time){0});
    assert_int_equal(ota.state, OTA_SENDING);
    return ota;
}

static enum ota_action next_slow(struct ota_legacy *ota, mono_time *now, struct ota_output *out) {
    *now = mono_add_ms(*now, 240);
    ota_legacy_next(ota, *now, true, out);
    return out->action;
}

static void slow_mode_is_one_chunk_at_a_time(void **state) {
    (void)state;
    struct ota_legacy ota = begun_slow(5 * 512 - 7);
    struct ota_output out;
    mono_time now = {0};
    for (uint32_t index = 0; index < 5; index++) {
        assert_int_equal(next_slow(&ota, &now, &out), OTA_SEND_CHUNK);
        assert_int_equal(out.index, index);
        assert_int_equal(out.at, index * 512);
        assert_int_equal(out.len, index < 4 ? 512 : 505);
        assert_int_equal(ota_legacy_progress(&ota), index * 512); /* of it, nothing is certain */
        assert_int_equal(next_slow(&ota, &now, &out), OTA_WAIT);
        ota_legacy_answered(&ota, true, now);
        ota_legacy_answered(&ota, true, now); /* a second answer to the same one */
    }
    assert_int_equal(ota_legacy_progress(&ota), 5 * 512 - 7);
    assert_int_equal(next_slow(&ota, &now, &out), OTA_SEND_FINISH);
    ota_legacy_finished(&ota, 0, now);
    assert_int_equal(ota.state, OTA_COMMITTED);
    assert_int_equal(ota.chunks_sent, 5);
    assert_int_equal(ota.chunks_resent, 0);
}

static void slow_mode_repeats_a_damaged_chunk(void **state) {
    (void)state;
    struct ota_legacy ota = begun_slow(1024);
    struct ota_output out;
    mono_time now = {0};
    assert_int_equal(next_slow(&ota, &now, &out), OTA_SEND_CHUNK);
    ota_legacy_answered(&ota, false, now);
    assert_int_equal(next_slow(&ota, &now, &out), OTA_SEND_CHUNK);
    assert_int_equal(out.index, 0);
    ota_legacy_answered(&ota, true, now);
    assert_int_equal(ota.chunks_sent, 1);
    assert_int_equal(ota.chunks_resent, 1);
    for (unsigned tries = 0; ota.state == OTA_SENDING; tries++) {
        assert_true(tries < 20);
        assert_int_equal(next_slow(&ota, &now, &out), OTA_SEND_CHUNK);
        assert_int_equal(out.index, 1);
        ota_legacy_answered(&ota, false, now);
    }
    assert_int_equal(ota.failure, OTA_FAILURE_PROTOCOL);
}

static void slow_mode_ends(void **state) {
    (void)state;
    struct ota_legacy ota = begun_slow(1024);
    struct ota_output out;
    mono_time now = {0};
    ota_legacy_refused(&ota, -5, now); /* an answer to nothing */
    assert_int_equal(ota.state, OTA_SENDING);
    assert_int_equal(next_slow(&ota, &now, &out), OTA_SEND_CHUNK);
    ota_legacy_refused(&ota, -5, now);
    assert_int_equal(ota.failure, OTA_FAILURE_REFUSED);
    assert_int_equal(ota.device_error, -5);
    ota = begun_slow(1024);
    assert_int_equal(next_slow(&ota, &now, &out), OTA_SEND_CHUNK);
    ota_legacy_next(&ota, mono_add_ms(now, 200000), true, &out); /* the device has reset itself */
    assert_int_equal(ota.failure, OTA_FAILURE_TIMEOUT);
    ota = begun_slow(512);
    assert_int_equal(next_slow(&ota, &now, &out), OTA_SEND_CHUNK);
    ota_legacy_answered(&ota, true, now);
    assert_int_equal(next_slow(&ota, &now, &out), OTA_SEND_FINISH);
    ota_legacy_missing(&ota, span_of("\0\0", 2), now); /* chunks have no numbers in this form */
    assert_int_equal(ota.failure, OTA_FAILURE_PROTOCOL);
}

static void a_held_chunk_is_not_sent(void **state) {
    (void)state;
    struct ota_legacy fast = begun(1024), slow = begun_slow(1024);
    struct ota_output out;
    ota_legacy_next(&fast, (mono_time){1}, false, &out);
    assert_int_equal(out.action, OTA_HELD);
    assert_int_equal(fast.chunks_sent, 0);
    ota_legacy_next(&fast, (mono_time){1}, true, &out);
    assert_int_equal(out.action, OTA_SEND_CHUNK);
    ota_legacy_next(&slow, (mono_time){1}, false, &out);
    assert_int_equal(out.action, OTA_HELD);
    ota_legacy_next(&slow, (mono_time){1}, true, &out);
    assert_int_equal(out.action, OTA_SEND_CHUNK);
}

static void ends(void **state) {
    (void)state;
    struct ota_params params = {.file_bytes = 1000, .chunk_bytes = 512};
    struct ota_legacy ota;
    struct ota_output out;
    mono_time now = {0};
    assert_int_equal(ota_legacy_begin(&ota, &params, now), SW_OK);
    ota_legacy_refused(&ota, -1380, now);
    assert_int_equal(ota.failure, OTA_FAILURE_DISABLED);
    assert_int_equal(ota_legacy_begin(&ota, &params, now), SW_OK);
    ota_legacy_refused(&ota, 0, now);
    assert_int_equal(ota.failure, OTA_FAILURE_REFUSED);
    assert_int_equal(ota_legacy_begin(&ota, &params, now), SW_OK);
    ota_legacy_next(&ota, now, true, &out);
    assert_int_equal(out.action, OTA_WAIT);
    ota_legacy_next(&ota, out.deadline, true, &out);
    assert_int_equal(out.action, OTA_ENDED);
    assert_int_equal(ota.failure, OTA_FAILURE_TIMEOUT);
    ota = begun(1000);
    ota_legacy_finished(&ota, 0, now); /* before UpdateDone: not believed */
    assert_int_equal(ota.state, OTA_SENDING);
    run_to_finish(&ota, &now);
    ota_legacy_finished(&ota, -7, now);
    assert_int_equal(ota.failure, OTA_FAILURE_REJECTED);
    assert_int_equal(ota.device_error, -7);
    params.chunk_bytes = 500;
    assert_int_equal(ota_legacy_begin(&ota, &params, now), SW_E_RANGE);
    params.chunk_bytes = 512;
    params.file_bytes = 512 * OTA_LEGACY_CHUNKS_MAX + 1U;
    assert_int_equal(ota_legacy_begin(&ota, &params, now), SW_E_RANGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(every_seed_converges),
        cmocka_unit_test(nonsense_in_the_list_is_left_out),
        cmocka_unit_test(a_device_that_is_never_content_is_given_up),
        cmocka_unit_test(slow_mode_is_one_chunk_at_a_time),
        cmocka_unit_test(slow_mode_repeats_a_damaged_chunk),
        cmocka_unit_test(slow_mode_ends),
        cmocka_unit_test(a_held_chunk_is_not_sent),
        cmocka_unit_test(ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
