/* The last word of sessions that ended here while their devices may not know: the sealed alert
 * itself, as the keys are gone. A device that speaks under such a connection id is told again, and
 * handshakes at once; unanswered it would try to resume for minutes.
 *
 * In memory only. What a crash takes of it costs a device that missed its alert just that: it gives
 * up by itself, 60 to 90 s after a Hello or on cellular, and after three tries to resume if it
 * pings every 25 s (simulated devices whose sessions were gone had new ones after 168 s). */
#ifndef SLIPWAY_GATEWAY_SEAT_FAREWELL_H
#define SLIPWAY_GATEWAY_SEAT_FAREWELL_H

#include "slipway/dtls/session.h"
#include "slipway/util/span.h"
#include "slipway/util/time.h"

#define FAREWELLS          1024U /* the oldest gives way */
#define FAREWELL_BYTES_MAX 59
#define FAREWELL_MS        600000 /* three tries to resume, and more */

struct farewells {
    uint64_t cids[FAREWELLS]; /* 0 = unused; apart, as every stranger is looked up in them */
    struct farewell {
        mono_time until;
        uint8_t len;
        uint8_t bytes[FAREWELL_BYTES_MAX];
    } items[FAREWELLS];
    uint32_t next;
};

/* A record that is longer than FAREWELL_BYTES_MAX is not kept. */
void farewell_keep(struct farewells *farewells, const uint8_t cid[DTLS_CID_BYTES],
                   struct span record, mono_time now);
/* Empty if there is none. */
struct span farewell_find(const struct farewells *farewells, struct span cid, mono_time now);

#endif
