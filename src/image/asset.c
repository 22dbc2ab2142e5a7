/* Assets: raw files that travel as modules of their own. The application's suffix names each that
 * it needs by name and SHA-256; an asset module carries the same pair beside the bytes. Both are
 * extensions of the suffix, a list of types, lengths and data before its base. */
#include "image/internal.h"

#include "slipway/util/check.h"
#include "slipway/util/reader.h"

#define HASH_SHA256 0
#define HASH_BYTES  (2 + SHA256_BYTES) /* kind, length, the hash */

static const char malformed[] = "the extensions in the module's suffix are malformed";

struct extension {
    uint16_t type;
    struct span data;
};

/* The bytes of the suffix's extensions. A suffix of only product data has none: nRF52840 modules
 * put it there bare. */
static struct reader extensions_of(struct span file, const struct image_info *info) {
    size_t end = file.len - CRC_BYTES - SUFFIX_BASE;
    size_t len = info->suffix_bytes - (size_t)SUFFIX_BASE;
    if (len <= PRODUCT_BYTES) {
        len = 0;
    }
    return reader_of(span_of(file.data + end - len, len));
}

/* false at the end of the list, or with the reader failed. */
static bool next_extension(struct reader *r, struct extension *out) {
    if (reader_left(r) == 0) {
        return false;
    }
    out->type = reader_u16_le(r);
    size_t len = reader_u16_le(r);
    if (reader_status(r) == SW_OK && out->type == EXTENSION_END) {
        return false;
    }
    if (reader_status(r) != SW_OK || len < EXTENSION_BYTES ||
        len - EXTENSION_BYTES > reader_left(r)) {
        reader_fail(r, malformed);
        return false;
    }
    out->data = reader_bytes(r, len - EXTENSION_BYTES);
    return true;
}

static bool take_hash(struct span data, struct sha256 *out) {
    if (data.len < HASH_BYTES || data.data[0] != HASH_SHA256 || data.data[1] != SHA256_BYTES) {
        return false;
    }
    memcpy(out->b, data.data + 2, SHA256_BYTES);
    return true;
}

/* Tools may end or pad a name with zeroes. */
static bool take_name(struct span data, struct span *out) {
    while (data.len > 0 && data.data[data.len - 1] == 0) {
        data.len--;
    }
    *out = data;
    return data.len > 0 && data.len <= IMAGE_ASSET_NAME_MAX;
}

static const char *take_dependency(struct span data, struct image_asset *out) {
    if (!take_hash(data, &out->hash)) {
        return "an asset that the module depends on has no SHA-256";
    }
    bool is_named = take_name(span_of(data.data + HASH_BYTES, data.len - HASH_BYTES), &out->name);
    return is_named ? NULL : "an asset that the module depends on has no name, or one too long";
}

int image_read_assets(struct span file, const struct image_info *info, struct image_asset *out,
                      size_t cap, size_t *count, const char **why) {
    struct reader r = extensions_of(file, info);
    struct extension extension;
    *count = 0;
    *why = NULL;
    while (*why == NULL && next_extension(&r, &extension)) {
        if (extension.type != EXTENSION_ASSET) {
            continue;
        }
        if (*count == cap) {
            *why = "the module depends on more assets than a device can hold";
        } else {
            *why = take_dependency(extension.data, &out[*count]);
            (*count)++;
        }
    }
    if (*why == NULL && reader_status(&r) != SW_OK) {
        *why = malformed;
    }
    *count = *why == NULL ? *count : 0;
    return *why == NULL ? SW_OK : SW_E_INPUT;
}

/* The header of a packed body: its length, the method, the window, the size of what was packed. */
#define PACKED_BYTES   8
#define METHOD_DEFLATE 0

static bool take_packed(struct image_asset_module *out) {
    struct reader r = reader_of(out->body);
    size_t header = reader_u16_le(&r);
    uint8_t method = reader_u8(&r);
    uint8_t window = reader_u8(&r);
    out->raw_bytes = reader_u32_le(&r);
    if (reader_status(&r) != SW_OK || header < PACKED_BYTES || header > out->body.len ||
        method != METHOD_DEFLATE || (window != 0 && (window < 8 || window > 15)) ||
        out->raw_bytes == 0 || out->raw_bytes > IMAGE_MODULE_MAX) {
        return false;
    }
    out->body = span_of(out->body.data + header, out->body.len - header);
    return true;
}

static const char *check_body(const struct image_info *info, struct image_asset_module *out) {
    struct sha256 hash;
    if ((info->flags & IMAGE_COMPRESSED) != 0) {
        return take_packed(out) ? NULL : "the asset is packed in an unknown way";
    }
    sha256_of(out->body, &hash);
    bool is_same = memcmp(hash.b, out->asset.hash.b, sizeof hash.b) == 0;
    return is_same ? NULL : "the asset does not have the SHA-256 that its module says";
}

