/* The keyed hash of the gateway's indexes: multiply and fold, enough that nobody outside can aim at
 * one chain. Not for anything that needs a cryptographic hash. */
#ifndef SLIPWAY_GATEWAY_TABLE_HASH_H
#define SLIPWAY_GATEWAY_TABLE_HASH_H

#include "slipway/util/address.h"

#include <stddef.h>

struct hash_key {
    uint64_t add, multiply; /* random; multiply is odd */
};

uint32_t hash_bytes(const struct hash_key *key, const void *bytes, size_t len);
uint32_t hash_address(const struct hash_key *key, const struct address *address);

#endif
