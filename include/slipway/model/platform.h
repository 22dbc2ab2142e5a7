/* Device OS platforms. The ones before the nRF52840 and RTL872x families are known so that their
 * modules can be named when they are refused; only `is_served` ones can hold a session. */
#ifndef SLIPWAY_MODEL_PLATFORM_H
#define SLIPWAY_MODEL_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

struct platform {
    uint16_t id;
    const char *name;  /* "boron": as the command line tools call it */
    const char *title; /* "Boron" */
    bool is_rtl;       /* RTL872x instead of nRF52840 */
    bool is_cellular;
    bool is_served;         /* a current Device OS (DTLS, extension 254) exists for it */
    uint32_t asset_overlap; /* an application of more bytes overwrites the asset store; 0 = never */
    uint32_t asset_bytes;   /* that the asset store takes; 0 = not known here */
};

const struct platform *platform_find(uint16_t id); /* NULL if unknown */
/* All of them, ended by one whose name is NULL. */
const struct platform *platform_all(void);

#endif
