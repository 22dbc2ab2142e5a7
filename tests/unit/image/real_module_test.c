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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real_modules),
        cmocka_unit_test(test_only_applications_may_be_uploaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
