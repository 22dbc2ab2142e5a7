/* The sending machine against an independent receiver over links with faults. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct world world;

static void assert_delivered(const struct world *w) {
    assert_int_equal(w->ota.state, OTA_FINISHING);
    assert_true(receiver_is_complete(&w->device));
    assert_int_equal(w->device.beyond, 0);
    assert_int_equal(ota_progress(&w->ota), w->ota.params.file_bytes);
    assert_int_equal(w->ota.chunks_sent, w->device.count);
}

static void the_table_is_sound(void **state) {
    (void)state;
    assert_null(fsm_audit(&ota_fsm, 0));
    for (int f = 0; f < OTA_FAILURES; f++) {
        assert_non_null(ota_failure_name((enum ota_failure)f));
    }
}

/* All sizes around multiples of the chunk, all resume offsets around them. */
static void fault_free_world_sends_every_chunk_exactly_once(void **state) {
    (void)state;
    static const uint32_t chunks[] = {512, 1024, 1136};
    static const int64_t delays_us[] = {50, 20000, 250000};
    static const uint32_t offsets[] = {0, 1, 511, 512, 513, 777, 5120};
    for (size_t c = 0; c < 3; c++) {
        for (uint32_t multiple = 1; multiple <= 70; multiple = multiple * 2 + 1) {
            for (int slack = -1; slack <= 1; slack++) {
                for (size_t o = 0; o < sizeof offsets / sizeof offsets[0]; o++) {
                    uint32_t bytes = (uint32_t)((int64_t)chunks[c] * multiple + slack);
                    struct ota_params params = {.file_bytes = bytes,
                                                .chunk_bytes = (uint16_t)chunks[c]};
                    struct link link = {.delay_us = delays_us[(multiple + o) % 3]};
                    if (offsets[o] > bytes) {
                        continue;
                    }
                    world_init(&world, 1, &params, offsets[o], 131072 / chunks[c], &link);
                    world_run(&world);
                    assert_delivered(&world);
                    assert_int_equal(world.ota.chunks_resent, 0);
                    assert_int_equal(world.device.duplicates, 0);
                }
            }
        }
    }
}

static void reordering_alone_costs_few_repeats(void **state) {
    (void)state;
    uint64_t sent = 0, resent = 0;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct ota_params params = {.file_bytes = 200000, .chunk_bytes = 512};
        struct link link = {.delay_us = 40000, .jitter_us = 2000};
        world_init(&world, seed, &params, 0, 256, &link);
        world_run(&world);
        assert_delivered(&world);
        sent += world.ota.chunks_sent;
        resent += world.ota.chunks_resent;
    }
    assert_true(resent * 2 < sent);
}

static void every_seed_converges_at_up_to_40_percent_loss(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        struct rng rng;
        rng_seed(&rng, seed);
        static const uint16_t chunks[] = {512, 516, 1024, 1136};
        struct ota_params params = {
            .file_bytes = (uint32_t)rng_between(&rng, 1, 120000),
            .chunk_bytes = chunks[rng_below(&rng, 4)],
            .outstanding_max = (uint16_t)rng_between(&rng, 0, 64),
            .rate_bytes_s = rng_below(&rng, 4) == 0 ? (uint32_t)rng_between(&rng, 4000, 90000) : 0};
        struct link link = {.loss = (unsigned)rng_below(&rng, 41),
                            .duplicate = (unsigned)rng_below(&rng, 20),
                            .delay_us = rng_between(&rng, 50, 400000),
                            .jitter_us = rng_between(&rng, 0, 100000),
                            .rate_bytes_s = rng_below(&rng, 3) == 0 ? 20000 : 0};
        uint32_t window = rng_below(&rng, 5) == 0 ? (uint32_t)rng_between(&rng, 1, 20)
                                                  : 131072U / params.chunk_bytes;
        uint32_t offset = (uint32_t)rng_below(&rng, params.file_bytes + UINT64_C(1));
        world_init(&world, seed, &params, offset, window, &link);
        world_run(&world);
        assert_delivered(&world);
        assert_true(world.now.us < INT64_C(3600) * 1000000);
    }
}

static void last_ack_lost_is_asked_for_again(void **state) {
    (void)state;
    struct ota_params params = {.file_bytes = 10000, .chunk_bytes = 512};
    struct link link = {.delay_us = 10000};
    world_init(&world, 1, &params, 0, 256, &link);
    world.lose_last_acks = true;
    world_run(&world);
    assert_delivered(&world);
    assert_int_equal(world.lost_last, 3);
    assert_true(world.device.duplicates >= 3);
    assert_true(world.ota.chunks_resent <= 6);
}

