/* The device object. Lists leave out what is dear to collect or large; extra keys harm nobody. */
#include "http/reply/pages.h"
#include "slipway/model/device_os.h"
#include "slipway/model/platform.h"
#include "slipway/util/hex.h"

static void add_groups(struct sheet *sheet, const struct group_set *groups) {
    sheet_key(sheet, "groups");
    sheet_mark(sheet, '[');
    for (size_t i = 0; i < groups->count; i++) {
        sheet_entry(sheet);
        sheet_string(sheet, groups->groups[i].name);
    }
    sheet_mark(sheet, ']');
}

static void add_product_part(struct sheet *sheet, const struct device *device,
                             const struct page_device_facts *facts) {
    sheet_integer(sheet, "firmware_product_id", device->hello_product_id);
    add_groups(sheet, facts->groups);
    sheet_version(sheet, "firmware_version", device->running_version);
    sheet_version(sheet, "desired_firmware_version", device->locked_version);
    sheet_version(sheet, "targeted_firmware_release_version", facts->targeted_version);
    sheet_bool(sheet, "development", device->development);
    sheet_bool(sheet, "quarantined", false);
    sheet_bool(sheet, "denied", device->is_denied);
    sheet_null(sheet, "owner");
    sheet_null(sheet, "user_id");
    sheet_null(sheet, "customer_id");
}

/* What the application described, or an empty list or object before its first description. */
static void add_described(struct sheet *sheet, const char *key, const json_t *value,
                          const char *empty) {
    sheet_key(sheet, key);
    if (value != NULL) {
        sheet_json(sheet, value);
    } else {
        sheet_mark(sheet, empty[0]);
        sheet_mark(sheet, empty[1]);
    }
}

/* What the application on the device depends on, and whether it is there. */
static void add_assets(struct sheet *sheet, const struct app_asset_list *assets) {
    sheet_key(sheet, "assets");
    sheet_mark(sheet, '[');
    for (size_t i = 0; assets != NULL && i < assets->count; i++) {
        const struct app_asset *asset = &assets->items[i];
        char hash[2 * SHA256_BYTES + 1];
        hex_encode(span_of(asset->hash.b, SHA256_BYTES), hash, sizeof hash);
        sheet_entry(sheet);
        sheet_mark(sheet, '{');
        sheet_text(sheet, "name", asset->name);
        sheet_key(sheet, "hash");
        sheet_word(sheet, hash, sizeof hash - 1);
        sheet_text(sheet, "status", asset->is_available ? "available" : "missing");
        sheet_mark(sheet, '}');
    }
    sheet_mark(sheet, ']');
}

static void add_detail(struct sheet *sheet, const struct device *device,
                       const struct page_device_facts *facts) {
    const struct platform *platform = platform_find(device->platform_id);
    sheet_null(sheet, "last_app");
    sheet_time(sheet, "last_heard", device->heard_ms);
    sheet_bool(sheet, "cellular", platform != NULL && platform->is_cellular);
    sheet_text(sheet, "status", "normal");
    add_described(sheet, "functions", facts->functions, "[]");
    add_described(sheet, "variables", facts->variables, "{}");
    sheet_text(sheet, "last_reset", device->last_reset);
    sheet_text(sheet, "modem_firmware_version", device->modem_version);
    sheet_null(sheet, "mobile_secret");
    sheet_null(sheet, "current_build_target");
    sheet_null(sheet, "default_build_target");
    sheet_null(sheet, "pinned_build_target");
    sheet_null(sheet, "mac_wifi");
    sheet_key(sheet, "device_protection");
    sheet_mark(sheet, '{');
    sheet_null(sheet, "status");
    sheet_mark(sheet, '}');
    add_assets(sheet, facts->assets);
    if (device->has_app_hash) {
        char hash[2 * SHA256_BYTES + 1];
        hex_encode(span_of(device->app_hash.b, SHA256_BYTES), hash, sizeof hash);
        sheet_key(sheet, "app_hash");
        sheet_word(sheet, hash, sizeof hash - 1);
    }
}

void page_device(struct sheet *sheet, const struct device *device,
                 const struct page_device_facts *facts) {
    char id[DEVICE_ID_DIGITS + 1];
    device_id_text(&device->id, id);
    sheet_mark(sheet, '{');
    sheet_key(sheet, "id");
    sheet_word(sheet, id, sizeof id - 1);
    sheet_text(sheet, "name", device->name);
    sheet_text(sheet, "last_ip_address", device->address);
    sheet_time(sheet, "last_handshake_at", device->handshake_ms);
    sheet_integer(sheet, "product_id",
                  device->product_id != 0 ? device->product_id : device->platform_id);
    sheet_bool(sheet, "online", device->is_online);
    sheet_bool(sheet, "connected", device->is_online);
    sheet_integer(sheet, "platform_id", device->platform_id);
    sheet_text(sheet, "notes", device->notes);
    sheet_text(sheet, "serial_number", device->serial_number);
    sheet_text(sheet, "iccid", device->iccid);
    sheet_text(sheet, "last_iccid", device->iccid);
    sheet_text(sheet, "imei", device->imei);
    sheet_text(sheet, "system_firmware_version", device_os_name(device->system_version));
    if (device->system_version == 0) {
        sheet_null(sheet, "system_module_version");
    } else {
        sheet_integer(sheet, "system_module_version", device->system_version);
    }
    sheet_bool(sheet, "firmware_updates_enabled", device->updates_enabled);
    sheet_bool(sheet, "firmware_updates_forced", device->updates_forced);
    sheet_bool(sheet, "safe_mode", device->is_safe_mode);
    if (device->product_id != 0) {
        add_product_part(sheet, device, facts);
    }
    if (facts->is_detail) {
        add_detail(sheet, device, facts);
    }
    sheet_mark(sheet, '}');
}
