#include "gateway/table/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void numbers_are_dense_items_zeroed_and_memory_returned(void **state) {
    (void)state;
    struct pool pool;
    pool_init(&pool, 48, 1000);
    for (uint32_t n = 0; n < 1000; n++) {
        assert_int_equal(pool_take(&pool), n);
        memset(pool_item(&pool, n), 0xff, 48);
    }
    assert_int_equal(pool_take(&pool), POOL_NONE);
    pool_give(&pool, 500);
    assert_null(pool_item(&pool, 500));
    assert_int_equal(pool_next(&pool, 500), 501);
    assert_int_equal(pool_take(&pool), 500);
    static const uint8_t zeroes[48];
    assert_memory_equal(pool_item(&pool, 500), zeroes, 48);
    for (uint32_t n = 100; n < 1000; n++) {
        pool_give(&pool, n);
    }
    unsigned with_memory = 0;
    for (uint32_t n = 0; n < pool.slab_count; n++) {
        with_memory += pool.slabs[n].items != NULL;
    }
    assert_true(with_memory <= 3); /* two in use and one kept */
    for (uint32_t n = 0, left = 100; n < left; n++) {
        assert_int_equal(pool_next(&pool, n), n);
    }
    assert_int_equal(pool_next(&pool, 100), POOL_NONE);
    assert_int_equal(pool_take(&pool), 100);
    pool_close(&pool);
}

static void an_item_that_comes_and_goes_keeps_its_place(void **state) {
    (void)state;
    struct pool pool;
    pool_init(&pool, 16, 10);
    for (unsigned n = 0; n < 1000; n++) {
        uint32_t number = pool_take(&pool);
        assert_int_equal(number, 0);
        pool_give(&pool, number);
        assert_int_equal(pool.empty, 1);
    }
    pool_close(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_dense_items_zeroed_and_memory_returned),
        cmocka_unit_test(an_item_that_comes_and_goes_keeps_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
