#include "http/reply/sheet.h"

#include <stdlib.h>
#include <string.h>

#include "http/reply/pages.h"
#include "slipway/sys/clock.h"
#include "slipway/util/text.h"

void sheet_init(struct sheet *sheet, size_t cap) {
    *sheet = (struct sheet){.text = malloc(cap), .cap = cap};
    sheet->failed = sheet->text == NULL;
}

void sheet_free(struct sheet *sheet) {
    free(sheet->text);
    *sheet = (struct sheet){.text = NULL};
}

void sheet_grow(struct sheet *sheet, size_t len) {
    size_t cap = sheet->cap * 2 + len;
    char *grown = sheet->failed ? NULL : realloc(sheet->text, cap);
    if (grown == NULL) {
        sheet->failed = true;
        return;
    }
    sheet->text = grown;
    sheet->cap = cap;
}

void sheet_reply(struct sheet *sheet, struct reply *reply, int status) {
    if (sheet->failed) {
        reply_app_error(reply, SW_E_MEMORY, NULL);
        return;
    }
    reply_bytes(reply, status, NULL, sheet->text, sheet->len);
    sheet->text = NULL;
}

void sheet_mark(struct sheet *sheet, char mark) {
    sheet_add(sheet, &mark, 1);
    sheet->is_begun = mark == '}' || mark == ']'; /* what it ends was an entry itself */
}

void sheet_entry(struct sheet *sheet) {
    if (sheet->is_begun) {
        sheet_add(sheet, ",", 1);
    }
    sheet->is_begun = true;
}

void sheet_json(struct sheet *sheet, const json_t *value) {
    char *text = json_dumps(value, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);
    if (text == NULL) {
        sheet->failed = true;
        return;
    }
    sheet_add(sheet, text, strlen(text));
    free(text);
}

void sheet_word(struct sheet *sheet, const char *word, size_t len) {
    char *to = sheet_room(sheet, len + 2);
    if (to != NULL) {
        *to++ = '"';
        to = sheet_put(to, word, len);
        *to = '"';
        sheet->len += len + 2;
    }
}

void sheet_string(struct sheet *sheet, const char *text) {
    size_t len = strlen(text);
    if (!text_is_plain(text, len)) {
        json_t *value = page_bytes(text, len);
        sheet_json(sheet, value);
        json_decref(value);
        return;
    }
    sheet_word(sheet, text, len);
}

void sheet_number(struct sheet *sheet, int64_t value) {
    char digits[TEXT_NUMBER_BYTES];
    size_t len;
    const char *first = text_number(value, digits, &len);
    sheet_add(sheet, first, len);
}

void sheet_text_or_null(struct sheet *sheet, const char *text) {
    if (text == NULL || text[0] == '\0') {
        sheet_add(sheet, "null", 4);
    } else {
        sheet_string(sheet, text);
    }
}

void sheet_version_or_null(struct sheet *sheet, uint16_t version) {
    if (version == 0 || version == VERSION_NONE) {
        sheet_add(sheet, "null", 4);
    } else {
        sheet_number(sheet, version);
    }
}

void sheet_time_or_null(struct sheet *sheet, int64_t ms) {
    char text[WALL_TEXT_BYTES + 2] = "\"";
    if (ms == 0) {
        sheet_add(sheet, "null", 4);
        return;
    }
    wall_text((wall_time){.ms = ms}, text + 1);
    text[WALL_TEXT_BYTES] = '"';
    sheet_add(sheet, text, WALL_TEXT_BYTES + 1);
}
