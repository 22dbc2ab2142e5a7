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
    uint32_t prefix_offset;
    struct module_dependency dependencies[2];
    bool has_product;         /* the suffix carries product data other than FFFF */
    uint16_t product_id;      /* platform id on Device OS 4 and later */
    uint16_t product_version; /* 1..65534 when has_product */
    struct sha256 hash;       /* from the suffix: the identity that a device reports */
    struct sha256 file_hash;  /* of the whole file: what File-SHA256 of a transfer is */
    uint32_t size;            /* bytes of the file */
    uint32_t crc;             /* as stored and verified */
};

/* Reads one Device OS module that spans the whole file. SW_OK, or SW_E_INPUT with *why a static
 * sentence: too short, no module prefix, unknown platform, length and addresses disagree, CRC-32
 * does not match, SHA-256 does not match, suffix malformed. */
int image_read_module(struct span file, struct image_info *out, const char **why) SW_NODISCARD;

/* What an upload declares, held against what the file says. 0 = not declared. */
struct image_claim {
    uint16_t version;
    uint16_t product_id;
    uint16_t platform_id;
};
/* SW_OK, or SW_E_RANGE with a sentence in why (cap bytes): not an application, another platform,
 * no version compiled in, another version, another product. */
int image_check_claim(const struct image_info *info, const struct image_claim *claim, char *why,
                      size_t cap) SW_NODISCARD;

/* Writes a correct module around a body, as a compiler and linker script would: for the demo, the
 * tests and the simulated devices. Returns the file's length, or SW_E_FULL. */
struct image_recipe {
    uint16_t platform_id;
    uint8_t function;
    uint8_t index;
    uint16_t module_version;
    struct module_dependency dependencies[2];
    uint16_t product_id;
    uint16_t product_version; /* 0 = no product data */
    uint32_t start_address;   /* 0 = the platform's usual one */
    struct span body;
};
int image_write_module(const struct image_recipe *recipe, uint8_t *out, size_t cap) SW_NODISCARD;

#endif
