/* The recorded logs of tests/data/dtls, line by line. */
#ifndef TESTS_DTLS_RECORDING_H
#define TESTS_DTLS_RECORDING_H

#include "slipway/util/span.h"

enum line_kind { LINE_OTHER, LINE_FROM_DEVICE, LINE_TO_DEVICE, LINE_KEY, LINE_RECEIVED };

struct line {
    enum line_kind kind;
    char name[24]; /* LINE_KEY */
    size_t len;
    uint8_t bytes[1500];
};

#define RECORDING_LINES_MAX 256
struct recording {
    size_t count;
    struct line lines[RECORDING_LINES_MAX];
};

/* Fails the test if the file cannot be read. */
void recording_load(struct recording *recording, const char *name);
/* The bytes of a hexadecimal file. */
size_t recording_load_hex(const char *name, uint8_t *out, size_t cap);

extern const char *const recordings[];
extern const size_t recording_count;

#endif
