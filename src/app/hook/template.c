/* One pass over the text, section by section; a section that is not shown is passed over by the
 * same code with its output turned off, so that both agree on where it ends. */
#include "slipway/app/template.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 256

struct engine {
    const json_t *words;
    const json_t *things[TEMPLATE_DEPTH + 1]; /* the innermost last */
    size_t count;
    size_t depth;
    enum template_use use;
    char *out;
    size_t len, cap;
    size_t work;
    int code;
};

struct tag {
    char kind; /* '{' as it is, 'v' escaped, '#', '^', '/', '!'; others are not known */
    const char *name;
    size_t len;
    const char *after;
};

/* --- output --- */

static void put(struct engine *e, const char *bytes, size_t len) {
    if (e->code != SW_OK) {
        return;
    }
    if (len > TEMPLATE_OUT_MAX - e->len) {
        e->code = SW_E_RANGE;
        return;
    }
    if (e->len + len + 1 > e->cap) {
        size_t cap = (e->len + len + 1) * 2;
        char *larger = realloc(e->out, cap);
        if (larger == NULL) {
            e->code = SW_E_MEMORY;
            return;
        }
        e->out = larger;
        e->cap = cap;
    }
    memcpy(e->out + e->len, bytes, len);
    e->len += len;
    e->out[e->len] = '\0';
}

static const char *html_of(char c) {
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

static bool is_unreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~", c) != NULL);
}

static void put_byte(struct engine *e, char c, bool is_raw) {
    static const char digits[] = "0123456789ABCDEF";
    const char *html = is_raw || e->use == TEMPLATE_URL ? NULL : html_of(c);
    unsigned char byte = (unsigned char)c;
    if (e->use == TEMPLATE_URL && !is_unreserved(c)) {
        const char escaped[3] = {'%', digits[byte >> 4], digits[byte & 15]};
        put(e, escaped, sizeof escaped);
    } else if (html != NULL) {
        put(e, html, strlen(html));
    } else {
        put(e, &c, 1);
    }
}

static void put_value(struct engine *e, const json_t *value, bool is_raw) {
    if (value == NULL || json_is_null(value)) {
        return;
    }
    char *dumped = json_is_string(value) ? NULL : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    const char *bytes = json_is_string(value) ? json_string_value(value) : dumped;
    if (bytes == NULL) {
        e->code = SW_E_MEMORY;
        return;
    }
    size_t len = json_is_string(value) ? json_string_length(value) : strlen(bytes);
    for (size_t i = 0; i < len && e->code == SW_OK; i++) {
        put_byte(e, bytes[i], is_raw);
    }
    free(dumped);
}

/* --- facts --- */

/* What lies under one part of a dotted name. */
static const json_t *step(const json_t *thing, const char *part, size_t len) {
    if (json_is_object(thing)) {
        return json_object_getn(thing, part, len);
    }
    size_t index = 0;
    for (size_t i = 0; i < len; i++) {
        if (part[i] < '0' || part[i] > '9' || i > 6) {
            return NULL;
        }
        index = index * 10 + (size_t)(part[i] - '0');
    }
    return len > 0 ? json_array_get(thing, index) : NULL;
}

static const json_t *find(const struct engine *e, const struct tag *tag) {
    const json_t *word = json_object_getn(e->words, tag->name, tag->len);
    if (word != NULL) {
        return word;
    }
    if (tag->len == 1 && tag->name[0] == '.') {
        return e->count > 0 ? e->things[e->count - 1] : NULL;
    }
    const char *end = tag->name + tag->len;
    const char *part = tag->name;
    const char *dot = memchr(part, '.', tag->len);
    const json_t *found = NULL;
    for (size_t i = e->count; found == NULL && i > 0; i--) {
        found = step(e->things[i - 1], part, (size_t)((dot != NULL ? dot : end) - part));
    }
    while (found != NULL && dot != NULL) {
        part = dot + 1;
        dot = memchr(part, '.', (size_t)(end - part));
        found = step(found, part, (size_t)((dot != NULL ? dot : end) - part));
    }
    return found;
}

static bool is_something(const json_t *value) {
    if (json_is_array(value)) {
        return json_array_size(value) > 0;
    }
    if (json_is_string(value)) {
        return json_string_length(value) > 0;
    }
    if (json_is_number(value)) {
        return json_number_value(value) < 0 || json_number_value(value) > 0;
    }
    return json_is_object(value) || json_is_true(value);
}

/* --- the text --- */

