#include "slipway/model/module.h"

#include "slipway/util/check.h"

#include <string.h>

static const char *const function_names[] = {
    [MODULE_NONE] = "none",
    [MODULE_RESOURCE] = "resource",
    [MODULE_BOOTLOADER] = "bootloader",
    [MODULE_MONOLITHIC] = "monolithic",
    [MODULE_SYSTEM_PART] = "system_part",
    [MODULE_USER_PART] = "user_part",
    [MODULE_SETTINGS] = "settings",
    [MODULE_NCP] = "ncp",
    [MODULE_RADIO_STACK] = "radio_stack",
    [MODULE_ASSET] = "asset",
};

const char *module_function_name(unsigned function) {
    return function < SW_COUNT(function_names) ? function_names[function] : "unknown";
}

unsigned module_function_find(const char *name) {
    for (unsigned i = 0; i < SW_COUNT(function_names); i++) {
        if (strcmp(function_names[i], name) == 0) {
            return i;
        }
    }
    return MODULE_NONE;
}

const struct module_state *module_states_find(const struct module_states *states, unsigned function,
                                              unsigned index) {
    for (size_t i = 0; i < states->count; i++) {
        const struct module_state *module = &states->items[i];
        if (module->store == 0 && module->function == function && module->index == index) {
            return module;
        }
    }
    return NULL;
}
