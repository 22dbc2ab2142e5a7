/* Product firmware: upload, list, edit, delete, and the library of Device OS parts. */
#ifndef SLIPWAY_APP_FIRMWARE_H
#define SLIPWAY_APP_FIRMWARE_H

#include "slipway/app/device.h"

/* A file that was looked at, ready to be stored: one module, or the application of an asset bundle
 * (.zip) with its assets. */
struct app_file {
    struct image_record image; /* the module, the application; without ids and times */
    struct span bytes;         /* its bytes: a module's are the upload's own */
    struct app_bundle *bundle; /* NULL: it came alone */
};
/* Accepts zeroes. */
void app_file_close(struct app_file *file);

struct app_upload {
    uint16_t product_id;
    int64_t version;         /* as declared; checked here */
    const char *title;       /* required */
    const char *description; /* NULL = "" */
    const char *file_name;   /* NULL = ""; its last path element is kept */
    bool mandatory;
    struct span bytes;
    const char *uploaded_by;
};
/* Before the job, on the door's own thread: reads the file, holds it against the claim (hashing
 * 16 MiB on the writer thread would make everybody wait). *out is to be closed, and borrows the
 * upload's bytes; on an error there is nothing in it. A bundle has to be whole: each asset that the
 * application depends on with the very SHA-256 that it was built with, and no other file. Error
 * texts name the field. */
int app_upload_check(struct app_tx *tx, const struct app_upload *upload,
                     struct app_file *out) SW_NODISCARD;
/* The job. EXISTS "Firmware version already exists". */
int app_upload(struct app_tx *tx, const struct app_upload *upload, const struct app_file *file,
               struct firmware *out) SW_NODISCARD;

int app_firmware_get(struct app_tx *tx, uint16_t product_id, int64_t version,
                     struct firmware *out) SW_NODISCARD;

/* The file as it was uploaded: the .zip of a bundle, without a file_hash, else the module. For a
 * reader. */
int app_firmware_load(struct app_tx *tx, const struct firmware *firmware,
                      struct app_image *out) SW_NODISCARD;

struct firmware_list {
    struct firmware *items; /* free() */
    size_t count;
};
/* Newest upload first. */
int app_firmware_list(struct app_tx *tx, uint16_t product_id,
                      struct firmware_list *out) SW_NODISCARD;
/* The names of the groups that a version is released to, sorted. */
struct name_list {
    char (*items)[GROUP_NAME_BYTES]; /* free() */
    size_t count;
};
int app_firmware_groups(struct app_tx *tx, uint16_t product_id, uint16_t version,
                        struct name_list *out) SW_NODISCARD;

struct app_firmware_edit { /* NULL or unset = stays */
    const char *title, *description;
    bool has_mandatory, mandatory;
};
int app_firmware_edit(struct app_tx *tx, uint16_t product_id, int64_t version,
                      const struct app_firmware_edit *edit, struct firmware *out) SW_NODISCARD;
/* DENIED when it was ever released, or a device is locked to it. */
int app_firmware_delete(struct app_tx *tx, uint16_t product_id, int64_t version) SW_NODISCARD;

/* The library of Device OS parts, of all products. name: the Device OS version, "6.2.0". */
struct app_system_upload {
    const char *name;
    struct span bytes;
};
int app_system_upload(struct app_tx *tx, const struct app_system_upload *upload,
                      struct image_record *out) SW_NODISCARD;
struct image_list {
    struct image_record *items; /* free() */
    size_t count;
};
/* platform_id 0 = all. */
int app_system_list(struct app_tx *tx, uint16_t platform_id, struct image_list *out) SW_NODISCARD;
/* DENIED while an open update needs it. */
int app_system_delete(struct app_tx *tx, int64_t image_id) SW_NODISCARD;

/* A file for one device, not listed: flash it with app_device_flash. *out as in app_upload_check.
 */
int app_one_off_check(struct app_tx *tx, uint16_t platform_id, struct span bytes,
                      struct app_file *out) SW_NODISCARD;

#endif
