#include "gateway/update/images.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct image_slot *load(struct images *images, int64_t id, size_t size) {
    static const struct sha256 hash;
    bool must_load;
    struct image_slot *slot = images_use(images, id, size, &must_load);
    assert_non_null(slot);
    assert_true(must_load);
    images_loaded(images, slot, malloc(size), size, &hash);
    return slot;
}

static void one_copy_serves_any_number_of_users(void **state) {
    (void)state;
    struct images images;
    bool must_load;
    images_init(&images, 1000);
    struct image_slot *slot = images_use(&images, 7, 100, &must_load);
    assert_true(must_load);
    /* Asked for again while it is being read: not read twice. */
    assert_ptr_equal(images_use(&images, 7, 100, &must_load), slot);
    assert_false(must_load);
    static const struct sha256 hash;
    images_loaded(&images, slot, malloc(100), 100, &hash);
    assert_int_equal(images.bytes, 100);
    images_leave(&images, slot);
    images_leave(&images, slot);
    /* Nobody uses it, and there is room: it stays. */
    assert_ptr_equal(images_use(&images, 7, 100, &must_load), slot);
    assert_false(must_load);
    images_leave(&images, slot);
    images_close(&images);
}

static void the_least_recently_used_makes_room(void **state) {
    (void)state;
    struct images images;
    bool must_load;
    images_init(&images, 1000);
    struct image_slot *a = load(&images, 1, 400), *b = load(&images, 2, 400);
    /* Both are in use: there is no room, and none is taken from them. */
    assert_null(images_use(&images, 3, 400, &must_load));
    images_leave(&images, b);
    images_leave(&images, a);
    struct image_slot *c = load(&images, 3, 400);
    assert_true(images.bytes <= 1000);
    assert_ptr_equal(images_use(&images, 2, 400, &must_load), b);
    assert_false(must_load);
    images_leave(&images, b);
    images_leave(&images, c);
    images_close(&images);
    assert_int_equal(images.bytes, 0);
}

static void one_that_is_larger_than_the_limit_is_served_alone(void **state) {
    (void)state;
    struct images images;
    images_init(&images, 1000);
    images_leave(&images, load(&images, 1, 5000));
    images_leave(&images, load(&images, 2, 500));
    assert_int_equal(images.bytes, 500);
    images_close(&images);
}

static void one_that_cannot_be_read_goes_with_its_last_user(void **state) {
    (void)state;
    struct images images;
    bool must_load;
    images_init(&images, 1000);
    struct image_slot *slot = images_use(&images, 1, 100, &must_load);
    assert_ptr_equal(images_use(&images, 1, 100, &must_load), slot);
    images_failed(&images, slot);
    assert_null(slot->bytes);
    images_leave(&images, slot);
    images_leave(&images, slot);
    assert_int_equal(images.bytes, 0);
    (void)images_use(&images, 1, 100, &must_load);
    assert_true(must_load);
    images_failed(&images, slot);
    images_leave(&images, slot);
    images_close(&images);
}

static void every_slot_in_use_is_said(void **state) {
    (void)state;
    struct images images;
    bool must_load;
    struct image_slot *slots[IMAGES_MAX];
    images_init(&images, SIZE_MAX);
    for (int n = 0; n < IMAGES_MAX; n++) {
        slots[n] = load(&images, n + 1, 10);
    }
    assert_null(images_use(&images, 1000, 10, &must_load));
    images_leave(&images, slots[5]);
    assert_ptr_equal(images_use(&images, 1000, 10, &must_load), slots[5]);
    assert_true(must_load);
    images_failed(&images, slots[5]);
    for (int n = 0; n < IMAGES_MAX; n++) {
        images_leave(&images, slots[n]);
    }
    images_close(&images);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_copy_serves_any_number_of_users),
        cmocka_unit_test(the_least_recently_used_makes_room),
        cmocka_unit_test(one_that_is_larger_than_the_limit_is_served_alone),
        cmocka_unit_test(one_that_cannot_be_read_goes_with_its_last_user),
        cmocka_unit_test(every_slot_in_use_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
