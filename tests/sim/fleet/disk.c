/* The disk that the store is on: SQLite's own file layer, with everything between that a disk may
 * do. Writes go through to the file at once, as they do to the system's cache; what was there
 * before is kept until the file is synced, so that a power cut can take any of it back. */
#include "world.h"

#include "slipway/util/check.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FILES          2 /* the database and its log */
#define SECTOR         512
#define SICK_PERCENT   20
#define MISREAD_CHANCE 200 /* one read in so many fails on a sick disk */

/* One change of a file that is not synced yet. */
struct change {
    int64_t at, size_before;
    size_t len, old_len; /* len 0: cut to `at` */
    uint8_t *bytes;      /* the new ones, then the old ones */
};

struct disk_file {
    sqlite3_file base;
    int which; /* -1: none that is watched */
};

static struct {
    sqlite3_vfs vfs;
    sqlite3_io_methods methods;
    sqlite3_vfs *real;
    struct rng rng;
    enum disk_state state;
    unsigned steps_left; /* until the process is gone; 0 = for ever */
    bool is_gone;
    bool is_spared; /* see disk_spare */
    bool is_looked_at;
    char path[FILES][160];
    struct change *changes[FILES];
    size_t count[FILES], cap[FILES];
} disk;

static sqlite3_file *real_of(sqlite3_file *file) {
    return (sqlite3_file *)((struct disk_file *)file + 1);
}

/* --- what is not synced --- */

static void forget(int which) {
    for (size_t i = 0; i < disk.count[which]; i++) {
        free(disk.changes[which][i].bytes);
    }
    disk.count[which] = 0;
}

static int64_t size_of(sqlite3_file *real) {
    sqlite3_int64 size = 0;
    SW_CHECK(real->pMethods->xFileSize(real, &size) == SQLITE_OK);
    return size;
}

static void note(struct disk_file *file, int64_t at, const void *bytes, size_t len) {
    int which = file->which;
    sqlite3_file *real = real_of(&file->base);
    struct change change = {.at = at, .size_before = size_of(real), .len = len};
    int64_t end =
        len > 0 && at + (int64_t)len < change.size_before ? at + (int64_t)len : change.size_before;
    change.old_len = end > at ? (size_t)(end - at) : 0;
    change.bytes = malloc(len + change.old_len + 1);
    SW_CHECK(change.bytes != NULL);
    if (len > 0) {
        memcpy(change.bytes, bytes, len);
    }
    SW_CHECK(change.old_len == 0 ||
             real->pMethods->xRead(real, change.bytes + len, (int)change.old_len, at) == SQLITE_OK);
    if (disk.count[which] == disk.cap[which]) {
        disk.cap[which] = disk.cap[which] > 0 ? 2 * disk.cap[which] : 256;
        disk.changes[which] =
            realloc(disk.changes[which], disk.cap[which] * sizeof *disk.changes[which]);
        SW_CHECK(disk.changes[which] != NULL);
    }
    disk.changes[which][disk.count[which]++] = change;
}

static void put(int file, const uint8_t *bytes, size_t len, int64_t at) {
    SW_CHECK(pwrite(file, bytes, len, at) == (ssize_t)len);
}

/* Of a write that was not synced any of its sectors may have come to the disk, in any order. */
static void redo(int file, const struct change *change) {
    unsigned how = (unsigned)rng_below(&disk.rng, 4);
    if (how == 0) {
        return;
    }
    if (change->len == 0) {
        SW_CHECK(ftruncate(file, change->at) == 0);
    }
    for (size_t at = 0; at < change->len; at += SECTOR) {
        size_t len = change->len - at < SECTOR ? change->len - at : SECTOR;
        if (how > 1 || rng_below(&disk.rng, 2) == 0) {
            put(file, change->bytes + at, len, change->at + (int64_t)at);
        }
    }
}

static void lose(int which) {
    int file = open(disk.path[which], O_RDWR | O_CLOEXEC);
    for (size_t i = disk.count[which]; file >= 0 && i > 0; i--) {
        const struct change *change = &disk.changes[which][i - 1];
        put(file, change->bytes + change->len, change->old_len, change->at);
        SW_CHECK(ftruncate(file, change->size_before) == 0);
    }
    for (size_t i = 0; file >= 0 && i < disk.count[which]; i++) {
        redo(file, &disk.changes[which][i]);
    }
    if (file >= 0) {
        close(file);
    }
    forget(which);
}

/* --- what goes wrong --- */

static bool is_over(void) {
    if (disk.steps_left > 0 && --disk.steps_left == 0) {
        disk.is_gone = true;
    }
    return disk.is_gone;
}

static bool is_sick(void) {
    return disk.state == DISK_SICK && rng_below(&disk.rng, 100) < SICK_PERCENT;
}

static int disk_read(sqlite3_file *file, void *out, int len, sqlite3_int64 at) {
    bool is_watched = ((struct disk_file *)file)->which >= 0;
    if (is_watched && disk.state == DISK_SICK && !disk.is_looked_at && !disk.is_gone &&
        rng_below(&disk.rng, MISREAD_CHANCE) == 0) {
        return SQLITE_IOERR_READ;
    }
    return real_of(file)->pMethods->xRead(real_of(file), out, len, at);
}

static int disk_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at) {
    struct disk_file *own = (struct disk_file *)file;
    sqlite3_file *real = real_of(file);
    if (own->which >= 0) {
        if (is_over() || is_sick()) {
            return SQLITE_IOERR_WRITE;
        }
        if (disk.state == DISK_FULL && at + len > size_of(real)) {
            return SQLITE_FULL;
        }
        note(own, at, bytes, (size_t)len);
    }
    return real->pMethods->xWrite(real, bytes, len, at);
}

