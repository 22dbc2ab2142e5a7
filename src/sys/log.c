/* A line is built in a fixed buffer and handed on as a whole, so that lines of different threads
 * never mix and a hostile value can neither break out of its field nor grow the line. */
#include "slipway/sys/log.h"

#include "slipway/sys/clock.h"
#include "slipway/util/check.h"
#include "slipway/util/text.h"

#include "sys/log_writer.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Written at start and at reloads only; each field may be read while it changes. */
static _Atomic int configured_level = LOG_INFO;
static _Atomic bool configured_json = false;
static _Atomic int configured_descriptor = STDERR_FILENO;

static const char *const level_names[] = {"broken", "unusual", "info", "debug"};

/* Room kept for the end of the line: quote, brace, newline. */
#define LINE_TAIL 4
#define VALUE_MAX 256

void log_configure(const struct log_setup *setup) {
    configured_level = (int)setup->level;
    configured_json = setup->json;
    configured_descriptor = setup->descriptor;
}

bool log_is_on(enum log_level level) {
    return (int)level <= configured_level;
}

bool log_level_parse(const char *text, enum log_level *out) {
    for (size_t i = 0; i < SW_COUNT(level_names); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

static void put(struct log_line *line, const char *bytes, size_t len) {
    if (len <= sizeof line->text - LINE_TAIL - line->used) {
        memcpy(line->text + line->used, bytes, len);
        line->used += len;
    }
}

static void put_text(struct log_line *line, const char *text) {
    put(line, text, strlen(text));
}

static void put_key(struct log_line *line, const char *key) {
    put(line, line->json ? ",\"" : " ", line->json ? 2 : 1);
    put_text(line, key);
    put(line, line->json ? "\":" : "=", line->json ? 2 : 1);
}

/* A busy door has thousands of lines with the same second. */
static void put_now(struct log_line *line) {
    static _Thread_local struct {
        int64_t second;
        char text[WALL_TEXT_BYTES];
    } last;
    wall_time now = wall_now();
    int64_t second = now.ms / 1000;
    if (second != last.second) {
        last.second = second;
        wall_text((wall_time){.ms = second * 1000}, last.text);
    }
    unsigned ms = (unsigned)(now.ms % 1000);
    char *digits = last.text + WALL_TEXT_BYTES - sizeof "000Z";
    digits[0] = (char)('0' + ms / 100);
    digits[1] = (char)('0' + ms / 10 % 10);
    digits[2] = (char)('0' + ms % 10);
    put(line, last.text, WALL_TEXT_BYTES - 1);
}

/* As it is, if it needs neither quotes nor escapes. */
static bool put_plain(struct log_line *line, struct span value) {
    const char *bytes = (const char *)value.data;
    if (value.len == 0 || value.len > sizeof line->text - LINE_TAIL - line->used ||
        !text_is_plain(bytes, value.len) || memchr(bytes, ' ', value.len) != NULL ||
        memchr(bytes, '=', value.len) != NULL) {
        return false;
    }
    put(line, bytes, value.len);
    return true;
}

static void put_escaped(struct log_line *line, struct span value) {
    put_text(line, "\"");
    for (size_t i = 0; i < value.len && i < VALUE_MAX; i++) {
        uint8_t c = value.data[i];
        char escaped[8];
        if (c == '"' || c == '\\') {
            escaped[0] = '\\';
            escaped[1] = (char)c;
            put(line, escaped, 2);
        } else if (c < ' ' || c >= 0x7F) {
            /* Bytes above ASCII too: the log stays readable whatever its encoding. */
            (void)snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)c);
            put(line, escaped, 6);
        } else {
            put(line, (const char *)&value.data[i], 1);
        }
    }
    put_text(line, "\"");
}

