#include "slipway/util/hex.h"

#include "slipway/util/check.h"

void hex_encode(struct span bytes, char *out, size_t cap) {
    static const char digits[] = "0123456789abcdef";
    SW_CHECK(bytes.len < cap && cap - bytes.len > bytes.len);
    for (size_t i = 0; i < bytes.len; i++) {
        out[2 * i] = digits[bytes.data[i] >> 4];
        out[2 * i + 1] = digits[bytes.data[i] & 15];
    }
    out[2 * bytes.len] = '\0';
}

static int digit_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

int hex_decode(const char *text, size_t text_len, void *out, size_t len) {
    uint8_t *bytes = out;
    int status = text_len == 2 * len ? SW_OK : SW_E_INPUT;
    for (size_t i = 0; i < len && status == SW_OK; i++) {
        int high = digit_value(text[2 * i]);
        int low = digit_value(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            status = SW_E_INPUT;
        } else {
            bytes[i] = (uint8_t)(high << 4 | low);
        }
    }
    if (status != SW_OK && len > 0) {
        memset(out, 0, len);
    }
    return status;
}
