/* Which confirmable messages of a peer were acknowledged already (RFC 7252 section 4.2): their
 * duplicates are acknowledged again and not processed again. Kept for longer than the peer may
 * repeat them, and bounded: when full, the oldest is forgotten first. */
#ifndef SLIPWAY_COAP_SEEN_H
#define SLIPWAY_COAP_SEEN_H

#include "slipway/util/time.h"
#include "slipway/util/writer.h"

#define COAP_SEEN_MAX 512
#define COAP_SEEN_MS  100000 /* a device gives up 60 to 90 s after its first transmission */

/* Zeroes are an empty one. */
struct coap_seen {
    mono_time origin; /* that `when` counts from */
    uint16_t first, count;
    uint16_t id[COAP_SEEN_MAX];
    uint16_t when[COAP_SEEN_MAX]; /* tenths of a second since origin */
};

void coap_seen_add(struct coap_seen *seen, uint16_t id, mono_time now);
bool coap_seen_has(struct coap_seen *seen, uint16_t id, mono_time now);
/* Forgets what has expired; the other functions do so too. */
void coap_seen_expire(struct coap_seen *seen, mono_time now);
/* When the last entry expires; MONO_NEVER if there is none. */
mono_time coap_seen_until(const struct coap_seen *seen);

/* The same in as little room as it takes: 8 bytes and 4 for each message. The form is this
 * process's own. A form that load does not know (SW_E_INPUT) leaves it empty. */
#define COAP_SEEN_SAVED_BYTES(count) (8U + 4U * (count))
void coap_seen_save(const struct coap_seen *seen, struct writer *out);
int coap_seen_load(struct coap_seen *seen, struct span saved) SW_NODISCARD;

#endif
