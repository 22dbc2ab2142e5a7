#include "bundle.h"

#include "slipway/util/check.h"
#include "slipway/util/rng.h"
#include "slipway/util/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

void bundle_forget(struct span *bytes) {
    free((void *)(uintptr_t)bytes->data);
    *bytes = span_of(NULL, 0);
}

struct span bundle_zip(const struct zip_entry *files, size_t count) {
    size_t len;
    const uint8_t *bytes = zip_make(files, count, &len);
    return span_of(bytes, len);
}

struct span bundle_zeroes(size_t len) {
    uint8_t *bytes = calloc(1, len);
    assert_non_null(bytes);
    return span_of(bytes, len);
}

struct span bundle_raw(const char *name, size_t len) {
    struct rng rng;
    uint8_t *bytes = malloc(len > 0 ? len : 1);
    assert_non_null(bytes);
    rng_seed(&rng, len);
    rng_fill(&rng, bytes, len);
    memcpy(bytes, name, strlen(name) < len ? strlen(name) : len);
    return span_of(bytes, len);
}

struct span bundle_application(uint16_t version, uint16_t needs, size_t body_len,
                               const struct zip_entry *assets, size_t count) {
    struct image_asset wanted[IMAGE_ASSETS_MAX];
    for (size_t i = 0; i < count; i++) {
        wanted[i].name = span_text(assets[i].name);
        sha256_of(assets[i].bytes, &wanted[i].hash);
    }
    struct span body = bundle_raw("an application", body_len);
    struct image_recipe recipe = {.platform_id = 13,
                                  .function = MODULE_USER_PART,
                                  .index = 2,
                                  .module_version = 6,
                                  .product_id = 13,
                                  .product_version = version,
                                  .body = body,
                                  .assets = wanted,
                                  .asset_count = count};
    if (needs != 0) {
        recipe.dependencies[0] = (struct module_dependency){
            .function = MODULE_SYSTEM_PART, .index = 1, .version = needs};
    }
    size_t cap = image_overhead(&recipe) + body_len;
    uint8_t *file = malloc(cap);
    assert_non_null(file);
    assert_int_equal(image_write_module(&recipe, file, cap), (int)cap);
    bundle_forget(&body);
    return span_of(file, cap);
}

struct span bundle_of(uint16_t version, uint16_t needs, size_t body_len,
                      const struct zip_entry *assets, size_t count) {
    struct zip_entry files[IMAGE_ASSETS_MAX + 1];
    char names[IMAGE_ASSETS_MAX][64];
    struct span application = bundle_application(version, needs, body_len, assets, count);
    files[0] = (struct zip_entry){.name = "app.bin", .bytes = application};
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(names[i], sizeof names[i], "assets/%s", assets[i].name);
        files[i + 1] = (struct zip_entry){.name = names[i], .bytes = assets[i].bytes};
    }
    struct span zip = bundle_zip(files, count + 1);
    bundle_forget(&application);
    return zip;
}

/* --- protobuf --- */

static void put_varint(struct writer *w, uint64_t value) {
    for (; value > 127; value >>= 7) {
        writer_u8(w, (uint8_t)(value | 128));
    }
    writer_u8(w, (uint8_t)value);
}

static void put_number(struct writer *w, unsigned field, uint64_t value) {
    put_varint(w, field << 3);
    put_varint(w, value);
}

static void put_bytes(struct writer *w, unsigned field, struct span bytes) {
    put_varint(w, field << 3 | 2);
    put_varint(w, bytes.len);
    writer_bytes(w, bytes);
}

static void put_asset(struct writer *w, unsigned field, const struct zip_entry *asset) {
    uint8_t bytes[256];
    struct sha256 hash;
    struct writer inner = writer_of(bytes, sizeof bytes);
    sha256_of(asset->bytes, &hash);
    put_bytes(&inner, 1, span_of(hash.b, sizeof hash.b));
    put_bytes(&inner, 2, span_text(asset->name));
    put_number(&inner, 3, asset->bytes.len);
    put_bytes(w, field, writer_span(&inner));
}

struct span bundle_described(const struct bundle_describe *describe) {
    enum { CAP = 16384 };
    uint8_t *bytes = malloc(CAP);
    uint8_t part[CAP / 2];
    assert_non_null(bytes);
    struct writer w = writer_of(bytes, CAP);
    struct writer module = writer_of(part, sizeof part);
    put_number(&module, 1, MODULE_SYSTEM_PART);
    put_number(&module, 2, 1);
    put_number(&module, 3, describe->system_version);
    put_bytes(&w, 1, writer_span(&module));
    module = writer_of(part, sizeof part);
    put_number(&module, 1, MODULE_USER_PART);
    put_number(&module, 2, 2);
    put_number(&module, 3, 6);
    put_bytes(&module, 8, span_of(describe->application.b, sizeof describe->application.b));
    for (size_t i = 0; i < describe->needed_count; i++) {
        put_asset(&module, 10, &describe->needed[i]);
    }
    put_bytes(&w, 1, writer_span(&module));
    for (size_t i = 0; i < describe->stored_count; i++) {
        put_asset(&w, 5, &describe->stored[i]);
    }
    assert_int_equal(writer_status(&w), SW_OK);
    return writer_span(&w);
}
