/* Which release a module version stands for. */
#include "slipway/model/device_os.h"
#include "slipway/util/check.h"

#include <stddef.h>
#include <string.h>

static const struct {
    uint16_t module_version;
    const char *name;
} releases[] = {
    {2302, "2.3.1"}, {3005, "3.0.0"}, {3103, "3.1.0"}, {3301, "3.3.0"}, {4003, "4.0.0"},
    {4200, "4.2.0"}, {5002, "5.0.0"}, {5301, "5.3.1"}, {5501, "5.5.0"}, {5800, "5.8.0"},
    {5901, "5.9.0"}, {6000, "6.0.0"}, {6100, "6.1.0"}, {6200, "6.2.0"},
};

const char *device_os_name(uint16_t module_version) {
    for (size_t i = 0; i < SW_COUNT(releases); i++) {
        if (releases[i].module_version == module_version) {
            return releases[i].name;
        }
    }
    return NULL;
}

uint16_t device_os_module(const char *name) {
    for (size_t i = 0; i < SW_COUNT(releases); i++) {
        if (strcmp(releases[i].name, name) == 0) {
            return releases[i].module_version;
        }
    }
    return 0;
}
