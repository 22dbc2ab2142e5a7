#include "http/sheet.h"

#include <stdlib.h>
#include <string.h>

#include "http/pages.h"
#include "slipway/sys/clock.h"

void sheet_init(struct sheet *sheet, size_t cap) {
    *sheet = (struct sheet){.text = malloc(cap), .cap = cap};
    sheet->failed = sheet->text == NULL;
}

void sheet_free(struct sheet *sheet) {
    free(sheet->text);
    *sheet = (struct sheet){.text = NULL};
}

/* Room for so many bytes more; NULL once it has failed. */
static char *sheet_room(struct sheet *sheet, size_t len) {
    if (sheet->failed || len > sheet->cap - sheet->len) {
        size_t cap = sheet->cap * 2 + len;
        char *grown = sheet->failed ? NULL : realloc(sheet->text, cap);
        if (grown == NULL) {
            sheet->failed = true;
            return NULL;
        }
        sheet->text = grown;
        sheet->cap = cap;
    }
    return sheet->text + sheet->len;
}

static void sheet_add(struct sheet *sheet, const char *text, size_t len) {
    char *to = sheet_room(sheet, len);
    if (to != NULL) {
        memcpy(to, text, len);
        sheet->len += len;
    }
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
}

void sheet_entry(struct sheet *sheet) {
    if (sheet->len > 0 && sheet->text[sheet->len - 1] != '[' &&
        sheet->text[sheet->len - 1] != '{') {
        sheet_mark(sheet, ',');
    }
}

void sheet_key(struct sheet *sheet, const char *key) {
    size_t len = strlen(key);
    sheet_entry(sheet);
    char *to = sheet_room(sheet, len + 3);
    if (to != NULL) {
        to[0] = '"';
        memcpy(to + 1, key, len);
        to[len + 1] = '"';
        to[len + 2] = ':';
        sheet->len += len + 3;
    }
}

static bool needs_escapes(const char *text, size_t len) {
    unsigned found = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        found |= (unsigned)(c < ' ') | (unsigned)(c == '"') | (unsigned)(c == '\\') |
                 (unsigned)(c >= 0x7F);
    }
    return found != 0;
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

void sheet_string(struct sheet *sheet, const char *text) {
    size_t len = strlen(text);
    if (needs_escapes(text, len)) {
        json_t *value = page_bytes(text, len);
        sheet_json(sheet, value);
        json_decref(value);
        return;
    }
    char *to = sheet_room(sheet, len + 2);
    if (to != NULL) {
        to[0] = '"';
        memcpy(to + 1, text, len);
        to[len + 1] = '"';
        sheet->len += len + 2;
    }
}

void sheet_number(struct sheet *sheet, int64_t value) {
    char digits[24];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) {
        digits[--at] = '-';
    }
    sheet_add(sheet, digits + at, sizeof digits - at);
}

void sheet_null(struct sheet *sheet, const char *key) {
    sheet_key(sheet, key);
    sheet_add(sheet, "null", 4);
}

void sheet_text(struct sheet *sheet, const char *key, const char *text) {
    if (text == NULL || text[0] == '\0') {
        sheet_null(sheet, key);
    } else {
        sheet_key(sheet, key);
        sheet_string(sheet, text);
    }
}

void sheet_integer(struct sheet *sheet, const char *key, int64_t value) {
    sheet_key(sheet, key);
    sheet_number(sheet, value);
}

void sheet_version(struct sheet *sheet, const char *key, uint16_t version) {
    if (version == 0 || version == VERSION_NONE) {
        sheet_null(sheet, key);
    } else {
        sheet_integer(sheet, key, version);
    }
}

void sheet_time(struct sheet *sheet, const char *key, int64_t ms) {
    char text[WALL_TEXT_BYTES] = "";
    if (ms != 0) {
        wall_text((wall_time){.ms = ms}, text);
    }
    sheet_text(sheet, key, text);
}

void sheet_bool(struct sheet *sheet, const char *key, bool value) {
    sheet_key(sheet, key);
    if (value) {
        sheet_add(sheet, "true", 4);
    } else {
        sheet_add(sheet, "false", 5);
    }
}
