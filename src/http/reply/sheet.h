/* Objects of a fixed shape as JSON text, written field by field: devices are asked for so often,
 * and by the hundred, that building a tree of each costs more than everything else. Texts that need
 * more than quotes are left to jansson; whatever has no fixed shape is a tree of jansson's.
 *
 * Memory that runs out is noticed once, at the end: what is written afterwards is dropped. */
#ifndef SLIPWAY_HTTP_REPLY_SHEET_H
#define SLIPWAY_HTTP_REPLY_SHEET_H

#include <string.h>

#include "http/reply/reply.h"

struct sheet {
    char *text; /* heap */
    size_t len, cap;
    bool is_begun; /* the open object or array has an entry: the next one needs a comma */
    bool failed;
};

void sheet_init(struct sheet *sheet, size_t cap);
void sheet_free(struct sheet *sheet);
/* Becomes the reply's body: a 500 if it failed. */
void sheet_reply(struct sheet *sheet, struct reply *reply, int status);
/* Makes room for so many bytes more. */
void sheet_grow(struct sheet *sheet, size_t len);

/* Where so many bytes may be written, before sheet->len grows by them; NULL once it has failed. */
static inline char *sheet_room(struct sheet *sheet, size_t len) {
    if (len > sheet->cap - sheet->len) {
        sheet_grow(sheet, len);
    }
    return sheet->failed ? NULL : sheet->text + sheet->len;
}

static inline char *sheet_put(char *to, const char *text, size_t len) {
    memcpy(to, text, len);
    return to + len;
}

static inline void sheet_add(struct sheet *sheet, const char *text, size_t len) {
    char *to = sheet_room(sheet, len);
    if (to != NULL) {
        (void)sheet_put(to, text, len);
        sheet->len += len;
    }
}

/* '{', '}', '[' or ']'. */
void sheet_mark(struct sheet *sheet, char mark);
/* The comma of an array's entry. */
void sheet_entry(struct sheet *sheet);

/* The beginning of a member of the open object, with its comma; what comes next is its value. Keys
 * are our own: they need no escapes, and their lengths are known when this is compiled. */
static inline __attribute__((always_inline)) void sheet_key(struct sheet *sheet, const char *key) {
    size_t len = strlen(key);
    char *to = sheet_room(sheet, len + 4);
    if (to != NULL) {
        char *from = to;
        *to = ',';
        to += sheet->is_begun ? 1 : 0;
        *to++ = '"';
        to = sheet_put(to, key, len);
        *to++ = '"';
        *to++ = ':';
        sheet->len += (size_t)(to - from);
        sheet->is_begun = true;
    }
}

/* Any bytes; what is not UTF-8 becomes '?'. */
void sheet_string(struct sheet *sheet, const char *text);
/* Our own words and digits, which need no escapes. */
void sheet_word(struct sheet *sheet, const char *word, size_t len);
void sheet_number(struct sheet *sheet, int64_t value);
void sheet_json(struct sheet *sheet, const json_t *value);
/* Values like those of page_text, page_time and page_version: null for "", 0, no version. */
void sheet_text_or_null(struct sheet *sheet, const char *text);
void sheet_time_or_null(struct sheet *sheet, int64_t ms);
void sheet_version_or_null(struct sheet *sheet, uint16_t version);

/* Members. */
#define SHEET_MEMBER static inline __attribute__((always_inline)) void
SHEET_MEMBER sheet_text(struct sheet *sheet, const char *key, const char *text) {
    sheet_key(sheet, key);
    sheet_text_or_null(sheet, text);
}

SHEET_MEMBER sheet_time(struct sheet *sheet, const char *key, int64_t ms) {
    sheet_key(sheet, key);
    sheet_time_or_null(sheet, ms);
}

SHEET_MEMBER sheet_version(struct sheet *sheet, const char *key, uint16_t version) {
    sheet_key(sheet, key);
    sheet_version_or_null(sheet, version);
}

SHEET_MEMBER sheet_integer(struct sheet *sheet, const char *key, int64_t value) {
    sheet_key(sheet, key);
    sheet_number(sheet, value);
}

SHEET_MEMBER sheet_bool(struct sheet *sheet, const char *key, bool value) {
    sheet_key(sheet, key);
    sheet_add(sheet, value ? "true" : "false", value ? 4 : 5);
}

SHEET_MEMBER sheet_null(struct sheet *sheet, const char *key) {
    sheet_key(sheet, key);
    sheet_add(sheet, "null", 4);
}

#endif