static void everything_was_there_already(void **state) {
    (void)state;
    struct ota_params params = {.file_bytes = 10000, .chunk_bytes = 512};
    world_init(&world, 1, &params, 10000, 256, &(struct link){0});
    world_run(&world);
    assert_delivered(&world);
    assert_int_equal(world.ota.chunks_sent, 0);
    assert_true(world.ota.is_finish_sent);
    assert_int_equal(world.now.us, 1000);
}

static void silence_ends_the_transfer_well_before_the_device_does(void **state) {
    (void)state;
    struct ota_params params = {.file_bytes = 50000, .chunk_bytes = 512};
    struct link dead = {.loss = 100};
    world_init(&world, 1, &params, 0, 256, &dead);
    world_run(&world);
    assert_int_equal(world.ota.state, OTA_FAILED);
    assert_int_equal(world.ota.failure, OTA_FAILURE_TIMEOUT);
    assert_true(world.now.us > 60 * INT64_C(1000000));
    assert_true(world.now.us < 200 * INT64_C(1000000));
    /* Backed off: neither a flood nor a long sleep. */
    assert_true(world.ota.chunks_sent + world.ota.chunks_resent < 100);
    assert_true(world.ota.chunks_sent + world.ota.chunks_resent > 12);
}

static void never_more_outstanding_than_allowed(void **state) {
    (void)state;
    struct ota_params params = {.file_bytes = 500000, .chunk_bytes = 512};
    struct link link = {.delay_us = 1000};
    world_init(&world, 1, &params, 0, 256, &link);
    assert_true(world.ota.c.cwnd <= 16); /* few at first */
    world_run(&world);
    assert_delivered(&world);
    assert_int_equal(world.flight_max, 32);
    link.delay_us = 40000; /* 20 are on their way while a slow device stores as many */
    world_init(&world, 1, &params, 0, 256, &link);
    world_run(&world);
    assert_delivered(&world);
    assert_int_equal(world.flight_max, 52);
    link.delay_us = 500000; /* most of them are on their way */
    world_init(&world, 1, &params, 0, 256, &link);
    world_run(&world);
    assert_delivered(&world);
    assert_int_equal(world.flight_max, 96);
    params.outstanding_max = 256;
    world_init(&world, 1, &params, 0, 20, &link);
    world_run(&world);
    assert_delivered(&world);
    assert_int_equal(world.flight_max, 20); /* the device's window */
}

static void pacing_holds_the_rate(void **state) {
    (void)state;
    struct ota_params params = {.file_bytes = 200000, .chunk_bytes = 512, .rate_bytes_s = 20000};
    struct link link = {.delay_us = 20000};
    world_init(&world, 1, &params, 0, 256, &link);
    world_run(&world);
    assert_delivered(&world);
    assert_int_equal(world.ota.chunks_resent, 0);
    assert_true(world.now.us > 9800000 && world.now.us < 10500000);
}

static void a_held_chunk_is_not_sent(void **state) {
    (void)state;
    struct ota ota;
    struct ota_output out;
    const struct ota_params params = {.file_bytes = 5000, .chunk_bytes = 512};
    assert_int_equal(ota_begin(&ota, &params, (mono_time){0}), SW_OK);
    ota_accepted(&ota, 256, 0, (mono_time){0});
    for (unsigned n = 0; n < 5; n++) {
        ota_next(&ota, (mono_time){1}, false, &out);
        assert_int_equal(out.action, OTA_HELD);
        assert_true(out.deadline.us < MONO_NEVER.us); /* its patience still ends */
        assert_int_equal(ota.chunks_sent, n);
        ota_next(&ota, (mono_time){1}, true, &out);
        assert_int_equal(out.action, OTA_SEND_CHUNK);
    }
}

static void a_full_queue_is_backed_off_from(void **state) {
    (void)state;
    /* 8 KB/s: 32 chunks of 512 bytes are 2.3 s of queue. Nothing may be repeated for long. */
    struct ota_params params = {.file_bytes = 100000, .chunk_bytes = 512};
    struct link link = {.delay_us = 100000, .rate_bytes_s = 8000, .loss = 2};
    world_init(&world, 3, &params, 0, 256, &link);
    world_run(&world);
    assert_delivered(&world);
    assert_true(world.ota.chunks_resent < world.ota.chunks_sent / 3);
    assert_true(world.now.us < 25 * INT64_C(1000000));
}

