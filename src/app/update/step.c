/* What stands between a device and an image, known before a byte is sent. An application that needs
 * a newer Device OS would put its device into safe mode; so the parts that it lacks go first, each
 * only when its own needs are met, and nothing goes at all if the library lacks one. */
#include "slipway/image/image.h"
#include "slipway/model/device_os.h"
#include "slipway/model/platform.h"
#include "slipway/store/catalog.h"

#include "app/internal.h"
#include "app/update/plan.h"

#include <stdio.h>

/* bootloader needs prebootloader, system part needs bootloader, ...: more than this is a loop. */
#define STEPS_MAX 8

/* Device OS versions at which a part is the system part that Hello speaks of. */
#define SYSTEM_PART_INDEX 1

#define HELLO_COMPRESSED 0x40
#define HELLO_PROTOCOL_3 0x80

static bool has_module(const struct device *device, const struct app_describe *described,
                       const struct module_dependency *need) {
    bool is_system = need->function == MODULE_SYSTEM_PART && need->index == SYSTEM_PART_INDEX;
    if (is_system && device->system_version >= need->version) {
        return true;
    }
    const struct module_state *module =
        described->has ? module_states_find(&described->modules, need->function, need->index)
                       : NULL;
    return module != NULL && module->version >= need->version;
}

static const struct module_dependency *unmet(const struct device *device,
                                             const struct app_describe *described,
                                             const struct image_record *image) {
    for (size_t i = 0; i < image->dependency_count; i++) {
        if (!has_module(device, described, &image->dependencies[i])) {
            return &image->dependencies[i];
        }
    }
    return NULL;
}

const char *os_text(uint16_t version, char out[OS_TEXT_BYTES]) {
    const char *name = device_os_name(version);
    if (name != NULL) {
        (void)snprintf(out, OS_TEXT_BYTES, "%s (%u)", name, (unsigned)version);
    } else {
        (void)snprintf(out, OS_TEXT_BYTES, "%u", (unsigned)version);
    }
    return out;
}

static void say_missing(const struct device *device, const struct module_dependency *need,
                        struct obstacle *out) {
    const struct platform *platform = platform_find(device->platform_id);
    const char *name = platform != NULL ? platform->title : "this platform";
    char needed[OS_TEXT_BYTES], runs[OS_TEXT_BYTES];
    if (need->function == MODULE_SYSTEM_PART) {
        obstacle_set(out, "device_os",
                     "Needs Device OS %s on %s, which is not in the library; the device runs %s",
                     os_text(need->version, needed), name, os_text(device->system_version, runs));
    } else {
        obstacle_set(out, "device_os", "Needs %s %u version %u on %s, which is not in the library",
                     module_function_name(need->function), (unsigned)need->index,
                     (unsigned)need->version, name);
    }
}

void step_check_fit(const struct device *device, const struct image_record *image,
                    struct obstacle *out) {
    bool is_packed = (image->flags & (IMAGE_COMPRESSED | IMAGE_COMBINED)) != 0;
    if (image->function != MODULE_ASSET && image->platform_id != device->platform_id) {
        obstacle_set(out, "platform",
                     "The firmware is for platform %u, the device is of platform %u",
                     (unsigned)image->platform_id, (unsigned)device->platform_id);
    } else if (device->binary_max != 0 && image->size > device->binary_max) {
        obstacle_set(out, "too_large", "The firmware has %u bytes, the device takes at most %u",
                     (unsigned)image->size, (unsigned)device->binary_max);
    } else if (is_packed && (device->hello_flags & HELLO_COMPRESSED) == 0) {
        obstacle_set(out, "compressed",
                     "The firmware is compressed, which the device does not understand");
    } else if ((image->flags & IMAGE_ENCRYPTED) != 0) {
        obstacle_set(out, "encrypted",
                     "The firmware is encrypted, which cannot be sent over the air");
    } else if (image->function == MODULE_ASSET && (device->hello_flags & HELLO_PROTOCOL_3) == 0) {
        obstacle_set(out, "protocol",
                     "The device speaks the older update protocol, which has no assets");
    }
}

static int choose_part(struct app_tx *tx, const struct device *device,
                       const struct image_record *image, struct image_record *step,
                       struct obstacle *out) {
    if (image->dependency_count == 0) {
        return SW_OK;
    }
    struct app_describe described;
    int code = describe_read(tx, device, &described);
    for (int depth = 0; code == SW_OK && depth < STEPS_MAX; depth++) {
        const struct module_dependency *need = unmet(device, &described, step);
        if (need == NULL) {
            step_check_fit(device, step, out);
            return SW_OK;
        }
        /* Without a Describe only the system part is known; what else an application may need is
         * the device's own business to check. */
        if (!described.has && need->function != MODULE_SYSTEM_PART) {
            return SW_OK;
        }
        struct module_dependency wanted = *need;
        code = store_image_find_system(tx->store, device->platform_id, &wanted, step, tx->fault);
        if (code == SW_E_NOT_FOUND) {
            say_missing(device, &wanted, out);
            return SW_OK;
        }
    }
    if (code == SW_OK) {
        obstacle_set(out, "device_os", "The library's Device OS parts need each other in a circle");
    }
    return code;
}

int step_repair(struct app_tx *tx, const struct device *device, struct image_record *image,
                bool *is_due, struct obstacle *out) {
    struct app_describe described;
    *is_due = false;
    int code = describe_read(tx, device, &described);
    const struct module_state *user = NULL;
    for (size_t i = 0; code == SW_OK && i < described.modules.count; i++) {
        const struct module_state *module = &described.modules.items[i];
        user = module->store == 0 && module->function == MODULE_USER_PART ? module : user;
    }
    for (size_t i = 0; user != NULL && i < user->dependency_count; i++) {
        const struct module_dependency *need = &user->dependencies[i];
        if (has_module(device, &described, need)) {
            continue;
        }
        code = store_image_find_system(tx->store, device->platform_id, need, image, tx->fault);
        *is_due = code == SW_OK;
        if (code == SW_E_NOT_FOUND) {
            say_missing(device, need, out);
            code = SW_OK;
        }
        break;
    }
    return code;
}

int step_choose(struct app_tx *tx, const struct device *device, const struct image_record *image,
                const struct update *open, struct image_record *step, struct obstacle *out) {
    *step = *image;
    *out = (struct obstacle){.word = ""};
    if (!device->has_hello) {
        obstacle_set(out, "not_seen", "The device has not connected yet");
        return SW_OK;
    }
    step_check_fit(device, image, out);
    if (out->word[0] != '\0') {
        return SW_OK;
    }
    int code = choose_part(tx, device, image, step, out);
    if (code == SW_OK && out->word[0] == '\0' && step->id == image->id) {
        code = assets_choose(tx, device, image, open, step, out);
    }
    return code;
}
