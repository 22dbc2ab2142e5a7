/* Checks of what callers give, with the sentences that tell them what was wrong. */
#include "app/internal.h"

#include "slipway/util/check.h"

#include <string.h>

/* Length of the UTF-8 sequence at text, 0 if it is none (overlong, surrogate, cut). */
static size_t utf8_length(const uint8_t *text) {
    static const struct {
        uint8_t mask, lead;
        size_t length;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 1, 0},
                 {0xE0, 0xC0, 2, 0x80},
                 {0xF0, 0xE0, 3, 0x800},
                 {0xF8, 0xF0, 4, 0x10000}};
    for (size_t i = 0; i < SW_COUNT(forms); i++) {
        if ((text[0] & forms[i].mask) != forms[i].lead) {
            continue;
        }
        uint32_t value = (uint32_t)(text[0] & (uint8_t)~forms[i].mask);
        for (size_t k = 1; k < forms[i].length; k++) {
            if ((text[k] & 0xC0) != 0x80) {
                return 0; /* also at the NUL */
            }
            value = value << 6 | (text[k] & 0x3FU);
        }
        bool is_surrogate = value >= 0xD800 && value <= 0xDFFF;
        return value < forms[i].least || value > 0x10FFFF || is_surrogate ? 0 : forms[i].length;
    }
    return 0;
}

int app_take_text(struct app_tx *tx, const struct app_text_rule *rule, const char *text, char *out,
                  size_t cap) {
    const uint8_t *bytes = (const uint8_t *)(text != NULL ? text : "");
    size_t len = strlen((const char *)bytes);
    if (rule->required && len == 0) {
        return app_fail(tx, SW_E_INPUT, "invalid_request", rule->field, "%s is required",
                        rule->field);
    }
    if (len >= cap) {
        return app_fail(tx, SW_E_RANGE, "invalid_request", rule->field,
                        "%s must be at most %zu bytes long", rule->field, cap - 1);
    }
    for (size_t at = 0; at < len;) {
        size_t step = utf8_length(bytes + at);
        if (step == 0) {
            return app_fail(tx, SW_E_INPUT, "invalid_request", rule->field, "%s is not valid UTF-8",
                            rule->field);
        }
        bool is_layout = bytes[at] == '\n' || bytes[at] == '\r' || bytes[at] == '\t';
        if ((bytes[at] < ' ' && !(rule->is_long && is_layout)) || bytes[at] == 0x7F) {
            return app_fail(tx, SW_E_INPUT, "invalid_request", rule->field,
                            "%s contains control characters", rule->field);
        }
        at += step;
    }
    memcpy(out, bytes, len + 1);
    return SW_OK;
}

int app_check_group_name(struct app_tx *tx, const char *field, const char *name) {
    if (name == NULL || name[0] == '\0') {
        return app_fail(tx, SW_E_INPUT, "invalid_request", field, "%s is required", field);
    }
    if (!group_name_is_valid(name, strlen(name))) {
        return app_fail(tx, SW_E_RANGE, "invalid_request", field,
                        "%s: a group name has 1 to 64 characters of a-z, 0-9, _ and -", field);
    }
    return SW_OK;
}

int app_check_version(struct app_tx *tx, const char *field, int64_t version) {
    if (!version_is_valid(version)) {
        return app_fail(tx, SW_E_RANGE, "invalid_request", field,
                        "%s must be an integer from 1 to 65534", field);
    }
    return SW_OK;
}

int app_no_product(struct app_tx *tx) {
    return app_fail(tx, SW_E_NOT_FOUND, "not_found", NULL, "Product not found.");
}

int app_no_firmware(struct app_tx *tx) {
    return app_fail(tx, SW_E_NOT_FOUND, "not_found", "version", "Firmware version not found.");
}

int64_t app_later(const struct app_tx *tx, int64_t before_ms) {
    return tx->now.ms > before_ms ? tx->now.ms : before_ms + 1;
}

int app_no_group(struct app_tx *tx, const char *name) {
    return app_fail(tx, SW_E_NOT_FOUND, "not_found", "groups", "Group %.64s not found.", name);
}

int app_no_device(struct app_tx *tx) {
    return app_fail(tx, SW_E_NOT_FOUND, "not_found", NULL, "Device not found.");
}
