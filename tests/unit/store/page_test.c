/* A page is what filtering and sorting all devices gives, whichever way it was found. */
#include "slipway/store/catalog.h"
#include "slipway/store/fleet.h"
#include "slipway/util/rng.h"

#include "store/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DEVICES = 400, GROUPS = 6 };

static struct store *store;
static struct rng rng;
static int64_t groups[GROUPS];
static struct device all[DEVICES];
static uint32_t member_of[DEVICES]; /* bits of the groups */
static enum store_device_order order;
static bool ascending;

/* Group 0 has nearly everybody, group 5 hardly anybody; members of group 1 have the last names. */
static uint32_t some_groups(uint32_t i) {
    uint32_t bits = rng_below(&rng, 10) != 0;
    bits |= i >= DEVICES - 120 ? 2U : 0;
    bits |= (uint32_t)rng_below(&rng, 8) << 2;
    bits |= rng_below(&rng, 100) == 0 ? 32U : 0;
    return bits;
}

static int set_up(void **state) {
    (void)state;
    struct fault fault;
    struct store_options options = {.path = ":memory:"};
    struct product product = {.id = 101, .platform_id = 12, .slug = "p", .name = "P"};
    rng_seed(&rng, 3);
    if (store_open(&store, &options, &fault) != SW_OK ||
        store_product_insert(store, &product, NULL) != SW_OK) {
        return -1;
    }
    for (uint32_t i = 0; i < GROUPS; i++) {
        struct group group = {.product_id = 101};
        (void)snprintf(group.name, sizeof group.name, "g%u", (unsigned)i);
        assert_int_equal(store_group_insert(store, &group, NULL), SW_OK);
        assert_int_equal(store_group_get(store, 101, group.name, &group, NULL), SW_OK);
        groups[i] = group.id;
    }
    for (uint32_t i = 0; i < DEVICES; i++) {
        struct device_id id = {{0}};
        rng_fill(&rng, id.b, sizeof id.b);
        assert_int_equal(store_device_insert(store, &id, 101, 12, 1, NULL), SW_OK);
        assert_int_equal(store_device_get(store, &id, &all[i], NULL), SW_OK);
        (void)snprintf(all[i].name, sizeof all[i].name, "name-%03u", (unsigned)i / 2);
        (void)snprintf(all[i].serial_number, sizeof all[i].serial_number, "S%u", (unsigned)i);
        all[i].running_version = (uint16_t)rng_below(&rng, 4);
        all[i].handshake_ms = rng_between(&rng, 0, 50);
        member_of[i] = some_groups(i);
        int64_t ids[GROUPS];
        size_t count = 0;
        for (uint32_t k = 0; k < GROUPS; k++) {
            if ((member_of[i] & 1U << k) != 0) {
                ids[count++] = groups[k];
            }
        }
        assert_int_equal(store_group_set_need(store, ids, count, &all[i].group_set, NULL), SW_OK);
        assert_int_equal(store_device_save_set(store, all[i].num, all[i].group_set, 1, NULL),
                         SW_OK);
        assert_int_equal(store_device_save_wishes(store, &all[i], 1, NULL), SW_OK);
        assert_int_equal(store_device_save_told(store, &all[i], NULL), SW_OK);
    }
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    store_close(store);
    return 0;
}

static int compare(const void *left, const void *right) {
    const struct device *a = &all[*(const uint32_t *)left];
    const struct device *b = &all[*(const uint32_t *)right];
    int64_t way = 0;
    switch (order) {
    case STORE_DEVICES_BY_ID:
        way = memcmp(a->id.b, b->id.b, sizeof a->id.b);
        break;
    case STORE_DEVICES_BY_NAME:
        way = strcmp(a->name, b->name);
        break;
    case STORE_DEVICES_BY_VERSION:
        way = a->running_version - b->running_version;
        break;
    case STORE_DEVICES_BY_HANDSHAKE:
        way = a->handshake_ms - b->handshake_ms;
        break;
    }
    way = way != 0 ? way : a->num - b->num;
    way = ascending ? way : -way;
    return way < 0 ? -1 : way > 0;
}

