/* One typed reader for JSON and forms, so that a wrong value is refused in the same words wherever
 * it stands, and every error names its field. */
#include "http/request/fields.h"
#include "slipway/util/text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct fields fields_of(const json_t *object, bool is_form, struct reply *reply) {
    return (struct fields){.object = object, .is_form = is_form, .reply = reply};
}

void fields_known(struct fields *f, const char *name) {
    for (size_t i = 0; i < f->known_count; i++) {
        if (strcmp(f->known[i], name) == 0) {
            return;
        }
    }
    if (f->known_count < FIELDS_KNOWN_MAX) {
        f->known[f->known_count++] = name;
    }
}

void fields_fail(struct fields *f, const char *name, const char *format, ...) {
    if (f->failed) {
        return;
    }
    f->failed = true;
    char reason[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    reply_error(f->reply, 400, "invalid_request", "%s: %s", name, reason);
}

static const json_t *field_raw(struct fields *f, const char *name) {
    fields_known(f, name);
    return f->object != NULL ? json_object_get(f->object, name) : NULL;
}

static bool value_is_null(const struct fields *f, const json_t *value) {
    return json_is_null(value) ||
           (f->is_form && json_is_string(value) && strcmp(json_string_value(value), "null") == 0);
}

bool fields_is_null(struct fields *f, const char *name) {
    const json_t *value = field_raw(f, name);
    return value != NULL && value_is_null(f, value);
}

/* Present and not null, as `type` or (in a form) as text. */
static const json_t *field_value(struct fields *f, const char *name, enum field_need need) {
    const json_t *value = field_raw(f, name);
    if (f->failed) {
        return NULL;
    }
    if (value == NULL || value_is_null(f, value)) {
        if (need == FIELD_REQUIRED) {
            fields_fail(f, name, value == NULL ? "is required" : "must not be null");
        }
        return NULL;
    }
    return value;
}

bool fields_has(struct fields *f, const char *name) {
    return field_value(f, name, FIELD_OPTIONAL) != NULL;
}

int64_t fields_integer(struct fields *f, const char *name, enum field_need need, int64_t min,
                       int64_t max) {
    const json_t *value = field_value(f, name, need);
    if (value == NULL) {
        return 0;
    }
    int64_t number = 0;
    bool is_integer = json_is_integer(value);
    if (is_integer) {
        number = json_integer_value(value);
    } else if (f->is_form && json_is_string(value)) {
        is_integer = text_integer(json_string_value(value), &number);
    }
    if (!is_integer || number < min || number > max) {
        fields_fail(f, name, "must be an integer from %lld to %lld", (long long)min,
                    (long long)max);
        return 0;
    }
    return number;
}

bool texts_bool(const char *text, bool *out) {
    *out = strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0;
    return *out || strcasecmp(text, "false") == 0 || strcmp(text, "0") == 0;
}

bool fields_bool(struct fields *f, const char *name, enum field_need need) {
    const json_t *value = field_value(f, name, need);
    if (value == NULL) {
        return false;
    }
    if (json_is_boolean(value)) {
        return json_is_true(value);
    }
    bool is_true = false;
    if (!f->is_form || !json_is_string(value) || !texts_bool(json_string_value(value), &is_true)) {
        fields_fail(f, name, "must be true or false");
    }
    return is_true;
}

static bool is_control(unsigned char c, bool allow_lines) {
    return (c < 0x20 && !(allow_lines && (c == '\n' || c == '\r' || c == '\t'))) || c == 0x7f;
}

static bool text_has_control(const char *text, bool allow_lines) {
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (is_control(*c, allow_lines)) {
            return true;
        }
    }
    return false;
}

bool text_is_clean(const char *text) {
    return !text_has_control(text, false);
}

static bool text_fits(struct fields *f, const char *name, const json_t *value, size_t min,
                      size_t max, bool allow_lines) {
    if (!json_is_string(value)) {
        fields_fail(f, name, "must be text");
        return false;
    }
    size_t len = json_string_length(value);
    if (len < min) {
        fields_fail(f, name, len == 0 ? "must not be empty" : "is too short");
        return false;
    }
    if (len > max) {
        fields_fail(f, name, "must be at most %zu bytes", max);
        return false;
    }
    if (text_has_control(json_string_value(value), allow_lines)) {
        fields_fail(f, name, "must not contain control characters");
        return false;
    }
    return true;
}

const char *fields_text(struct fields *f, const char *name, enum field_need need, size_t min,
                        size_t max) {
    const json_t *value = field_value(f, name, need);
    if (value == NULL || !text_fits(f, name, value, min, max, false)) {
        return NULL;
    }
    return json_string_value(value);
}

