#include "slipway/util/text.h"

#include "slipway/util/check.h"

#include <string.h>

struct text text_of(char *out, size_t cap) {
    SW_CHECK(cap >= 1);
    out[0] = '\0';
    return (struct text){.out = out, .cap = cap, .at = 0};
}

static void add_bytes(struct text *text, const char *bytes, size_t len) {
    size_t room = text->cap - 1 - text->at;
    len = len < room ? len : room;
    memcpy(text->out + text->at, bytes, len);
    text->at += len;
    text->out[text->at] = '\0';
}

void text_add(struct text *text, const char *words) {
    add_bytes(text, words, strlen(words));
}

const char *text_number(int64_t number, char digits[TEXT_NUMBER_BYTES], size_t *len) {
    size_t at = TEXT_NUMBER_BYTES;
    /* The magnitude as unsigned: INT64_MIN has no positive counterpart. */
    uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (number < 0) {
        digits[--at] = '-';
    }
    *len = TEXT_NUMBER_BYTES - at;
    return digits + at;
}

void text_add_number(struct text *text, int64_t number) {
    char digits[TEXT_NUMBER_BYTES];
    size_t len;
    const char *first = text_number(number, digits, &len);
    add_bytes(text, first, len);
}

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

/* Not 0 if one of the eight bytes is less than limit, which is at most 128. */
static uint64_t some_below(uint64_t eight, uint64_t limit) {
    return (eight - EACH_BYTE(limit)) & ~eight & EACH_BYTE(0x80);
}

static uint64_t some_equal(uint64_t eight, uint64_t value) {
    return some_below(eight ^ EACH_BYTE(value), 1);
}

static uint64_t some_special(uint64_t eight) {
    return (eight & EACH_BYTE(0x80)) | some_below(eight, ' ') | some_equal(eight, 0x7F) |
           some_equal(eight, '"') | some_equal(eight, '\\');
}

/* Eight at a time: every text of every device of a page is looked at. */
bool text_is_plain(const char *bytes, size_t len) {
    uint64_t found = 0;
    uint64_t eight;
    for (; len >= sizeof eight; len -= sizeof eight, bytes += sizeof eight) {
        memcpy(&eight, bytes, sizeof eight);
        found |= some_special(eight);
    }
    eight = EACH_BYTE(' ');
    memcpy(&eight, bytes, len);
    return (found | some_special(eight)) == 0;
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
