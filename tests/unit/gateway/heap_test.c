#include "gateway/table/heap.h"
#include "slipway/util/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define THINGS 500U

static uint32_t places[THINGS];

static void placed(void *ctx, uint32_t thing, uint32_t at) {
    (void)ctx;
    places[thing] = at;
}

static void first_is_always_the_earliest(void **state) {
    (void)state;
    struct heap heap;
    struct rng rng;
    mono_time deadlines[THINGS];
    heap_init(&heap, placed, NULL);
    rng_seed(&rng, 11);
    for (uint32_t n = 0; n < THINGS; n++) {
        places[n] = HEAP_OUT;
        deadlines[n] = MONO_NEVER;
    }
    for (unsigned step = 0; step < 100000; step++) {
        uint32_t n = (uint32_t)rng_below(&rng, THINGS);
        deadlines[n] =
            rng_below(&rng, 4) == 0 ? MONO_NEVER : (mono_time){.us = rng_between(&rng, -50, 1000)};
        assert_int_equal(heap_set(&heap, n, places[n], deadlines[n]), SW_OK);
        mono_time earliest = MONO_NEVER;
        for (uint32_t i = 0; i < THINGS; i++) {
            earliest = mono_earlier(earliest, deadlines[i]);
            assert_int_equal(places[i] == HEAP_OUT, deadlines[i].us == MONO_NEVER.us);
        }
        assert_int_equal(heap_deadline(&heap).us, earliest.us);
        if (heap_first(&heap) != HEAP_OUT) {
            assert_int_equal(deadlines[heap_first(&heap)].us, earliest.us);
        }
        if (step % 100 != 0) {
            step += 9; /* the walk above is the costly part */
        }
    }
    heap_close(&heap);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_is_always_the_earliest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
