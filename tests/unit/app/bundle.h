/* Asset bundles and protobuf Describes, made on the spot. */
#ifndef TEST_APP_BUNDLE_H
#define TEST_APP_BUNDLE_H

#include "slipway/image/image.h"
#include "zip_make.h"

/* All of these free() with bundle_forget. */
struct span bundle_zip(const struct zip_entry *files, size_t count);
void bundle_forget(struct span *bytes);

/* An asset of len bytes that begin with its name; the rest is noise, not worth packing. */
struct span bundle_raw(const char *name, size_t len);
struct span bundle_zeroes(size_t len);
/* A Boron application that depends on these, with a body of that many bytes; needs: Device OS. */
struct span bundle_application(uint16_t version, uint16_t needs, size_t body_len,
                               const struct zip_entry *assets, size_t count);
/* The zip of "app.bin" and "assets/<name>" for each. */
struct span bundle_of(uint16_t version, uint16_t needs, size_t body_len,
                      const struct zip_entry *assets, size_t count);

/* A system Describe: system part 1 of that version, a user part with that hash which needs
 * `needed`, and what is in the store. */
struct bundle_describe {
    uint16_t system_version;
    struct sha256 application;
    const struct zip_entry *needed, *stored;
    size_t needed_count, stored_count;
};
struct span bundle_described(const struct bundle_describe *describe);

#endif
