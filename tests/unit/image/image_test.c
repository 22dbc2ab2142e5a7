#include "slipway/image/image.h"
#include "slipway/model/platform.h"
#include "slipway/util/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <zlib.h>

static const uint8_t body[200] = "a very small application";

static struct image_recipe recipe_for(uint16_t platform_id) {
    return (struct image_recipe){
        .platform_id = platform_id,
        .function = MODULE_USER_PART,
        .index = 1,
        .module_version = 6,
        .dependencies = {{.function = MODULE_SYSTEM_PART, .index = 1, .version = 5501}},
        .product_id = platform_id,
        .product_version = 7,
        .body = span_of(body, sizeof body),
    };
}

static void test_written_modules_read_back(void **state) {
    (void)state;
    uint8_t file[1024];
    static const uint8_t functions[] = {MODULE_BOOTLOADER, MODULE_SYSTEM_PART, MODULE_USER_PART,
                                        MODULE_NCP, MODULE_RADIO_STACK};
    for (const struct platform *p = platform_all(); p->name != NULL; p++) {
        for (size_t f = 0; f < SW_COUNT(functions); f++) {
            struct image_recipe recipe = recipe_for(p->id);
            recipe.function = functions[f];
            int len = image_write_module(&recipe, file, sizeof file);
            assert_int_equal(len, image_overhead(&recipe) + sizeof body);
            struct image_info info;
            const char *why;
            if (p->id == 0) { /* the number that assets carry */
                assert_int_equal(image_read_module(span_of(file, (size_t)len), &info, &why),
                                 SW_E_INPUT);
                assert_string_equal(why, "the module is built for an unknown platform");
                continue;
            }
            assert_int_equal(image_read_module(span_of(file, (size_t)len), &info, &why), SW_OK);
            assert_int_equal(info.platform_id, p->id);
            assert_int_equal(info.function, functions[f]);
            assert_int_equal(info.index, 1);
            assert_int_equal(info.module_version, 6);
            assert_int_equal(info.dependencies[0].version, 5501);
            assert_int_equal(info.dependencies[1].function, MODULE_NONE);
            assert_true(info.has_product);
            assert_int_equal(info.product_id, p->id);
            assert_int_equal(info.product_version, 7);
            assert_int_equal(info.size, len);
            struct sha256 whole;
            sha256_of(span_of(file, (size_t)len), &whole);
            assert_memory_equal(info.file_hash.b, whole.b, SHA256_BYTES);
        }
    }
}

static void test_no_product_version(void **state) {
    (void)state;
    uint8_t file[1024];
    struct image_recipe recipe = recipe_for(32);
    recipe.product_version = 0;
    int len = image_write_module(&recipe, file, sizeof file);
    struct image_info info;
    const char *why;
    assert_int_equal(image_read_module(span_of(file, (size_t)len), &info, &why), SW_OK);
    assert_false(info.has_product);
    assert_int_equal(info.product_version, 0);
}

static void test_writing_refuses(void **state) {
    (void)state;
    uint8_t file[1024];
    struct image_recipe recipe = recipe_for(13);
    assert_int_equal(image_write_module(&recipe, file, image_overhead(&recipe) + sizeof body - 1),
                     SW_E_FULL);
    recipe.platform_id = 99;
    assert_int_equal(image_write_module(&recipe, file, sizeof file), SW_E_RANGE);
}

static void test_every_changed_byte_is_noticed(void **state) {
    (void)state;
    static const uint16_t platforms[] = {13, 32};
    for (size_t p = 0; p < SW_COUNT(platforms); p++) {
        uint8_t file[1024];
        struct image_recipe recipe = recipe_for(platforms[p]);
        int len = image_write_module(&recipe, file, sizeof file);
        assert_true(len > 0);
        for (size_t at = 0; at < (size_t)len; at++) {
            for (unsigned change = 1; change < 256; change++) {
                struct image_info info;
                const char *why;
                file[at] ^= (uint8_t)change;
                assert_int_equal(image_read_module(span_of(file, (size_t)len), &info, &why),
                                 SW_E_INPUT);
                assert_non_null(why);
                assert_int_equal(info.size, 0);
                file[at] ^= (uint8_t)change;
            }
        }
    }
}

static void test_every_truncation_and_a_byte_more_are_noticed(void **state) {
    (void)state;
    uint8_t file[2048] = {0};
    struct image_recipe recipe = recipe_for(13);
    recipe.function = MODULE_SYSTEM_PART; /* with a vector table before its prefix */
    int len = image_write_module(&recipe, file, sizeof file - 1);
    assert_true(len > 0);
    for (size_t cut = 0; cut <= (size_t)len + 1; cut++) {
        /* In memory of its own, so that a sanitizer sees any read past the end. */
        uint8_t *copy = malloc(cut > 0 ? cut : 1);
        assert_non_null(copy);
        memcpy(copy, file, cut);
        struct image_info info;
        const char *why;
        int expected = cut == (size_t)len ? SW_OK : SW_E_INPUT;
        assert_int_equal(image_read_module(span_of(copy, cut), &info, &why), expected);
        assert_true((why == NULL) == (expected == SW_OK));
        free(copy);
    }
}

