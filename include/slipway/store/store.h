/* One connection to the database. A file has one writer connection (the only one that migrates and
 * changes anything) and any number of readers. A connection belongs to one thread at a time.
 *
 * Everything durable is in this one file: rules' inputs, firmware bytes, updates, events, keys. */
#ifndef SLIPWAY_STORE_STORE_H
#define SLIPWAY_STORE_STORE_H

#include "slipway/util/error.h"
#include "slipway/util/span.h"
#include "slipway/util/time.h"

#include <stdbool.h>
#include <stdint.h>

/* "Slip" in the file header: other programs' databases are refused. */
#define STORE_APPLICATION_ID 0x536C6970

struct store;

struct store_options {
    const char *path;        /* a file, or ":memory:" (writer only) */
    bool is_reader;          /* read-only; the file must exist and be of this version */
    bool is_guest;           /* writes beside the process whose file it is: migrates nothing */
    bool synchronous_normal; /* a power cut may lose the last commits, never the file; default FULL
                              */
    int busy_timeout_ms;     /* 0 = 5000 */
    uint32_t cache_bytes;    /* at most; 0 = 2 MiB */
    wall_time now;           /* writer: recorded with each migration step */
    struct store *shared;    /* a reader's: the writer whose knowledge of rows it shares; may be
                              * NULL, else it must be closed after the reader */
};

/* Opens, and as a writer creates or migrates (a file that already has data is first copied with
 * VACUUM INTO to "<path>.before-<number>"). *out is NULL on failure.
 *   SW_E_VERSION  foreign, newer than this program, or a released migration was changed
 *   SW_E_BUSY     another process writes it
 *   SW_E_IO       cannot be opened, read or written; fault says what */
int store_open(struct store **out, const struct store_options *options,
               struct fault *fault) SW_NODISCARD;
void store_close(struct store *store); /* accepts NULL */

/* A consistent copy of the whole state in a new file, which is its owner's alone. */
int store_backup(struct store *store, const char *path, struct fault *fault) SW_NODISCARD;

/* A read transaction: everything read between the two is of one moment. On a writer connection, or
 * inside a job, both do nothing. */
int store_view_begin(struct store *store, struct fault *fault) SW_NODISCARD;
void store_view_end(struct store *store); /* accepts that there is none */
/* A view that may be older: one that is open is kept if it was begun with the same mark, else a new
 * one is begun. The mark must have been read from what the writer changes after each commit. */
int store_view_keep(struct store *store, uint64_t mark, struct fault *fault) SW_NODISCARD;

/* What the layer above wants told about transactions; all on the connection's thread. */
struct store_hooks {
    void *ctx;
    void (*job_begin)(void *ctx);  /* a job is about to run */
    void (*job_undone)(void *ctx); /* it failed: what it did is rolled back */
    void (*committed)(void *ctx);  /* the group is durable */
    void (*lost)(void *ctx);       /* the group's COMMIT failed: all of it is rolled back */
};
void store_set_hooks(struct store *store, const struct store_hooks *hooks);
void *store_context(const struct store *store); /* hooks.ctx; NULL if none were set */
void store_set_context(struct store *store, void *ctx);

/* The data folder's lock: one daemon to a folder. *descriptor stays open for the process's life.
 * SW_E_BUSY: somebody has it; SW_E_IO. */
int store_lock_folder(const char *folder, int *descriptor, struct fault *fault) SW_NODISCARD;

#endif
