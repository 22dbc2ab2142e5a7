#include "pki.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct span pki_load(const char *name, char *out, size_t cap) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/dtls/pki/%s.pem", TEST_DATA, name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t len = fread(out, 1, cap, file);
    (void)fclose(file);
    assert_true(len > 0 && len < cap);
    return span_of(out, len);
}
