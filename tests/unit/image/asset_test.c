#include "slipway/image/image.h"
#include "slipway/util/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <zlib.h>

static const uint8_t picture[300] = "a picture of a cat";

static struct image_info read_module(struct span file) {
    struct image_info info;
    const char *why;
    assert_int_equal(image_read_module(file, &info, &why), SW_OK);
    return info;
}

/* Puts hash and CRC right again after a change, so that only the extensions can tell. */
static void mend(uint8_t *file, size_t len) {
    struct sha256 hash;
    sha256_of(span_of(file, len - 38), &hash);
    memcpy(file + len - 38, hash.b, sizeof hash.b);
    uint32_t crc = (uint32_t)crc32_z(0, file, len - 4);
    for (size_t i = 0; i < 4; i++) {
        file[len - 4 + i] = (uint8_t)(crc >> (24 - 8 * i));
    }
}

static void test_written_assets_read_back(void **state) {
    (void)state;
    static const char *const names[] = {"a", "cat.jpg", "a name with spaces and \xc3\xa9.bin"};
    static const size_t lengths[] = {0, 1, 17, sizeof picture};
    for (size_t n = 0; n < SW_COUNT(names); n++) {
        for (size_t l = 0; l < SW_COUNT(lengths); l++) {
            uint8_t file[1024];
            struct span asset = span_of(picture, lengths[l]);
            struct image_asset_module module = image_asset_of(span_text(names[n]), asset);
            int len = image_write_asset(&module, file, sizeof file);
            assert_int_equal(len, image_asset_overhead(&module) + lengths[l]);
            struct span whole = span_of(file, (size_t)len);
            struct image_info info = read_module(whole);
            assert_int_equal(info.function, MODULE_ASSET);
            assert_int_equal(info.flags, IMAGE_DROP_MODULE_INFO);
            assert_int_equal(info.platform_id, 0);
            assert_int_equal(info.start_address, 0);
            assert_false(info.has_product);
            struct image_asset_module read;
            struct sha256 hash;
            const char *why;
            assert_int_equal(image_read_asset(whole, &info, &read, &why), SW_OK);
            assert_true(span_is_text(read.asset.name, names[n]));
            assert_int_equal(read.raw_bytes, 0);
            assert_int_equal(read.body.len, lengths[l]);
            assert_memory_equal(read.body.data, picture, lengths[l]);
            sha256_of(asset, &hash);
            assert_memory_equal(read.asset.hash.b, hash.b, SHA256_BYTES);
        }
    }
}

static void test_writing_an_asset_refuses(void **state) {
    (void)state;
    uint8_t file[1024];
    char name[IMAGE_ASSET_NAME_MAX + 1];
    memset(name, 'n', sizeof name);
    struct span asset = span_of(picture, sizeof picture);
    struct image_asset_module module = image_asset_of(span_of(name, 0), asset);
    assert_int_equal(image_write_asset(&module, file, sizeof file), SW_E_RANGE);
    module = image_asset_of(span_of(name, sizeof name), asset);
    assert_int_equal(image_write_asset(&module, file, sizeof file), SW_E_RANGE);
    module = image_asset_of(span_of(name, sizeof name - 1), asset);
    size_t len = image_asset_overhead(&module) + sizeof picture;
    assert_int_equal(image_write_asset(&module, file, len - 1), SW_E_FULL);
    assert_int_equal(image_write_asset(&module, file, len), len);
}

static void test_packed_assets(void **state) {
    (void)state;
    uint8_t file[1024];
    struct image_asset_module module = {.asset = {.name = span_text("cat.jpg")},
                                        .body = span_text("a stream that nobody unpacks here"),
                                        .raw_bytes = 70000};
    memset(module.asset.hash.b, 7, SHA256_BYTES);
    size_t len = (size_t)image_write_asset(&module, file, sizeof file);
    struct image_info info = read_module(span_of(file, len));
    assert_int_equal(info.flags, IMAGE_DROP_MODULE_INFO | IMAGE_COMPRESSED);
    struct image_asset_module read;
    const char *why;
    assert_int_equal(image_read_asset(span_of(file, len), &info, &read, &why), SW_OK);
    assert_int_equal(read.raw_bytes, 70000);
    assert_int_equal(read.body.len, module.body.len);
    assert_memory_equal(read.body.data, module.body.data, read.body.len);
    assert_memory_equal(read.asset.hash.b, module.asset.hash.b, SHA256_BYTES);

    /* header length, method, window, size */
    static const struct {
        size_t at;
        uint8_t value;
    } cases[] = {{24, 7}, {25, 1}, {26, 1}, {27, 7}, {27, 16}, {31, 2}};
    for (size_t i = 0; i < SW_COUNT(cases); i++) {
        len = (size_t)image_write_asset(&module, file, sizeof file);
        file[cases[i].at] = cases[i].value;
        mend(file, len);
        info = read_module(span_of(file, len));
        assert_int_equal(image_read_asset(span_of(file, len), &info, &read, &why), SW_E_INPUT);
        assert_string_equal(why, "the asset is packed in an unknown way");
    }
}

static struct image_asset asset_named(const char *name, uint8_t first) {
    struct image_asset asset = {.name = span_text(name)};
    memset(asset.hash.b, first, sizeof asset.hash.b);
    return asset;
}

