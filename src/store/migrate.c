/* Forward only: each step is one transaction together with its own record, so a crash leaves the
 * file at a step's border. A file is opened only if its history is a prefix of ours, byte for byte:
 * a changed step would mean that two programs disagree about what the tables are. */
#include "store/migrate.h"

#include "store/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int scalar(struct store *store, const char *sql, int64_t *out, struct fault *fault) {
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(store->db, sql, -1, &q, NULL) != SQLITE_OK) {
        return store_failed(store, "cannot read the database", fault);
    }
    int step = sqlite3_step(q);
    *out = step == SQLITE_ROW ? sqlite3_column_int64(q, 0) : 0;
    int code = SW_OK;
    if (step != SQLITE_ROW && step != SQLITE_DONE) {
        code = store_failed(store, "cannot read the database", fault);
    }
    (void)sqlite3_finalize(q);
    return code;
}

int store_check_identity(struct store *store, bool *is_empty, struct fault *fault) {
    int64_t id = 0;
    int64_t tables = 0;
    int code = scalar(store, "PRAGMA application_id", &id, fault);
    if (code == SW_OK) {
        code = scalar(store, "SELECT count(*) FROM sqlite_schema", &tables, fault);
    }
    if (code != SW_OK) {
        return code;
    }
    *is_empty = id == 0 && tables == 0;
    if (!*is_empty && id != STORE_APPLICATION_ID) {
        return fault_set(fault, SW_E_VERSION, "the file is another program's database");
    }
    return SW_OK;
}

/* Holds what was applied against what we know; *applied = how many steps. */
static int check_history(struct store *store, const struct migration *steps, size_t count,
                         int *applied, struct fault *fault) {
    *applied = 0;
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(store->db, "SELECT number, sha256 FROM migration ORDER BY number", -1,
                           &q, NULL) != SQLITE_OK) {
        return store_failed(store, "cannot read the database's history", fault);
    }
    int code = SW_OK;
    int step = SQLITE_DONE;
    while (code == SW_OK && (step = sqlite3_step(q)) == SQLITE_ROW) {
        int number = sqlite3_column_int(q, 0);
        char hash[65];
        col_text(q, 1, hash, sizeof hash);
        if (number != *applied + 1) {
            code = fault_set(fault, SW_E_VERSION, "migration %d is missing from the database",
                             *applied + 1);
        } else if ((size_t)number > count) {
            code = fault_set(fault, SW_E_VERSION,
                             "the database is newer than this program (it has migration %d, the "
                             "program knows %zu)",
                             number, count);
        } else if (strcmp(hash, steps[number - 1].sha256) != 0) {
            code = fault_set(fault, SW_E_VERSION,
                             "migration %d of the database is not the one that this program knows",
                             number);
        } else {
            *applied = number;
        }
    }
    if (code == SW_OK && step != SQLITE_DONE) {
        code = store_failed(store, "cannot read the database's history", fault);
    }
    (void)sqlite3_finalize(q);
    return code;
}

static int record(struct store *store, const struct migration *step, int64_t now_ms,
                  struct fault *fault) {
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(store->db,
                           "INSERT INTO migration (number, name, sha256, applied_ms) "
                           "VALUES (:number, :name, :sha256, :now)",
                           -1, &q, NULL) != SQLITE_OK) {
        return store_failed(store, "cannot record a migration", fault);
    }
    bind_int(q, ":number", step->number);
    bind_text(q, ":name", step->name);
    bind_text(q, ":sha256", step->sha256);
    bind_int(q, ":now", now_ms);
    int code = SW_OK;
    if (sqlite3_step(q) != SQLITE_DONE) {
        code = store_failed(store, "cannot record a migration", fault);
    }
    (void)sqlite3_finalize(q);
    return code;
}

static int apply(struct store *store, const struct migration *step, int64_t now_ms,
                 struct fault *fault) {
    int code = store_exec(store, "BEGIN IMMEDIATE", fault);
    if (code != SW_OK) {
        return code;
    }
    if (step->number == 1) {
        char sql[512];
        (void)snprintf(sql, sizeof sql,
                       "PRAGMA application_id = %d;"
                       "CREATE TABLE migration (number INTEGER PRIMARY KEY, name TEXT NOT NULL,"
                       " sha256 TEXT NOT NULL, applied_ms INTEGER NOT NULL) STRICT;",
                       STORE_APPLICATION_ID);
        code = store_exec(store, sql, fault);
    }
    if (code == SW_OK) {
        code = store_exec(store, step->sql, fault);
    }
    if (code == SW_OK) {
        code = record(store, step, now_ms, fault);
    }
    if (code == SW_OK) {
        code = store_exec(store, "COMMIT", fault);
    }
    if (code != SW_OK) {
        fault_prefix(fault, step->name);
        (void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    }
    return code;
}

/* A copy of the database as it is, without the sessions: whoever goes back to it one day would have
 * numbers in them used a second time. */
static int keep_copy(struct store *store, const char *path, struct fault *fault) {
    sqlite3_stmt *q = NULL;
    int code = store_backup(store, path, fault);
    if (code != SW_OK) {
        return code;
    }
    if (sqlite3_prepare_v2(store->db, "ATTACH :path AS copy", -1, &q, NULL) != SQLITE_OK) {
        return store_failed(store, "backup", fault);
    }
    bind_text(q, ":path", path);
    bool is_attached = sqlite3_step(q) == SQLITE_DONE;
    (void)sqlite3_finalize(q);
    if (!is_attached) {
        return store_failed(store, "backup", fault);
    }
    code = store_exec(store, "DELETE FROM copy.session", fault);
    int detached = store_exec(store, "DETACH copy", fault);
    return code != SW_OK ? code : detached;
}

int store_migrate(struct store *store, const char *path, const struct migration *steps,
                  size_t count, int64_t now_ms, struct fault *fault) {
    bool is_empty = false;
    int applied = 0;
    int code = store_check_identity(store, &is_empty, fault);
    if (code == SW_OK && !is_empty) {
        code = check_history(store, steps, count, &applied, fault);
    }
    if (code != SW_OK) {
        return code;
    }
    if (applied > 0 && (size_t)applied < count) {
        /* The way back from an upgrade that turns out badly. */
        char copy[4096];
        int len = snprintf(copy, sizeof copy, "%s.before-%04d", path, applied + 1);
        if (len < 0 || (size_t)len >= sizeof copy) {
            return fault_set(fault, SW_E_RANGE, "the database's path is too long");
        }
        /* One that is there was cut short by a crash: no step was applied after it, or its number
         * would be higher. */
        (void)unlink(copy);
        code = keep_copy(store, copy, fault);
        if (code != SW_OK) {
            fault_prefix(fault, "the backup before the upgrade failed");
            return code;
        }
    }
    for (size_t i = (size_t)applied; code == SW_OK && i < count; i++) {
        code = apply(store, &steps[i], now_ms, fault);
    }
    return code;
}

int store_check_version(struct store *store, size_t count, struct fault *fault) {
    bool is_empty = false;
    int code = store_check_identity(store, &is_empty, fault);
    if (code != SW_OK) {
        return code;
    }
    int64_t applied = 0;
    if (!is_empty) {
        code = scalar(store, "SELECT max(number) FROM migration", &applied, fault);
    }
    if (code == SW_OK && applied != (int64_t)count) {
        code = fault_set(fault, SW_E_VERSION,
                         "the database has migration %" PRId64 ", the program knows %zu", applied,
                         count);
    }
    return code;
}