static int disk_truncate(sqlite3_file *file, sqlite3_int64 size) {
    struct disk_file *own = (struct disk_file *)file;
    if (own->which >= 0) {
        if (is_over() || is_sick()) {
            return SQLITE_IOERR_TRUNCATE;
        }
        note(own, size, NULL, 0);
    }
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int disk_sync(sqlite3_file *file, int flags) {
    struct disk_file *own = (struct disk_file *)file;
    if (own->which < 0) {
        return real_of(file)->pMethods->xSync(real_of(file), flags);
    }
    if (is_over() || (!disk.is_spared && is_sick())) {
        return SQLITE_IOERR_FSYNC;
    }
    forget(own->which);
    return SQLITE_OK;
}

static int disk_delete(sqlite3_vfs *vfs, const char *path, int sync) {
    (void)vfs;
    for (int which = 0; which < FILES; which++) {
        if (strcmp(path, disk.path[which]) == 0) {
            if (is_over() || is_sick()) {
                return SQLITE_IOERR_DELETE;
            }
            forget(which);
        }
    }
    return disk.real->xDelete(disk.real, path, sync);
}

/* --- what goes through --- */

static int disk_close(sqlite3_file *file) {
    return real_of(file)->pMethods->xClose(real_of(file));
}
static int disk_size(sqlite3_file *file, sqlite3_int64 *size) {
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}
static int disk_lock(sqlite3_file *file, int level) {
    return real_of(file)->pMethods->xLock(real_of(file), level);
}
static int disk_unlock(sqlite3_file *file, int level) {
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}
static int disk_is_reserved(sqlite3_file *file, int *out) {
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out);
}
static int disk_control(sqlite3_file *file, int what, void *arg) {
    return real_of(file)->pMethods->xFileControl(real_of(file), what, arg);
}
static int disk_sector(sqlite3_file *file) {
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}
static int disk_traits(sqlite3_file *file) {
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}
static int disk_map(sqlite3_file *file, int page, int bytes, int extend, void volatile **out) {
    return real_of(file)->pMethods->xShmMap(real_of(file), page, bytes, extend, out);
}
static int disk_shared_lock(sqlite3_file *file, int offset, int count, int flags) {
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}
static void disk_barrier(sqlite3_file *file) {
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}
static int disk_unmap(sqlite3_file *file, int deletes) {
    return real_of(file)->pMethods->xShmUnmap(real_of(file), deletes);
}

static int disk_open(sqlite3_vfs *vfs, sqlite3_filename path, sqlite3_file *file, int flags,
                     int *out_flags) {
    (void)vfs;
    struct disk_file *own = (struct disk_file *)file;
    own->which = -1;
    for (int which = 0; path != NULL && which < FILES; which++) {
        own->which = strcmp(path, disk.path[which]) == 0 ? which : own->which;
    }
    int code = disk.real->xOpen(disk.real, path, real_of(file), flags, out_flags);
    own->base.pMethods = real_of(file)->pMethods != NULL ? &disk.methods : NULL;
    return code;
}

void disk_prepare(void) {
    disk.real = sqlite3_vfs_find(NULL);
    SW_CHECK(disk.real != NULL);
    disk.methods = (sqlite3_io_methods){.iVersion = 2, /* without mapping of pages */
                                        .xClose = disk_close,
                                        .xRead = disk_read,
                                        .xWrite = disk_write,
                                        .xTruncate = disk_truncate,
                                        .xSync = disk_sync,
                                        .xFileSize = disk_size,
                                        .xLock = disk_lock,
                                        .xUnlock = disk_unlock,
                                        .xCheckReservedLock = disk_is_reserved,
                                        .xFileControl = disk_control,
                                        .xSectorSize = disk_sector,
                                        .xDeviceCharacteristics = disk_traits,
                                        .xShmMap = disk_map,
                                        .xShmLock = disk_shared_lock,
                                        .xShmBarrier = disk_barrier,
                                        .xShmUnmap = disk_unmap};
    disk.vfs = *disk.real;
    disk.vfs.szOsFile = (int)sizeof(struct disk_file) + disk.real->szOsFile;
    disk.vfs.zName = "simulated";
    disk.vfs.xOpen = disk_open;
    disk.vfs.xDelete = disk_delete;
    SW_CHECK(sqlite3_vfs_register(&disk.vfs, 1) == SQLITE_OK);
}

void disk_mount(const char *path, uint64_t seed) {
    for (int which = 0; which < FILES; which++) {
        forget(which);
        snprintf(disk.path[which], sizeof disk.path[which], "%s%s", path, which == 0 ? "" : "-wal");
    }
    rng_seed(&disk.rng, seed);
    disk.state = DISK_FINE;
    disk.steps_left = 0;
    disk.is_gone = false;
}

void disk_finish(void) {
    for (int which = 0; which < FILES; which++) {
        forget(which);
        free(disk.changes[which]);
        disk.changes[which] = NULL;
        disk.cap[which] = 0;
    }
}

void disk_turn(enum disk_state state) {
    disk.state = state;
}

enum disk_state disk_now(void) {
    return disk.state;
}

void disk_spare(bool is_spared) {
    disk.is_spared = is_spared;
}

void disk_look(bool is_looked_at) {
    disk.is_looked_at = is_looked_at;
}

void disk_end_in(unsigned steps) {
    disk.steps_left = steps;
    disk.is_gone = steps == 0;
}

void disk_return(bool had_power) {
    disk.steps_left = 0;
    disk.is_gone = false;
    for (int which = 0; !had_power && which < FILES; which++) {
        lose(which);
    }
}
