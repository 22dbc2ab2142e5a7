/* Zip files in memory, for tests of what reads them. */
#ifndef TESTS_SUPPORT_ZIP_MAKE_H
#define TESTS_SUPPORT_ZIP_MAKE_H

#include "slipway/util/span.h"

#include <stdbool.h>

struct zip_entry {
    const char *name;
    struct span bytes;
    bool is_encrypted;
};
/* malloc'ed, *len bytes of it. */
uint8_t *zip_make(const struct zip_entry *entries, size_t count, size_t *len);

#endif
