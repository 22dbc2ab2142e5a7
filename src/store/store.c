/* The one place where state outlives the process. Reading starts in stmts.def, which holds every
 * statement; migrate.c brings a file to the newest schema; writer.c commits jobs in groups; the
 * other files map rows to records, one for each aggregate. Only this module knows SQLite. */
#include "slipway/store/store.h"

#include "slipway/util/check.h"

#include "store/cache.h"
#include "store/hints.h"
#include "store/internal.h"
#include "store/migrate.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static int on_wal(void *arg, sqlite3 *db, const char *name, int pages) {
    (void)db;
    (void)name;
    ((struct store *)arg)->wal_pages = pages;
    return SQLITE_OK;
}

#define CHECKPOINT_PAGES 4000

static void checkpoint(struct store *store, int pages) {
    if (store->wal_pages >= pages) {
        store->wal_pages = 0;
        /* What readers still need stays for the next time. */
        (void)sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    }
}

void store_checkpoint(struct store *store) {
    checkpoint(store, CHECKPOINT_PAGES);
}

#define LEARN_ROWS   4096 /* at a time, so that a job waits for less than a millisecond */
#define LEARN_GAP_MS 1

/* Of the table as it is now; what comes later is learnt when it is first looked for. */
static void learn(struct store *store) {
    sqlite3_stmt *q = stmt(store, STMT_DEVICE_PLACES, NULL);
    const struct device_id after = store->learnt; /* what is bound stays as it is */
    bind_blob(q, ":after", after.b, sizeof after.b);
    bind_int(q, ":max", LEARN_ROWS);
    int count = 0;
    while (stmt_next(store, q, NULL) == 1) {
        (void)col_blob(q, 1, store->learnt.b, sizeof store->learnt.b);
        hints_learn(store->hints, &store->learnt, col_int(q, 0));
        count++;
    }
    store->is_learning = count == LEARN_ROWS;
}

/* As many as there can be at most: counting them would be a walk through them. */
static void make_room(struct store *store) {
    int64_t newest = 0;
    int code = stmt_int(store, stmt(store, STMT_DEVICE_NEWEST, NULL), 0, &newest, NULL);
    if (code == SW_OK && hints_make_room(store->hints, (uint64_t)newest)) {
        store->is_learning = true;
        memset(store->learnt.b, 0, sizeof store->learnt.b);
    }
}

int64_t store_idle(struct store *store) {
    if (!store->is_learning) {
        checkpoint(store, 1);
        make_room(store);
    } else {
        learn(store);
    }
    return store->is_learning ? LEARN_GAP_MS : -1;
}

#define READER_MAP_BYTES ((int64_t)64 << 30) /* SQLite has a limit of its own */

static int configure(struct store *store, const struct store_options *options,
                     struct fault *fault) {
    (void)sqlite3_extended_result_codes(store->db, 1);
    (void)sqlite3_busy_timeout(store->db,
                               options->busy_timeout_ms > 0 ? options->busy_timeout_ms : 5000);
    /* Text from outside never reaches the parser, but the file itself may come from anywhere: its
     * schema may call nothing that has side effects. */
    (void)sqlite3_db_config(store->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_limit(store->db, SQLITE_LIMIT_ATTACHED, 1); /* VACUUM INTO needs one */

    /* Little: what is not in it is one read from the system's own cache away. */
    uint32_t cache_kib = options->cache_bytes > 0 ? options->cache_bytes / 1024 : 2048;
    char sql[256];
    (void)snprintf(sql, sizeof sql,
                   "PRAGMA foreign_keys = ON; PRAGMA cache_size = -%u;"
                   "PRAGMA synchronous = %s;",
                   cache_kib, options->synchronous_normal ? "NORMAL" : "FULL");
    int code = store_exec(store, sql, fault);
    if (code == SW_OK) {
        code = store_add_functions(store, fault);
    }
    if (code == SW_OK && options->is_reader) {
        /* Mapped pages are the kernel's, shared by all readers: a cache for each of them would have
         * to be as large as the indexes, and every miss costs a system call. */
        (void)snprintf(sql, sizeof sql, "PRAGMA query_only = ON; PRAGMA mmap_size = %" PRId64,
                       READER_MAP_BYTES);
        code = store_exec(store, sql, fault);
    } else if (code == SW_OK) {
        code = store_exec(store, "PRAGMA journal_mode = WAL", fault);
        (void)sqlite3_wal_hook(store->db, on_wal, store); /* in place of automatic checkpoints */
    }
    return code;
}

/* SQLite's own bookkeeping of memory is one lock that all connections would share. The journal of a
 * savepoint, one for each job of a group, stays in small pieces of memory: by default it is one of
 * 64 KiB, which the allocator fetches from the system and gives back each time. */
static void configure_library(void) {
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    (void)sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, -1);
}

/* Hashes and sealed keys are inside: the file is its owner's alone from its first byte, and SQLite
 * gives its log and index the same mode. */
static int make_private(const char *path, struct fault *fault) {
    if (strcmp(path, ":memory:") == 0) {
        return SW_OK;
    }
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) {
        return fault_set(fault, SW_E_IO, "%s", strerrordesc_np(errno));
    }
    (void)close(file);
    return SW_OK;
}

