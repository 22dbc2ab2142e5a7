/* The operator: uploads, releases, locks, groups, development marks and single flashes at moments
 * of chance, through the same use cases as the REST door. What was intended is kept here as well,
 * and what follows from it for each device is worked out here again, by other means. */
#include "world.h"

#include "sim/internal.h"
#include "slipway/app/fleet.h"
#include "slipway/app/group.h"
#include "slipway/app/product.h"
#include "slipway/app/release.h"
#include "slipway/image/image.h"
#include "slipway/util/check.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const group_names[GROUPS] = {"beta", "field"};

/* --- what the rules give --- */

/* Each claim on a device has a weight; the heaviest wins. */
uint16_t operator_target(const struct world *world, unsigned device) {
    const struct world_wish *wish = &world->devices[device].wish;
    uint32_t best = world->default_version != 0 ? 1U << 16 | world->default_version : 0;
    for (unsigned g = 0; g < GROUPS; g++) {
        uint32_t weight = 2U << 16 | world->group_version[g];
        if (wish->in_group[g] && world->group_version[g] != 0 && weight > best) {
            best = weight;
        }
    }
    if (wish->locked != 0) {
        best = 3U << 16 | wish->locked;
    }
    return wish->is_development || wish->is_removed ? 0 : (uint16_t)best;
}

static void note_targets(struct world *world) {
    for (unsigned i = 0; i < world->profile.devices; i++) {
        struct world_wish *wish = &world->devices[i].wish;
        uint16_t target = operator_target(world, i);
        if (wish->past_count > 0 && wish->past[wish->past_count - 1].version == target) {
            continue;
        }
        if (wish->past_count > 0) {
            wish->past[wish->past_count - 1].until = world->now;
        }
        if (wish->past_count == PAST_MAX) {
            memmove(wish->past, wish->past + 1, (PAST_MAX - 1) * sizeof wish->past[0]);
            wish->past_count--;
        }
        wish->past[wish->past_count].version = target;
        wish->past[wish->past_count].until = MONO_NEVER;
        wish->past_count++;
    }
}

/* --- uploads --- */

static void make_module(struct world *world, struct world_image *image,
                        struct image_recipe *recipe_in, size_t body_len) {
    static uint8_t body[IMAGE_MAX];
    struct image_recipe recipe = *recipe_in;
    rng_fill(&world->rng, body, body_len);
    recipe.platform_id = WORLD_PLATFORM;
    recipe.body = span_of(body, body_len);
    size_t len = image_overhead(&recipe) + body_len;
    struct image_info info;
    const char *why;
    image->bytes = malloc(len);
    SW_CHECK(image->bytes != NULL);
    SW_CHECK(image_write_module(&recipe, image->bytes, len) == (int)len);
    SW_CHECK(image_read_module(span_of(image->bytes, len), &info, &why) == SW_OK);
    image->len = len;
    image->hash = info.file_hash;
    image->module_hash = info.hash;
}

static void make_image(struct world *world, unsigned version, size_t body_len) {
    struct world_image *image = &world->images[version - 1];
    free(image->bytes); /* of an upload that was not stored */
    free(image->zip);
    *image = (struct world_image){.bytes = NULL};
    struct image_recipe recipe = {.function = MODULE_USER_PART,
                                  .index = 2,
                                  .module_version = 6,
                                  .product_id = WORLD_PLATFORM,
                                  .product_version = (uint16_t)version};
    image->needs_system = world->profile.needs_system && version > 1 && world_chance(world, 40);
    if (image->needs_system) {
        recipe.dependencies[0] = (struct module_dependency){
            .function = MODULE_SYSTEM_PART, .index = 1, .version = SYSTEM_NEW};
    }
    struct image_asset names[ASSETS];
    if (world->profile.has_assets && version > 1 && world_chance(world, 60)) {
        image->assets = assets_draw(world, &recipe, names);
    }
    make_module(world, image, &recipe, body_len);
    if (image->assets != 0) {
        assets_pack(world, image);
    }
}

