/* Retransmission of confirmable messages, with Device OS's own figures in the scheme of RFC 7252
 * section 4.2: 4 transmissions, 4 s times 1 to 1.5, doubling. To a device whose
 * round trip is known a lost one is repeated sooner and more often; never so late that the device,
 * which remembers requests for 45 s, would take it for a new one, and it is given up no sooner. */
#ifndef SLIPWAY_COAP_RETRY_H
#define SLIPWAY_COAP_RETRY_H

#include "slipway/util/time.h"

struct coap_retry {
    mono_time deadline; /* the next transmission, or giving up */
    int64_t wait_us;
    int64_t elapsed_us; /* from the first transmission to the deadline */
    uint8_t sent;       /* transmissions so far */
};

enum coap_retry_verdict {
    COAP_RETRY_WAIT,
    COAP_RETRY_SEND,   /* transmit again now; it counts as done */
    COAP_RETRY_GIVE_UP /* the last one was never acknowledged */
};

/* The first transmission was made now. jitter 0..65535 lengthens the first wait by up to a half. */
void coap_retry_start(struct coap_retry *retry, uint16_t jitter, mono_time now);
/* The same where the round trip is rtt_us; 0 = not known. */
void coap_retry_start_known(struct coap_retry *retry, int64_t rtt_us, uint16_t jitter,
                            mono_time now);
enum coap_retry_verdict coap_retry_step(struct coap_retry *retry, mono_time now);

#endif
