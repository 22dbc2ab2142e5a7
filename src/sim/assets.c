/* The asset store: a small file system beside the application. It knows files by name; what it is
 * asked for is a name with its hash. */
#include "sim/internal.h"

#include <zlib.h>

static void keep(struct sim_asset *to, const struct image_asset *from, uint32_t bytes) {
    size_t len = from->name.len < sizeof to->name ? from->name.len : sizeof to->name - 1;
    *to = (struct sim_asset){.bytes = bytes};
    memcpy(to->hash, from->hash.b, sizeof to->hash);
    memcpy(to->name, from->name.data, len);
}

bool asset_is_there(const struct sim_assets *assets, const uint8_t hash[SHA256_BYTES]) {
    for (size_t i = 0; i < assets->count; i++) {
        if (memcmp(assets->items[i].hash, hash, SHA256_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

bool sim_device_has_assets(const struct sim_device *device) {
    const struct sim_assets *needed = &device->firmware.assets;
    for (size_t i = 0; i < needed->count; i++) {
        if (!asset_is_there(&device->store, needed->items[i].hash)) {
            return false;
        }
    }
    return true;
}

void assets_of(struct span file, const struct image_info *info, struct sim_assets *out) {
    struct image_asset assets[SIM_ASSETS_MAX];
    size_t count = 0;
    const char *why;
    *out = (struct sim_assets){.count = 0};
    if (image_read_assets(file, info, assets, SIM_ASSETS_MAX, &count, &why) != SW_OK) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        keep(&out->items[out->count++], &assets[i], 0);
    }
}

static void drop(struct sim_assets *store, size_t which) {
    store->count--;
    memmove(&store->items[which], &store->items[which + 1],
            (store->count - which) * sizeof store->items[0]);
}

/* Unpacks without keeping anything but the hash. */
static bool unpacks_to(const struct image_asset_module *module) {
    z_stream z = {.zalloc = NULL};
    struct sha256_state state;
    uint8_t part[1024];
    sha256_init(&state);
    int status = inflateInit2(&z, -MAX_WBITS);
    z.next_in = (Bytef *)(uintptr_t)module->body.data; /* zlib only reads it */
    z.avail_in = (uInt)module->body.len;
    while (status == Z_OK && z.total_out <= module->raw_bytes) {
        z.next_out = part;
        z.avail_out = sizeof part;
        status = inflate(&z, Z_NO_FLUSH);
        sha256_update(&state, span_of(part, sizeof part - z.avail_out));
    }
    bool is_whole = status == Z_STREAM_END && z.total_out == module->raw_bytes && z.avail_in == 0;
    (void)inflateEnd(&z);
    struct sha256 hash;
    sha256_final(&state, &hash);
    return is_whole && memcmp(hash.b, module->asset.hash.b, sizeof hash.b) == 0;
}

bool asset_is_sound(struct span file, const struct image_info *info) {
    struct image_asset_module module;
    const char *why;
    return image_read_asset(file, info, &module, &why) == SW_OK &&
           (module.raw_bytes == 0 || unpacks_to(&module));
}

bool asset_store(struct sim_device *device, struct span file, const struct image_info *info) {
    struct sim_assets *store = &device->store;
    struct image_asset_module module;
    struct sim_asset kept;
    const char *why;
    if (image_read_asset(file, info, &module, &why) != SW_OK) {
        return false;
    }
    keep(&kept, &module.asset, info->size);
    uint32_t used = info->size;
    for (size_t i = store->count; i > 0; i--) {
        const struct sim_asset *old = &store->items[i - 1];
        bool is_useless =
            device->config.clears_assets && !asset_is_there(&device->firmware.assets, old->hash);
        if (is_useless || strcmp(old->name, kept.name) == 0) {
            drop(store, i - 1);
        } else {
            used += old->bytes;
        }
    }
    if (used > device->config.asset_cap || store->count == SIM_ASSETS_MAX) {
        return false;
    }
    store->items[store->count++] = kept;
    return true;
}
