#include "slipway/coap/retry.h"

#define ACK_TIMEOUT_US INT64_C(4000000)
#define KNOWN_MIN_US   INT64_C(500000)
#define KNOWN_RTTS     2
#define LAST_US        INT64_C(42000000) /* a device forgets after 45 s that it knows a request */
#define PATIENCE_US    INT64_C(60000000)

static void retry_start(struct coap_retry *retry, int64_t base_us, uint16_t jitter, mono_time now) {
    int64_t first_us = base_us + base_us * jitter / (2 * (int64_t)UINT16_MAX);
    *retry = (struct coap_retry){.deadline = mono_add_us(now, first_us),
                                 .wait_us = first_us,
                                 .elapsed_us = first_us,
                                 .sent = 1};
}

void coap_retry_start(struct coap_retry *retry, uint16_t jitter, mono_time now) {
    retry_start(retry, ACK_TIMEOUT_US, jitter, now);
}

void coap_retry_start_known(struct coap_retry *retry, int64_t rtt_us, uint16_t jitter,
                            mono_time now) {
    int64_t base_us = KNOWN_RTTS * rtt_us > KNOWN_MIN_US ? KNOWN_RTTS * rtt_us : KNOWN_MIN_US;
    retry_start(retry, rtt_us == 0 || base_us > ACK_TIMEOUT_US ? ACK_TIMEOUT_US : base_us, jitter,
                now);
}

enum coap_retry_verdict coap_retry_step(struct coap_retry *retry, mono_time now) {
    if (!mono_reached(now, retry->deadline)) {
        return COAP_RETRY_WAIT;
    }
    if (retry->elapsed_us > LAST_US) {
        return COAP_RETRY_GIVE_UP;
    }
    retry->sent++;
    retry->wait_us *= 2;
    int64_t wait_us = retry->wait_us;
    if (retry->elapsed_us + wait_us > LAST_US && retry->elapsed_us + wait_us < PATIENCE_US) {
        wait_us = PATIENCE_US - retry->elapsed_us;
    }
    retry->elapsed_us += wait_us;
    retry->deadline = mono_add_us(now, wait_us);
    return COAP_RETRY_SEND;
}
