#include "gateway/update/images.h"

#include "slipway/util/check.h"

#include <stdlib.h>
#include <string.h>

void images_init(struct images *images, size_t bytes_max) {
    memset(images, 0, sizeof *images);
    images->bytes_max = bytes_max;
}

static void image_drop(struct images *images, struct image_slot *slot) {
    SW_CHECK(slot->users == 0);
    free(slot->bytes);
    images->bytes -= slot->size;
    memset(slot, 0, sizeof *slot);
}

void images_close(struct images *images) {
    for (size_t n = 0; n < IMAGES_MAX; n++) {
        image_drop(images, &images->slots[n]);
    }
}

/* The least recently used of those that nobody uses. */
static struct image_slot *image_idle(struct images *images) {
    struct image_slot *best = NULL;
    for (size_t n = 0; n < IMAGES_MAX; n++) {
        struct image_slot *slot = &images->slots[n];
        if (slot->state == IMAGE_SLOT_READY && slot->users == 0 &&
            (best == NULL || slot->used_at < best->used_at)) {
            best = slot;
        }
    }
    return best;
}

struct image_slot *images_use(struct images *images, int64_t id, size_t size, bool *must_load) {
    struct image_slot *free_slot = NULL;
    *must_load = false;
    for (size_t n = 0; n < IMAGES_MAX; n++) {
        struct image_slot *slot = &images->slots[n];
        if (slot->state == IMAGE_SLOT_FREE) {
            free_slot = free_slot == NULL ? slot : free_slot;
        } else if (slot->id == id) {
            slot->users++;
            slot->used_at = ++images->uses;
            return slot;
        }
    }
    /* Room is made before the bytes are there. One image is served whatever the limit says. */
    while (images->bytes > 0 && images->bytes + size > images->bytes_max) {
        struct image_slot *idle = image_idle(images);
        if (idle == NULL) {
            return NULL;
        }
        image_drop(images, idle);
        free_slot = idle;
    }
    if (free_slot == NULL) {
        free_slot = image_idle(images);
        if (free_slot == NULL) {
            return NULL;
        }
        image_drop(images, free_slot);
    }
    *free_slot = (struct image_slot){
        .state = IMAGE_SLOT_LOADING, .id = id, .users = 1, .used_at = ++images->uses, .size = size};
    images->bytes += size;
    *must_load = true;
    return free_slot;
}

void images_leave(struct images *images, struct image_slot *slot) {
    SW_CHECK(slot->users > 0);
    slot->users--;
    /* One that could not be read is free when its last user has left. */
    if (slot->users == 0 && slot->state == IMAGE_SLOT_READY && slot->bytes == NULL) {
        image_drop(images, slot);
    }
}

void images_loaded(struct images *images, struct image_slot *slot, uint8_t *bytes, size_t size,
                   const struct sha256 *file_hash) {
    SW_CHECK(slot->state == IMAGE_SLOT_LOADING);
    images->bytes += size;
    images->bytes -= slot->size;
    slot->bytes = bytes;
    slot->size = size;
    slot->file_hash = *file_hash;
    slot->state = IMAGE_SLOT_READY;
}

void images_failed(struct images *images, struct image_slot *slot) {
    SW_CHECK(slot->state == IMAGE_SLOT_LOADING && slot->bytes == NULL);
    slot->state = IMAGE_SLOT_READY;
    if (slot->users == 0) {
        image_drop(images, slot);
    }
}