static size_t write_application(uint16_t platform_id, const struct image_asset *assets,
                                size_t count, uint8_t *out, size_t cap) {
    struct image_recipe recipe = {.platform_id = platform_id,
                                  .function = MODULE_USER_PART,
                                  .index = 1,
                                  .product_id = platform_id,
                                  .product_version = 7,
                                  .body = span_of(picture, sizeof picture),
                                  .assets = assets,
                                  .asset_count = count};
    int len = image_write_module(&recipe, out, cap);
    assert_int_equal(len, image_overhead(&recipe) + sizeof picture);
    return (size_t)len;
}

static void test_an_application_names_its_assets(void **state) {
    (void)state;
    static const uint16_t platforms[] = {13, 26, 32};
    struct image_asset assets[IMAGE_ASSETS_MAX];
    for (size_t i = 0; i < SW_COUNT(assets); i++) {
        assets[i] = asset_named(i % 2 == 0 ? "cat.jpg" : "firmware of a sensor", (uint8_t)i);
    }
    for (size_t p = 0; p < SW_COUNT(platforms); p++) {
        for (size_t count = 0; count <= SW_COUNT(assets); count += 8) {
            uint8_t file[8192];
            struct span whole =
                span_of(file, write_application(platforms[p], assets, count, file, sizeof file));
            struct image_info info = read_module(whole);
            assert_true(info.has_product);
            assert_int_equal(info.product_id, platforms[p]);
            assert_int_equal(info.product_version, 7);
            struct image_asset read[IMAGE_ASSETS_MAX];
            size_t found;
            const char *why;
            assert_int_equal(image_read_assets(whole, &info, read, SW_COUNT(read), &found, &why),
                             SW_OK);
            assert_int_equal(found, count);
            for (size_t i = 0; i < found; i++) {
                assert_memory_equal(read[i].hash.b, assets[i].hash.b, SHA256_BYTES);
                assert_int_equal(read[i].name.len, assets[i].name.len);
                assert_memory_equal(read[i].name.data, assets[i].name.data, read[i].name.len);
            }
            if (count > 0) {
                assert_int_equal(image_read_assets(whole, &info, read, count - 1, &found, &why),
                                 SW_E_INPUT);
                assert_string_equal(why,
                                    "the module depends on more assets than a device can hold");
                assert_int_equal(found, 0);
            }
        }
    }
}

static void test_malformed_extensions(void **state) {
    (void)state;
    static const struct {
        size_t at; /* from the first extension */
        uint8_t value;
        const char *why; /* NULL: it is fine */
    } cases[] = {
        {2, 3, "the extensions in the module's suffix are malformed"},
        {2, 200, "the extensions in the module's suffix are malformed"},
        {3, 1, "the extensions in the module's suffix are malformed"},
        {2, 4, "an asset that the module depends on has no SHA-256"},
        {4, 1, "an asset that the module depends on has no SHA-256"},
        {5, 31, "an asset that the module depends on has no SHA-256"},
        {2, 38, "an asset that the module depends on has no name, or one too long"},
        {38, 0, "an asset that the module depends on has no name, or one too long"},
        {0, 0x99, NULL}, /* of a kind that nobody knows: skipped */
        {0, 0 /* the end */, NULL},
        {6, 0xff, NULL}, /* another hash */
    };
    struct image_asset asset = asset_named("n", 1);
    for (size_t i = 0; i < SW_COUNT(cases); i++) {
        uint8_t file[1024];
        size_t len = write_application(32, &asset, 1, file, sizeof file);
        struct image_info info = read_module(span_of(file, len));
        file[len - 4 - info.suffix_bytes + cases[i].at] = cases[i].value;
        mend(file, len);
        info = read_module(span_of(file, len));
        struct image_asset read[2];
        size_t count;
        const char *why;
        int code = image_read_assets(span_of(file, len), &info, read, 2, &count, &why);
        assert_int_equal(code, cases[i].why == NULL ? SW_OK : SW_E_INPUT);
        if (cases[i].why != NULL) {
            assert_string_equal(why, cases[i].why);
            assert_int_equal(count, 0);
        }
    }
}

static void test_an_asset_that_is_not_what_it_says(void **state) {
    (void)state;
    uint8_t file[1024];
    struct image_asset_module read;
    const char *why;
    struct image_asset_module module = image_asset_of(span_text("n"), span_of(picture, 100));
    size_t len = (size_t)image_write_asset(&module, file, sizeof file);
    file[24] ^= 1;
    mend(file, len);
    struct image_info info = read_module(span_of(file, len));
    assert_int_equal(image_read_asset(span_of(file, len), &info, &read, &why), SW_E_INPUT);
    assert_string_equal(why, "the asset does not have the SHA-256 that its module says");

    file[24] ^= 1;
    size_t at = len - 4 - info.suffix_bytes;
    file[at] = 0x55; /* the hash extension is another now */
    mend(file, len);
    info = read_module(span_of(file, len));
    assert_int_equal(image_read_asset(span_of(file, len), &info, &read, &why), SW_E_INPUT);
    assert_string_equal(why, "the asset module lacks its hash or its name");

    len = write_application(13, NULL, 0, file, sizeof file);
    info = read_module(span_of(file, len));
    assert_int_equal(image_read_asset(span_of(file, len), &info, &read, &why), SW_E_INPUT);
    assert_string_equal(why, "the module is not an asset");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written_assets_read_back),
        cmocka_unit_test(test_writing_an_asset_refuses),
        cmocka_unit_test(test_packed_assets),
        cmocka_unit_test(test_an_application_names_its_assets),
        cmocka_unit_test(test_malformed_extensions),
        cmocka_unit_test(test_an_asset_that_is_not_what_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
