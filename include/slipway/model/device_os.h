/* Device OS releases as people name them. */
#ifndef SLIPWAY_MODEL_DEVICE_OS_H
#define SLIPWAY_MODEL_DEVICE_OS_H

#include <stdint.h>

/* "6.2.0" for module version 6200 of the system part; NULL for one that is not known here. Numbers
 * order releases, but cannot be turned into names: pre-releases shift their last digits. */
const char *device_os_name(uint16_t module_version);

/* The other way: 0 for a name that is not known here. */
uint16_t device_os_module(const char *name);

#endif
