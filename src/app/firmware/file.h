/* Uploaded files: a module by itself, or a bundle of an application and its assets. */
#ifndef SLIPWAY_APP_FIRMWARE_FILE_H
#define SLIPWAY_APP_FIRMWARE_FILE_H

#include "slipway/app/firmware.h"
#include "slipway/image/image.h"

struct app_bundle {
    struct span zip;      /* borrowed */
    uint8_t *application; /* its bytes */
    size_t count;
    struct bundle_asset {
        struct image_record image;
        uint8_t *module;
    } assets[IMAGE_ASSETS_MAX]; /* in the order of the application's suffix */
};
void bundle_free(struct app_bundle *bundle);

/* Looks into a file. 400 in the words of the field "file" if it is no module, a bundle that is not
 * whole, or an application without the assets that it needs. out->image lacks kind, name and time.
 * On an error there is nothing to close. */
int file_read(struct app_tx *tx, struct span bytes, struct image_info *info,
              struct app_file *out) SW_NODISCARD;
/* Stores the image with its bytes, and what came with it: sets image->id. image is file->image with
 * its kind, name and time. */
int file_store(struct app_tx *tx, const struct app_file *file,
               struct image_record *image) SW_NODISCARD;

/* bundle.c. Whether it begins as a .zip does. */
bool bundle_is_one(struct span bytes);
int bundle_read(struct app_tx *tx, struct span zip, struct image_info *info,
                struct app_file *out) SW_NODISCARD;

/* What is known of a module, without kind, name and time. */
void file_record(const struct image_info *info, struct image_record *out);
/* One module that spans the bytes; 400. */
int file_read_module(struct app_tx *tx, struct span bytes, struct image_info *info) SW_NODISCARD;

#endif
