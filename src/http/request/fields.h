/* Reading a request's body by name and type. Like util's reader, its first error sticks: later
 * reads give zeroes, and the reply of the request then already names the field, so a handler checks
 * once, with fields_end. Values of forms are texts, and are coerced; JSON values are not. */
#ifndef SLIPWAY_HTTP_REQUEST_FIELDS_H
#define SLIPWAY_HTTP_REQUEST_FIELDS_H

#include "http/reply/reply.h"

#define FIELDS_KNOWN_MAX 32

enum field_need { FIELD_OPTIONAL, FIELD_REQUIRED };

struct fields {
    const json_t *object; /* borrowed; NULL = no body, which reads as {} */
    bool is_form;
    struct reply *reply;
    bool failed;
    size_t known_count;
    const char *known[FIELDS_KNOWN_MAX]; /* every name that was asked for */
};

struct fields fields_of(const json_t *object, bool is_form, struct reply *reply);

/* Present, and not null. */
bool fields_has(struct fields *f, const char *name);
/* Present as null (in a form: the text "null"). */
bool fields_is_null(struct fields *f, const char *name);
/* A name that may be there and is of no interest. */
void fields_known(struct fields *f, const char *name);

int64_t fields_integer(struct fields *f, const char *name, enum field_need need, int64_t min,
                       int64_t max);
/* false when it is absent. */
bool fields_bool(struct fields *f, const char *name, enum field_need need);
/* min..max bytes of UTF-8 without control characters; NULL when it is absent. Borrowed. */
const char *fields_text(struct fields *f, const char *name, enum field_need need, size_t min,
                        size_t max);
/* The same with line ends and tabs allowed, also empty. */
const char *fields_lines(struct fields *f, const char *name, enum field_need need, size_t max);
/* An array of at most count_max texts of 1..text_max bytes; NULL when it is absent. In a form also
 * texts joined by commas, and one empty text for an empty array. The caller's: json_decref. */
json_t *fields_texts(struct fields *f, const char *name, enum field_need need, size_t count_max,
                     size_t text_max);
/* An object inside; reading goes on with the returned fields, whose failures are those of f. */
struct fields fields_inside(struct fields *f, const char *name, enum field_need need);

/* Fails with the field's name in the reply. */
void fields_fail(struct fields *f, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The known name that `name` was probably meant to be; NULL if it is known itself, or like none. */
const char *name_meant(const char *const *known, size_t count, const char *name);

/* Whether everything was read. Refuses fields that nobody asked for and that look like a slip of
 * the finger for one that somebody did; ignores the other ones. */
bool fields_end(struct fields *f);

/* Fails because nothing was given that would change anything; names are those that would. After
 * everything was read: a slip of the finger is told first. */
void fields_idle(struct fields *f, const char *names);

/* Number of single-character edits between two names, letter case aside; at most limit + 1. */
unsigned edit_distance(const char *a, const char *b, unsigned limit);

/* Whether text can be shown and stored as one line: UTF-8 (checked by the parsers) without control
 * characters. */
bool text_is_clean(const char *text);
/* "a,b" as a JSON array of texts, empty ones left out; NULL without memory or if it is not UTF-8.
 */
json_t *texts_split(const char *text);
/* "true" in any letter case or "1", and likewise false; false if it is neither. */
bool texts_bool(const char *text, bool *out);

#endif
