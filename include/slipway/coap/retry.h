/* Retransmission of confirmable messages, with Device OS's own figures (device-protocol section
 * 4.4; RFC 7252 section 4.2): 4 transmissions, 4 s times 1 to 1.5, doubling. */
#ifndef SLIPWAY_COAP_RETRY_H
#define SLIPWAY_COAP_RETRY_H

#include "slipway/util/time.h"

#define COAP_ACK_TIMEOUT_MS 4000
#define COAP_TRANSMISSIONS  4

struct coap_retry {
    mono_time deadline; /* the next transmission, or giving up */
    int64_t wait_us;
    uint8_t sent; /* transmissions so far, 1..COAP_TRANSMISSIONS */
};

enum coap_retry_verdict {
    COAP_RETRY_WAIT,
    COAP_RETRY_SEND,   /* transmit again now; it counts as done */
    COAP_RETRY_GIVE_UP /* the last one was never acknowledged */
};

/* The first transmission was made now. jitter 0..65535 lengthens the first wait by up to a half. */
void coap_retry_start(struct coap_retry *retry, uint16_t jitter, mono_time now);
enum coap_retry_verdict coap_retry_step(struct coap_retry *retry, mono_time now);

#endif
