#include "recording.h"

#include "slipway/util/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

const char *const recordings[] = {"handshake-hello.srv.log", "resume-253.srv.log", "ota-v3.srv.log",
                                  "ota-legacy.srv.log"};
const size_t recording_count = sizeof recordings / sizeof recordings[0];

static FILE *open_data(const char *name) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/dtls/%s", TEST_DATA, name);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fail_msg("cannot open %s", path);
    }
    return file;
}

static void parse_hex(struct line *line, const char *hex) {
    size_t len = strspn(hex, "0123456789abcdef");
    line->len = len / 2;
    assert_true(line->len <= sizeof line->bytes);
    assert_int_equal(hex_decode(hex, len, line->bytes, line->len), SW_OK);
}

static void parse_line(struct line *line, const char *text) {
    const char *rest = strchr(text, ' ');
    line->kind = LINE_OTHER;
    if (rest == NULL) {
        return;
    }
    rest++;
    if (strncmp(rest, "D< ", 3) == 0) {
        line->kind = LINE_FROM_DEVICE;
        parse_hex(line, rest + 3);
    } else if (strncmp(rest, "D> ", 3) == 0) {
        line->kind = LINE_TO_DEVICE;
        parse_hex(line, rest + 3);
    } else if (strncmp(rest, "RX ", 3) == 0) {
        line->kind = LINE_RECEIVED;
        parse_hex(line, rest + 3);
    } else if (strncmp(rest, "KEYS ", 5) == 0) {
        line->kind = LINE_KEY;
        size_t len = strcspn(rest + 5, " ");
        assert_true(len < sizeof line->name);
        memcpy(line->name, rest + 5, len);
        line->name[len] = '\0';
        parse_hex(line, rest + 5 + len + 1);
    }
}

void recording_load(struct recording *recording, const char *name) {
    FILE *file = open_data(name);
    char *text = NULL;
    size_t cap = 0;
    recording->count = 0;
    while (getline(&text, &cap, file) > 0) {
        assert_true(recording->count < RECORDING_LINES_MAX);
        parse_line(&recording->lines[recording->count++], text);
    }
    free(text);
    (void)fclose(file);
    assert_true(recording->count > 5);
}

size_t recording_load_hex(const char *name, uint8_t *out, size_t cap) {
    FILE *file = open_data(name);
    char text[4096];
    assert_non_null(fgets(text, sizeof text, file));
    (void)fclose(file);
    size_t len = strspn(text, "0123456789abcdef");
    assert_true(len / 2 <= cap);
    assert_int_equal(hex_decode(text, len, out, len / 2), SW_OK);
    return len / 2;
}
