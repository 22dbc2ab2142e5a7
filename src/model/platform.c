#include "slipway/model/platform.h"

#include <stddef.h>

/* An application above this size is written over the asset store (boards with 4 MB of flash). */
#define ASSET_OVERLAP 606208
/* Blocks of 4 KB, of which 16 stay free. */
#define ASSET_STORE(blocks) (((blocks)-16) * 4096)
#define ASSETS_SMALL        ASSET_STORE(288) /* 1.125 MB */
#define ASSETS_LARGE        ASSET_STORE(512) /* 2 MB */

static const struct platform platforms[] = {
    {.id = 0, .name = "core", .title = "Core"},
    {.id = 3, .name = "gcc", .title = "Virtual device", .is_served = true},
    {.id = 6, .name = "photon", .title = "Photon"},
    {.id = 8, .name = "p1", .title = "P1"},
    {.id = 10, .name = "electron", .title = "Electron", .is_cellular = true},
    {.id = 12,
     .name = "argon",
     .title = "Argon",
     .is_served = true,
     .asset_overlap = ASSET_OVERLAP,
     .asset_bytes = ASSETS_SMALL},
    {.id = 13,
     .name = "boron",
     .title = "Boron",
     .is_cellular = true,
     .is_served = true,
     .asset_overlap = ASSET_OVERLAP,
     .asset_bytes = ASSETS_SMALL},
    {.id = 14, .name = "xenon", .title = "Xenon"},
    {.id = 15,
     .name = "esomx",
     .title = "E-SoM X",
     .is_cellular = true,
     .is_served = true,
     .asset_bytes = ASSETS_LARGE},
    {.id = 22,
     .name = "asom",
     .title = "A-SoM",
     .is_served = true,
     .asset_overlap = ASSET_OVERLAP,
     .asset_bytes = ASSETS_SMALL},
    {.id = 23,
     .name = "bsom",
     .title = "B-SoM",
     .is_cellular = true,
     .is_served = true,
     .asset_overlap = ASSET_OVERLAP,
     .asset_bytes = ASSETS_SMALL},
    {.id = 25,
     .name = "b5som",
     .title = "B5-SoM",
     .is_cellular = true,
     .is_served = true,
     .asset_bytes = ASSETS_LARGE},
    {.id = 26,
     .name = "tracker",
     .title = "Tracker",
     .is_cellular = true,
     .is_served = true,
     .asset_bytes = ASSETS_LARGE},
    {.id = 28,
     .name = "trackerm",
     .title = "Tracker M",
     .is_rtl = true,
     .is_cellular = true,
     .is_served = true},
    {.id = 32, .name = "p2", .title = "P2/Photon 2", .is_rtl = true, .is_served = true},
    {.id = 35,
     .name = "msom",
     .title = "M-SoM",
     .is_rtl = true,
     .is_cellular = true,
     .is_served = true},
    {.name = NULL},
};

const struct platform *platform_all(void) {
    return platforms;
}

const struct platform *platform_find(uint16_t id) {
    for (const struct platform *p = platforms; p->name != NULL; p++) {
        if (p->id == id) {
            return p;
        }
    }
    return NULL;
}
