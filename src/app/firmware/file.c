#include "app/firmware/file.h"

#include "slipway/store/catalog.h"
#include "slipway/util/check.h"

#include "app/internal.h"

#include <stdio.h>
#include <stdlib.h>

void file_record(const struct image_info *info, struct image_record *out) {
    *out = (struct image_record){.platform_id = info->platform_id,
                                 .function = info->function,
                                 .index = info->index,
                                 .module_version = info->module_version,
                                 .product_version = info->has_product ? info->product_version : 0,
                                 .flags = info->flags,
                                 .size = info->size,
                                 .module_hash = info->hash,
                                 .file_hash = info->file_hash};
    for (size_t i = 0; i < 2; i++) {
        if (info->dependencies[i].function != MODULE_NONE) {
            out->dependencies[out->dependency_count++] = info->dependencies[i];
        }
    }
}

int file_read_module(struct app_tx *tx, struct span bytes, struct image_info *info) {
    const char *why = NULL;
    if (bytes.len == 0) {
        return app_fail(tx, SW_E_INPUT, "invalid_request", "file", "file: is empty");
    }
    if (image_read_module(bytes, info, &why) != SW_OK) {
        return app_fail(tx, SW_E_INPUT, "invalid_request", "file",
                        "file is not a valid firmware module: %s", why);
    }
    return SW_OK;
}

/* What a module by itself must not lack. */
static int check_alone(struct app_tx *tx, struct span bytes, const struct image_info *info,
                       struct image_record *record) {
    struct image_asset assets[IMAGE_ASSETS_MAX];
    struct image_asset_module module;
    size_t count = 0;
    const char *why = NULL;
    if (info->function == MODULE_ASSET) {
        if (image_read_asset(bytes, info, &module, &why) == SW_OK) {
            record->module_hash = module.asset.hash;
            return SW_OK;
        }
    } else if (info->function != MODULE_USER_PART ||
               image_read_assets(bytes, info, assets, SW_COUNT(assets), &count, &why) == SW_OK) {
        if (count == 0) {
            return SW_OK;
        }
        return app_fail(tx, SW_E_INPUT, "invalid_request", "file",
                        "file is an application that needs %zu assets: upload the bundle (.zip) "
                        "that has them",
                        count);
    }
    return app_fail(tx, SW_E_INPUT, "invalid_request", "file",
                    "file is not a valid firmware module: %s", why);
}

int file_read(struct app_tx *tx, struct span bytes, struct image_info *info, struct app_file *out) {
    *out = (struct app_file){.bundle = NULL};
    if (bundle_is_one(bytes)) {
        return bundle_read(tx, bytes, info, out);
    }
    int code = file_read_module(tx, bytes, info);
    if (code == SW_OK) {
        out->bytes = bytes;
        file_record(info, &out->image);
        code = check_alone(tx, bytes, info, &out->image);
    }
    return code;
}

static int store_assets(struct app_tx *tx, const struct app_bundle *bundle,
                        const struct image_record *image) {
    int code = store_bundle_insert(tx->store, image->id, bundle->zip, tx->fault);
    for (uint32_t i = 0; code == SW_OK && i < bundle->count; i++) {
        struct image_record asset = bundle->assets[i].image;
        asset.kind = image->kind;
        asset.created_ms = image->created_ms;
        code = store_image_insert(tx->store, &asset, span_of(bundle->assets[i].module, asset.size),
                                  tx->fault);
        if (code == SW_OK) {
            code = store_bundle_add(tx->store, image->id, i, asset.id, tx->fault);
        }
    }
    return code;
}

int file_store(struct app_tx *tx, const struct app_file *file, struct image_record *image) {
    int code = store_image_insert(tx->store, image, file->bytes, tx->fault);
    return code == SW_OK && file->bundle != NULL ? store_assets(tx, file->bundle, image) : code;
}

void bundle_free(struct app_bundle *bundle) {
    for (size_t i = 0; bundle != NULL && i < bundle->count; i++) {
        free(bundle->assets[i].module);
    }
    if (bundle != NULL) {
        free(bundle->application);
    }
    free(bundle);
}

void app_file_close(struct app_file *file) {
    bundle_free(file->bundle);
    *file = (struct app_file){.bundle = NULL};
}
