/* The schema's history: numbered steps, forward only, embedded in the program. */
#ifndef SLIPWAY_STORE_MIGRATE_H
#define SLIPWAY_STORE_MIGRATE_H

#include "slipway/util/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

struct migration {
    int number; /* 1, 2, ... without gaps */
    const char *name;
    const char *sql;
    const char *sha256; /* of the file, 64 digits */
};

/* Generated from migrations/. */
extern const struct migration store_migrations[];
extern const size_t store_migration_count;

/* Brings a writer's file to the newest schema; see store_open for the refusals. The steps are given
 * so that tests can have histories of their own. */
int store_migrate(struct store *store, const char *path, const struct migration *steps,
                  size_t count, int64_t now_ms, struct fault *fault) SW_NODISCARD;
/* Whether the file is ours; SW_E_VERSION if it is another program's. Changes nothing. */
int store_check_identity(struct store *store, bool *is_empty, struct fault *fault) SW_NODISCARD;
/* A reader's check that the file is exactly of this version. */
int store_check_version(struct store *store, size_t count, struct fault *fault) SW_NODISCARD;

#endif
