/* Parts pass as they come; only the lines of their heads are kept until they are whole. */
#include "http/request/quote.h"

#include <string.h>
#include <strings.h>

void quote_init(struct quote *quote, const char *type, quote_sink_fn *sink, void *arg) {
    static const char key[] = "boundary=", before[] = "\n--";
    *quote = (struct quote){.sink = sink, .sink_arg = arg, .matched = 1}; /* as behind a line */
    const char *from = strstr(type, key);
    if (from == NULL) {
        return;
    }
    from += sizeof key - 1;
    size_t len = *from == '"' ? strcspn(++from, "\"") : strcspn(from, "; \t");
    if (len == 0 || len > QUOTE_BOUNDARY_MAX) {
        return;
    }
    memcpy(quote->rule, before, sizeof before - 1);
    memcpy(quote->rule + sizeof before - 1, from, len);
    quote->rule_len = sizeof before - 1 + len;
}

static bool put(struct quote *quote, const char *bytes, size_t len) {
    return len == 0 || quote->sink(quote->sink_arg, bytes, len);
}

/* Where in [at, end) a value without quotes begins; end if there is none. */
static const char *bare_value(const char *at, const char *end) {
    static const char *const keys[] = {"name=", "filename="};
    bool is_quoted = false;
    for (; at < end; at++) {
        is_quoted = is_quoted != (*at == '"');
        if (is_quoted || *at != ';') {
            continue;
        }
        const char *key = at + 1;
        while (key < end && (*key == ' ' || *key == '\t')) {
            key++;
        }
        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
            size_t len = strlen(keys[i]);
            if ((size_t)(end - key) > len && strncasecmp(key, keys[i], len) == 0 &&
                key[len] != '"') {
                return key + len;
            }
        }
    }
    return end;
}

/* A line of a head, with its end. */
static bool put_line(struct quote *quote) {
    static const char name[] = "Content-Disposition:";
    const char *at = quote->line;
    const char *end = at + quote->line_len;
    bool good = true;
    if (quote->line_len < sizeof name || strncasecmp(at, name, sizeof name - 1) != 0) {
        good = put(quote, at, quote->line_len);
        at = end;
    }
    while (good && at < end) {
        const char *value = bare_value(at, end);
        size_t len = 0;
        while (value + len < end && strchr("; \t\r\n", value[len]) == NULL) {
            len++;
        }
        good = put(quote, at, (size_t)(value - at));
        if (value < end) {
            good = good && put(quote, "\"", 1) && put(quote, value, len) && put(quote, "\"", 1);
        }
        at = value + len;
    }
    quote->line_len = 0;
    return good;
}

/* Bytes of a part, up to and with the boundary behind it. */
static size_t pass_bytes(struct quote *quote, const char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (quote->matched == 0) {
            const char *line = memchr(bytes + i, '\n', len - i);
            if (line == NULL) {
                return len;
            }
            i = (size_t)(line - bytes);
        }
        bool is_next = bytes[i] == quote->rule[quote->matched];
        quote->matched = is_next ? quote->matched + 1 : bytes[i] == '\n';
        if (quote->matched == quote->rule_len) {
            quote->place = QUOTE_RULE;
            return i + 1;
        }
    }
    return len;
}

/* Up to and with the end of the present line. */
static size_t line_rest(const char *bytes, size_t len) {
    const char *end = memchr(bytes, '\n', len);
    return end == NULL ? len : (size_t)(end - bytes) + 1;
}

/* More of a line of a head: an empty one ends it. */
static bool take_line(struct quote *quote, const char *bytes, size_t len) {
    if (len > QUOTE_LINE_MAX - quote->line_len) {
        quote->place = bytes[len - 1] == '\n' ? QUOTE_HEAD : QUOTE_LONG;
        bool good = put(quote, quote->line, quote->line_len) && put(quote, bytes, len);
        quote->line_len = 0;
        return good;
    }
    memcpy(quote->line + quote->line_len, bytes, len);
    quote->line_len += len;
    if (quote->line[quote->line_len - 1] != '\n') {
        return true;
    }
    if (quote->line[0] == '\n' || quote->line[0] == '\r') {
        quote->place = QUOTE_BYTES;
        quote->matched = 1;
    }
    return put_line(quote);
}

bool quote_append(struct quote *quote, const char *bytes, size_t len) {
    if (quote->rule_len == 0) {
        return put(quote, bytes, len);
    }
    bool good = true;
    for (size_t at = 0, used = 0; good && at < len; at += used) {
        const char *from = bytes + at;
        switch (quote->place) {
        case QUOTE_BYTES:
            used = pass_bytes(quote, from, len - at);
            good = put(quote, from, used);
            break;
        case QUOTE_HEAD:
            used = line_rest(from, len - at);
            good = take_line(quote, from, used);
            break;
        case QUOTE_RULE:
        case QUOTE_LONG:
            used = line_rest(from, len - at);
            quote->place = from[used - 1] == '\n' ? QUOTE_HEAD : quote->place;
            good = put(quote, from, used);
            break;
        }
    }
    return good;
}

bool quote_end(struct quote *quote) {
    size_t len = quote->line_len;
    quote->line_len = 0;
    return put(quote, quote->line, len);
}