/* A distant device on a lossy link of 10 Mbit/s takes 500 KB within 6 s, start and finish (each a
 * confirmable exchange of two round trips) apart. */
static void distant_lossy_device(void **state) {
    (void)state;
    for (uint16_t chunk = 512; chunk <= 1024; chunk = (uint16_t)(chunk * 2)) {
        int64_t total = 0;
        for (uint64_t seed = 1; seed <= 40; seed++) {
            struct ota_params params = {.file_bytes = 500000, .chunk_bytes = chunk};
            struct link link = {.delay_us = 120000, .loss = 5, .rate_bytes_s = 1250000};
            world_init(&world, seed, &params, 0, 131072U / chunk, &link);
            world_run(&world);
            assert_delivered(&world);
            total += world.now.us;
        }
        print_message("500 KB by %u, 240 ms, 5 %% loss: %.2f s on average\n", chunk,
                      (double)total / 40e6);
        assert_true(total / 40 < 5000000);
    }
}

static struct ota begun(uint32_t bytes, uint32_t chunks_sent) {
    struct ota ota;
    struct ota_params params = {.file_bytes = bytes, .chunk_bytes = 512};
    assert_int_equal(ota_begin(&ota, &params, (mono_time){0}), SW_OK);
    ota_accepted(&ota, 256, 0, (mono_time){0});
    for (uint32_t i = 0; i < chunks_sent; i++) {
        struct ota_output out;
        ota_next(&ota, (mono_time){0}, true, &out);
        assert_int_equal(out.action, OTA_SEND_CHUNK);
    }
    return ota;
}

static unsigned sent_now(struct ota *ota, mono_time now) {
    struct ota_output out;
    unsigned count = 0;
    for (ota_next(ota, now, true, &out); out.action == OTA_SEND_CHUNK;
         ota_next(ota, now, true, &out)) {
        count++;
    }
    return count;
}

/* The device acknowledges every second chunk; new ones wait until half the window is free, but not
 * at the file's end, and what is lost does not wait. */
static void new_chunks_leave_together(void **state) {
    (void)state;
    const struct ota_params params = {.file_bytes = 150 * 512, .chunk_bytes = 512};
    mono_time now = {.us = 1000000};
    struct ota ota;
    uint32_t acked = 0;
    assert_int_equal(ota_begin(&ota, &params, now), SW_OK);
    ota_accepted(&ota, 256, 0, now);
    assert_int_equal(sent_now(&ota, now), 16);
    while (acked < 100) { /* until the window is open */
        acked += 2;
        now.us += 1000;
        ota_acked(&ota, acked, span_of(NULL, 0), now);
        unsigned count = sent_now(&ota, now);
        assert_true(count == 0 || count >= 4);
        if (acked > 64) {
            assert_true(count == 0 || count == 16);
        }
    }
    unsigned left = 150 - (ota.next_new - 1);
    assert_true(left > 0 && left < 32);
    while (ota.next_new <= 150) {
        acked += 2;
        ota_acked(&ota, acked, span_of(NULL, 0), now);
        (void)sent_now(&ota, now);
        assert_true(acked < 150);
    }
    /* The first one under way is lost: three that left later are there. */
    const uint8_t bitmap[4] = {0x0e};
    ota_acked(&ota, acked, span_of(bitmap, sizeof bitmap), now);
    assert_int_equal(sent_now(&ota, now), 1);
    assert_int_equal(ota.chunks_resent, 1);
}

static void nonsense_is_never_believed(void **state) {
    (void)state;
    static const struct {
        uint32_t cumulative;
        size_t len;
        uint8_t bitmap[40];
    } lies[] = {
        {7, 0, {0}},                      /* 6 were sent */
        {UINT32_MAX, 0, {0}},             /* would wrap */
        {2, 4, {0x01}},                   /* the first missing one is there */
        {2, 4, {0x10}},                   /* chunk 7 */
        {2, 3, {0x02}},                   /* no whole word */
        {2, 36, {0x02}},                  /* more than the window */
        {UINT32_MAX - 1, 4, {0x02}},      /* would wrap */
        {6, 32, {0, 0, 0, 0, 0, 0, 128}}, /* far beyond */
    };
    struct ota ota = begun(100000, 6);
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        assert_int_equal(ota.state, OTA_SENDING);
        ota_acked(&ota, lies[i].cumulative, span_of(lies[i].bitmap, lies[i].len), (mono_time){5});
        assert_int_equal(ota.cumulative, 0);
        assert_int_equal(ota.c.flight, 6);
    }
    assert_int_equal(ota.state, OTA_FAILED); /* the eighth was too many */
    assert_int_equal(ota.failure, OTA_FAILURE_PROTOCOL);
}

