/* Identities, as types of their own so that one cannot be given for another. */
#ifndef SLIPWAY_MODEL_IDS_H
#define SLIPWAY_MODEL_IDS_H

#include "slipway/util/error.h"
#include "slipway/util/span.h"

#define DEVICE_ID_BYTES  12
#define DEVICE_ID_DIGITS 24
#define PRODUCT_ID_FIRST 101   /* ids up to 100 are platform ids to existing clients */
#define PRODUCT_ID_LAST  65534 /* they fit the 16 bits of a module's suffix */
#define VERSION_NONE     65535 /* what a device without a product version reports */

struct device_id {
    uint8_t b[DEVICE_ID_BYTES];
};

/* 24 hexadecimal digits in either case; SW_E_INPUT otherwise. */
int device_id_parse(const char *text, size_t len, struct device_id *out) SW_NODISCARD;
/* Lower case, with a NUL. */
void device_id_text(const struct device_id *id, char out[DEVICE_ID_DIGITS + 1]);
bool device_id_equal(const struct device_id *a, const struct device_id *b);

/* 1..65534 are versions; 0 means "none" inside the program. */
bool version_is_valid(int64_t version);

/* Group names: [a-z0-9_-], 1 to 64 characters. */
#define GROUP_NAME_MAX 64
bool group_name_is_valid(const char *name, size_t len);
/* "#34495e". */
bool group_color_is_valid(const char *color);

/* A name for URLs made from a product's name: lower case, runs of anything but ASCII letters and
 * digits become one '-', none at either end; at most cap-1 characters, and a NUL. A name without
 * letters or digits gives "product"; one of digits alone gets "product-" in front, because a slug
 * must never read as an id. cap >= 32. */
void slug_from_name(const char *name, char *out, size_t cap);

#endif