static void make_system(struct world *world) {
    struct image_recipe recipe = {
        .function = MODULE_SYSTEM_PART,
        .index = 1,
        .module_version = SYSTEM_NEW,
        .dependencies = {{.function = MODULE_BOOTLOADER, .index = 0, .version = 3100}}};
    make_module(world, &world->system, &recipe, 3000 + rng_below(&world->rng, 20000));
}

static int run_system_upload(struct app_tx *tx, void *arg) {
    const struct world *world = arg;
    struct image_record record;
    struct app_system_upload upload = {.name = "6.3.0",
                                       .bytes = span_of(world->system.bytes, world->system.len)};
    return app_system_upload(tx, &upload, &record);
}

static void upload_system(struct world *world) {
    if (world->profile.needs_system && !world->has_library && server_is_up(world)) {
        world->has_library = server_call(world, run_system_upload, world, "system");
    }
}

static int run_upload(struct app_tx *tx, void *arg) {
    struct world *world = arg;
    unsigned version = world->versions + 1;
    const struct world_image *image = &world->images[version - 1];
    struct app_upload upload = {.product_id = world->product_id,
                                .version = version,
                                .title = "simulated",
                                .uploaded_by = "operator",
                                .bytes = image->assets != 0 ? span_of(image->zip, image->zip_len)
                                                            : span_of(image->bytes, image->len)};
    struct app_file file;
    struct firmware firmware;
    int code = app_upload_check(tx, &upload, &file);
    if (code == SW_OK) {
        struct app_file stored = file;
        stored.bundle = world->mutant == MUTANT_NO_ASSETS ? NULL : file.bundle;
        code = app_upload(tx, &upload, &stored, &firmware);
        assets_note(world, &file);
        app_file_close(&file);
    }
    return code;
}

static void upload(struct world *world) {
    if (world->versions < VERSIONS_MAX) {
        /* A few run over the asset store. */
        bool is_large = world->profile.has_assets && world_chance(world, 2);
        make_image(world, world->versions + 1,
                   is_large ? IMAGE_MAX : 600 + rng_below(&world->rng, 40000));
        if (server_call(world, run_upload, world, "upload")) {
            world->versions++;
        }
    }
}

/* --- releases --- */

static int run_release(struct app_tx *tx, void *arg) {
    struct app_release_result result;
    return app_release(tx, arg, &result);
}

static void release(struct world *world, unsigned version, enum app_tri product_default,
                    unsigned groups) {
    const char *names[GROUPS];
    struct app_release request = {.product_id = world->product_id,
                                  .version = version,
                                  .product_default = product_default,
                                  .has_groups = true,
                                  .groups = names,
                                  .immediate = world_chance(world, 50),
                                  .by = "operator"};
    for (unsigned g = 0; g < GROUPS; g++) {
        if ((groups >> g & 1) != 0) {
            names[request.group_count++] = group_names[g];
        }
    }
    if (!server_call(world, run_release, &request, "release")) {
        return;
    }
    for (unsigned g = 0; g < GROUPS; g++) {
        if ((groups >> g & 1) != 0) {
            world->group_version[g] = (uint16_t)version;
        } else if (world->group_version[g] == version) {
            world->group_version[g] = 0;
        }
    }
    if (product_default == APP_TRUE) {
        world->default_version = (uint16_t)version;
    } else if (product_default == APP_FALSE && world->default_version == version) {
        world->default_version = 0;
    }
}

static unsigned groups_of(const struct world *world, unsigned version) {
    unsigned groups = 0;
    for (unsigned g = 0; g < GROUPS; g++) {
        groups |= world->group_version[g] == version ? 1U << g : 0;
    }
    return groups;
}

/* --- single devices --- */

struct edit {
    struct world *world;
    unsigned device;
    struct app_device_edit edit;
};

