#include "scratch.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define OPEN_MAX_AT_ONCE 8 /* descriptors of the walk */

char scratch_folder[SCRATCH_PATH_MAX - 64];

int scratch_make(void **state) {
    (void)state;
    const char *root = getenv("TMPDIR");
    int len = snprintf(scratch_folder, sizeof scratch_folder, "%s/slipway-test-XXXXXX",
                       root != NULL ? root : "/tmp");
    return len > 0 && (size_t)len < sizeof scratch_folder && mkdtemp(scratch_folder) != NULL ? 0
                                                                                             : -1;
}

static int drop(const char *path, const struct stat *info, int kind, struct FTW *at) {
    (void)info;
    (void)kind;
    (void)at;
    return remove(path);
}

int scratch_remove(void **state) {
    (void)state;
    return nftw(scratch_folder, drop, OPEN_MAX_AT_ONCE, FTW_DEPTH | FTW_PHYS);
}

const char *scratch_path(char out[SCRATCH_PATH_MAX], const char *name) {
    int len = snprintf(out, SCRATCH_PATH_MAX, "%s/%s", scratch_folder, name);
    assert_in_range(len, 1, SCRATCH_PATH_MAX - 1);
    return out;
}