int store_open(struct store **out, const struct store_options *options, struct fault *fault) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    SW_CHECK(pthread_once(&once, configure_library) == 0);
    *out = NULL;
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        return fault_set(fault, SW_E_MEMORY, "out of memory for a database connection");
    }
    store->is_reader = options->is_reader;
    store->hints = options->shared != NULL ? options->shared->hints
                   : options->is_reader    ? NULL
                                           : hints_new();
    if (!options->is_reader && store->hints == NULL) {
        free(store);
        return fault_set(fault, SW_E_MEMORY, "out of memory for a database connection");
    }
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                (options->is_reader  ? SQLITE_OPEN_READONLY
                 : options->is_guest ? SQLITE_OPEN_READWRITE
                                     : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    bool is_owner = !options->is_reader && !options->is_guest;
    int code = is_owner ? make_private(options->path, fault) : SW_OK;
    if (code == SW_OK && sqlite3_open_v2(options->path, &store->db, flags, NULL) != SQLITE_OK) {
        code = store->db == NULL ? fault_set(fault, SW_E_MEMORY, "out of memory")
                                 : store_failed(store, "cannot open", fault);
    }
    if (code == SW_OK && (options->is_reader || options->is_guest)) {
        code = configure(store, options, fault);
        if (code == SW_OK) {
            code = store_check_version(store, store_migration_count, fault);
        }
    } else if (code == SW_OK) {
        /* The identity is checked before the first pragma that writes: a foreign file stays as it
         * is, byte for byte. */
        bool is_empty = false;
        (void)sqlite3_busy_timeout(store->db, 5000);
        code = store_check_identity(store, &is_empty, fault);
        if (code == SW_OK) {
            code = configure(store, options, fault);
        }
        if (code == SW_OK) {
            code = store_migrate(store, options->path, store_migrations, store_migration_count,
                                 options->now.ms, fault);
        }
    }
    if (code != SW_OK) {
        fault_prefix(fault, options->path);
        store_close(store);
        return code;
    }
    *out = store;
    return SW_OK;
}

void store_close(struct store *store) {
    if (store == NULL) {
        return;
    }
    for (size_t i = 0; i < STMT_COUNT; i++) {
        (void)sqlite3_finalize(store->stmts[i]);
    }
    /* Everything prepared is finalized, so nothing can hold it open. */
    SW_CHECK(sqlite3_close(store->db) == SQLITE_OK);
    cache_free(store->cache);
    if (!store->is_reader) {
        hints_free(store->hints);
    }
    free(store->set);
    free(store);
}

int store_backup(struct store *store, const char *path, struct fault *fault) {
    sqlite3_stmt *q = NULL;
    int code = make_private(path, fault); /* SQLite fills an empty file */
    if (code != SW_OK) {
        return code;
    }
    if (sqlite3_prepare_v2(store->db, "VACUUM INTO :path", -1, &q, NULL) != SQLITE_OK) {
        return store_failed(store, "backup", fault);
    }
    bind_text(q, ":path", path);
    if (sqlite3_step(q) != SQLITE_DONE) {
        code = store_failed(store, "backup", fault);
    }
    (void)sqlite3_finalize(q);
    return code;
}

int store_view_begin(struct store *store, struct fault *fault) {
    if (!store->is_reader) {
        return SW_OK;
    }
    store_view_end(store);
    sqlite3_stmt *q = stmt(store, STMT_VIEW_BEGIN, fault);
    int code = q != NULL && sqlite3_step(q) == SQLITE_DONE
                   ? SW_OK
                   : store_failed(store, "cannot begin to read", fault);
    stmt_end(q);
    store->has_view = code == SW_OK;
    return code;
}

int store_view_keep(struct store *store, uint64_t mark, struct fault *fault) {
    if (store->has_view && store->view_mark == mark) {
        return SW_OK;
    }
    store->view_mark = mark;
    return store_view_begin(store, fault);
}

void store_view_end(struct store *store) {
    if (store->cache != NULL) {
        store->cache->is_checked = false;
    }
    if (store->has_view) {
        store->has_view = false;
        sqlite3_stmt *q = stmt(store, STMT_VIEW_END, NULL);
        if (q != NULL) {
            (void)sqlite3_step(q);
            stmt_end(q);
        }
    }
}

void store_set_hooks(struct store *store, const struct store_hooks *hooks) {
    store->hooks = *hooks;
}

void *store_context(const struct store *store) {
    return store->hooks.ctx;
}

void store_set_context(struct store *store, void *ctx) {
    store->hooks.ctx = ctx;
}

int store_lock_folder(const char *folder, int *descriptor, struct fault *fault) {
    *descriptor = -1;
    char path[4096];
    int len = snprintf(path, sizeof path, "%s/lock", folder);
    if (len < 0 || (size_t)len >= sizeof path) {
        return fault_set(fault, SW_E_RANGE, "the data folder's path is too long");
    }
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0) {
        return fault_set(fault, SW_E_IO, "%s: %s", path, strerrordesc_np(errno));
    }
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        int problem = errno;
        (void)close(lock);
        if (problem == EWOULDBLOCK) {
            return fault_set(fault, SW_E_BUSY, "%s: the data folder is in use by another process",
                             folder);
        }
        return fault_set(fault, SW_E_IO, "%s: %s", path, strerrordesc_np(problem));
    }
    *descriptor = lock;
    return SW_OK;
}