static int run_edit(struct app_tx *tx, void *arg) {
    const struct edit *edit = arg;
    struct device device;
    return app_device_edit(tx, edit->world->product_id,
                           &edit->world->devices[edit->device].sim.config.id, &edit->edit, &device);
}

static void edit_lock(struct world *world, unsigned device, unsigned version) {
    struct edit edit = {.world = world, .device = device, .edit = {.by = "operator"}};
    edit.edit.lock = version != 0 ? APP_SET : APP_CLEAR;
    edit.edit.lock_version = version;
    edit.edit.flash = version != 0 && world_chance(world, 50);
    if (world->mutant == MUTANT_NO_LOCKS || server_call(world, run_edit, &edit, "lock")) {
        world->devices[device].wish.locked = (uint16_t)version;
    }
}

static void edit_development(struct world *world, unsigned device, bool is_development) {
    struct edit edit = {
        .world = world,
        .device = device,
        .edit = {.has_development = true, .development = is_development, .by = "operator"}};
    if (server_call(world, run_edit, &edit, "development")) {
        world->devices[device].wish.is_development = is_development;
    }
}

static void edit_forced(struct world *world, unsigned device, bool is_forced) {
    struct edit edit = {.world = world,
                        .device = device,
                        .edit = {.has_forced = true, .forced = is_forced, .by = "operator"}};
    if (server_call(world, run_edit, &edit, "force")) {
        world->devices[device].wish.is_forced = is_forced;
    }
}

static void edit_groups(struct world *world, unsigned device, unsigned groups) {
    const char *names[GROUPS];
    struct edit edit = {.world = world,
                        .device = device,
                        .edit = {.has_groups = true, .groups = names, .by = "operator"}};
    for (unsigned g = 0; g < GROUPS; g++) {
        if ((groups >> g & 1) != 0) {
            names[edit.edit.group_count++] = group_names[g];
        }
    }
    if (server_call(world, run_edit, &edit, "groups")) {
        for (unsigned g = 0; g < GROUPS; g++) {
            world->devices[device].wish.in_group[g] = (groups >> g & 1) != 0;
        }
    }
}

static int run_flash(struct app_tx *tx, void *arg) {
    struct update update;
    return app_device_flash(tx, arg, &update);
}

static void flash(struct world *world, unsigned device, unsigned version) {
    struct app_flash request = {
        .device = world->devices[device].sim.config.id, .version = version, .by = "operator"};
    if (server_call(world, run_flash, &request, "flash")) {
        struct world_wish *wish = &world->devices[device].wish;
        wish->flashed_before = wish->flashed;
        wish->flashed_before_until = world->now;
        wish->flashed = (uint16_t)version;
    }
}

/* --- second thoughts --- */

static int run_delete(struct app_tx *tx, void *arg) {
    const struct edit *edit = arg;
    return app_firmware_delete(tx, edit->world->product_id, edit->device);
}

/* Refused when it was released, is locked to, or on its way. */
static void delete_version(struct world *world, unsigned version) {
    struct edit edit = {.world = world, .device = version};
    if (server_call(world, run_delete, &edit, "delete")) {
        world->images[version - 1].is_deleted = true;
    }
}

static int run_regroup(struct app_tx *tx, void *arg) {
    const struct edit *edit = arg;
    struct group group;
    struct app_group_edit fields = {.name = group_names[edit->device]};
    int code = app_group_delete(tx, edit->world->product_id, fields.name);
    return code == SW_OK ? app_group_create(tx, edit->world->product_id, &fields, &group) : code;
}

/* A group is deleted, and another one gets its name: without members and releases. */
static void regroup(struct world *world, unsigned group) {
    struct edit edit = {.world = world, .device = group};
    if (server_call(world, run_regroup, &edit, "regroup")) {
        world->group_version[group] = 0;
        for (unsigned i = 0; i < world->profile.devices; i++) {
            world->devices[i].wish.in_group[group] = false;
        }
    }
}

