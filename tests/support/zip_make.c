#include "zip_make.h"

#include "slipway/util/check.h"

#include <stdlib.h>
#include <zip.h>

uint8_t *zip_make(const struct zip_entry *entries, size_t count, size_t *len) {
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *target = zip_source_buffer_create(NULL, 0, 0, &error);
    zip_t *zip = zip_open_from_source(target, ZIP_TRUNCATE, &error);
    SW_CHECK(target != NULL && zip != NULL);
    zip_source_keep(target);
    for (size_t i = 0; i < count; i++) {
        const struct zip_entry *entry = &entries[i];
        zip_source_t *source = zip_source_buffer(zip, entry->bytes.data, entry->bytes.len, 0);
        zip_int64_t index = zip_file_add(zip, entry->name, source, ZIP_FL_ENC_UTF_8);
        SW_CHECK(index >= 0);
        /* A time of its own, so that the same entries give the same file. */
        SW_CHECK(zip_file_set_dostime(zip, (zip_uint64_t)index, 0, 0x5821, 0) == 0);
        if (entry->is_encrypted) {
            SW_CHECK(zip_file_set_encryption(zip, (zip_uint64_t)index, ZIP_EM_TRAD_PKWARE,
                                             "secret") == 0);
        }
    }
    SW_CHECK(zip_close(zip) == 0);
    zip_stat_t stat;
    SW_CHECK(zip_source_open(target) == 0 && zip_source_stat(target, &stat) == 0);
    uint8_t *bytes = malloc(stat.size);
    SW_CHECK(bytes != NULL);
    SW_CHECK(zip_source_read(target, bytes, stat.size) == (zip_int64_t)stat.size);
    *len = stat.size;
    (void)zip_source_close(target);
    zip_source_free(target);
    zip_error_fini(&error);
    return bytes;
}
