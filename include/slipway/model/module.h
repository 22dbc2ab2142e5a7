/* A firmware module as the Device OS formats and Describe messages know it. */
#ifndef SLIPWAY_MODEL_MODULE_H
#define SLIPWAY_MODEL_MODULE_H

#include <stdbool.h>
#include <stdint.h>

enum module_function {
    MODULE_NONE = 0,
    MODULE_RESOURCE = 1,
    MODULE_BOOTLOADER = 2,
    MODULE_MONOLITHIC = 3,
    MODULE_SYSTEM_PART = 4,
    MODULE_USER_PART = 5,
    MODULE_SETTINGS = 6,
    MODULE_NCP = 7,
    MODULE_RADIO_STACK = 8,
    MODULE_ASSET = 9
};

/* "user_part"; "unknown" for other numbers. */
const char *module_function_name(unsigned function);
/* The number of that name; MODULE_NONE if there is none such. */
unsigned module_function_find(const char *name);

struct module_dependency {
    uint8_t function; /* enum module_function; MODULE_NONE = no dependency */
    uint8_t index;
    uint16_t version; /* this one or higher */
};

#define MODULE_DEPENDENCIES_MAX 4

/* One module that a device says it has. */
struct module_state {
    uint8_t function;
    uint8_t index;
    uint16_t version;
    uint8_t store; /* 0 main, 1 factory, 2 backup, 3 scratchpad */
    uint32_t size_max;
    uint32_t checked_flags, passed_flags; /* 2 integrity, 4 dependencies, 8 range, 16 platform */
    bool has_hash;                        /* user part only */
    uint8_t hash[32];                     /* SHA-256 of the module's suffix */
    uint8_t dependency_count;
    struct module_dependency dependencies[MODULE_DEPENDENCIES_MAX];
};

#define MODULE_STATES_MAX 24

struct module_states {
    uint8_t count;
    struct module_state items[MODULE_STATES_MAX];
};

/* The module of that function and index in the main store; NULL if there is none. */
const struct module_state *module_states_find(const struct module_states *states, unsigned function,
                                              unsigned index);

#endif
