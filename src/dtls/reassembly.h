/* Handshake messages from fragments that come in any order, any size, more than once (RFC 6347
 * section 4.2.3), in bounded memory. The message that is due next always finds room: later ones
 * give theirs up and are sent again by the peer's retransmission. */
#ifndef DTLS_REASSEMBLY_H
#define DTLS_REASSEMBLY_H

#include "dtls/message.h"

#define REASSEMBLY_SLOTS 6              /* messages ahead of the next, itself included */
#define REASSEMBLY_BYTES ((size_t)3584) /* bodies and the bits of what has come */

struct reassembly {
    uint16_t next; /* message_seq that is due */
    uint16_t used; /* of arena */
    struct reassembly_slot {
        uint8_t type;
        bool is_used;
        uint16_t at;           /* in arena: body, then one bit per byte of it */
        uint16_t len;          /* of the body */
        uint16_t missing;      /* bytes */
    } slots[REASSEMBLY_SLOTS]; /* slot n: message next + n */
    uint8_t arena[REASSEMBLY_BYTES];
};

enum reassembly_result {
    REASSEMBLY_OLD,      /* of a message that was taken already: the peer repeats its flight */
    REASSEMBLY_KEPT,     /* or already had */
    REASSEMBLY_DROPPED,  /* too far ahead, no room, or contradicts what came before */
    REASSEMBLY_TOO_LARGE /* the message that is due can never fit */
};

void reassembly_init(struct reassembly *r, uint16_t next);
enum reassembly_result reassembly_add(struct reassembly *r, const struct fragment *fragment);
/* The message that is due, if it is complete; body lives until reassembly_taken. */
bool reassembly_peek(const struct reassembly *r, uint8_t *type, struct span *body);
/* The message that is due was handled (from here or straight from a datagram). */
void reassembly_taken(struct reassembly *r);

#endif
