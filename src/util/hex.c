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

#define NO_DIGIT 0x80

/* By table: digits and letters take turns at random, which no branch can foresee. */
static unsigned digit_value(char c) {
    static const uint8_t values[] = {
        ['0'] = 0x80, ['1'] = 0x81, ['2'] = 0x82, ['3'] = 0x83, ['4'] = 0x84,   ['5'] = 0x85,
        ['6'] = 0x86, ['7'] = 0x87, ['8'] = 0x88, ['9'] = 0x89, ['A'] = 0x8a,   ['B'] = 0x8b,
        ['C'] = 0x8c, ['D'] = 0x8d, ['E'] = 0x8e, ['F'] = 0x8f, ['a'] = 0x8a,   ['b'] = 0x8b,
        ['c'] = 0x8c, ['d'] = 0x8d, ['e'] = 0x8e, ['f'] = 0x8f, [UINT8_MAX] = 0};
    return values[(uint8_t)c] ^ 0x80U;
}

int hex_decode(const char *text, size_t text_len, void *out, size_t len) {
    uint8_t *bytes = out;
    unsigned found = text_len == 2 * len ? 0 : NO_DIGIT;
    for (size_t i = 0; i < len && found < NO_DIGIT; i++) {
        unsigned high = digit_value(text[2 * i]);
        unsigned low = digit_value(text[2 * i + 1]);
        found |= high | low;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    if (found < NO_DIGIT) {
        return SW_OK;
    }
    if (len > 0) {
        memset(out, 0, len);
    }
    return SW_E_INPUT;
}
