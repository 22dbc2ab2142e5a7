/* Finding the route of a request. The table is short and the paths are shallow: a linear walk over
 * segments is faster than anything clever, and its order is the precedence that readers see. */
#include "http/route.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "slipway/util/check.h"
#include "slipway/util/hex.h"

static const char *const method_names[] = {"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", ""};

const char *method_name(enum method method) {
    return method_names[method];
}

enum method method_of(const char *name) {
    for (int i = 0; i < METHOD_OTHER; i++) {
        if (strcmp(method_names[i], name) == 0) {
            return (enum method)i;
        }
    }
    return METHOD_OTHER;
}

/* Decodes from[0..len) to out, which has room for len + 1 bytes. A NUL would cut the segment short
 * for everybody after us, so it is refused like a broken escape. */
static int segment_decode(const char *from, size_t len, char *out, size_t *written) {
    size_t at = 0;
    if (memchr(from, '%', len) == NULL && memchr(from, '\0', len) == NULL) { /* as most are */
        memcpy(out, from, len);
        at = len;
        len = 0;
    }
    for (size_t i = 0; i < len; i++) {
        char c = from[i];
        if (c == '%') {
            uint8_t byte = 0;
            if (len - i < 3 || hex_decode(from + i + 1, 2, &byte, 1) != SW_OK) {
                return SW_E_INPUT;
            }
            c = (char)byte;
            i += 2;
        }
        if (c == '\0') {
            return SW_E_INPUT;
        }
        out[at++] = c;
    }
    out[at] = '\0';
    *written = at;
    return SW_OK;
}

/* Without scheme and host, and with one slash at the front. */
static struct span path_begin(struct span raw) {
    static const char *const schemes[] = {"http://", "https://"};
    size_t at = 0;
    for (size_t i = 0; i < SW_COUNT(schemes); i++) {
        size_t len = strlen(schemes[i]);
        if (raw.len >= len && strncasecmp((const char *)raw.data, schemes[i], len) == 0) {
            at = len;
            while (at < raw.len && raw.data[at] != '/') {
                at++;
            }
        }
    }
    if (at == raw.len && at > 0) {
        return span_text("/");
    }
    while (raw.len - at > 1 && raw.data[at] == '/' && raw.data[at + 1] == '/') {
        at++;
    }
    return span_of(raw.data + at, raw.len - at);
}

int path_parse(struct span raw, struct path *out) {
    out->count = 0;
    raw = path_begin(raw);
    if (raw.len == 0 || raw.data[0] != '/') {
        return SW_E_INPUT;
    }
    if (raw.len >= sizeof out->text) {
        return SW_E_FULL;
    }
    const char *from = (const char *)raw.data;
    size_t used = 0;
    size_t start = 1;
    for (size_t i = 1; i <= raw.len; i++) {
        if (i < raw.len && from[i] != '/') {
            continue;
        }
        size_t len = i - start;
        bool is_last = i == raw.len;
        if (len > 0 || !is_last) {
            if (out->count == PATH_SEGMENTS_MAX) {
                return SW_E_FULL;
            }
            size_t written = 0;
            int rc = segment_decode(from + start, len, out->text + used, &written);
            if (rc != SW_OK) {
                return rc;
            }
            out->segments[out->count++] = out->text + used;
            used += written + 1;
        }
        start = i + 1;
    }
    return SW_OK;
}

/* Walks pattern and path side by side; fills names and values. Most patterns differ within their
 * first letters, so nothing is measured before it is compared. */
static bool pattern_matches(const char *pattern, const struct path *path, struct route_match *out) {
    size_t segment = 0;
    out->count = 0;
    while (*pattern == '/') {
        pattern++;
        if (segment == path->count) {
            return false;
        }
        const char *value = path->segments[segment++];
        if (*pattern == ':') {
            if (*value == '\0' || out->count == ROUTE_PARAMS_MAX) {
                return false;
            }
            out->names[out->count] = pattern + 1;
            out->values[out->count] = value;
            out->count++;
            pattern += strcspn(pattern, "/");
            continue;
        }
        while (*pattern != '\0' && *pattern != '/' && *pattern == *value) {
            pattern++;
            value++;
        }
        if (*value != '\0' || (*pattern != '\0' && *pattern != '/')) {
            return false;
        }
    }
    return segment == path->count;
}

void route_find(const struct route *table, size_t count, enum method method,
                const struct path *path, struct route_match *out) {
    enum method wanted = method == METHOD_HEAD ? METHOD_GET : method;
    out->methods = 0;
    for (size_t i = 0; i < count; i++) {
        if (table[i].method == wanted && pattern_matches(table[i].pattern, path, out)) {
            out->route = &table[i];
            return;
        }
    }
    /* Rare: which methods would have been right? */
    for (size_t i = 0; i < count; i++) {
        if (pattern_matches(table[i].pattern, path, out)) {
            out->methods |= 1U << table[i].method;
        }
    }
    out->route = NULL;
    out->count = 0;
}

const char *route_param(const struct route_match *match, const char *name) {
    size_t len = strlen(name);
    for (size_t i = 0; i < match->count; i++) {
        if (strncmp(match->names[i], name, len) == 0 && strcspn(match->names[i], "/") == len) {
            return match->values[i];
        }
    }
    return NULL;
}

void route_allow(unsigned methods, char *out, size_t cap) {
    if ((methods & (1U << METHOD_GET)) != 0) {
        methods |= 1U << METHOD_HEAD;
    }
    methods |= 1U << METHOD_OPTIONS;
    size_t at = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < METHOD_OTHER; i++) {
        if ((methods & (1U << i)) != 0 && at < cap) {
            int n = snprintf(out + at, cap - at, "%s%s", at > 0 ? ", " : "", method_names[i]);
            at += n > 0 ? (size_t)n : 0;
        }
    }
}
