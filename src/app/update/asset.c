/* The assets of an application, on their way to a device. What is missing goes before the
 * application, so that it finds them when it starts; except where the transfer of a large
 * application runs over the asset store, which must then come second.
 *
 *   asset 0 ─> asset 1 ─> ... ─> application ─> whatever is still missing
 *
 * Devices may drop what the application that they run has no use for, among it the assets of the
 * next one. So each asset is sent once before the application, whatever became of the earlier
 * ones, and the application's own Describe says what has to follow it. */
#include "slipway/model/platform.h"
#include "slipway/store/catalog.h"
#include "slipway/store/update.h"

#include "app/internal.h"
#include "app/update/plan.h"

#include <stdlib.h>
#include <string.h>

int assets_read(struct app_tx *tx, const struct image_record *image, struct asset_set *out) {
    *out = (struct asset_set){.items = NULL};
    if (image->function != MODULE_USER_PART) {
        return SW_OK;
    }
    return store_bundle_assets(tx->store, image->id, &out->items, &out->count, tx->fault);
}

void assets_free(struct asset_set *assets) {
    free(assets->items);
    *assets = (struct asset_set){.items = NULL};
}

size_t assets_missing(const struct asset_set *assets, const struct app_describe *described,
                      size_t from) {
    size_t i = from;
    while (i < assets->count && describe_has_asset(described, &assets->items[i].module_hash)) {
        i++;
    }
    return i < assets->count ? i : assets->count;
}

size_t assets_place(const struct asset_set *assets, int64_t image_id) {
    size_t i = 0;
    while (i < assets->count && assets->items[i].id != image_id) {
        i++;
    }
    return i;
}

static bool device_runs(const struct device *device, const struct image_record *image) {
    return device->has_app_hash &&
           memcmp(device->app_hash.b, image->module_hash.b, sizeof image->module_hash.b) == 0;
}

static void check_store(const struct device *device, const struct asset_set *assets,
                        const struct app_describe *described, struct obstacle *out) {
    const struct platform *platform = platform_find(device->platform_id);
    uint64_t bytes = 0;
    for (size_t i = 0; i < assets->count; i++) {
        bytes += assets->items[i].size;
    }
    if (device->system_version < ASSETS_SINCE) {
        char runs[OS_TEXT_BYTES];
        obstacle_set(out, "device_os",
                     "Needs Device OS 5.5 for its assets; the device runs %s, and nothing in the "
                     "firmware brings it further",
                     os_text(device->system_version, runs));
    } else if (platform != NULL && platform->asset_bytes != 0 && bytes > platform->asset_bytes) {
        obstacle_set(out, "too_large", "Its assets have %llu bytes, a %s stores at most %u",
                     (unsigned long long)bytes, platform->title, (unsigned)platform->asset_bytes);
    } else if (!described->has) {
        obstacle_set(out, "not_described", "The device has not told yet which assets it has");
    }
    /* Also where they follow the application: it would be left without them. */
    for (size_t i = 0; i < assets->count && out->word[0] == '\0'; i++) {
        if (!describe_has_asset(described, &assets->items[i].module_hash)) {
            step_check_fit(device, &assets->items[i], out);
        }
    }
}

static bool is_overwritten(const struct device *device, const struct image_record *image) {
    const struct platform *platform = platform_find(device->platform_id);
    return platform != NULL && platform->asset_overlap != 0 &&
           image->size > platform->asset_overlap;
}

int assets_choose(struct app_tx *tx, const struct device *device, const struct image_record *image,
                  const struct update *open, struct image_record *step, struct obstacle *out) {
    struct asset_set assets;
    struct app_describe described;
    int code = assets_read(tx, image, &assets);
    if (code != SW_OK || assets.count == 0) {
        return code;
    }
    code = describe_read(tx, device, &described);
    if (code == SW_OK) {
        check_store(device, &assets, &described, out);
    }
    if (code == SW_OK && out->word[0] == '\0') {
        bool runs = device_runs(device, image);
        bool is_begun = open != NULL && open->id != 0 && open->image_id == image->id;
        size_t place = is_begun ? assets_place(&assets, open->step_image_id) : assets.count;
        bool is_turn = runs || (!is_overwritten(device, image) &&
                                !(is_begun && open->step_image_id == image->id));
        size_t next = assets_missing(&assets, &described, place < assets.count ? place : 0);
        if (is_turn && next < assets.count) {
            *step = assets.items[next];
        }
    }
    assets_free(&assets);
    return code;
}

/* What comes after an asset, or after the application: the next thing to send, or the end. */
static int go_on(struct app_tx *tx, const struct asset_judgement *judged, size_t from,
                 const char *reason) {
    const struct app_describe *described = judged->described;
    size_t next = assets_missing(judged->assets, described, from);
    const struct image_record *step = judged->image;
    if (next < judged->assets->count) {
        step = &judged->assets->items[next];
    } else if (judged->runs) {
        return update_fail(tx, judged->open, "assets_missing", 0);
    }
    int code = store_update_step(tx->store, judged->open->id, step, tx->now.ms, tx->fault);
    if (code == SW_OK) {
        judged->open->step_image_id = step->id;
        code = update_step_to(tx, judged->open, UPDATE_PLANNED, reason);
    }
    return code;
}

int assets_judge(struct app_tx *tx, const struct asset_judgement *judged) {
    size_t place = assets_place(judged->assets, judged->open->step_image_id);
    if (place == judged->assets->count) {
        return go_on(tx, judged, 0, "application_installed");
    }
    if (describe_has_asset(judged->described, &judged->assets->items[place].module_hash)) {
        return go_on(tx, judged, place + 1, "asset_stored");
    }
    /* Before its restart it cannot have it. */
    return update_is_graceful(tx, judged->open) ? SW_OK
                                                : update_fail(tx, judged->open, "not_stored", 0);
}

int assets_repair(struct app_tx *tx, const struct device *device, uint16_t version,
                  struct image_record *image, bool *is_due) {
    int64_t id = 0;
    struct asset_set assets = {.items = NULL};
    struct app_describe described = {.has = false};
    *is_due = false;
    int code = store_bundle_of_version(tx->store, device->product_id, version, &id, tx->fault);
    if (code != SW_OK || id == 0) {
        return code;
    }
    code = store_image_get(tx->store, id, image, tx->fault);
    if (code == SW_OK && device_runs(device, image)) {
        code = describe_read(tx, device, &described);
        if (code == SW_OK && described.has) {
            code = assets_read(tx, image, &assets);
        }
        *is_due = assets_missing(&assets, &described, 0) < assets.count;
    }
    assets_free(&assets);
    return code;
}