const char *fields_lines(struct fields *f, const char *name, enum field_need need, size_t max) {
    const json_t *value = field_value(f, name, need);
    if (value == NULL || !text_fits(f, name, value, 0, max, true)) {
        return NULL;
    }
    return json_string_value(value);
}

json_t *texts_split(const char *text) {
    json_t *list = json_array();
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        if (len > 0 && json_array_append_new(list, json_stringn(text, len)) != 0) {
            json_decref(list);
            return NULL;
        }
        text += len;
        if (*text == ',') {
            text++;
        }
    }
    return list;
}

json_t *fields_texts(struct fields *f, const char *name, enum field_need need, size_t count_max,
                     size_t text_max) {
    const json_t *value = field_value(f, name, need);
    if (value == NULL) {
        return NULL;
    }
    json_t *list = NULL;
    const char *only =
        json_array_size(value) == 1 ? json_string_value(json_array_get(value, 0)) : NULL;
    if (f->is_form && only != NULL && only[0] == '\0') {
        list = json_array(); /* "groups[]=": a form has no other way to say so */
    } else if (json_is_array(value)) {
        list = json_copy((json_t *)(uintptr_t)value);
    } else if (f->is_form && json_is_string(value)) {
        list = texts_split(json_string_value(value));
    }
    if (list == NULL) {
        fields_fail(f, name, "must be a list of texts");
        return NULL;
    }
    if (json_array_size(list) > count_max) {
        fields_fail(f, name, "must have at most %zu entries", count_max);
    }
    size_t i = 0;
    json_t *entry = NULL;
    json_array_foreach(list, i, entry) {
        if (f->failed || !text_fits(f, name, entry, 1, text_max, false)) {
            break;
        }
    }
    if (f->failed) {
        json_decref(list);
        return NULL;
    }
    return list;
}

struct fields fields_inside(struct fields *f, const char *name, enum field_need need) {
    const json_t *value = field_value(f, name, need);
    struct fields inside = fields_of(value, f->is_form, f->reply);
    if (value != NULL && !json_is_object(value)) {
        fields_fail(f, name, "must be an object");
        inside.object = NULL;
    }
    inside.failed = f->failed;
    return inside;
}

unsigned edit_distance(const char *a, const char *b, unsigned limit) {
    enum { LEN_MAX = 40 };
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    size_t gap = a_len > b_len ? a_len - b_len : b_len - a_len;
    if (a_len > LEN_MAX || b_len > LEN_MAX || gap > limit) {
        return limit + 1;
    }
    unsigned rows[3][LEN_MAX + 1]; /* the rows before last, last and present of the usual matrix */
    for (unsigned j = 0; j <= b_len; j++) {
        rows[1][j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        rows[2][0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            int x = tolower((unsigned char)a[i - 1]);
            int y = tolower((unsigned char)b[j - 1]);
            unsigned best = rows[1][j - 1] + (x == y ? 0 : 1);
            if (rows[1][j] + 1 < best) {
                best = rows[1][j] + 1;
            }
            if (rows[2][j - 1] + 1 < best) {
                best = rows[2][j - 1] + 1;
            }
            /* Two neighbours swapped are one slip. */
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                y == tolower((unsigned char)a[i - 2]) && rows[0][j - 2] + 1 < best) {
                best = rows[0][j - 2] + 1;
            }
            rows[2][j] = best;
        }
        memcpy(rows[0], rows[1], sizeof rows[0]);
        memcpy(rows[1], rows[2], sizeof rows[1]);
    }
    return rows[1][b_len] <= limit ? rows[1][b_len] : limit + 1;
}

/* Short names differ from each other by one letter anyway, so they need a closer match. */
const char *name_meant(const char *const *known, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, known[i]) == 0) {
            return NULL;
        }
    }
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(known[i]);
        unsigned limit = len < 4 ? 0 : len < 7 ? 1 : 2;
        if (edit_distance(name, known[i], limit) <= limit) {
            return known[i];
        }
    }
    return NULL;
}

bool fields_end(struct fields *f) {
    if (f->failed) {
        return false;
    }
    const char *name = NULL;
    json_t *value = NULL;
    json_t *object = (json_t *)(uintptr_t)f->object;
    json_object_foreach(object, name, value) {
        const char *meant = name_meant(f->known, f->known_count, name);
        if (meant != NULL) {
            char shown[64];
            (void)snprintf(shown, sizeof shown, "%s", name);
            fields_fail(f, shown, "is not a field here; did you mean %s?", meant);
            return false;
        }
    }
    return true;
}

void fields_idle(struct fields *f, const char *names) {
    if (fields_end(f)) {
        f->failed = true;
        reply_error(f->reply, 400, "invalid_request", "The request changes nothing: see %s.",
                    names);
    }
}
