/* What a device says it is made of, in either of its two languages. Hostile bytes: everything is
 * bounded by the decoder's tables, and what does not fit is not believed. */
#include "slipway/image/image.h"
#include "slipway/store/fleet.h"
#include "slipway/util/check.h"
#include "slipway/util/hex.h"

#include "app/internal.h"
#include "app/update/plan.h"

#include <describe.pb.h>
#include <jansson.h>
#include <pb_decode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT_OCTETS 42 /* Content-Format of the protobuf form */

static uint8_t as_u8(uint32_t value) {
    return value > UINT8_MAX ? UINT8_MAX : (uint8_t)value;
}

static uint16_t as_u16(uint32_t value) {
    return value > UINT16_MAX ? UINT16_MAX : (uint16_t)value;
}

static void mask_text(char *text) {
    for (; *text != '\0'; text++) {
        *text = (char)(*text >= ' ' && *text < 0x7F ? *text : '?');
    }
}

static void take_module(const slipway_Module *from, struct module_state *to) {
    *to = (struct module_state){.function = as_u8(from->type),
                                .index = as_u8(from->index),
                                .version = as_u16(from->version),
                                .store = as_u8(from->store),
                                .size_max = from->max_size,
                                .checked_flags = from->checked_flags,
                                .passed_flags = from->passed_flags};
    if (from->has_hash && from->hash.size == sizeof to->hash) {
        to->has_hash = true;
        memcpy(to->hash, from->hash.bytes, sizeof to->hash);
    }
    for (pb_size_t i = 0; i < from->dependencies_count && i < MODULE_DEPENDENCIES_MAX; i++) {
        to->dependencies[to->dependency_count++] =
            (struct module_dependency){.function = as_u8(from->dependencies[i].type),
                                       .index = as_u8(from->dependencies[i].index),
                                       .version = as_u16(from->dependencies[i].version)};
    }
}

/* Assets come in any number, under any name: they are taken one by one as they are met. */
static bool take_stored(pb_istream_t *stream, const pb_field_t *field, void **arg) {
    struct app_describe *out = *arg;
    slipway_Asset asset = slipway_Asset_init_zero;
    (void)field;
    if (!pb_decode(stream, slipway_Asset_fields, &asset)) {
        return false;
    }
    if (asset.hash.size == SHA256_BYTES && out->stored_count < APP_STORED_MAX) {
        memcpy(out->stored[out->stored_count++].b, asset.hash.bytes, SHA256_BYTES);
    }
    return true;
}

struct text {
    char *out; /* ends with a zero, before the rest of what is too long for it */
    size_t cap;
};

static bool take_text(pb_istream_t *stream, const pb_field_t *field, void **arg) {
    const struct text *text = *arg;
    (void)field;
    size_t len = stream->bytes_left < text->cap ? stream->bytes_left : text->cap - 1;
    text->out[len] = '\0';
    return pb_read(stream, (pb_byte_t *)text->out, len) &&
           pb_read(stream, NULL, stream->bytes_left);
}

static bool take_need(pb_istream_t *stream, const pb_field_t *field, void **arg) {
    struct app_asset_list *out = *arg;
    char name[NAME_BYTES] = "";
    slipway_Asset asset = slipway_Asset_init_zero;
    (void)field;
    struct text text = {name, sizeof name};
    asset.name = (pb_callback_t){.funcs.decode = take_text, .arg = &text};
    if (!pb_decode(stream, slipway_Asset_fields, &asset)) {
        return false;
    }
    if (out->items == NULL) { /* few applications have any */
        out->items = calloc(IMAGE_ASSETS_MAX, sizeof *out->items);
    }
    if (asset.hash.size == SHA256_BYTES && out->items != NULL && out->count < IMAGE_ASSETS_MAX) {
        struct app_asset *need = &out->items[out->count++];
        memcpy(need->hash.b, asset.hash.bytes, SHA256_BYTES);
        memcpy(need->name, name, sizeof need->name);
    }
    return true;
}

