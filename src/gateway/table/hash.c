#include "gateway/table/hash.h"

uint32_t hash_bytes(const struct hash_key *key, const void *bytes, size_t len) {
    const uint8_t *at = bytes;
    uint64_t hash = key->add ^ len;
    while (len > 0) {
        uint64_t word = 0;
        size_t take = len < sizeof word ? len : sizeof word;
        memcpy(&word, at, take);
        hash = (hash ^ word) * key->multiply;
        hash ^= hash >> 29;
        at += take;
        len -= take;
    }
    hash *= UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(hash >> 32);
}

uint32_t hash_address(const struct hash_key *key, const struct address *address) {
    uint8_t bytes[18];
    memcpy(bytes, address->ip, 16);
    bytes[16] = (uint8_t)(address->port >> 8);
    bytes[17] = (uint8_t)address->port;
    return hash_bytes(key, bytes, sizeof bytes);
}
