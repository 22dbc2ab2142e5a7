/* Objects of a fixed shape as JSON text, written field by field: devices are asked for so often,
 * and by the hundred, that building a tree of each costs more than everything else. Texts that need
 * more than quotes are left to jansson; whatever has no fixed shape is a tree of jansson's.
 *
 * Memory that runs out is noticed once, at the end: what is written afterwards is dropped. */
#ifndef SLIPWAY_HTTP_SHEET_H
#define SLIPWAY_HTTP_SHEET_H

#include "http/reply.h"

struct sheet {
    char *text; /* heap */
    size_t len, cap;
    bool failed;
};

void sheet_init(struct sheet *sheet, size_t cap);
void sheet_free(struct sheet *sheet);
/* Becomes the reply's body: a 500 if it failed. */
void sheet_reply(struct sheet *sheet, struct reply *reply, int status);

/* '{', '}', '[' or ']'. */
void sheet_mark(struct sheet *sheet, char mark);
/* The beginning of a member of the open object, with its comma; what comes next is its value. Keys
 * are our own: they need no escapes. */
void sheet_key(struct sheet *sheet, const char *key);
/* The comma of an array's entry. */
void sheet_entry(struct sheet *sheet);

/* Any bytes; what is not UTF-8 becomes '?'. */
void sheet_string(struct sheet *sheet, const char *text);
void sheet_number(struct sheet *sheet, int64_t value);
void sheet_json(struct sheet *sheet, const json_t *value);

/* Members. Like page_text, page_time and page_version: null for "", 0, no version. */
void sheet_text(struct sheet *sheet, const char *key, const char *text);
void sheet_time(struct sheet *sheet, const char *key, int64_t ms);
void sheet_version(struct sheet *sheet, const char *key, uint16_t version);
void sheet_integer(struct sheet *sheet, const char *key, int64_t value);
void sheet_bool(struct sheet *sheet, const char *key, bool value);
void sheet_null(struct sheet *sheet, const char *key);

#endif
