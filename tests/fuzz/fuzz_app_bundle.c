/* Any bytes as an asset bundle: refused with a sentence, or taken with everything that its
 * application depends on. */
#include "app/firmware/file.h"

#include "slipway/util/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_asset(const struct bundle_asset *asset) {
    struct span module = span_of(asset->module, asset->image.size);
    struct image_info info;
    struct image_asset_module read;
    const char *why;
    SW_CHECK(image_read_module(module, &info, &why) == SW_OK);
    SW_CHECK(image_read_asset(module, &info, &read, &why) == SW_OK);
    SW_CHECK(memcmp(read.asset.hash.b, asset->image.module_hash.b, SHA256_BYTES) == 0);
    SW_CHECK(span_is_text(read.asset.name, asset->image.name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct app_tx tx = {.error = {.code = SW_OK}};
    struct image_info info;
    struct app_file file;
    int code = bundle_read(&tx, span_of(data, size), &info, &file);
    SW_CHECK((code == SW_OK) == (file.bundle != NULL));
    if (code != SW_OK) {
        SW_CHECK(tx.error.code == code && tx.error.description[0] != '\0');
        return 0;
    }
    struct image_asset wanted[IMAGE_ASSETS_MAX];
    size_t count;
    const char *why;
    SW_CHECK(image_read_assets(file.bytes, &info, wanted, IMAGE_ASSETS_MAX, &count, &why) == SW_OK);
    SW_CHECK(count == file.bundle->count);
    for (size_t i = 0; i < count; i++) {
        check_asset(&file.bundle->assets[i]);
        SW_CHECK(memcmp(wanted[i].hash.b, file.bundle->assets[i].image.module_hash.b,
                        SHA256_BYTES) == 0);
    }
    app_file_close(&file);
    return 0;
}
