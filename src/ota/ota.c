/* The transfer as a whole: its states, what may move them, and when to give up. The window of
 * chunks that are under way is in window.c. */
#include "slipway/ota/ota.h"

#include "ota/shared.h"
#include "ota/window.h"
#include "slipway/util/check.h"

#define STRANGE_MAX 8
#define BURST_US    10000 /* what a paced transfer may catch up at once */

static const struct fsm_state states[OTA_STATES] = {
    [OTA_STARTING] = {.name = "starting",
                      .next =
                          FSM_NEXT(OTA_SENDING) | FSM_NEXT(OTA_FINISHING) | FSM_NEXT(OTA_FAILED),
                      .needs_timer = true},
    [OTA_SENDING] = {.name = "sending",
                     .next = FSM_NEXT(OTA_FINISHING) | FSM_NEXT(OTA_FAILED),
                     .needs_timer = true},
    [OTA_FINISHING] = {.name = "finishing",
                       .next = FSM_NEXT(OTA_COMMITTED) | FSM_NEXT(OTA_FAILED),
                       .needs_timer = true},
    [OTA_COMMITTED] = {.name = "committed", .is_final = true},
    [OTA_FAILED] = {.name = "failed", .is_final = true},
};

const struct fsm ota_fsm = {.name = "ota", .states = states, .count = OTA_STATES};

static void ota_move(struct ota *ota, enum ota_state to, mono_time now) {
    fsm_check(&ota_fsm, ota->state, to);
    ota->state = (uint8_t)to;
    ota->c.progress = now;
    ota->c.deadline = states[to].is_final ? MONO_NEVER : mono_add_ms(now, PATIENCE_MS);
}

static bool is_over(const struct ota *ota) {
    return states[ota->state].is_final;
}

static void fail(struct ota *ota, enum ota_failure failure, mono_time now) {
    ota->failure = (uint8_t)failure;
    ota_move(ota, OTA_FAILED, now);
}

const char *ota_failure_name(enum ota_failure failure) {
    static const char *const names[OTA_FAILURES] = {
        [OTA_FAILURE_NONE] = "none",           [OTA_FAILURE_DISABLED] = "disabled",
        [OTA_FAILURE_REFUSED] = "refused",     [OTA_FAILURE_REJECTED] = "rejected",
        [OTA_FAILURE_RESET] = "reset",         [OTA_FAILURE_TIMEOUT] = "timeout",
        [OTA_FAILURE_PROTOCOL] = "protocol",   [OTA_FAILURE_CANCELLED] = "cancelled",
        [OTA_FAILURE_RESTARTED] = "restarted",
    };
    SW_CHECK(failure < OTA_FAILURES);
    return names[failure];
}

bool params_are_sound(const struct ota_params *params) {
    return params->file_bytes > 0 && params->chunk_bytes >= OTA_CHUNK_MIN &&
           params->chunk_bytes <= OTA_CHUNK_MAX && params->chunk_bytes % 4 == 0 &&
           (params->rate_bytes_s == 0 || params->rate_bytes_s >= OTA_RATE_MIN);
}

enum ota_failure refusal(bool is_finishing, int32_t device_error) {
    return is_finishing                         ? OTA_FAILURE_REJECTED
           : device_error == OTA_ERROR_DISABLED ? OTA_FAILURE_DISABLED
                                                : OTA_FAILURE_REFUSED;
}

mono_time paced(mono_time pace, uint32_t len, uint32_t rate_bytes_s, mono_time now) {
    mono_time earliest = mono_add_us(now, -BURST_US);
    return mono_add_us(pace.us > earliest.us ? pace : earliest,
                       len * INT64_C(1000000) / rate_bytes_s);
}

int ota_begin(struct ota *ota, const struct ota_params *params, mono_time now) {
    if (!params_are_sound(params)) {
        return SW_E_RANGE;
    }
    *ota = (struct ota){.state = OTA_STARTING, .params = *params};
    ota->c.deadline = mono_add_ms(now, PATIENCE_MS);
    window_begin(ota, now);
    return SW_OK;
}

void ota_measured(struct ota *ota, int64_t rtt_us) {
    window_measured(ota, rtt_us);
}

