/* A folder for one test, under TMPDIR or /tmp. It goes with everything in it when the test ends,
 * failed or not. */
#ifndef TESTS_SUPPORT_SCRATCH_H
#define TESTS_SUPPORT_SCRATCH_H

#define SCRATCH_PATH_MAX 256

/* Set-up and tear-down for cmocka: 0, or -1. */
int scratch_make(void **state);
int scratch_remove(void **state);

extern char scratch_folder[SCRATCH_PATH_MAX - 64];

/* The path of a file in it, which need not be there. Returns out; fails the test if it is too
 * long. */
const char *scratch_path(char out[SCRATCH_PATH_MAX], const char *name);

#endif
