/* What readers and writers of modules share. */
#ifndef SLIPWAY_IMAGE_INTERNAL_H
#define SLIPWAY_IMAGE_INTERNAL_H

#include "slipway/image/image.h"
#include "slipway/util/writer.h"

#define PREFIX_BYTES      24
#define CRC_BYTES         4
#define SUFFIX_BASE       36     /* reserved, SHA-256, suffix size */
#define PRODUCT_BYTES     4      /* id and version, before the base */
#define PRODUCT_EXTENSION 10     /* type, length, filler, id, version */
#define UNUSED            0xFFFF /* a 16-bit field of erased flash */

/* Extensions: type, length (with these four bytes), data. */
enum image_extension {
    EXTENSION_END = 0,
    EXTENSION_PRODUCT = 1,
    EXTENSION_HASH = 0x10,
    EXTENSION_NAME = 0x11,
    EXTENSION_ASSET = 0x12
};
#define EXTENSION_BYTES 4

/* The prefix, without what may stand before it. */
struct image_prefix {
    uint32_t start_address, end_address;
    uint8_t flags, function, index;
    uint16_t module_version, platform_id;
    struct module_dependency dependencies[2];
};
void image_put_prefix(struct writer *w, const struct image_prefix *prefix);

/* The extensions that name an application's assets; image_assets_bytes long. */
size_t image_assets_bytes(const struct image_asset *assets, size_t count);
void image_put_assets(struct writer *w, const struct image_asset *assets, size_t count);

/* Ends a module whose suffix extensions were written: reserved, SHA-256, suffix size, CRC-32. */
void image_finish(struct writer *w, size_t suffix_len);

#endif