static int run_remove(struct app_tx *tx, void *arg) {
    const struct edit *edit = arg;
    const struct device_id *id = &edit->world->devices[edit->device].sim.config.id;
    return edit->edit.has_forced ? app_quarantine_deny(tx, edit->world->product_id, id)
                                 : app_device_remove(tx, edit->world->product_id, id);
}

static int run_return(struct app_tx *tx, void *arg) {
    const struct edit *edit = arg;
    struct app_import_result result;
    char text[DEVICE_ID_DIGITS + 1];
    device_id_text(&edit->world->devices[edit->device].sim.config.id, text);
    struct span span = span_text(text);
    int code = app_device_import(tx, edit->world->product_id, &span, 1, &result);
    if (code == SW_OK) {
        app_import_result_free(&result);
    }
    return code;
}

/* It comes back as a new one: nothing of what it was set to is left. */
static void give_back(struct world *world, unsigned device) {
    struct edit edit = {.world = world, .device = device};
    if (server_call(world, run_return, &edit, "return")) {
        world->devices[device].wish.is_removed = false;
    }
}

static void take_away(struct world *world, unsigned device) {
    struct world_wish *wish = &world->devices[device].wish;
    struct edit edit = {.world = world, .device = device};
    edit.edit.has_forced = world_chance(world, 30); /* denied: it is to stay out */
    if (device == 0 && world->profile.has_impostor) {
        return; /* whoever comes first would be it */
    }
    if (world->mutant == MUTANT_NO_REMOVAL || server_call(world, run_remove, &edit, "remove")) {
        wish->is_removed = true;
        wish->removed = world->now;
        wish->is_development = false;
        wish->is_forced = false;
        wish->locked = 0;
        wish->flashed = 0;
        wish->flashed_before = 0;
        memset(wish->in_group, 0, sizeof wish->in_group);
    }
}

static void think_again(struct world *world, unsigned device, unsigned version) {
    switch (rng_below(&world->rng, 5)) {
    case 0:
        release(world, version, APP_FALSE, 0);
        break;
    case 1:
        delete_version(world, version);
        break;
    case 2:
        regroup(world, (unsigned)rng_below(&world->rng, GROUPS));
        break;
    default:
        take_away(world, device);
        break;
    }
}

/* The device's own application has a say, too. */
static void allow(struct world *world, unsigned device, bool allowed) {
    uint8_t data[8192];
    struct outbox out;
    struct world_device *d = &world->devices[device];
    outbox_init(&out, data, sizeof data);
    d->sim.config.disables_updates = !allowed;
    sim_device_allow_updates(&d->sim, allowed, world->now, &out);
    world_from_device(world, device, &out);
}

void operator_act(struct world *world) {
    unsigned device = (unsigned)rng_below(&world->rng, world->profile.devices);
    unsigned what = (unsigned)rng_below(&world->rng, 15);
    if (!server_is_up(world)) {
        return;
    }
    unsigned version = 1 + (unsigned)rng_below(&world->rng, world->versions);
    if (world->images[version - 1].is_deleted) {
        version = 1;
    }
    bool is_moody = world->profile.is_moody && world_chance(world, 30);
    if (world->devices[device].wish.is_removed) {
        give_back(world, device);
        note_targets(world);
        return;
    }
    if (is_moody) {
        think_again(world, device, version);
        note_targets(world);
        return;
    }
    switch (what) {
    case 0:
        upload_system(world);
        break;
    case 1:
        upload(world);
        break;
    case 2:
    case 3:
        release(world, version, APP_TRUE, groups_of(world, version));
        break;
    case 4:
    case 5:
        release(world, version, APP_UNSET, 1 + (unsigned)rng_below(&world->rng, 3));
        break;
    case 6:
        edit_lock(world, device, world_chance(world, 60) ? version : 0);
        break;
    case 7:
        edit_development(world, device, world_chance(world, 30));
        break;
    case 8:
        edit_groups(world, device, (unsigned)rng_below(&world->rng, 4));
        break;
    case 9:
        flash(world, device, version);
        break;
    case 11:
    case 12:
    case 13:
        server_command(world, device);
        break;
    case 10:
        edit_forced(world, device, world_chance(world, 50));
        break;
    default:
        allow(world, device, world_chance(world, 50));
        break;
    }
    note_targets(world);
}

