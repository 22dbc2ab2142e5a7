/* Sessions that a newer one of their device has replaced. A device that made a handshake has left
 * its former session: if that speaks on, two devices have one id and one key. The newest authentic
 * one is served; here it comes out that there is another. In memory only: after a crash that comes
 * out with the next handshake of either. */
#ifndef SLIPWAY_GATEWAY_SEAT_FORMER_H
#define SLIPWAY_GATEWAY_SEAT_FORMER_H

#include "slipway/dtls/session.h"
#include "slipway/model/ids.h"
#include "slipway/util/time.h"

#define FORMERS         64U  /* the oldest gives way */
#define FORMER_GRACE_MS 5000 /* a datagram may be that late */

struct formers {
    struct former {
        bool is_used;
        struct dtls_session dtls;
        struct device_id device;
        mono_time since;
    } items[FORMERS];
    uint32_t next;
};

void former_keep(struct formers *formers, const struct dtls_session *dtls,
                 const struct device_id *device, mono_time now);
/* Whether that is an authentic new record of a former session, and whose. Told once for each. */
bool former_speaks(struct formers *formers, struct dtls_crypto *crypto, struct span cid,
                   struct span datagram, mono_time now, struct device_id *device);

#endif
