#include "slipway/util/text.h"

#include "slipway/util/check.h"

#include <string.h>

struct text text_of(char *out, size_t cap) {
    SW_CHECK(cap >= 1);
    out[0] = '\0';
    return (struct text){.out = out, .cap = cap, .at = 0};
}

void text_add(struct text *text, const char *words) {
    size_t len = strlen(words);
    size_t room = text->cap - 1 - text->at;
    len = len < room ? len : room;
    memcpy(text->out + text->at, words, len);
    text->at += len;
    text->out[text->at] = '\0';
}

void text_add_number(struct text *text, int64_t number) {
    char digits[24];
    size_t at = sizeof digits - 1;
    digits[at] = '\0';
    /* The magnitude as unsigned: INT64_MIN has no positive counterpart. */
    uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (number < 0) {
        digits[--at] = '-';
    }
    text_add(text, digits + at);
}

bool text_integer(const char *text, int64_t *out) {
    bool is_negative = text[0] == '-';
    const char *at = text + (is_negative || text[0] == '+');
    const uint64_t most = (uint64_t)INT64_MAX + is_negative;
    uint64_t value = 0;
    if (*at == '\0') {
        return false;
    }
    for (; *at != '\0'; at++) {
        if (*at < '0' || *at > '9') {
            return false;
        }
        uint64_t digit = (uint64_t)(*at - '0');
        if (value > (most - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    /* In two steps: -INT64_MIN is no int64_t. */
    *out = is_negative && value > 0 ? -(int64_t)(value - 1) - 1 : (int64_t)value;
    return true;
}
