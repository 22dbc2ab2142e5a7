/* What a device tells about itself: the system Describe in protobuf, the application's in JSON. */
#include "sim/internal.h"
#include "slipway/util/text.h"
#include "slipway/util/writer.h"

#include <describe.pb.h>
#include <pb_encode.h>
#include <zlib.h>

#define CHECK_INTEGRITY    2
#define CHECK_DEPENDENCIES 4
#define CHECK_RANGE        8
#define CHECK_PLATFORM     16
#define CHECK_ALL          (CHECK_INTEGRITY | CHECK_DEPENDENCIES | CHECK_RANGE | CHECK_PLATFORM)

bool sim_device_is_safe_mode(const struct sim_device *device) {
    const struct module_dependency *needs = &device->firmware.needs;
    return needs->function == MODULE_SYSTEM_PART && needs->version > device->system_version;
}

static slipway_Module *add_module(slipway_SystemDescribe *describe, uint32_t type, uint32_t index,
                                  uint32_t version, uint32_t max_size) {
    slipway_Module *module = &describe->modules[describe->modules_count++];
    *module = (slipway_Module)slipway_Module_init_zero;
    module->type = type;
    module->index = index;
    module->version = version;
    module->max_size = max_size;
    module->checked_flags = CHECK_ALL;
    module->passed_flags = CHECK_ALL;
    return module;
}

static void add_need(slipway_Module *module, uint32_t type, uint32_t index, uint32_t version) {
    slipway_Dependency *need = &module->dependencies[module->dependencies_count++];
    need->type = type;
    need->index = index;
    need->version = version;
}

static bool encode_text(pb_ostream_t *stream, const pb_field_t *field, void *const *arg) {
    const char *text = *arg;
    return pb_encode_tag_for_field(stream, field) &&
           pb_encode_string(stream, (const pb_byte_t *)text, strlen(text));
}

/* nanopb hands on what it was given, without knowing that it is only read. */
static void *borrowed(const void *bytes) {
    return (void *)(uintptr_t)bytes;
}

static bool encode_assets(pb_ostream_t *stream, const pb_field_t *field, void *const *arg) {
    const struct sim_assets *assets = *arg;
    for (size_t i = 0; i < assets->count; i++) {
        slipway_Asset asset = slipway_Asset_init_zero;
        asset.hash.size = SHA256_BYTES;
        memcpy(asset.hash.bytes, assets->items[i].hash, SHA256_BYTES);
        asset.name =
            (pb_callback_t){.funcs.encode = encode_text, .arg = borrowed(assets->items[i].name)};
        asset.size = assets->items[i].bytes;
        if (!pb_encode_tag_for_field(stream, field) ||
            !pb_encode_submessage(stream, slipway_Asset_fields, &asset)) {
            return false;
        }
    }
    return true;
}

static pb_callback_t told(const struct sim_assets *assets) {
    return (pb_callback_t){.funcs.encode = encode_assets, .arg = borrowed(assets)};
}

static size_t describe_system(const struct sim_device *device, bool has_assets, uint8_t *out,
                              size_t cap) {
    slipway_SystemDescribe describe = slipway_SystemDescribe_init_zero;
    const struct sim_firmware *firmware = &device->firmware;
    add_module(&describe, MODULE_BOOTLOADER, 0, device->bootloader_version, 49152);
    slipway_Module *module =
        add_module(&describe, MODULE_SYSTEM_PART, 1, device->system_version, 671744);
    add_need(module, MODULE_BOOTLOADER, 0, device->bootloader_version);
    module = add_module(&describe, MODULE_USER_PART, firmware->index, firmware->module_version,
                        device->config.binary_max);
    if (firmware->needs.function != MODULE_NONE) {
        add_need(module, firmware->needs.function, firmware->needs.index, firmware->needs.version);
    }
    if (sim_device_is_safe_mode(device)) {
        module->passed_flags &= ~(uint32_t)CHECK_DEPENDENCIES;
    }
    module->has_hash = true;
    module->hash.size = SHA256_BYTES;
    memcpy(module->hash.bytes, firmware->hash, SHA256_BYTES);
    if (has_assets) {
        module->asset_dependencies = told(&firmware->assets);
        describe.assets = told(&device->store);
    }
    pb_ostream_t stream = pb_ostream_from_buffer(out, cap);
    return pb_encode(&stream, slipway_SystemDescribe_fields, &describe) ? stream.bytes_written : 0;
}

size_t device_describe_system(const struct sim_device *device, uint8_t *out, size_t cap) {
    return describe_system(device, true, out, cap);
}

uint32_t device_system_checksum(const struct sim_device *device) {
    uint8_t bytes[SIM_APPLICATION_MAX];
    return device_checksum(span_of(bytes, describe_system(device, false, bytes, sizeof bytes)));
}

size_t device_describe_application(const struct sim_device *device, uint8_t *out, size_t cap) {
    char text[SIM_APPLICATION_MAX];
    struct text words = text_of(text, sizeof text < cap ? sizeof text : cap);
    if (sim_device_is_safe_mode(device)) {
        text_add(&words, "{\"f\":[],\"v\":{}}");
    } else {
        text_add(&words, "{\"f\":[\"echo\"");
        for (uint16_t i = 1; i < device->config.function_count; i++) {
            text_add(&words, ",\"function");
            text_add_number(&words, i);
            text_add(&words, "\"");
        }
        text_add(&words, "],\"v\":{\"boots\":2}}");
    }
    memcpy(out, text, words.at);
    return words.at;
}

uint32_t device_checksum(struct span bytes) {
    uint32_t sum = (uint32_t)crc32_z(0, bytes.data, bytes.len);
    return sum != 0 ? sum : 1;
}