void ota_accepted(struct ota *ota, uint32_t window, uint32_t offset, mono_time now) {
    if (ota->state != OTA_STARTING) {
        return;
    }
    if (window == 0 || offset > ota->params.file_bytes) {
        fail(ota, OTA_FAILURE_PROTOCOL, now);
        return;
    }
    uint32_t left = ota->params.file_bytes - offset, chunk = ota->params.chunk_bytes;
    ota->offset = offset;
    ota->window = (uint16_t)(window < OTA_WINDOW_MAX ? window : OTA_WINDOW_MAX);
    ota->chunk_count = left / chunk + (left % chunk != 0 ? 1 : 0);
    window_begin(ota, now);
    ota_move(ota, ota->chunk_count == 0 ? OTA_FINISHING : OTA_SENDING, now);
}

void ota_refused(struct ota *ota, int32_t device_error, mono_time now) {
    if (ota->state != OTA_STARTING && ota->state != OTA_FINISHING) {
        return;
    }
    ota->device_error = device_error;
    fail(ota, refusal(ota->state == OTA_FINISHING, device_error), now);
}

void ota_acked(struct ota *ota, uint32_t cumulative, struct span bitmap, mono_time now) {
    if (ota->state != OTA_SENDING) {
        return;
    }
    int status = window_acked(ota, cumulative, bitmap, now);
    if (status == SW_E_INPUT && ++ota->strange >= STRANGE_MAX) {
        /* A few may come of stragglers of an earlier transfer; so many are a device that lies. */
        fail(ota, OTA_FAILURE_PROTOCOL, now);
    } else if (ota->cumulative == ota->chunk_count) {
        ota_move(ota, OTA_FINISHING, now);
    }
}

void ota_finished(struct ota *ota, mono_time now) {
    if (ota->state == OTA_FINISHING && ota->is_finish_sent) {
        ota_move(ota, OTA_COMMITTED, now);
    }
}

void ota_aborted(struct ota *ota, enum ota_failure failure, mono_time now) {
    if (!is_over(ota)) {
        fail(ota, failure, now);
    }
}

/* The chunk to send now, if any; else when to look again. */
static void next_chunk(struct ota *ota, mono_time now, bool may_send, struct ota_output *out) {
    if (mono_reached(now, ota->c.timer)) {
        window_timeout(ota);
    }
    uint32_t index = window_pick(ota);
    bool is_due = index != 0 && mono_reached(now, ota->c.pace);
    if (is_due && may_send) {
        uint32_t left = ota->params.file_bytes - ota->offset;
        uint32_t before = (index - 1) * ota->params.chunk_bytes;
        out->action = OTA_SEND_CHUNK;
        out->index = index;
        out->at = ota->offset + before;
        out->len =
            left - before < ota->params.chunk_bytes ? left - before : ota->params.chunk_bytes;
        window_sent(ota, index, now);
        if (ota->params.rate_bytes_s > 0) {
            ota->c.pace = paced(ota->c.pace, out->len, ota->params.rate_bytes_s, now);
        }
        return;
    }
    out->deadline = mono_earlier(ota->c.deadline, ota->c.timer);
    if (is_due) {
        out->action = OTA_HELD;
    } else if (index != 0) {
        out->deadline = mono_earlier(out->deadline, ota->c.pace);
    }
}

void ota_next(struct ota *ota, mono_time now, bool may_send, struct ota_output *out) {
    *out = (struct ota_output){.action = OTA_WAIT, .deadline = MONO_NEVER};
    if (ota->state == OTA_SENDING) {
        ota->c.deadline = mono_add_ms(ota->c.progress, PATIENCE_MS);
    }
    if (!is_over(ota) && mono_reached(now, ota->c.deadline)) {
        fail(ota, OTA_FAILURE_TIMEOUT, now);
    }
    switch ((enum ota_state)ota->state) {
    case OTA_STARTING:
        out->deadline = ota->c.deadline;
        return;
    case OTA_SENDING:
        next_chunk(ota, now, may_send, out);
        return;
    case OTA_FINISHING:
        out->deadline = ota->c.deadline;
        out->action = ota->is_finish_sent ? OTA_WAIT : OTA_SEND_FINISH;
        ota->is_finish_sent = true;
        return;
    case OTA_COMMITTED:
    case OTA_FAILED:
    case OTA_STATES:
        break;
    }
    out->action = OTA_ENDED;
}

uint32_t ota_progress(const struct ota *ota) {
    uint64_t bytes = ota->offset + (uint64_t)ota->cumulative * ota->params.chunk_bytes;
    return bytes < ota->params.file_bytes ? (uint32_t)bytes : ota->params.file_bytes;
}