/* needs: NULL = they are passed over. */
static bool decode_protobuf(struct span bytes, struct app_describe *out,
                            struct app_asset_list *needs) {
    /* Large for a stack, and short-lived. */
    slipway_SystemDescribe *message = calloc(1, sizeof *message);
    if (message == NULL) {
        return false;
    }
    struct text imei = {out->imei, sizeof out->imei}, iccid = {out->iccid, sizeof out->iccid},
                modem = {out->modem_version, sizeof out->modem_version};
    message->imei = (pb_callback_t){.funcs.decode = take_text, .arg = &imei};
    message->iccid = (pb_callback_t){.funcs.decode = take_text, .arg = &iccid};
    message->modem_firmware_version = (pb_callback_t){.funcs.decode = take_text, .arg = &modem};
    message->assets = (pb_callback_t){.funcs.decode = take_stored, .arg = out};
    for (size_t i = 0; needs != NULL && i < SW_COUNT(message->modules); i++) {
        message->modules[i].asset_dependencies =
            (pb_callback_t){.funcs.decode = take_need, .arg = needs};
    }
    pb_istream_t stream = pb_istream_from_buffer(bytes.data, bytes.len);
    bool good = pb_decode(&stream, slipway_SystemDescribe_fields, message);
    for (pb_size_t i = 0; good && i < message->modules_count && i < MODULE_STATES_MAX; i++) {
        take_module(&message->modules[i], &out->modules.items[out->modules.count++]);
    }
    mask_text(out->imei);
    mask_text(out->iccid);
    mask_text(out->modem_version);
    free(message);
    return good;
}

/* The functions' letters in the JSON form. */
static const struct {
    char letter;
    uint8_t function;
} letters[] = {{'r', MODULE_RESOURCE},    {'b', MODULE_BOOTLOADER}, {'m', MODULE_MONOLITHIC},
               {'s', MODULE_SYSTEM_PART}, {'u', MODULE_USER_PART},  {'c', MODULE_NCP},
               {'a', MODULE_RADIO_STACK}};

static uint8_t function_of(const char *letter) {
    for (size_t i = 0; i < SW_COUNT(letters); i++) {
        if (letter[0] == letters[i].letter && letter[1] == '\0') {
            return letters[i].function;
        }
    }
    return MODULE_NONE;
}

static uint32_t number_of(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    json_int_t number = json_integer_value(value);
    if (json_is_string(value)) { /* an index is told as text */
        number = strtol(json_string_value(value), NULL, 10);
    }
    return number < 0 || number > UINT32_MAX ? 0 : (uint32_t)number;
}