/* The tag at "{{"; false if these braces make none. */
static bool read_tag(const char *text, struct tag *tag) {
    bool is_triple = text[2] == '{';
    const char *name = text + (is_triple ? 3 : 2);
    const char *end = strstr(name, is_triple ? "}}}" : "}}");
    if (end == NULL) {
        return false;
    }
    tag->after = end + (is_triple ? 3 : 2);
    tag->kind = is_triple ? '{' : 'v';
    if (!is_triple && *name != '\0' && strchr("#^/!&>=", *name) != NULL) {
        tag->kind = *name == '&' ? '{' : *name;
        name++;
    }
    while (*name == ' ') {
        name++;
    }
    while (end > name && end[-1] == ' ') {
        end--;
    }
    tag->name = name;
    tag->len = end > name ? (size_t)(end - name) : 0;
    return tag->len <= NAME_MAX_BYTES || tag->kind == '!';
}

static bool is_same(const struct tag *a, const struct tag *b) {
    return a->len == b->len && memcmp(a->name, b->name, a->len) == 0;
}

static const char *run(struct engine *e, const char *at, const struct tag *section, bool is_shown);

static const char *run_with(struct engine *e, const struct tag *section, const json_t *thing) {
    e->things[e->count++] = thing;
    const char *after = run(e, section->after, section, true);
    e->count--;
    return after;
}

static const char *run_section(struct engine *e, const struct tag *section, bool is_shown) {
    if (e->depth == TEMPLATE_DEPTH) {
        e->code = SW_E_RANGE;
        return section->after;
    }
    e->depth++;
    const json_t *value = find(e, section);
    const char *after = section->after;
    if (!is_shown || section->kind == '^' || !is_something(value)) {
        after = run(e, after, section, is_shown && section->kind == '^' && !is_something(value));
    } else if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value) && e->code == SW_OK; i++) {
            after = run_with(e, section, json_array_get(value, i));
        }
    } else {
        after = run_with(e, section, value);
    }
    e->depth--;
    return after;
}

/* Up to the end of the section, or of the text if it is NULL; returns what follows. */
static const char *run(struct engine *e, const char *at, const struct tag *section, bool is_shown) {
    struct tag tag;
    for (;;) {
        const char *braces = strstr(at, "{{");
        size_t plain = braces != NULL ? (size_t)(braces - at) : strlen(at);
        e->work += plain + 2;
        e->code = e->code == SW_OK && e->work > TEMPLATE_WORK_MAX ? SW_E_RANGE : e->code;
        if (is_shown) {
            put(e, at, plain);
        }
        if (braces == NULL || e->code != SW_OK) {
            return at + plain;
        }
        if (!read_tag(braces, &tag)) {
            if (is_shown) {
                put(e, "{{", 2);
            }
            at = braces + 2;
            continue;
        }
        at = tag.after;
        e->work += tag.len;
        if (tag.kind == '/' && section != NULL && is_same(&tag, section)) {
            return at;
        }
        if (tag.kind == '#' || tag.kind == '^') {
            at = run_section(e, &tag, is_shown);
        } else if (is_shown && (tag.kind == '{' || tag.kind == 'v')) {
            put_value(e, find(e, &tag), tag.kind == '{');
        }
    }
}

int template_expand(const char *text, const struct template_facts *facts, enum template_use use,
                    char **out, size_t *len) {
    struct engine e = {.words = facts->words, .use = use};
    if (facts->data != NULL) {
        e.things[e.count++] = facts->data;
    }
    put(&e, "", 0);
    (void)run(&e, text, NULL, true);
    if (e.code != SW_OK) {
        free(e.out);
        e.out = NULL;
    }
    *out = e.out;
    *len = e.len;
    return e.code;
}

const char *template_fault(const char *text) {
    struct tag open[TEMPLATE_DEPTH], tag;
    size_t depth = 0;
    for (const char *at = strstr(text, "{{"); at != NULL; at = strstr(at, "{{")) {
        if (!read_tag(at, &tag)) {
            at += 2;
            continue;
        }
        at = tag.after;
        switch (tag.kind) {
        case '>':
        case '=':
            return "has a partial or another delimiter, which this dialect has not";
        case '#':
        case '^':
            if (depth == TEMPLATE_DEPTH) {
                return "has too many sections inside each other";
            }
            open[depth++] = tag;
            break;
        case '/':
            if (depth == 0 || !is_same(&tag, &open[--depth])) {
                return "ends a section that it did not begin";
            }
            break;
        default:
            break;
        }
    }
    return depth > 0 ? "does not end a section" : NULL;
}
