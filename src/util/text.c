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
