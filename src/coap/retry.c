#include "slipway/coap/retry.h"

void coap_retry_start(struct coap_retry *retry, uint16_t jitter, mono_time now) {
    int64_t base_us = COAP_ACK_TIMEOUT_MS * INT64_C(1000);
    retry->wait_us = base_us + base_us * jitter / (2 * (int64_t)UINT16_MAX);
    retry->sent = 1;
    retry->deadline = mono_add_us(now, retry->wait_us);
}

enum coap_retry_verdict coap_retry_step(struct coap_retry *retry, mono_time now) {
    if (!mono_reached(now, retry->deadline)) {
        return COAP_RETRY_WAIT;
    }
    if (retry->sent >= COAP_TRANSMISSIONS) {
        return COAP_RETRY_GIVE_UP;
    }
    retry->sent++;
    retry->wait_us *= 2;
    retry->deadline = mono_add_us(now, retry->wait_us);
    return COAP_RETRY_SEND;
}