void operator_heal(struct world *world) {
    for (unsigned i = 0; i < world->profile.devices; i++) {
        allow(world, i, true);
        if (!world->devices[i].sim.receiver.is_running) {
            sim_device_sleep(&world->devices[i].sim, 500 + 100 * i, world->now);
        }
        unsigned groups = 0;
        for (unsigned g = 0; g < GROUPS; g++) {
            groups |= world->devices[i].wish.in_group[g] ? 1U << g : 0;
        }
        if (server_is_up(world) && world->devices[i].wish.is_removed) {
            give_back(world, i);
        }
        if (server_is_up(world) && !world->devices[i].sim.config.keeps_old) {
            edit_groups(world, i, groups); /* an operator's act is a new chance */
        }
    }
    upload_system(world);
    note_targets(world);
}

/* --- the beginning --- */

static int run_product(struct app_tx *tx, void *arg) {
    struct world *world = arg;
    struct product product;
    struct app_product_new request = {
        .name = "Simulated", .platform_id = WORLD_PLATFORM, .quarantine = true};
    int code = app_product_create(tx, &request, &product);
    world->product_id = product.id;
    return code;
}

static int run_import(struct app_tx *tx, void *arg) {
    struct world *world = arg;
    struct app_import_result result;
    char texts[DEVICES_MAX][DEVICE_ID_DIGITS + 1];
    struct span spans[DEVICES_MAX];
    for (unsigned i = 0; i < world->profile.devices; i++) {
        device_id_text(&world->devices[i].sim.config.id, texts[i]);
        spans[i] = span_text(texts[i]);
    }
    int code = app_device_import(tx, world->product_id, spans, world->profile.devices, &result);
    if (code == SW_OK) {
        SW_CHECK(result.updated.count == world->profile.devices);
        app_import_result_free(&result);
    }
    return code;
}

static int run_group(struct app_tx *tx, void *arg) {
    const struct edit *edit = arg;
    struct group group;
    struct app_group_edit fields = {.name = group_names[edit->device]};
    return app_group_create(tx, edit->world->product_id, &fields, &group);
}

/* Bound beforehand, so that the impostor cannot be first. */
static int run_key(struct app_tx *tx, void *arg) {
    const struct world *world = arg;
    return app_device_register_key(tx, &world->devices[0].sim.config.id,
                                   crypto_key_point(world->devices[0].key));
}

void operator_close(struct world *world) {
    for (unsigned v = 0; v < VERSIONS_MAX; v++) {
        free(world->images[v].bytes);
        free(world->images[v].zip);
    }
    free(world->system.bytes);
}

void operator_prepare(struct world *world) {
    (void)server_call(world, run_product, world, "product");
    (void)server_call(world, run_import, world, "import");
    for (unsigned g = 0; g < GROUPS; g++) {
        struct edit group = {.world = world, .device = g};
        (void)server_call(world, run_group, &group, "group");
    }
    if (world->profile.has_impostor) {
        (void)server_call(world, run_key, world, "key");
    }
    if (world->profile.needs_system) {
        make_system(world);
    }
    assets_make(world);
    upload(world);
    upload(world);
    for (unsigned i = 0; i < world->profile.devices; i++) {
        edit_groups(world, i, (unsigned)rng_below(&world->rng, 4));
    }
    release(world, 1, APP_TRUE, 0);
    note_targets(world);
}
