#include "gateway/seat/former.h"

#include "slipway/crypto/secret.h"

#include <string.h>

void former_keep(struct formers *formers, const struct dtls_session *dtls,
                 const struct device_id *device, mono_time now) {
    struct former *former = &formers->items[formers->next++ % FORMERS];
    *former = (struct former){.is_used = true, .dtls = *dtls, .device = *device, .since = now};
}

bool former_speaks(struct formers *formers, struct dtls_crypto *crypto, struct span cid,
                   struct span datagram, mono_time now, struct device_id *device) {
    uint8_t plain[DTLS_RECORD_MAX];
    struct dtls_opened opened;
    for (unsigned n = 0; n < FORMERS; n++) {
        struct former *former = &formers->items[n];
        if (!former->is_used || former->dtls.cid_in_len != cid.len ||
            memcmp(former->dtls.cid_in, cid.data, cid.len) != 0) {
            continue;
        }
        int code = dtls_open(crypto, &former->dtls, datagram, plain, sizeof plain, &opened);
        crypto_wipe(plain, sizeof plain);
        if (code != SW_OK || !mono_reached(now, mono_add_ms(former->since, FORMER_GRACE_MS))) {
            return false;
        }
        *device = former->device;
        crypto_wipe(former, sizeof *former);
        return true;
    }
    return false;
}
