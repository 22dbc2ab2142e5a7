/* Device OS modules: a prefix that says what the module is and where it lives in flash, the code,
 * and a suffix with product data, SHA-256 and CRC-32. The file itself does not say where its prefix
 * begins: some modules have a vector table or boot header in front. So every known place is tried
 * and the most plausible one taken, and only then is the module held to all that it claims. */
#include "image/internal.h"

#include "slipway/model/ids.h"
#include "slipway/model/platform.h"
#include "slipway/util/check.h"
#include "slipway/util/reader.h"

#include <zlib.h>

#define VECTOR_TABLE 0x200

#define KNOWN_FLAGS                                                                                \
    (IMAGE_DROP_MODULE_INFO | IMAGE_COMPRESSED | IMAGE_COMBINED | IMAGE_ENCRYPTED |                \
     IMAGE_PREFIX_EXTENSIONS)

/* Where a prefix may begin: at once; after the nRF52840's vector table; after the RTL872x's boot
 * header; after the vector tables of older families. */
static const uint32_t prefix_places[] = {0, VECTOR_TABLE, 32, 0x184, 0x10C, 0xC0};

static struct module_dependency read_dependency(struct reader *r) {
    struct module_dependency dependency;
    dependency.function = reader_u8(r);
    dependency.index = reader_u8(r);
    dependency.version = reader_u16_le(r);
    return dependency;
}

static bool platform_fits(const struct image_info *info) {
    return platform_find(info->platform_id) != NULL &&
           (info->platform_id != 0 || info->function == MODULE_ASSET);
}

static bool length_fits(const struct image_info *info, size_t file_len) {
    return (uint64_t)info->end_address - info->start_address + CRC_BYTES == file_len;
}

/* 0 = cannot be a prefix; else the higher the more plausible. */
static int read_prefix(struct span file, uint32_t place, struct image_info *out) {
    if (file.len < place + PREFIX_BYTES) {
        return 0;
    }
    struct reader r = reader_of(span_of(file.data + place, PREFIX_BYTES));
    *out = (struct image_info){.prefix_offset = place, .size = (uint32_t)file.len};
    out->start_address = reader_u32_le(&r);
    out->end_address = reader_u32_le(&r);
    (void)reader_u8(&r); /* reserved, or an NCP's microcontroller */
    out->flags = reader_u8(&r);
    out->module_version = reader_u16_le(&r);
    out->platform_id = reader_u16_le(&r);
    out->function = reader_u8(&r);
    out->index = reader_u8(&r);
    out->dependencies[0] = read_dependency(&r);
    out->dependencies[1] = read_dependency(&r);
    if (reader_end(&r) != SW_OK || out->end_address <= out->start_address ||
        out->function == MODULE_NONE || out->function > MODULE_ASSET ||
        (out->flags & ~KNOWN_FLAGS) != 0 || out->dependencies[0].function > MODULE_ASSET ||
        out->dependencies[1].function > MODULE_ASSET) {
        return 0;
    }
    return 1 + (platform_fits(out) ? 1 : 0) + (length_fits(out, file.len) ? 2 : 0);
}

static bool find_prefix(struct span file, struct image_info *out) {
    int best = 0;
    for (size_t i = 0; i < SW_COUNT(prefix_places); i++) {
        struct image_info candidate;
        int score = read_prefix(file, prefix_places[i], &candidate);
        if (score > best) {
            best = score;
            *out = candidate;
        }
    }
    return best > 0;
}

