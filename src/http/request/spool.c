#include "http/request/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void spool_init(struct spool *spool, size_t limit_bytes) {
    *spool = (struct spool){.limit = limit_bytes, .fd = -1};
}

static int file_failed(void) {
    return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? SW_E_SPACE : SW_E_IO;
}

static int file_append(int fd, const uint8_t *bytes, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n == 0 ? SW_E_IO : file_failed();
        }
        bytes += n;
        len -= (size_t)n;
    }
    return SW_OK;
}

/* The folder is the system's: TMPDIR where set, so that an operator can give it a real disk. */
static int spool_to_file(struct spool *spool) {
    const char *folder = getenv("TMPDIR");
    spool->fd = open(folder != NULL ? folder : "/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (spool->fd < 0) {
        return file_failed();
    }
    int rc = file_append(spool->fd, spool->memory, spool->len);
    free(spool->memory);
    spool->memory = NULL;
    return rc;
}

int spool_append(struct spool *spool, const void *bytes, size_t len) {
    if (len > spool->limit - spool->len) {
        return SW_E_FULL;
    }
    if (len == 0) {
        return SW_OK;
    }
    if (spool->fd < 0 && spool->len + len > SPOOL_MEMORY_BYTES) {
        int rc = spool_to_file(spool);
        if (rc != SW_OK) {
            return rc;
        }
    }
    if (spool->fd >= 0) {
        int rc = file_append(spool->fd, bytes, len);
        if (rc != SW_OK) {
            return rc;
        }
    } else {
        if (spool->len + len > spool->memory_cap) {
            size_t cap = spool->memory_cap == 0 ? 1024 : spool->memory_cap;
            while (cap < spool->len + len) {
                cap *= 2;
            }
            uint8_t *grown = realloc(spool->memory, cap);
            if (grown == NULL) {
                return SW_E_MEMORY;
            }
            spool->memory = grown;
            spool->memory_cap = cap;
        }
        memcpy(spool->memory + spool->len, bytes, len);
    }
    spool->len += len;
    return SW_OK;
}

int spool_read(struct spool *spool, struct span *out) {
    if (spool->fd >= 0 && spool->map == NULL) {
        void *map = mmap(NULL, spool->len, PROT_READ, MAP_PRIVATE, spool->fd, 0);
        if (map == MAP_FAILED) {
            return SW_E_IO;
        }
        spool->map = map;
    }
    *out = span_of(spool->fd >= 0 ? spool->map : spool->memory, spool->len);
    return SW_OK;
}

void spool_close(struct spool *spool) {
    free(spool->memory);
    if (spool->map != NULL) {
        (void)munmap((void *)(uintptr_t)spool->map, spool->len);
    }
    if (spool->fd >= 0) {
        (void)close(spool->fd);
    }
    spool_init(spool, 0);
}
