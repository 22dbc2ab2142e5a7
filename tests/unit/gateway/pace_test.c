/* The rate that all transfers share: kept to the byte, shared equally, and lent to who needs it. */
#include "taker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define TAKERS 10
#define IMAGE  200000
#define SLACK  8192 /* a quantum, a burst, and what is rounded to chunks */

static struct rig rig;
static struct taker takers[TAKERS];

static void open_all(const struct gateway_config *config, size_t count) {
    rig_open(&rig, config);
    rig_release(&rig, 7, IMAGE, false);
    for (size_t n = 0; n < count; n++) {
        taker_open(&takers[n], &rig, (unsigned)n);
    }
}

static void close_all(size_t count) {
    for (size_t n = 0; n < count; n++) {
        taker_close(&takers[n]);
    }
    rig_close(&rig);
}

static uint64_t total(size_t count) {
    uint64_t bytes = 0;
    for (size_t n = 0; n < count; n++) {
        bytes += takers[n].bytes;
    }
    return bytes;
}

static const struct gateway_config limited = {
    .half_open_max = 8, .sessions_max = 64, .active_max = 64, .rate_total_bytes_s = 100000};

static void the_total_rate_is_kept_and_shared_equally(void **state) {
    (void)state;
    open_all(&limited, TAKERS);
    takers_run(takers, TAKERS, &rig, 1); /* the offers */
    uint64_t before = total(TAKERS);
    for (unsigned s = 1; s <= 10; s++) {
        takers_run(takers, TAKERS, &rig, 1000);
        uint64_t sent = total(TAKERS) - before;
        assert_in_range(sent, s * 100000 - SLACK, s * 100000 + SLACK);
        for (size_t n = 0; n < TAKERS; n++) {
            assert_in_range(takers[n].bytes, s * 10000 - SLACK, s * 10000 + SLACK);
        }
    }
    takers_run(takers, TAKERS, &rig, 15000);
    for (size_t n = 0; n < TAKERS; n++) {
        assert_true(takers[n].is_committed);
        assert_int_equal(takers[n].bytes, takers[n].file_bytes); /* nothing twice */
    }
    close_all(TAKERS);
}

static void a_lone_transfer_has_the_whole_rate(void **state) {
    (void)state;
    open_all(&limited, 1);
    takers_run(takers, 1, &rig, 1000);
    assert_in_range(takers[0].bytes, 100000 - SLACK, 100000 + SLACK);
    close_all(1);
}

static void what_one_leaves_the_others_take(void **state) {
    (void)state;
    open_all(&limited, 4);
    takers[0].is_mute = true; /* it is offered the update, and never answers */
    takers_run(takers, 4, &rig, 3000);
    assert_int_equal(takers[0].bytes, 0);
    for (size_t n = 1; n < 4; n++) {
        assert_in_range(takers[n].bytes, 100000 - SLACK, 100000 + SLACK);
    }
    close_all(4);
}

static void the_rate_of_one_device_still_holds(void **state) {
    (void)state;
    struct gateway_config config = limited;
    config.rate_device_bytes_s = 20000;
    open_all(&config, 2);
    takers_run(takers, 2, &rig, 5000);
    for (size_t n = 0; n < 2; n++) {
        assert_in_range(takers[n].bytes, 100000 - SLACK, 100000 + SLACK);
    }
    close_all(2);
}

static void a_small_rate_is_for_few_at_a_time(void **state) {
    (void)state;
    struct gateway_config config = limited;
    struct gateway_sizes sizes;
    config.rate_total_bytes_s = 700; /* two shares of what keeps a transfer alive */
    open_all(&config, 4);
    takers_run(takers, 4, &rig, 60000);
    gateway_sizes(rig.gw, &sizes);
    assert_int_equal(sizes.transfers, 2);
    assert_in_range(total(4), 60 * 700 - SLACK, 60 * 700 + SLACK);
    takers_run(takers, 4, &rig, 600000);
    assert_int_equal(gateway_counters(rig.gw)->transfers_failed, 0);
    close_all(4);
}

static void the_rate_can_change_under_way(void **state) {
    (void)state;
    struct gateway_config config = limited;
    config.rate_device_bytes_s = 30000;
    config.rate_total_bytes_s = 0;
    open_all(&config, 4);
    takers_run(takers, 4, &rig, 1000);
    uint64_t before = total(4);
    assert_in_range(before, 4 * 30000 - SLACK, 4 * 30000 + SLACK);
    config.rate_total_bytes_s = 40000;
    gateway_configure(rig.gw, &config);
    takers_run(takers, 4, &rig, 2000);
    assert_in_range(total(4) - before, 80000 - SLACK, 80000 + SLACK);
    before = total(4);
    config.rate_total_bytes_s = 0;
    gateway_configure(rig.gw, &config);
    takers_run(takers, 4, &rig, 1000);
    assert_in_range(total(4) - before, 4 * 30000 - SLACK, 4 * 30000 + SLACK);
    close_all(4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_total_rate_is_kept_and_shared_equally),
        cmocka_unit_test(a_lone_transfer_has_the_whole_rate),
        cmocka_unit_test(what_one_leaves_the_others_take),
        cmocka_unit_test(the_rate_of_one_device_still_holds),
        cmocka_unit_test(a_small_rate_is_for_few_at_a_time),
        cmocka_unit_test(the_rate_can_change_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
