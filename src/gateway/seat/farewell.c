#include "gateway/seat/farewell.h"

#include <string.h>

void farewell_keep(struct farewells *farewells, const uint8_t cid[DTLS_CID_BYTES],
                   struct span record, mono_time now) {
    if (record.len > FAREWELL_BYTES_MAX) {
        return;
    }
    uint32_t at = farewells->next++ % FAREWELLS;
    struct farewell *farewell = &farewells->items[at];
    memcpy(&farewells->cids[at], cid, sizeof farewells->cids[at]);
    *farewell =
        (struct farewell){.until = mono_add_ms(now, FAREWELL_MS), .len = (uint8_t)record.len};
    memcpy(farewell->bytes, record.data, record.len);
}

struct span farewell_find(const struct farewells *farewells, struct span cid, mono_time now) {
    uint64_t wanted = 0;
    if (cid.len == sizeof wanted) {
        memcpy(&wanted, cid.data, sizeof wanted);
    }
    for (uint32_t at = 0; wanted != 0 && at < FAREWELLS; at++) {
        const struct farewell *farewell = &farewells->items[at];
        if (farewells->cids[at] == wanted && !mono_reached(now, farewell->until)) {
            return span_of(farewell->bytes, farewell->len);
        }
    }
    return span_of(NULL, 0);
}
