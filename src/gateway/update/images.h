/* Firmware in memory: one copy of each image however many transfers use it, bounded in total. What
 * nobody uses stays while there is room, the least recently used goes first. */
#ifndef SLIPWAY_GATEWAY_UPDATE_IMAGES_H
#define SLIPWAY_GATEWAY_UPDATE_IMAGES_H

#include "slipway/crypto/hash.h"

#include <stdbool.h>

#define IMAGES_MAX 64

enum image_slot_state { IMAGE_SLOT_FREE, IMAGE_SLOT_LOADING, IMAGE_SLOT_READY };

struct image_slot {
    uint8_t state; /* enum image_slot_state */
    int64_t id;
    uint32_t users;
    uint64_t used_at; /* grows with each use */
    uint8_t *bytes;   /* malloc'ed */
    size_t size;
    struct sha256 file_hash;
};

struct images {
    struct image_slot slots[IMAGES_MAX];
    uint64_t uses;
    size_t bytes, bytes_max;
};

void images_init(struct images *images, size_t bytes_max);
void images_close(struct images *images); /* nobody may use any */

/* The slot of that image with one more user; *must_load: the caller starts loading it. NULL when
 * all slots are in use. */
struct image_slot *images_use(struct images *images, int64_t id, size_t size, bool *must_load);
void images_leave(struct images *images, struct image_slot *slot);
/* Takes the bytes over. */
void images_loaded(struct images *images, struct image_slot *slot, uint8_t *bytes, size_t size,
                   const struct sha256 *file_hash);
/* It could not be read; users must leave. */
void images_failed(struct images *images, struct image_slot *slot);

#endif
