/* Reading firmware files: what a binary says about itself. Pure; the bytes are borrowed. */
#ifndef SLIPWAY_IMAGE_IMAGE_H
#define SLIPWAY_IMAGE_IMAGE_H

#include "slipway/crypto/hash.h"
#include "slipway/model/module.h"
#include "slipway/util/error.h"
#include "slipway/util/span.h"

enum image_flag { /* of the module prefix */
                  IMAGE_DROP_MODULE_INFO = 1,
                  IMAGE_COMPRESSED = 2,
                  IMAGE_COMBINED = 4,
                  IMAGE_ENCRYPTED = 8,
                  IMAGE_PREFIX_EXTENSIONS = 16
};

struct image_info {
    uint16_t platform_id;
    uint8_t function; /* enum module_function */
    uint8_t index;
    uint16_t module_version;
    uint8_t flags;
    uint32_t start_address, end_address;
    uint32_t prefix_offset; /* a vector table or boot header may come first */
    struct module_dependency dependencies[2];
    bool has_product;         /* the suffix carries a version other than 0 and FFFF */
    uint16_t product_id;      /* platform id on Device OS 4 and later */
    uint16_t product_version; /* 1..65534 when has_product */
    uint16_t suffix_bytes;    /* extensions and base, up to the CRC */
    struct sha256 hash;       /* from the suffix: the identity that a device reports */
    struct sha256 file_hash;  /* of the whole file: what File-SHA256 of a transfer is */
    uint32_t size;            /* bytes of the file */
    uint32_t crc;             /* as stored and verified */
};

#define IMAGE_MODULE_MIN 64       /* prefix, suffix and CRC with nothing between */
#define IMAGE_MODULE_MAX 16777216 /* no device has room for more */

/* Reads one Device OS module that spans the whole file, of any function. SW_OK, or SW_E_INPUT with
 * *why a static sentence: too short or long, no module prefix, several modules in one file, unknown
 * platform, length and addresses disagree, suffix malformed, CRC-32 does not match, SHA-256 does
 * not match. An asset carries platform 0. Compressed files are read as they are: `hash` is then the
 * compressed file's own, not the one that a device will report. */
int image_read_module(struct span file, struct image_info *out, const char **why) SW_NODISCARD;

/* --- assets: files that an application finds in the device's asset store --- */

#define IMAGE_ASSETS_MAX     64 /* of one application */
#define IMAGE_ASSET_NAME_MAX 127

/* One asset as an application's suffix names it, or as an asset module says what it is. */
struct image_asset {
    struct sha256 hash; /* of the asset itself, without any module around it */
    struct span name;   /* 1..IMAGE_ASSET_NAME_MAX bytes, borrowed from the file; not checked */
};

/* The assets that a module which image_read_module accepted depends on. SW_OK with their *count,
 * which may be 0; SW_E_INPUT with *why: the suffix's extensions are malformed, a hash is not a
 * SHA-256, a name is empty or too long, more than cap. */
int image_read_assets(struct span file, const struct image_info *info, struct image_asset *out,
                      size_t cap, size_t *count, const char **why) SW_NODISCARD;

/* An asset module: function 9, DROP_MODULE_INFO, start address 0, hash and name in the suffix, and
 * between prefix and suffix the asset, as it is or packed. */
struct image_asset_module {
    struct image_asset asset;
    struct span body;   /* borrowed */
    uint32_t raw_bytes; /* 0: the body is the asset; else its raw Deflate stream (RFC 1951), and
                           this is what comes out of it */
};
/* One that holds an asset as it is. */
struct image_asset_module image_asset_of(struct span name, struct span asset);

/* Takes apart what image_read_module accepted. SW_E_INPUT with *why: not an asset module, malformed
 * extensions, no hash or no name, packed in an unknown way, or a body that is not packed and does
 * not have that hash. What a packed body unpacks to is the caller's to check. */
int image_read_asset(struct span file, const struct image_info *info,
                     struct image_asset_module *out, const char **why) SW_NODISCARD;
/* Puts one together, and returns the file's length: the body's and image_asset_overhead. SW_E_FULL
 * if cap is less; SW_E_RANGE if the name is empty or too long, or the file would be longer than
 * IMAGE_MODULE_MAX. */
size_t image_asset_overhead(const struct image_asset_module *module);
int image_write_asset(const struct image_asset_module *module, uint8_t *out,
                      size_t cap) SW_NODISCARD;

/* What an upload declares, held against what the file says. 0 = not declared. */
struct image_claim {
    uint16_t version;
    uint16_t product_id;
    uint16_t platform_id;
};
/* SW_OK, or SW_E_RANGE with a sentence in why (cap bytes, 200 hold any) that names what was found
 * and what was expected: not an application, another platform, no version compiled in although one
 * is declared, another version, another product. The platform's id in place of a product id is
 * right for every product of that platform: Device OS 4 and later builds carry it. */
int image_check_claim(const struct image_info *info, const struct image_claim *claim, char *why,
                      size_t cap) SW_NODISCARD;

/* Writes a correct module around a body, as a compiler and linker script would: for the demo, the
 * tests and the simulated devices. nRF52840 system parts and bootloaders get a vector table first;
 * RTL872x product data goes into a suffix extension, and so do the assets of either. */
struct image_recipe {
    uint16_t platform_id;
    uint8_t function;
    uint8_t index;
    uint16_t module_version;
    struct module_dependency dependencies[2];
    uint16_t product_id;
    uint16_t product_version; /* 0 = none: FFFF FFFF is written, as compilers do */
    uint32_t start_address;   /* 0 = the platform's usual one */
    struct span body;
    const struct image_asset *assets; /* that it depends on */
    size_t asset_count;
};
/* The bytes that go around a body: the file is as long as both. */
size_t image_overhead(const struct image_recipe *recipe);
/* The file's length; SW_E_FULL if cap is less; SW_E_RANGE if the platform is unknown or the file
 * would be longer than IMAGE_MODULE_MAX. */
int image_write_module(const struct image_recipe *recipe, uint8_t *out, size_t cap) SW_NODISCARD;

#endif
