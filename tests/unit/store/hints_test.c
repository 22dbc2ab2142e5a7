/* Hints to where devices stand: found again, and never believed. */
#include "store/hints.h"

#include "slipway/store/catalog.h"
#include "slipway/store/fleet.h"

#include "store/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct device_id id_of(uint32_t n) {
    struct device_id id = {.b = {0xE0, 0x0F, 0xCE, 0x68}};
    memcpy(id.b + 8, &n, sizeof n);
    return id;
}

static void what_was_learnt_is_found(void **state) {
    (void)state;
    struct hints *hints = hints_new();
    struct device_id id = id_of(1);
    assert_int_equal(hints_find(NULL, &id), 0);
    assert_int_equal(hints_find(hints, &id), 0);
    hints_learn(hints, &id, 7); /* there is no room yet */
    assert_int_equal(hints_find(hints, &id), 0);

    assert_true(hints_make_room(hints, 10000));
    assert_false(hints_make_room(hints, 10000));
    int known = 0;
    for (uint32_t i = 1; i <= 10000; i++) {
        id = id_of(i);
        hints_learn(hints, &id, i);
    }
    for (uint32_t i = 1; i <= 10000; i++) {
        id = id_of(i);
        int64_t num = hints_find(hints, &id);
        known += num == i;
    }
    assert_in_range(known, 9800, 10000);
    id = id_of(5);
    hints_learn(hints, &id, 12345); /* imported again */
    assert_int_equal(hints_find(hints, &id), 12345);
    hints_learn(hints, &id, INT64_C(1) << 40); /* has no place in a slot */
    assert_int_equal(hints_find(hints, &id), 12345);

    assert_true(hints_make_room(hints, 100000)); /* begins anew */
    assert_int_equal(hints_find(hints, &id), 0);
    hints_learn(hints, &id, 3);
    assert_int_equal(hints_find(hints, &id), 3);
    hints_free(hints);
}

static int insert(struct store *store, uint32_t n) {
    struct device_id id = id_of(n);
    struct fault fault = {0};
    return store_device_insert(store, &id, 101, 13, 1000, &fault);
}

static void a_hint_never_leads_to_another_device(void **state) {
    (void)state;
    struct store *store = NULL;
    struct fault fault = {0};
    struct store_options options = {.path = ":memory:"};
    assert_int_equal(store_open(&store, &options, &fault), SW_OK);
    struct product product = {.id = 101, .platform_id = 13, .slug = "p", .name = "p"};
    assert_int_equal(store_product_insert(store, &product, &fault), SW_OK);
    for (uint32_t i = 1; i <= 100; i++) {
        assert_int_equal(insert(store, i), SW_OK);
    }
    while (store_idle(store) >= 0) {
    }
    struct device_id last = id_of(100);
    struct device device;
    assert_int_equal(hints_find(store->hints, &last), 100);
    assert_int_equal(store_device_get(store, &last, &device, &fault), SW_OK);
    assert_int_equal(device.num, 100);

    /* Its number goes to the next device that comes. */
    assert_int_equal(store_device_delete(store, 100, &fault), SW_OK);
    assert_int_equal(insert(store, 101), SW_OK);
    assert_int_equal(store_device_get(store, &last, &device, &fault), SW_E_NOT_FOUND);
    struct device_id next = id_of(101);
    assert_int_equal(store_device_get(store, &next, &device, &fault), SW_OK);
    assert_int_equal(device.num, 100);
    assert_memory_equal(device.id.b, next.b, sizeof next.b);

    /* Back, in another place. */
    assert_int_equal(insert(store, 100), SW_OK);
    assert_int_equal(store_device_get(store, &last, &device, &fault), SW_OK);
    assert_int_equal(device.num, 101);
    assert_int_equal(hints_find(store->hints, &last), 101);
    store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_learnt_is_found),
        cmocka_unit_test(a_hint_never_leads_to_another_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