/* The last bytes of the file: product data, reserved, SHA-256, suffix size, CRC-32. */
static int read_suffix(struct span file, struct image_info *info, const char **why) {
    size_t tail = PRODUCT_BYTES + SUFFIX_BASE + CRC_BYTES;
    struct reader r = reader_of(span_of(file.data + file.len - tail, tail));
    uint16_t product_id = reader_u16_le(&r);
    uint16_t product_version = reader_u16_le(&r);
    uint16_t reserved = reader_u16_le(&r);
    reader_copy(&r, info->hash.b, sizeof info->hash.b);
    size_t suffix_len = reader_u16_le(&r);
    info->crc = reader_u32(&r);
    SW_CHECK(reader_end(&r) == SW_OK);

    if (reserved != 0 || suffix_len < SUFFIX_BASE ||
        suffix_len > file.len - CRC_BYTES - PREFIX_BYTES - info->prefix_offset) {
        *why = "the module's suffix is malformed";
        return SW_E_INPUT;
    }
    info->suffix_bytes = (uint16_t)suffix_len;
    if (suffix_len >= SUFFIX_BASE + PRODUCT_BYTES && version_is_valid(product_version)) {
        info->has_product = true;
        info->product_id = product_id;
        info->product_version = product_version;
    }
    return SW_OK;
}

static uint32_t crc_of(struct span bytes) {
    return (uint32_t)crc32_z(crc32_z(0, NULL, 0), bytes.data, bytes.len);
}

int image_read_module(struct span file, struct image_info *out, const char **why) {
    *out = (struct image_info){0};
    *why = NULL;
    if (file.len < IMAGE_MODULE_MIN) {
        *why = file.len == 0 ? "the file is empty" : "the file is too short to be a module";
        return SW_E_INPUT;
    }
    if (file.len > IMAGE_MODULE_MAX) {
        *why = "the file is longer than any device has room for";
        return SW_E_INPUT;
    }
    struct image_info info;
    if (!find_prefix(file, &info)) {
        *why = "the file has no module prefix: it is not a Device OS binary";
        return SW_E_INPUT;
    }
    if (!platform_fits(&info)) {
        *why = "the module is built for an unknown platform";
        return SW_E_INPUT;
    }
    if (!length_fits(&info, file.len)) {
        *why = (info.flags & IMAGE_COMBINED) != 0
                   ? "the file holds several modules; one is expected"
                   : "the file's length is not the one that the module's addresses give";
        return SW_E_INPUT;
    }
    int status = read_suffix(file, &info, why);
    if (status != SW_OK) {
        return status;
    }
    if (crc_of(span_of(file.data, file.len - CRC_BYTES)) != info.crc) {
        *why = "the module's CRC-32 does not match its contents";
        return SW_E_INPUT;
    }
    /* The suffix holds the hash of everything before it, so that it names the build. */
    struct sha256 hash;
    sha256_of(span_of(file.data, file.len - SHA256_BYTES - 2 - CRC_BYTES), &hash);
    if (memcmp(hash.b, info.hash.b, sizeof hash.b) != 0) {
        *why = "the module's SHA-256 does not match its contents";
        return SW_E_INPUT;
    }
    sha256_of(file, &info.file_hash);
    *out = info;
    return SW_OK;
}

/* The usual place in flash of each kind of module, where its code would be linked to. */
static uint32_t usual_start(const struct image_recipe *recipe, bool is_rtl, size_t file_len) {
    if (recipe->start_address != 0) {
        return recipe->start_address;
    }
    switch (recipe->function) {
    case MODULE_USER_PART:
        if (is_rtl) { /* these end where the flash ends */
            return UINT32_C(0x08600000) - (uint32_t)file_len;
        }
        return recipe->index == 1 ? 0xD4000 : 0xB4000;
    case MODULE_BOOTLOADER:
        return is_rtl ? 0x08004000 : 0xF4000;
    case MODULE_RADIO_STACK:
        return 0x1000;
    case MODULE_ASSET:
        return 0;
    default: /* functions are numbers from outside: any other is taken as a system part */
        return is_rtl ? 0x08060000 : 0x30000;
    }
}

static size_t table_bytes(const struct image_recipe *recipe, bool is_rtl) {
    bool has_table = recipe->function == MODULE_SYSTEM_PART ||
                     recipe->function == MODULE_BOOTLOADER || recipe->function == MODULE_MONOLITHIC;
    return has_table && !is_rtl ? VECTOR_TABLE : 0;
}

/* nRF52840 modules have their product data bare before the base; an END extension stands between
 * it and any other. */