void log_begin(struct log_line *line, enum log_level level, const char *event) {
    line->level = level;
    line->is_on = log_is_on(level);
    line->json = configured_json;
    line->used = 0;
    if (!line->is_on) {
        return;
    }
    put_text(line, line->json ? "{\"time\":\"" : "time=");
    put_now(line);
    put_text(line, line->json ? "\",\"level\":\"" : " level=");
    put_text(line, level_names[level]);
    put_text(line, line->json ? "\",\"event\":\"" : " event=");
    put_text(line, event);
    put_text(line, line->json ? "\"" : "");
}

void log_span(struct log_line *line, const char *key, struct span value) {
    if (!line->is_on) {
        return;
    }
    size_t before = line->used;
    put_key(line, key);
    size_t value_at = line->used;
    if (line->json || value.len > VALUE_MAX || !put_plain(line, value)) {
        put_escaped(line, value);
    }
    /* A field that lost its end or its quote is dropped whole: the line stays parseable. */
    if (line->used == value_at || line->used + LINE_TAIL + 8 >= sizeof line->text) {
        line->used = before;
    }
}

void log_text(struct log_line *line, const char *key, const char *value) {
    if (value != NULL) {
        log_span(line, key, span_text(value));
    }
}

void log_int(struct log_line *line, const char *key, int64_t value) {
    if (!line->is_on) {
        return;
    }
    char digits[TEXT_NUMBER_BYTES];
    size_t len;
    const char *first = text_number(value, digits, &len);
    size_t before = line->used;
    put_key(line, key);
    size_t value_at = line->used;
    put(line, first, len);
    if (line->used == value_at) {
        line->used = before;
    }
}

void log_finish(struct log_line *line) {
    if (line->json) {
        line->text[line->used++] = '}';
    }
    line->text[line->used++] = '\n';
    line->is_on = false;
}

void log_end(struct log_line *line) {
    if (!line->is_on) {
        return;
    }
    log_finish(line);
    if (!log_writer_take(configured_descriptor, line->text, line->used, line->level < LOG_INFO)) {
        /* There is no place left to report a failure to report. */
        ssize_t ignored = write(configured_descriptor, line->text, line->used);
        (void)ignored;
    }
}

void log_note(enum log_level level, const char *event, const char *text) {
    struct log_line line;
    log_begin(&line, level, event);
    log_text(&line, "text", text);
    log_end(&line);
}

void log_fault(enum log_level level, const char *event, const struct fault *fault) {
    struct log_line line;
    log_begin(&line, level, event);
    log_text(&line, "error", sw_error_name(fault->code));
    log_text(&line, "text", fault->text);
    log_end(&line);
}

void log_limiter_init(struct log_limiter *limiter) {
    memset(limiter, 0, sizeof *limiter);
}

bool log_allowed(struct log_limiter *limiter, uint64_t source, mono_time now,
                 uint32_t *suppressed) {
    size_t slot = (size_t)((source * UINT64_C(0x9E3779B97F4A7C15)) >> 32) % LOG_SOURCES;
    bool is_new = limiter->slots[slot].source != source && limiter->slots[slot].tokens == LOG_BURST;
    if (limiter->slots[slot].refilled.us == 0 || is_new) {
        limiter->slots[slot].source = source;
        limiter->slots[slot].refilled = now;
        limiter->slots[slot].tokens = LOG_BURST;
        limiter->slots[slot].suppressed = 0;
    }
    int64_t gained =
        mono_since_us(limiter->slots[slot].refilled, now) / (INT64_C(1000) * LOG_REFILL_MS);
    if (gained > 0) {
        uint32_t tokens = limiter->slots[slot].tokens;
        uint32_t room = LOG_BURST - tokens;
        limiter->slots[slot].tokens = gained > room ? LOG_BURST : tokens + (uint32_t)gained;
        limiter->slots[slot].refilled =
            mono_add_ms(limiter->slots[slot].refilled, gained * LOG_REFILL_MS);
    }
    if (limiter->slots[slot].tokens == 0) {
        limiter->slots[slot].suppressed++;
        *suppressed = 0;
        return false;
    }
    limiter->slots[slot].tokens--;
    *suppressed = limiter->slots[slot].suppressed;
    limiter->slots[slot].suppressed = 0;
    return true;
}
