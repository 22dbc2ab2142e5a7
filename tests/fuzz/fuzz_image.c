/* Any bytes as a firmware module: what is read must be consistent with the file. The first byte
 * says whether hash and CRC are put right, or no mutation would get past them to the suffix. */
#include "slipway/image/image.h"
#include "slipway/util/check.h"

#include <stdlib.h>
#include <zlib.h>

#define TAIL (SHA256_BYTES + 2 + 4) /* hash, suffix size, CRC */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mend(uint8_t *file, size_t len) {
    struct sha256 hash;
    if (len < TAIL) {
        return;
    }
    sha256_of(span_of(file, len - TAIL), &hash);
    memcpy(file + len - TAIL, hash.b, sizeof hash.b);
    uint32_t crc = (uint32_t)crc32_z(0, file, len - 4);
    for (size_t i = 0; i < 4; i++) {
        file[len - 4 + i] = (uint8_t)(crc >> (24 - 8 * i));
    }
}

static bool lies_within(struct span part, struct span whole) {
    return part.data >= whole.data && part.data + part.len <= whole.data + whole.len;
}

static void check_assets(struct span file, const struct image_info *info) {
    struct image_asset assets[IMAGE_ASSETS_MAX];
    size_t count;
    const char *why;
    int status = image_read_assets(file, info, assets, IMAGE_ASSETS_MAX, &count, &why);
    SW_CHECK((status == SW_OK) == (why == NULL) && count <= IMAGE_ASSETS_MAX);
    for (size_t i = 0; i < count; i++) {
        SW_CHECK(assets[i].name.len > 0 && assets[i].name.len <= IMAGE_ASSET_NAME_MAX);
        SW_CHECK(lies_within(assets[i].name, file));
    }
    struct image_asset_module module;
    status = image_read_asset(file, info, &module, &why);
    SW_CHECK((status == SW_OK) == (why == NULL));
    if (status != SW_OK) {
        return;
    }
    SW_CHECK(info->function == MODULE_ASSET && lies_within(module.body, file));
    SW_CHECK(lies_within(module.asset.name, file) &&
             (module.raw_bytes != 0) == ((info->flags & IMAGE_COMPRESSED) != 0));
    /* What can be read can be written, and then says the same. */
    size_t cap = image_asset_overhead(&module) + module.body.len;
    uint8_t *again = malloc(cap);
    SW_CHECK(again != NULL && image_write_asset(&module, again, cap) == (int)cap);
    struct image_info written;
    struct image_asset_module read;
    SW_CHECK(image_read_module(span_of(again, cap), &written, &why) == SW_OK);
    SW_CHECK(image_read_asset(span_of(again, cap), &written, &read, &why) == SW_OK);
    SW_CHECK(memcmp(read.asset.hash.b, module.asset.hash.b, SHA256_BYTES) == 0);
    SW_CHECK(read.raw_bytes == module.raw_bytes && read.body.len == module.body.len);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    size_t len = size - 1;
    uint8_t *file = malloc(len > 0 ? len : 1); /* its own memory: a sanitizer sees its end */
    SW_CHECK(file != NULL);
    memcpy(file, data + 1, len);
    if (data[0] % 2 != 0) {
        mend(file, len);
    }
    struct image_info info;
    const char *why;
    int status = image_read_module(span_of(file, len), &info, &why);
    SW_CHECK((status == SW_OK) == (why == NULL));
    if (status == SW_OK) {
        SW_CHECK(info.size == len && info.end_address - info.start_address + 4 == len);
        SW_CHECK(info.has_product == (info.product_version != 0));
        struct image_claim claim = {.version = 1, .product_id = 101, .platform_id = 13};
        char text[200];
        int verdict = image_check_claim(&info, &claim, text, sizeof text);
        SW_CHECK((verdict == SW_OK) == (text[0] == '\0'));
        check_assets(span_of(file, len), &info);
    }
    free(file);
    return 0;
}