int image_read_asset(struct span file, const struct image_info *info,
                     struct image_asset_module *out, const char **why) {
    struct reader r = extensions_of(file, info);
    struct extension extension;
    bool has_hash = false;
    bool has_name = false;
    *out = (struct image_asset_module){.raw_bytes = 0};
    *why = info->function == MODULE_ASSET ? NULL : "the module is not an asset";
    while (*why == NULL && next_extension(&r, &extension)) {
        if (extension.type == EXTENSION_HASH && !has_hash) {
            has_hash = take_hash(extension.data, &out->asset.hash);
        } else if (extension.type == EXTENSION_NAME && !has_name) {
            has_name = take_name(extension.data, &out->asset.name);
        }
    }
    if (*why == NULL && (reader_status(&r) != SW_OK || !has_hash || !has_name)) {
        *why =
            reader_status(&r) != SW_OK ? malformed : "the asset module lacks its hash or its name";
    }
    if (*why == NULL) {
        size_t at = info->prefix_offset + (size_t)PREFIX_BYTES;
        out->body = span_of(file.data + at, file.len - CRC_BYTES - info->suffix_bytes - at);
        *why = check_body(info, out);
    }
    return *why == NULL ? SW_OK : SW_E_INPUT;
}

static void put_hash(struct writer *w, const struct sha256 *hash) {
    writer_u8(w, HASH_SHA256);
    writer_u8(w, SHA256_BYTES);
    writer_bytes(w, span_of(hash->b, sizeof hash->b));
}

static size_t dependency_bytes(const struct image_asset *asset) {
    return EXTENSION_BYTES + HASH_BYTES + asset->name.len;
}

size_t image_assets_bytes(const struct image_asset *assets, size_t count) {
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += dependency_bytes(&assets[i]);
    }
    return bytes;
}

void image_put_assets(struct writer *w, const struct image_asset *assets, size_t count) {
    for (size_t i = 0; i < count; i++) {
        writer_u16_le(w, EXTENSION_ASSET);
        writer_u16_le(w, (uint16_t)dependency_bytes(&assets[i]));
        put_hash(w, &assets[i].hash);
        writer_bytes(w, assets[i].name);
    }
}

static size_t suffix_of(size_t name_len) {
    return EXTENSION_BYTES + HASH_BYTES + EXTENSION_BYTES + name_len + PRODUCT_EXTENSION +
           SUFFIX_BASE;
}

struct image_asset_module image_asset_of(struct span name, struct span asset) {
    struct image_asset_module module = {.asset = {.name = name}, .body = asset};
    sha256_of(asset, &module.asset.hash);
    return module;
}

size_t image_asset_overhead(const struct image_asset_module *module) {
    size_t packed = module->raw_bytes != 0 ? PACKED_BYTES : 0;
    return PREFIX_BYTES + packed + suffix_of(module->asset.name.len) + CRC_BYTES;
}

static void put_body(struct writer *w, const struct image_asset_module *module) {
    if (module->raw_bytes != 0) {
        writer_u16_le(w, PACKED_BYTES);
        writer_u8(w, METHOD_DEFLATE);
        writer_u8(w, 0); /* the largest window */
        writer_u32_le(w, module->raw_bytes);
    }
    writer_bytes(w, module->body);
}

int image_write_asset(const struct image_asset_module *module, uint8_t *out, size_t cap) {
    struct span name = module->asset.name;
    size_t overhead = image_asset_overhead(module);
    if (name.len == 0 || name.len > IMAGE_ASSET_NAME_MAX ||
        module->body.len > IMAGE_MODULE_MAX - overhead) {
        return SW_E_RANGE;
    }
    size_t file_len = overhead + module->body.len;
    if (cap < file_len) {
        return SW_E_FULL;
    }
    uint8_t packed = module->raw_bytes != 0 ? IMAGE_COMPRESSED : 0;
    struct image_prefix prefix = {.end_address = (uint32_t)(file_len - CRC_BYTES),
                                  .flags = (uint8_t)(IMAGE_DROP_MODULE_INFO | packed),
                                  .function = MODULE_ASSET};
    struct writer w = writer_of(out, file_len);
    image_put_prefix(&w, &prefix);
    put_body(&w, module);
    writer_u16_le(&w, EXTENSION_HASH);
    writer_u16_le(&w, EXTENSION_BYTES + HASH_BYTES);
    put_hash(&w, &module->asset.hash);
    writer_u16_le(&w, EXTENSION_NAME);
    writer_u16_le(&w, (uint16_t)(EXTENSION_BYTES + name.len));
    writer_bytes(&w, name);
    /* Of no product: there for readers that know product data in this place only. */
    writer_u16_le(&w, EXTENSION_PRODUCT);
    writer_u16_le(&w, PRODUCT_EXTENSION);
    writer_u16_le(&w, UNUSED);
    writer_u16_le(&w, UNUSED);
    writer_u16_le(&w, UNUSED);
    image_finish(&w, suffix_of(name.len));
    SW_CHECK(writer_status(&w) == SW_OK && writer_span(&w).len == file_len);
    return (int)file_len;
}
