/* Where an upload's bytes wait until all of them are there: in memory while they are few, then in a
 * file without a name, so that a hundred uploads at once cost disk and not memory. */
#ifndef SLIPWAY_HTTP_REQUEST_SPOOL_H
#define SLIPWAY_HTTP_REQUEST_SPOOL_H

#include "slipway/util/error.h"
#include "slipway/util/span.h"

#define SPOOL_MEMORY_BYTES ((size_t)64 * 1024)

struct spool {
    size_t len, limit;
    uint8_t *memory; /* NULL until the first byte, and after the move to the file */
    size_t memory_cap;
    int fd;             /* -1 = in memory */
    const uint8_t *map; /* of the file, once read */
};

void spool_init(struct spool *spool, size_t limit_bytes);
/* SW_E_FULL past the limit; SW_E_MEMORY or SW_E_IO. */
int spool_append(struct spool *spool, const void *bytes, size_t len) SW_NODISCARD;
/* All of it, valid until spool_close; nothing may be appended after. SW_E_IO. */
int spool_read(struct spool *spool, struct span *out) SW_NODISCARD;
void spool_close(struct spool *spool);

#endif