static void an_overtaken_acknowledgement_takes_nothing_back(void **state) {
    (void)state;
    struct ota ota = begun(100000, 8);
    ota_acked(&ota, 6, span_of(NULL, 0), (mono_time){1000});
    ota_acked(&ota, 4, span_of("\x02\0\0\0", 4), (mono_time){1001});
    assert_int_equal(ota.cumulative, 6);
    assert_int_equal(ota.c.flight, 2);
    assert_int_equal(ota.strange, 0);
}

/* One of the transfer before, which was cancelled: it claims chunks that the device does not have.
 */
static void a_late_word_of_an_earlier_transfer_does_not_stall_the_next(void **state) {
    (void)state;
    static const uint32_t counts[] = {100, 190, 700};
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct ota_params params = {.file_bytes = 512 * counts[seed % 3], .chunk_bytes = 512};
        struct link link = {.delay_us = 60000, .jitter_us = 20000, .loss = 20};
        world_init(&world, seed, &params, 0, 256, &link);
        uint32_t cumulative = (uint32_t)(seed % 16);
        struct packet stale = {.at = mono_add_us(world.now, (int64_t)seed * 5000),
                               .is_ack = true,
                               .ack = {.is_sent = true, .cumulative = cumulative, .len = 4}};
        stale.ack.bitmap[0] = (uint8_t)(seed * 37 & 0xfe);
        world.packets[world.count++] = stale;
        world_run(&world);
        assert_int_equal(world.ota.state, OTA_FINISHING);
        assert_true(receiver_is_complete(&world.device));
        assert_int_equal(world.ota.chunks_sent, world.device.count);
        assert_true(world.now.us < 120000000);
    }
}

static void three_later_arrivals_mean_lost_and_two_do_not(void **state) {
    (void)state;
    struct ota ota = begun(100000, 8);
    struct ota_output out;
    ota_acked(&ota, 0, span_of("\x06\0\0\0", 4), (mono_time){1000}); /* 2 and 3 */
    assert_int_equal(ota.c.lost, 0);
    ota_acked(&ota, 0, span_of("\x0e\0\0\0", 4), (mono_time){1000}); /* 4 as well */
    assert_int_equal(ota.c.lost, 1);
    ota_next(&ota, (mono_time){1000}, true, &out);
    assert_int_equal(out.action, OTA_SEND_CHUNK);
    assert_int_equal(out.index, 1);
    assert_int_equal(ota.chunks_resent, 1);
    /* The same news again is no reason to send it once more. */
    ota_acked(&ota, 0, span_of("\x0e\0\0\0", 4), (mono_time){1100});
    assert_int_equal(ota.c.lost, 0);
    /* Nor is one arrival after its repetition: the counting begins anew. */
    do {
        ota_next(&ota, (mono_time){1100}, true, &out);
    } while (out.action == OTA_SEND_CHUNK);
    assert_true(ota.next_new > 9);
    ota_acked(&ota, 0, span_of("\x0e\x01\0\0", 4), (mono_time){1200}); /* 9 */
    assert_int_equal(ota.c.lost, 0);
}

static void losses_halve_the_window_once_per_window(void **state) {
    (void)state;
    struct ota ota = begun(100000, 8);
    ota.c.cwnd = 32;
    ota.c.ssthresh = 32;
    for (uint32_t i = 8; i < 32; i++) {
        struct ota_output out;
        ota_next(&ota, (mono_time){0}, true, &out);
        assert_int_equal(out.action, OTA_SEND_CHUNK);
    }
    /* 1 to 8 are lost, 9 to 32 arrive two by two. */
    uint8_t bitmap[4] = {0};
    for (uint32_t i = 9; i <= 32; i += 2) {
        for (uint32_t bit = i - 1; bit <= i; bit++) {
            bitmap[bit / 8] |= (uint8_t)(1U << bit % 8);
        }
        ota_acked(&ota, 0, span_of(bitmap, 4), (mono_time){50000});
    }
    assert_int_equal(ota.c.lost, 8);
    assert_int_equal(ota.c.cwnd, 16);
}

