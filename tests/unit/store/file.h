/* A database in a file of its own, and SQL on it, for tests of what is on disk. */
#ifndef TESTS_STORE_FILE_H
#define TESTS_STORE_FILE_H

#include "scratch.h"

#include "store/internal.h"

#include <stdint.h>

extern char db_path[SCRATCH_PATH_MAX];

/* Set-up for cmocka: a folder, and the path in it where a database may be made. It ends with
 * scratch_remove. */
int file_set_up(void **state);

/* Both fail the test rather than return an error. */
struct store *must_open(void);
void must_exec(struct store *store, const char *sql);
/* The integer in the first column of the first row. */
int64_t value_of(struct store *store, const char *sql);

#endif