static const char *text_of_key(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static void keep_text(const json_t *object, const char *key, char *out, size_t cap) {
    (void)snprintf(out, cap, "%s", text_of_key(object, key));
    mask_text(out);
}

static void take_json_module(const json_t *from, struct module_state *to) {
    static const char stores[] = "mfbt"; /* main, factory, backup, temporary */
    const char *store = strchr(stores, text_of_key(from, "l")[0]);
    *to = (struct module_state){.function = function_of(text_of_key(from, "f")),
                                .index = as_u8(number_of(from, "n")),
                                .version = as_u16(number_of(from, "v")),
                                .size_max = number_of(from, "s"),
                                .checked_flags = number_of(from, "vc"),
                                .passed_flags = number_of(from, "vv")};
    to->store = store != NULL && *store != '\0' ? (uint8_t)(store - stores) : 0;
    const char *hash = text_of_key(from, "u");
    to->has_hash = hex_decode(hash, strlen(hash), to->hash, sizeof to->hash) == SW_OK;
    const json_t *needs = json_object_get(from, "d");
    for (size_t i = 0; i < json_array_size(needs) && i < MODULE_DEPENDENCIES_MAX; i++) {
        const json_t *need = json_array_get(needs, i);
        to->dependencies[to->dependency_count++] =
            (struct module_dependency){.function = function_of(text_of_key(need, "f")),
                                       .index = as_u8(number_of(need, "n")),
                                       .version = as_u16(number_of(need, "v"))};
    }
}

static bool decode_json(struct span bytes, struct app_describe *out) {
    json_t *root = json_loadb((const char *)bytes.data, bytes.len, JSON_REJECT_DUPLICATES, NULL);
    bool good = json_is_object(root) && json_is_array(json_object_get(root, "m"));
    if (good) {
        const json_t *modules = json_object_get(root, "m");
        for (size_t i = 0; i < json_array_size(modules) && i < MODULE_STATES_MAX; i++) {
            take_json_module(json_array_get(modules, i), &out->modules.items[out->modules.count++]);
        }
        keep_text(root, "imei", out->imei, sizeof out->imei);
        keep_text(root, "iccid", out->iccid, sizeof out->iccid);
        keep_text(root, "cellfw", out->modem_version, sizeof out->modem_version);
    }
    json_decref(root);
    return good;
}

bool describe_decode(struct span bytes, unsigned content_format, struct app_describe *out) {
    *out = (struct app_describe){.has = false};
    out->has = bytes.len > 0 && (content_format == FORMAT_OCTETS ? decode_protobuf(bytes, out, NULL)
                                                                 : decode_json(bytes, out));
    if (!out->has) {
        *out = (struct app_describe){.has = false};
    }
    return out->has;
}

static json_t *module_json(uint8_t function, uint8_t index, uint16_t version) {
    char letter[2] = "?";
    char number[4];
    for (size_t i = 0; i < SW_COUNT(letters); i++) {
        if (letters[i].function == function) {
            letter[0] = letters[i].letter;
        }
    }
    (void)snprintf(number, sizeof number, "%u", (unsigned)index);
    return json_pack("{s:s, s:s, s:i}", "f", letter, "n", number, "v", (int)version);
}

void describe_summary(const struct device *device, const struct app_describe *described, char *out,
                      size_t cap) {
    json_t *modules = json_array();
    for (size_t i = 0; i < described->modules.count; i++) {
        const struct module_state *module = &described->modules.items[i];
        json_t *entry = module_json(module->function, module->index, module->version);
        json_t *needs = json_array();
        for (size_t k = 0; k < module->dependency_count; k++) {
            const struct module_dependency *need = &module->dependencies[k];
            (void)json_array_append_new(needs,
                                        module_json(need->function, need->index, need->version));
        }
        (void)json_object_set_new(entry, "d", needs);
        (void)json_array_append_new(modules, entry);
    }
    json_t *root = json_pack("{s:i, s:s, s:s, s:s, s:o}", "p", (int)device->platform_id, "imei",
                             described->imei, "iccid", described->iccid, "cellfw",
                             described->modem_version, "m", modules);
    out[0] = '\0';
    /* An event holds only so much: the last modules go first. */
    for (;;) {
        size_t len = json_dumpb(root, out, cap - 1, JSON_COMPACT);
        if (len < cap) {
            out[len] = '\0';
            break;
        }
        out[0] = '\0';
        if (json_array_size(modules) == 0) {
            break;
        }
        (void)json_array_remove(modules, json_array_size(modules) - 1);
    }
    json_decref(root);
}

void describe_module(const struct image_record *image, char *out, size_t cap) {
    json_t *module = module_json(image->function, image->index, image->module_version);
    size_t len = module == NULL ? cap : json_dumpb(module, out, cap - 1, JSON_COMPACT);
    out[len < cap ? len : 0] = '\0';
    json_decref(module);
}

int describe_read(struct app_tx *tx, const struct device *device, struct app_describe *out) {
    *out = (struct app_describe){.has = false};
    uint8_t *bytes = NULL;
    size_t len = 0;
    unsigned format = 0;
    int code = store_describe_get(tx->store, device->num, 1, &format, &bytes, &len, tx->fault);
    if (code == SW_OK) {
        (void)describe_decode(span_of(bytes, len), format, out);
    }
    free(bytes);
    return code == SW_E_NOT_FOUND ? SW_OK : code;
}

bool describe_has_asset(const struct app_describe *described, const struct sha256 *hash) {
    for (size_t i = 0; i < described->stored_count; i++) {
        if (memcmp(described->stored[i].b, hash->b, sizeof hash->b) == 0) {
            return true;
        }
    }
    return false;
}

int app_device_assets(struct app_tx *tx, const struct device *device, struct app_asset_list *out) {
    *out = (struct app_asset_list){.items = NULL};
    if (device->system_version < ASSETS_SINCE) {
        return SW_OK;
    }
    struct app_describe described = {.has = false};
    uint8_t *bytes = NULL;
    size_t len = 0;
    unsigned format = 0;
    int code = store_describe_get(tx->store, device->num, 1, &format, &bytes, &len, tx->fault);
    bool is_told = code == SW_OK && format == FORMAT_OCTETS &&
                   decode_protobuf(span_of(bytes, len), &described, out);
    out->count = is_told ? out->count : 0;
    for (size_t i = 0; i < out->count; i++) {
        out->items[i].is_available = describe_has_asset(&described, &out->items[i].hash);
    }
    free(bytes);
    return code == SW_E_NOT_FOUND ? SW_OK : code;
}
