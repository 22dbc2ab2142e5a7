/* The words that every layer shares: identities, platforms, modules and the states of an update,
 * each with its text form. Nothing here does anything; it only says what may be said. */
#include "slipway/model/ids.h"

#include "slipway/util/check.h"
#include "slipway/util/hex.h"

int device_id_parse(const char *text, size_t len, struct device_id *out) {
    return hex_decode(text, len, out->b, sizeof out->b);
}

void device_id_text(const struct device_id *id, char out[DEVICE_ID_DIGITS + 1]) {
    hex_encode(span_of(id->b, sizeof id->b), out, DEVICE_ID_DIGITS + 1);
}

bool device_id_equal(const struct device_id *a, const struct device_id *b) {
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

bool version_is_valid(int64_t version) {
    return version > 0 && version < VERSION_NONE;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}

bool group_name_is_valid(const char *name, size_t len) {
    if (len == 0 || len > GROUP_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        if (!is_lower(c) && !is_digit(c) && c != '_' && c != '-') {
            return false;
        }
    }
    return true;
}

bool group_color_is_valid(const char *color) {
    return strlen(color) == 7 && color[0] == '#' &&
           strspn(color + 1, "0123456789abcdefABCDEF") == 6;
}

void slug_from_name(const char *name, char *out, size_t cap) {
    static const char fallback[] = "product";
    SW_CHECK(cap >= 32);
    size_t at = 0;
    bool is_gap = false;
    bool has_letter = false;
    for (const char *p = name; *p != '\0'; p++) {
        bool is_upper = *p >= 'A' && *p <= 'Z';
        char c = is_upper ? (char)(unsigned char)(*p - 'A' + 'a') : *p;
        if (!is_lower(c) && !is_digit(c)) {
            is_gap = at > 0;
            continue;
        }
        if (at + (is_gap ? 1U : 0U) + 1 >= cap) {
            break;
        }
        if (is_gap) {
            out[at++] = '-';
            is_gap = false;
            has_letter = true;
        }
        has_letter = has_letter || is_lower(c);
        out[at++] = c;
    }
    if (at > 0 && !has_letter) {
        size_t front = sizeof fallback; /* its NUL's place takes the dash */
        at = at < cap - 1 - front ? at : cap - 1 - front;
        memmove(out + front, out, at);
        memcpy(out, fallback, sizeof fallback - 1);
        out[front - 1] = '-';
        at += front;
    }
    if (at == 0) {
        memcpy(out, fallback, sizeof fallback - 1);
        at = sizeof fallback - 1;
    }
    out[at] = '\0';
}
