/* The device object. Lists leave out what is dear to collect or large; extra keys harm nobody. */
#include "http/pages.h"

#include <stdio.h>

#include "slipway/model/device_os.h"
#include "slipway/model/platform.h"
#include "slipway/util/hex.h"

static void set(json_t *page, const char *key, json_t *value) {
    (void)json_object_set_new(page, key, value);
}

static void set_text(json_t *page, const char *key, const char *text) {
    set(page, key, page_text(text));
}

static void set_bool(json_t *page, const char *key, bool value) {
    set(page, key, json_boolean(value));
}

static void set_product_part(json_t *page, const struct device *device,
                             const struct page_device_facts *facts) {
    set(page, "firmware_product_id", json_integer(device->hello_product_id));
    if (facts->groups != NULL) {
        set(page, "groups", page_names(facts->groups));
    }
    set(page, "firmware_version", page_version(device->running_version));
    set(page, "desired_firmware_version", page_version(device->locked_version));
    if (facts->has_targeted) {
        set(page, "targeted_firmware_release_version", page_version(facts->targeted_version));
    }
    set_bool(page, "development", device->development);
    set_bool(page, "quarantined", false);
    set_bool(page, "denied", device->is_denied);
    set(page, "owner", json_null());
    set(page, "user_id", json_null());
    set(page, "customer_id", json_null());
}

static void set_detail(json_t *page, const struct device *device,
                       const struct page_device_facts *facts) {
    const struct platform *platform = platform_find(device->platform_id);
    set(page, "last_app", json_null());
    set(page, "last_heard", page_time(device->heard_ms));
    set_bool(page, "cellular", platform != NULL && platform->is_cellular);
    set_text(page, "status", "normal");
    set(page, "functions",
        facts->functions != NULL ? json_deep_copy(facts->functions) : json_array());
    set(page, "variables",
        facts->variables != NULL ? json_deep_copy(facts->variables) : json_object());
    set_text(page, "last_reset", device->last_reset);
    set_text(page, "modem_firmware_version", device->modem_version);
    set(page, "mobile_secret", json_null());
    set(page, "current_build_target", json_null());
    set(page, "default_build_target", json_null());
    set(page, "assets", json_array());
    if (device->has_app_hash) {
        char hash[2 * SHA256_BYTES + 1];
        hex_encode(span_of(device->app_hash.b, SHA256_BYTES), hash, sizeof hash);
        set_text(page, "app_hash", hash);
    }
}

json_t *page_device(const struct device *device, const struct page_device_facts *facts) {
    char id[DEVICE_ID_DIGITS + 1];
    device_id_text(&device->id, id);
    json_t *page = json_object();
    if (page == NULL) {
        return NULL;
    }
    set(page, "id", json_string(id));
    set(page, "name", page_text(device->name));
    set_text(page, "last_ip_address", device->address);
    set(page, "last_handshake_at", page_time(device->handshake_ms));
    set(page, "product_id",
        json_integer(device->product_id != 0 ? device->product_id : device->platform_id));
    set_bool(page, "online", device->is_online);
    set_bool(page, "connected", device->is_online);
    set(page, "platform_id", json_integer(device->platform_id));
    set_text(page, "notes", device->notes);
    set_text(page, "serial_number", device->serial_number);
    set_text(page, "iccid", device->iccid);
    set_text(page, "last_iccid", device->iccid);
    set_text(page, "imei", device->imei);
    set_text(page, "system_firmware_version", device_os_name(device->system_version));
    set(page, "system_module_version",
        device->system_version == 0 ? json_null() : json_integer(device->system_version));
    set_bool(page, "firmware_updates_enabled", device->updates_enabled);
    set_bool(page, "firmware_updates_forced", device->updates_forced);
    set_bool(page, "safe_mode", device->is_safe_mode);
    if (device->product_id != 0) {
        set_product_part(page, device, facts);
    }
    if (facts->is_detail) {
        set_detail(page, device, facts);
    }
    return page;
}

json_t *page_quarantine(const struct quarantine *device, uint16_t product_id) {
    char id[DEVICE_ID_DIGITS + 1];
    device_id_text(&device->id, id);
    return json_pack(
        "{s:s, s:n, s:b, s:b, s:i, s:i, s:i, s:o, s:b, s:b, s:o, s:o, s:o, s:b, s:i}", "id", id,
        "name", "online", 0, "connected", 0, "product_id", (int)product_id, "firmware_product_id",
        (int)device->product_id, "platform_id", (int)device->platform_id, "last_ip_address",
        page_text(device->address), "quarantined", 1, "denied", (int)device->is_denied,
        "first_seen_at", page_time(device->first_ms), "last_handshake_at",
        page_time(device->last_ms), "firmware_version", page_version(device->version), "wrong_key",
        (int)device->is_wrong_key, "system_module_version", (int)device->system_version);
}
