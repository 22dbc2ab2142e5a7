/* Modules that other people's compilers made, held against tests/data/image/modules.txt. */
#include "slipway/image/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define FOLDER TEST_SHARED "/modules"

static uint8_t bytes[1 << 20];

static bool load(const char *name, size_t *len) {
    char path[512];
    snprintf(path, sizeof path, FOLDER "/%s", name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return false;
    }
    *len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    return true;
}

/* What was found, in the words of the data file. */
static void describe(const struct image_info *info, char *out, size_t cap) {
    char product[32] = "-";
    char dependency[48] = "-";
    if (info->has_product) {
        snprintf(product, sizeof product, "%u:%u", info->product_id, info->product_version);
    }
    if (info->dependencies[0].function != MODULE_NONE) {
        snprintf(dependency, sizeof dependency, "%s.%u.%u",
                 module_function_name(info->dependencies[0].function), info->dependencies[0].index,
                 info->dependencies[0].version);
    }
    snprintf(out, cap, "%u %s %u %u %s %s %u", info->platform_id,
             module_function_name(info->function), info->index, info->module_version, product,
             dependency, info->prefix_offset);
}

static void test_real_modules(void **state) {
    (void)state;
    FILE *table = fopen(TEST_DATA "/image/modules.txt", "r");
    assert_non_null(table);
    char line[256];
    size_t read = 0, absent = 0, wrong = 0;
    while (fgets(line, sizeof line, table) != NULL) {
        char *bar = strchr(line, '|');
        if (line[0] == '#' || bar == NULL) {
            continue;
        }
        line[strcspn(line, " ")] = '\0';
        char *expected = bar + 2;
        expected[strcspn(expected, "\n")] = '\0';
        size_t len;
        if (!load(line, &len)) {
            absent++;
            continue;
        }
        struct image_info info;
        const char *why = NULL;
        char got[256];
        if (image_read_module(span_of(bytes, len), &info, &why) == SW_OK) {
            describe(&info, got, sizeof got);
        } else {
            snprintf(got, sizeof got, "refused: %s", why);
        }
        if (strncmp(got, expected, strlen(expected)) != 0) {
            print_error("%s: expected \"%s\", found \"%s\"\n", line, expected, got);
            wrong++;
        }
        read++;
    }
    fclose(table);
    assert_int_equal(wrong, 0);
    if (absent > 0) {
        print_message("%zu real modules are not at hand\n", absent);
    }
    if (read == 0) {
        skip();
    }
}

static void test_only_applications_may_be_uploaded(void **state) {
    (void)state;
    static const char *const others[] = {"cat.bin", "tracker-bootloader@5.6.0.bin",
                                         "boron-som-system-part1@1.1.0-rc.1.bin"};
    size_t read = 0;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        size_t len;
        if (!load(others[i], &len)) {
            continue;
        }
        struct image_info info;
        const char *why;
        char said[200];
        assert_int_equal(image_read_module(span_of(bytes, len), &info, &why), SW_OK);
        assert_int_equal(image_check_claim(&info, &(struct image_claim){0}, said, sizeof said),
                         SW_E_RANGE);
        read++;
    }
    if (read == 0) {
        skip();
    }
}

/* The picture in a module that other tools wrapped, wrapped again: the very same bytes. */
static void test_an_asset_is_wrapped_as_others_do(void **state) {
    (void)state;
    static uint8_t again[1 << 16];
    size_t len;
    if (!load("cat.bin", &len)) {
        skip();
    }
    struct image_info info;
    struct image_asset_module module;
    const char *why;
    struct span file = span_of(bytes, len);
    assert_int_equal(image_read_module(file, &info, &why), SW_OK);
    assert_int_equal(image_read_asset(file, &info, &module, &why), SW_OK);
    assert_true(span_is_text(module.asset.name, "cat.jpg"));
    assert_int_equal(module.raw_bytes, 0);
    assert_int_equal(image_write_asset(&module, again, sizeof again), len);
    assert_memory_equal(again, bytes, len);
}

static void test_the_assets_of_a_real_application(void **state) {
    (void)state;
    static const char *const names[] = {"btgap.a", "cat.jpg", "km4_image2_all.bin"};
    size_t len;
    if (!load("tracker-user-part-extensions.bin", &len)) {
        skip();
    }
    struct image_info info;
    struct image_asset assets[4];
    size_t count;
    const char *why;
    struct span file = span_of(bytes, len);
    assert_int_equal(image_read_module(file, &info, &why), SW_OK);
    assert_int_equal(image_read_assets(file, &info, assets, 4, &count, &why), SW_OK);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++) {
        assert_true(span_is_text(assets[i].name, names[i]));
    }
    assert_int_equal(assets[1].hash.b[0], 0x28);
    assert_int_equal(assets[1].hash.b[31], 0x6b);
}

/* Whoever reads assets reads them of every application. */
static void test_no_other_module_has_assets(void **state) {
    (void)state;
    static const char *const others[] = {
        "040_user-part.bin",        "080_user-part-xenon.bin",
        "p2-user-part.bin",         "p2-user-part-prefix-extensions.bin",
        "tracker-tinker@5.3.1.bin", "boron-som-system-part1@1.1.0-rc.1.bin"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        size_t len;
        struct image_info info;
        struct image_asset assets[1];
        size_t count;
        const char *why;
        if (!load(others[i], &len)) {
            continue;
        }
        struct span file = span_of(bytes, len);
        assert_int_equal(image_read_module(file, &info, &why), SW_OK);
        assert_int_equal(image_read_assets(file, &info, assets, 1, &count, &why), SW_OK);
        assert_int_equal(count, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real_modules),
        cmocka_unit_test(test_only_applications_may_be_uploaded),
        cmocka_unit_test(test_an_asset_is_wrapped_as_others_do),
        cmocka_unit_test(test_the_assets_of_a_real_application),
        cmocka_unit_test(test_no_other_module_has_assets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