static size_t suffix_bytes(const struct image_recipe *recipe, bool is_rtl) {
    size_t assets = image_assets_bytes(recipe->assets, recipe->asset_count);
    size_t product = is_rtl ? PRODUCT_EXTENSION : PRODUCT_BYTES;
    return assets + (assets > 0 && !is_rtl ? EXTENSION_BYTES : 0) + product + SUFFIX_BASE;
}

size_t image_overhead(const struct image_recipe *recipe) {
    const struct platform *platform = platform_find(recipe->platform_id);
    bool is_rtl = platform != NULL && platform->is_rtl;
    return table_bytes(recipe, is_rtl) + PREFIX_BYTES + suffix_bytes(recipe, is_rtl) + CRC_BYTES;
}

static void write_dependency(struct writer *w, const struct module_dependency *dependency) {
    writer_u8(w, dependency->function);
    writer_u8(w, dependency->index);
    writer_u16_le(w, dependency->version);
}

void image_put_prefix(struct writer *w, const struct image_prefix *prefix) {
    writer_u32_le(w, prefix->start_address);
    writer_u32_le(w, prefix->end_address);
    writer_u8(w, 0);
    writer_u8(w, prefix->flags);
    writer_u16_le(w, prefix->module_version);
    writer_u16_le(w, prefix->platform_id);
    writer_u8(w, prefix->function);
    writer_u8(w, prefix->index);
    write_dependency(w, &prefix->dependencies[0]);
    write_dependency(w, &prefix->dependencies[1]);
}

void image_finish(struct writer *w, size_t suffix_len) {
    struct sha256 hash;
    writer_u16_le(w, 0);
    sha256_of(writer_span(w), &hash);
    writer_bytes(w, span_of(hash.b, sizeof hash.b));
    writer_u16_le(w, (uint16_t)suffix_len);
    writer_u32(w, crc_of(writer_span(w)));
}

int image_write_module(const struct image_recipe *recipe, uint8_t *out, size_t cap) {
    const struct platform *platform = platform_find(recipe->platform_id);
    size_t overhead = image_overhead(recipe);
    if (platform == NULL || recipe->body.len > IMAGE_MODULE_MAX - overhead) {
        return SW_E_RANGE;
    }
    size_t file_len = overhead + recipe->body.len;
    if (cap < file_len) {
        return SW_E_FULL;
    }
    bool is_rtl = platform->is_rtl;
    uint32_t start = usual_start(recipe, is_rtl, file_len);
    struct image_prefix prefix = {
        .start_address = start,
        .end_address = start + (uint32_t)file_len - CRC_BYTES,
        .function = recipe->function,
        .index = recipe->index,
        .module_version = recipe->module_version,
        .platform_id = recipe->platform_id,
        .dependencies = {recipe->dependencies[0], recipe->dependencies[1]},
    };
    struct writer w = writer_of(out, file_len);
    if (table_bytes(recipe, is_rtl) > 0) {
        writer_u32_le(&w, 0x2003F000); /* initial stack pointer: how devices know the table */
        writer_zeroes(&w, VECTOR_TABLE - 4);
    }
    image_put_prefix(&w, &prefix);
    writer_bytes(&w, recipe->body);
    image_put_assets(&w, recipe->assets, recipe->asset_count);
    if (is_rtl) {
        writer_u16_le(&w, EXTENSION_PRODUCT);
        writer_u16_le(&w, PRODUCT_EXTENSION);
        writer_u16_le(&w, UNUSED);
    } else if (recipe->asset_count > 0) {
        writer_u16_le(&w, EXTENSION_END);
        writer_u16_le(&w, EXTENSION_BYTES);
    }
    writer_u16_le(&w, recipe->product_version != 0 ? recipe->product_id : UNUSED);
    writer_u16_le(&w, recipe->product_version != 0 ? recipe->product_version : UNUSED);
    image_finish(&w, suffix_bytes(recipe, is_rtl));
    SW_CHECK(writer_status(&w) == SW_OK && writer_span(&w).len == file_len);
    return (int)file_len;
}