static void refusals(void **state) {
    (void)state;
    struct ota_params params = {.file_bytes = 1000, .chunk_bytes = 512};
    struct ota ota;
    assert_int_equal(ota_begin(&ota, &params, (mono_time){0}), SW_OK);
    ota_refused(&ota, -1380, (mono_time){1});
    assert_int_equal(ota.failure, OTA_FAILURE_DISABLED);
    assert_int_equal(ota_begin(&ota, &params, (mono_time){0}), SW_OK);
    ota_refused(&ota, -1351, (mono_time){1});
    assert_int_equal(ota.failure, OTA_FAILURE_REFUSED);
    assert_int_equal(ota.device_error, -1351);
    assert_int_equal(ota_begin(&ota, &params, (mono_time){0}), SW_OK);
    ota_accepted(&ota, 0, 0, (mono_time){1});
    assert_int_equal(ota.failure, OTA_FAILURE_PROTOCOL);
    assert_int_equal(ota_begin(&ota, &params, (mono_time){0}), SW_OK);
    ota_accepted(&ota, 256, 1001, (mono_time){1});
    assert_int_equal(ota.failure, OTA_FAILURE_PROTOCOL);
    /* After its end nothing moves it. */
    ota_accepted(&ota, 256, 0, (mono_time){2});
    ota_acked(&ota, 1, span_of(NULL, 0), (mono_time){2});
    ota_finished(&ota, (mono_time){2});
    ota_aborted(&ota, OTA_FAILURE_TIMEOUT, (mono_time){2});
    assert_int_equal(ota.failure, OTA_FAILURE_PROTOCOL);
}

static void a_result_before_update_finish_is_not_believed(void **state) {
    (void)state;
    struct ota ota = begun(512, 1);
    struct ota_output out;
    ota_finished(&ota, (mono_time){1});
    assert_int_equal(ota.state, OTA_SENDING);
    ota_acked(&ota, 1, span_of(NULL, 0), (mono_time){1});
    ota_finished(&ota, (mono_time){1});
    assert_int_equal(ota.state, OTA_FINISHING);
    ota_next(&ota, (mono_time){1}, true, &out);
    assert_int_equal(out.action, OTA_SEND_FINISH);
    ota_next(&ota, (mono_time){1}, true, &out);
    assert_int_equal(out.action, OTA_WAIT); /* once */
    ota_finished(&ota, (mono_time){1});
    assert_int_equal(ota.state, OTA_COMMITTED);
    ota_next(&ota, (mono_time){1}, true, &out);
    assert_int_equal(out.action, OTA_ENDED);
}

static void parameters_are_checked(void **state) {
    (void)state;
    static const struct ota_params bad[] = {
        {.file_bytes = 0, .chunk_bytes = 512},
        {.file_bytes = 1, .chunk_bytes = 508},
        {.file_bytes = 1, .chunk_bytes = 514},
        {.file_bytes = 1, .chunk_bytes = 1140},
        {.file_bytes = 1, .chunk_bytes = 512, .rate_bytes_s = 1},
    };
    struct ota ota;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(ota_begin(&ota, &bad[i], (mono_time){0}), SW_E_RANGE);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(fault_free_world_sends_every_chunk_exactly_once),
        cmocka_unit_test(reordering_alone_costs_few_repeats),
        cmocka_unit_test(every_seed_converges_at_up_to_40_percent_loss),
        cmocka_unit_test(last_ack_lost_is_asked_for_again),
        cmocka_unit_test(everything_was_there_already),
        cmocka_unit_test(silence_ends_the_transfer_well_before_the_device_does),
        cmocka_unit_test(never_more_outstanding_than_allowed),
        cmocka_unit_test(pacing_holds_the_rate),
        cmocka_unit_test(a_held_chunk_is_not_sent),
        cmocka_unit_test(a_full_queue_is_backed_off_from),
        cmocka_unit_test(distant_lossy_device),
        cmocka_unit_test(new_chunks_leave_together),
        cmocka_unit_test(nonsense_is_never_believed),
        cmocka_unit_test(an_overtaken_acknowledgement_takes_nothing_back),
        cmocka_unit_test(a_late_word_of_an_earlier_transfer_does_not_stall_the_next),
        cmocka_unit_test(three_later_arrivals_mean_lost_and_two_do_not),
        cmocka_unit_test(losses_halve_the_window_once_per_window),
        cmocka_unit_test(refusals),
        cmocka_unit_test(a_result_before_update_finish_is_not_believed),
        cmocka_unit_test(parameters_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