static bool matches(const struct store_device_filter *filter, uint32_t wanted, uint32_t i) {
    bool is_later =
        filter->after == NULL || memcmp(all[i].id.b, filter->after->b, sizeof all[i].id.b) > 0;
    return is_later && (filter->groups == NULL || (member_of[i] & wanted) != 0) &&
           (filter->name_part == NULL || strstr(all[i].name, filter->name_part) != NULL);
}

static void check(const struct store_device_filter *filter, uint32_t wanted) {
    uint32_t expected[DEVICES];
    size_t count = 0;
    uint64_t total = 0;
    struct store_device_filter from_start = *filter;
    from_start.after = NULL;
    for (uint32_t i = 0; i < DEVICES; i++) {
        total += matches(&from_start, wanted, i);
        if (matches(filter, wanted, i)) {
            expected[count++] = i;
        }
    }
    order = filter->order;
    ascending = filter->ascending;
    qsort(expected, count, sizeof expected[0], compare);
    struct device *items = NULL;
    size_t found = 0;
    uint64_t counted = 0;
    assert_int_equal(store_device_count(store, filter, &counted, NULL), SW_OK);
    assert_int_equal(counted, total);
    assert_int_equal(store_device_list(store, filter, &items, &found, NULL), SW_OK);
    size_t left = count > filter->skip ? count - filter->skip : 0;
    assert_int_equal(found, left < filter->max ? left : filter->max);
    for (size_t i = 0; i < found; i++) {
        assert_int_equal(items[i].num, all[expected[filter->skip + i]].num);
        assert_string_equal(items[i].name, all[expected[filter->skip + i]].name);
        assert_int_equal(items[i].group_set, all[expected[filter->skip + i]].group_set);
    }
    free(items);
}

static void page_is_what_filtering_and_sorting_gives(void **state) {
    (void)state;
    for (int round = 0; round < 3000; round++) {
        int64_t ids[3];
        uint32_t wanted = 0;
        struct store_device_filter filter = {.product_id = 101,
                                             .product_devices = DEVICES,
                                             .order = (enum store_device_order)rng_below(&rng, 4),
                                             .ascending = rng_below(&rng, 2) == 0,
                                             .max = 1 + (uint32_t)rng_below(&rng, 60)};
        if (rng_below(&rng, 5) != 0) {
            filter.groups = ids;
            filter.group_count = rng_below(&rng, 4);
            for (size_t i = 0; i < filter.group_count; i++) {
                uint32_t k = (uint32_t)rng_below(&rng, GROUPS);
                struct group group;
                char name[8];
                (void)snprintf(name, sizeof name, "g%u", (unsigned)k);
                assert_int_equal(store_group_get(store, 101, name, &group, NULL), SW_OK);
                ids[i] = groups[k];
                filter.group_devices += group.device_count;
                wanted |= 1U << k;
            }
        }
        filter.name_part = rng_below(&rng, 4) == 0 ? "1" : NULL;
        if (rng_below(&rng, 4) == 0 && filter.order == STORE_DEVICES_BY_ID) {
            filter.ascending = true;
            filter.after = &all[rng_below(&rng, DEVICES)].id;
        } else if (rng_below(&rng, 3) == 0) {
            filter.skip = (uint32_t)rng_below(&rng, 300);
        }
        /* As if the product were much smaller or larger: then the other way is taken. */
        if (filter.groups != NULL) {
            filter.product_devices = rng_below(&rng, 2) == 0 ? 1 : DEVICES * 1000;
        }
        check(&filter, wanted);
    }
}

/* The members stand at the far end of the order: the walk is given up before it gets there. */
static void walk_that_leads_too_far_is_given_up(void **state) {
    (void)state;
    struct store_device_filter filter = {.product_id = 101,
                                         .product_devices = 1, /* else the walk is not even begun */
                                         .order = STORE_DEVICES_BY_NAME,
                                         .ascending = true,
                                         .groups = &groups[1],
                                         .group_count = 1,
                                         .max = 10};
    for (uint64_t members = 1; members < 4; members++) {
        struct device *items = NULL;
        size_t count = 0;
        filter.group_devices = members;
        assert_int_equal(store_device_list(store, &filter, &items, &count, NULL), SW_OK);
        assert_int_equal(count, 10);
        assert_int_equal(items[0].num, all[DEVICES - 120].num);
        free(items);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(page_is_what_filtering_and_sorting_gives),
        cmocka_unit_test(walk_that_leads_too_far_is_given_up),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