/* Puts a matching CRC-32 under a file that was changed, so that only the hash can tell. */
static void mend_crc(uint8_t *file, size_t len) {
    uint32_t crc = (uint32_t)crc32_z(0, file, len - 4);
    for (size_t i = 0; i < 4; i++) {
        file[len - 4 + i] = (uint8_t)(crc >> (24 - 8 * i));
    }
}

static void test_each_reason(void **state) {
    (void)state;
    static const struct {
        size_t from_start, from_end; /* the byte to change */
        uint8_t value;
        const char *why;
    } cases[] = {
        {.from_start = 0, .value = 0xff, .why = "the file's length is not the one"},
        {.from_start = 9, .value = IMAGE_COMBINED, .why = NULL},
        {.from_start = 12, .value = 99, .why = "the module is built for an unknown platform"},
        {.from_start = 14, .value = 0, .why = "the file has no module prefix"},
        {.from_start = 14, .value = 10, .why = "the file has no module prefix"},
        {.from_start = 16, .value = 200, .why = "the file has no module prefix"},
        {.from_start = 30, .value = 99, .why = "the module's SHA-256 does not match"},
        {.from_end = 20, .value = 99, .why = "the module's SHA-256 does not match"},
        {.from_end = 40, .value = 1, .why = "the module's suffix is malformed"},
        {.from_end = 6, .value = 35, .why = "the module's suffix is malformed"},
        {.from_end = 5, .value = 9, .why = "the module's suffix is malformed"},
    };
    for (size_t i = 0; i < SW_COUNT(cases); i++) {
        uint8_t file[1024];
        struct image_recipe recipe = recipe_for(13);
        int len = image_write_module(&recipe, file, sizeof file);
        assert_true(len > 0);
        size_t at = cases[i].from_end > 0 ? (size_t)len - cases[i].from_end : cases[i].from_start;
        file[at] = cases[i].value;
        mend_crc(file, (size_t)len);
        struct image_info info;
        const char *why;
        assert_int_equal(image_read_module(span_of(file, (size_t)len), &info, &why), SW_E_INPUT);
        if (cases[i].why != NULL) {
            assert_memory_equal(why, cases[i].why, strlen(cases[i].why));
        }
    }
}

static void test_two_modules_in_one_file(void **state) {
    (void)state;
    uint8_t file[2048];
    struct image_recipe recipe = recipe_for(13);
    int first = image_write_module(&recipe, file, sizeof file);
    file[9] |= IMAGE_COMBINED;
    mend_crc(file, (size_t)first);
    int second = image_write_module(&recipe, file + first, sizeof file - (size_t)first);
    struct image_info info;
    const char *why;
    assert_int_equal(image_read_module(span_of(file, (size_t)first + (size_t)second), &info, &why),
                     SW_E_INPUT);
    assert_string_equal(why, "the file holds several modules; one is expected");
}

static void expect_claim(const struct image_info *info, struct image_claim claim,
                         const char *expected) {
    char why[200] = "";
    int status = image_check_claim(info, &claim, why, sizeof why);
    assert_string_equal(why, expected);
    assert_int_equal(status, *expected == '\0' ? SW_OK : SW_E_RANGE);
}

static void test_claims(void **state) {
    (void)state;
    struct image_info info = {.platform_id = 13,
                              .function = MODULE_USER_PART,
                              .has_product = true,
                              .product_id = 1234,
                              .product_version = 4};
    expect_claim(&info, (struct image_claim){0}, "");
    expect_claim(&info, (struct image_claim){.version = 4, .product_id = 1234, .platform_id = 13},
                 "");
    expect_claim(&info, (struct image_claim){.version = 5},
                 "the file has version 4 compiled in, but version 5 is declared");
    expect_claim(&info, (struct image_claim){.platform_id = 32},
                 "the file is built for Boron (platform 13), but the product is for P2/Photon 2 "
                 "(platform 32)");
    expect_claim(&info, (struct image_claim){.product_id = 105},
                 "the file has product 1234 compiled in, but it is uploaded to product 105");
    info.product_id = 13; /* what current compilers put there */
    expect_claim(&info, (struct image_claim){.version = 4, .product_id = 105}, "");
    info.has_product = false;
    expect_claim(&info, (struct image_claim){.product_id = 105, .platform_id = 13}, "");
    expect_claim(&info, (struct image_claim){.version = 4},
                 "the file has no product version compiled in; version 4 is declared");
    info.function = MODULE_ASSET;
    expect_claim(&info, (struct image_claim){0},
                 "the file is not an application: its module function is 9 (asset)");

    char cut[10];
    assert_int_equal(image_check_claim(&info, &(struct image_claim){0}, cut, sizeof cut),
                     SW_E_RANGE);
    assert_string_equal(cut, "the file ");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written_modules_read_back),
        cmocka_unit_test(test_no_product_version),
        cmocka_unit_test(test_writing_refuses),
        cmocka_unit_test(test_every_changed_byte_is_noticed),
        cmocka_unit_test(test_every_truncation_and_a_byte_more_are_noticed),
        cmocka_unit_test(test_each_reason),
        cmocka_unit_test(test_two_modules_in_one_file),
        cmocka_unit_test(test_claims),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
