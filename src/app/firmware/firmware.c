#include "slipway/app/firmware.h"

#include "slipway/image/image.h"
#include "slipway/store/catalog.h"
#include "slipway/util/hex.h"

#include "app/firmware/file.h"
#include "app/internal.h"

#include <stdio.h>
#include <string.h>

static const struct app_text_rule title_rule = {.field = "title", .required = true};
static const struct app_text_rule description_rule = {.field = "description", .is_long = true};

/* What a path ends in: clients send whole paths, and a name must not carry one. */
static const char *last_element(const char *path) {
    const char *name = path;
    for (const char *p = path; *p != '\0'; p++) {
        if (*p == '/' || *p == '\\') {
            name = p + 1;
        }
    }
    return name;
}

static void take_file_name(const char *path, char *out, size_t cap) {
    (void)snprintf(out, cap, "%s", last_element(path != NULL ? path : ""));
    for (char *p = out; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7F || *p == '"') {
            *p = '_';
        }
    }
    /* Cut between characters, not within one. */
    size_t len = strlen(out);
    if (len == cap - 1) {
        while (len > 0 && ((unsigned char)out[len - 1] & 0xC0) == 0x80) {
            len--;
        }
        if (len > 0 && (unsigned char)out[len - 1] >= 0xC0) {
            len--;
        }
        out[len] = '\0';
    }
}

/* What the uploader says of the file: checked, and its texts as they are kept. */
static int take_words(struct app_tx *tx, const struct app_upload *upload, struct firmware *out) {
    int code = app_check_version(tx, "version", upload->version);
    if (code == SW_OK) {
        code = app_take_text(tx, &title_rule, upload->title, out->title, sizeof out->title);
    }
    if (code == SW_OK) {
        code = app_take_text(tx, &description_rule, upload->description, out->description,
                             sizeof out->description);
    }
    return code;
}

int app_upload_check(struct app_tx *tx, const struct app_upload *upload, struct app_file *out) {
    struct firmware words;
    *out = (struct app_file){.bundle = NULL};
    int code = take_words(tx, upload, &words);
    struct product product;
    if (code == SW_OK) {
        code = store_product_get(tx->store, upload->product_id, &product, tx->fault);
        if (code == SW_E_NOT_FOUND) {
            code = app_no_product(tx);
        }
    }
    struct image_info info;
    if (code == SW_OK) {
        code = file_read(tx, upload->bytes, &info, out);
    }
    if (code != SW_OK) {
        return code;
    }
    struct image_claim claim = {.version = (uint16_t)upload->version,
                                .product_id = product.id,
                                .platform_id = product.platform_id};
    char why[256];
    if (image_check_claim(&info, &claim, why, sizeof why) != SW_OK) {
        app_file_close(out);
        return app_fail(tx, SW_E_RANGE, "invalid_request", "file", "%.240s", why);
    }
    out->image.kind = IMAGE_KIND_PRODUCT;
    take_file_name(upload->file_name, out->image.name, sizeof out->image.name);
    return SW_OK;
}

int app_upload(struct app_tx *tx, const struct app_upload *upload, const struct app_file *file,
               struct firmware *out) {
    struct firmware firmware = {.product_id = upload->product_id,
                                .version = (uint16_t)upload->version,
                                .mandatory = upload->mandatory,
                                .uploaded_ms = tx->now.ms,
                                .updated_ms = tx->now.ms,
                                .image = file->image};
    int code = take_words(tx, upload, &firmware);
    if (code != SW_OK) {
        return code;
    }
    (void)snprintf(firmware.uploaded_by, sizeof firmware.uploaded_by, "%s",
                   upload->uploaded_by != NULL ? upload->uploaded_by : "");
    uint8_t uid[UID_DIGITS / 2];
    app_entropy(tx->app, uid, sizeof uid);
    hex_encode(span_of(uid, sizeof uid), firmware.uid, sizeof firmware.uid);

    firmware.image.created_ms = tx->now.ms;
    code = file_store(tx, file, &firmware.image);
    if (code == SW_OK) {
        code = store_firmware_insert(tx->store, &firmware, tx->fault);
    }
    if (code == SW_E_EXISTS) {
        return app_fail(tx, code, "invalid_request", "version", "Firmware version already exists");
    }
    if (code == SW_E_CONFLICT) {
        return app_no_product(tx);
    }
    if (code == SW_OK) {
        char data[40];
        (void)snprintf(data, sizeof data, "{\"version\":\"%u\"}", (unsigned)firmware.version);
        code = app_append(tx, firmware.product_id, NULL, "particle/firmware/create", data,
                          firmware.uploaded_by);
    }
    if (code == SW_OK) {
        code = store_firmware_get(tx->store, firmware.product_id, firmware.version, out, tx->fault);
    }
    return code;
}

int app_firmware_get(struct app_tx *tx, uint16_t product_id, int64_t version,
                     struct firmware *out) {
    int code = SW_E_NOT_FOUND;
    if (version_is_valid(version)) {
        code = store_firmware_get(tx->store, product_id, (uint16_t)version, out, tx->fault);
    }
    return code == SW_E_NOT_FOUND ? app_no_firmware(tx) : code;
}

int app_firmware_load(struct app_tx *tx, const struct firmware *firmware, struct app_image *out) {
    if (firmware->bundle_bytes == 0) {
        return app_image_load(tx, firmware->image.id, out);
    }
    *out = (struct app_image){.bytes = NULL};
    return store_bundle_load(tx->store, firmware->image.id, &out->bytes, &out->size, tx->fault);
}

int app_firmware_list(struct app_tx *tx, uint16_t product_id, struct firmware_list *out) {
    return store_firmware_list(tx->store, product_id, &out->items, &out->count, tx->fault);
}

