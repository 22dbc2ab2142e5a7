/* Files that applications depend on, and bundles of both. Two contents go under each name, so that
 * an update may have to replace one that the device has. */
#include "world.h"

#include "app/firmware/file.h"
#include "slipway/util/check.h"
#include "zip_make.h"

#include <stdio.h>

#define NAMES (ASSETS / 2)

void assets_make(struct world *world) {
    for (unsigned a = 0; a < ASSETS; a++) {
        struct world_asset *asset = &world->assets[a];
        snprintf(asset->name, sizeof asset->name, "asset-%u.bin", a % NAMES);
        asset->len = 1 + (size_t)rng_below(&world->rng, sizeof asset->raw);
        /* One half of them is worth packing. */
        memset(asset->raw, (int)a, asset->len);
        rng_fill(&world->rng, asset->raw, a % 2 == 0 ? asset->len : asset->len / 4);
        sha256_of(span_of(asset->raw, asset->len), &asset->hash);
    }
}

uint8_t assets_draw(struct world *world, struct image_recipe *recipe,
                    struct image_asset names[ASSETS]) {
    uint8_t drawn = 0;
    recipe->assets = names;
    recipe->asset_count = 0;
    for (unsigned n = 0; n < NAMES; n++) {
        unsigned a = n + NAMES * (unsigned)rng_below(&world->rng, 2);
        if (!world_chance(world, 60)) {
            continue;
        }
        drawn = (uint8_t)(drawn | 1U << a);
        names[recipe->asset_count].name = span_text(world->assets[a].name);
        names[recipe->asset_count++].hash = world->assets[a].hash;
    }
    return drawn;
}

void assets_pack(const struct world *world, struct world_image *image) {
    struct zip_entry entries[1 + ASSETS] = {
        {.name = "application.bin", .bytes = span_of(image->bytes, image->len)}};
    char names[ASSETS][32];
    size_t count = 1;
    for (unsigned a = 0; a < ASSETS; a++) {
        if ((image->assets >> a & 1) != 0) {
            snprintf(names[a], sizeof names[a], "assets/%s", world->assets[a].name);
            entries[count++] = (struct zip_entry){
                .name = names[a], .bytes = span_of(world->assets[a].raw, world->assets[a].len)};
        }
    }
    image->zip = zip_make(entries, count, &image->zip_len);
}

void assets_note(struct world *world, const struct app_file *file) {
    for (size_t i = 0; file->bundle != NULL && i < file->bundle->count; i++) {
        const struct image_record *stored = &file->bundle->assets[i].image;
        for (unsigned a = 0; a < ASSETS; a++) {
            struct world_asset *asset = &world->assets[a];
            if (memcmp(asset->hash.b, stored->module_hash.b, SHA256_BYTES) == 0) {
                asset->module = stored->file_hash;
            }
        }
    }
}

const struct world_asset *assets_find(const struct world *world, const struct sha256 *module) {
    for (unsigned a = 0; a < ASSETS; a++) {
        if (memcmp(world->assets[a].module.b, module->b, SHA256_BYTES) == 0) {
            return &world->assets[a];
        }
    }
    return NULL;
}
