#include "gateway/table/index.h"
#include "slipway/util/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>

#include <cmocka.h>

#define SLOTS 5000U

static bool has(const struct index *index, uint32_t hash, uint32_t slot) {
    struct index_cursor cursor;
    for (uint32_t n = index_first(index, hash, &cursor); n != INDEX_NONE;
         n = index_next(index, hash, &cursor)) {
        if (n == slot) {
            return true;
        }
    }
    return false;
}

/* Random additions and removals against a plain array, through many changes of size. */
static void agrees_with_a_plain_array(void **state) {
    (void)state;
    struct index index;
    struct rng rng;
    uint32_t *hashes = calloc(SLOTS, sizeof *hashes);
    bool *present = calloc(SLOTS, sizeof *present);
    uint32_t count = 0;
    index_init(&index);
    rng_seed(&rng, 7);
    for (unsigned step = 0; step < 200000; step++) {
        uint32_t slot = (uint32_t)rng_below(&rng, SLOTS);
        /* Waves: mostly added, then mostly removed. */
        bool add = rng_below(&rng, 100) < ((step / 20000) % 2 == 0 ? 90U : 10U);
        if (add && !present[slot]) {
            hashes[slot] = (uint32_t)rng_next(&rng) & (slot % 3 == 0 ? 0xfU : UINT32_MAX);
            assert_int_equal(index_add(&index, hashes[slot], slot), SW_OK);
            present[slot] = true;
            count++;
        } else if (!add && present[slot]) {
            index_remove(&index, hashes[slot], slot);
            present[slot] = false;
            count--;
        }
        uint32_t other = (uint32_t)rng_below(&rng, SLOTS);
        assert_int_equal(has(&index, hashes[other], other), present[other]);
        assert_int_equal(index_count(&index), count);
    }
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        assert_int_equal(has(&index, hashes[slot], slot), present[slot]);
    }
    index_close(&index);
    free(hashes);
    free(present);
}

/* No single addition may move a whole table. */
static void grows_in_small_steps(void **state) {
    (void)state;
    struct index index;
    index_init(&index);
    for (uint32_t n = 0; n < 300000; n++) {
        uint32_t before = index.old.live;
        assert_int_equal(index_add(&index, n * 2654435761U, n), SW_OK);
        if (before > 0) {
            assert_true(before - index.old.live <= 16);
        }
    }
    assert_int_equal(index_count(&index), 300000);
    for (uint32_t n = 0; n < 300000; n++) {
        index_remove(&index, n * 2654435761U, n);
    }
    assert_int_equal(index_count(&index), 0);
    assert_true(index.young.mask < 1024);
    index_close(&index);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_a_plain_array),
        cmocka_unit_test(grows_in_small_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