int app_firmware_groups(struct app_tx *tx, uint16_t product_id, uint16_t version,
                        struct name_list *out) {
    return store_firmware_groups(tx->store, product_id, version, &out->items, &out->count,
                                 tx->fault);
}

int app_firmware_edit(struct app_tx *tx, uint16_t product_id, int64_t version,
                      const struct app_firmware_edit *edit, struct firmware *out) {
    struct firmware firmware;
    int code = app_firmware_get(tx, product_id, version, &firmware);
    if (code == SW_OK && edit->title != NULL) {
        code = app_take_text(tx, &title_rule, edit->title, firmware.title, sizeof firmware.title);
    }
    if (code == SW_OK && edit->description != NULL) {
        code = app_take_text(tx, &description_rule, edit->description, firmware.description,
                             sizeof firmware.description);
    }
    if (code != SW_OK) {
        return code;
    }
    firmware.mandatory = edit->has_mandatory ? edit->mandatory : firmware.mandatory;
    firmware.updated_ms = app_later(tx, firmware.updated_ms);
    code = store_firmware_update(tx->store, &firmware, tx->fault);
    *out = firmware;
    return code;
}

int app_firmware_delete(struct app_tx *tx, uint16_t product_id, int64_t version) {
    struct firmware firmware;
    int code = app_firmware_get(tx, product_id, version, &firmware);
    if (code != SW_OK) {
        return code;
    }
    if (firmware.released_ms != 0) {
        return app_fail(tx, SW_E_DENIED, "not_allowed", "version",
                        "Version %u was released and cannot be deleted",
                        (unsigned)firmware.version);
    }
    int64_t locks = 0;
    code = store_firmware_locks(tx->store, product_id, firmware.version, &locks, tx->fault);
    if (code == SW_OK && locks > 0) {
        return app_fail(tx, SW_E_DENIED, "not_allowed", "version",
                        "Version %u cannot be deleted: %lld devices are locked to it",
                        (unsigned)firmware.version, (long long)locks);
    }
    int64_t needed = 0;
    if (code == SW_OK) {
        code = store_image_needed(tx->store, firmware.image.id, &needed, tx->fault);
    }
    if (code == SW_OK && needed > 0) {
        return app_fail(tx, SW_E_DENIED, "not_allowed", "version",
                        "Version %u cannot be deleted while it is sent to a device",
                        (unsigned)firmware.version);
    }
    return code == SW_OK ? store_firmware_delete(tx->store, &firmware, tx->fault) : code;
}

/* --- the library of Device OS parts --- */

static bool is_system_function(uint8_t function) {
    return function == MODULE_BOOTLOADER || function == MODULE_SYSTEM_PART ||
           function == MODULE_NCP || function == MODULE_RADIO_STACK;
}

int app_system_upload(struct app_tx *tx, const struct app_system_upload *upload,
                      struct image_record *out) {
    static const struct app_text_rule version_rule = {.field = "version"};
    struct image_info info;
    int code = file_read_module(tx, upload->bytes, &info);
    if (code != SW_OK) {
        return code;
    }
    if (!is_system_function(info.function)) {
        return app_fail(tx, SW_E_RANGE, "invalid_request", "file",
                        "file is a %s module, not a part of Device OS",
                        module_function_name(info.function));
    }
    file_record(&info, out);
    out->kind = IMAGE_KIND_SYSTEM;
    out->created_ms = tx->now.ms;
    code = app_take_text(tx, &version_rule, upload->name, out->name, sizeof out->name);
    if (code == SW_OK) {
        code = store_image_insert(tx->store, out, upload->bytes, tx->fault);
    }
    if (code == SW_E_EXISTS) {
        return app_fail(tx, code, "invalid_request", "file",
                        "This %s with version %u is in the library already",
                        module_function_name(out->function), (unsigned)out->module_version);
    }
    return code;
}

int app_system_list(struct app_tx *tx, uint16_t platform_id, struct image_list *out) {
    return store_image_list_system(tx->store, platform_id, &out->items, &out->count, tx->fault);
}

int app_system_delete(struct app_tx *tx, int64_t image_id) {
    struct image_record image;
    int code = store_image_get(tx->store, image_id, &image, tx->fault);
    if (code == SW_E_NOT_FOUND || (code == SW_OK && image.kind != IMAGE_KIND_SYSTEM)) {
        return app_fail(tx, SW_E_NOT_FOUND, "not_found", NULL, "System firmware not found.");
    }
    int64_t needed = 0;
    if (code == SW_OK) {
        code = store_image_needed(tx->store, image_id, &needed, tx->fault);
    }
    if (code == SW_OK && needed > 0) {
        return app_fail(tx, SW_E_DENIED, "not_allowed", NULL,
                        "It cannot be deleted while it is sent to a device");
    }
    return code == SW_OK ? store_image_delete(tx->store, image_id, tx->fault) : code;
}

int app_one_off_check(struct app_tx *tx, uint16_t platform_id, struct span bytes,
                      struct app_file *out) {
    struct image_info info;
    int code = file_read(tx, bytes, &info, out);
    if (code != SW_OK) {
        return code;
    }
    bool is_asset = info.function == MODULE_ASSET;
    if (!is_asset && info.platform_id != platform_id) {
        app_file_close(out);
        return app_fail(tx, SW_E_RANGE, "invalid_request", "file",
                        "file is built for platform %u, the device is of platform %u",
                        (unsigned)info.platform_id, (unsigned)platform_id);
    }
    out->image.kind = IMAGE_KIND_ONE_OFF;
    return SW_OK;
}
