/* The legacy protocol. In its fast form the only feedback comes at the end, so the pace is what
 * keeps a slow device from losing most of it; and as the list of what is missing is short, many
 * rounds may be needed, each of which must get somewhere before the patience runs out. The slow
 * form is one chunk to a round trip, and in order: a chunk does not say which one it is. */
#include "slipway/ota/legacy.h"

#include "ota/shared.h"

#define SENDING_MS 3600000 /* bounded by the pace; this is for a device clock of years */
#define ROUNDS_MAX 2000
#define TRIES_MAX  8 /* of a chunk that arrives damaged: records are authentic, so it never is */

static const struct fsm_state states[OTA_STATES] = {
    [OTA_STARTING] = {.name = "starting",
                      .next = FSM_NEXT(OTA_SENDING) | FSM_NEXT(OTA_FAILED),
                      .needs_timer = true},
    [OTA_SENDING] = {.name = "sending",
                     .next = FSM_NEXT(OTA_FINISHING) | FSM_NEXT(OTA_FAILED),
                     .needs_timer = true},
    [OTA_FINISHING] = {.name = "finishing",
                       .next =
                           FSM_NEXT(OTA_SENDING) | FSM_NEXT(OTA_COMMITTED) | FSM_NEXT(OTA_FAILED),
                       .needs_timer = true},
    [OTA_COMMITTED] = {.name = "committed", .is_final = true},
    [OTA_FAILED] = {.name = "failed", .is_final = true},
};

const struct fsm ota_legacy_fsm = {.name = "ota_legacy", .states = states, .count = OTA_STATES};

static void legacy_move(struct ota_legacy *ota, enum ota_state to, mono_time now) {
    fsm_check(&ota_legacy_fsm, ota->state, to);
    ota->state = (uint8_t)to;
    ota->is_finish_sent = false;
    ota->deadline = states[to].is_final
                        ? MONO_NEVER
                        : mono_add_ms(now, to == OTA_SENDING ? SENDING_MS : PATIENCE_MS);
}

static void fail(struct ota_legacy *ota, enum ota_failure failure, mono_time now) {
    ota->failure = (uint8_t)failure;
    legacy_move(ota, OTA_FAILED, now);
}

int ota_legacy_begin(struct ota_legacy *ota, const struct ota_params *params, mono_time now) {
    /* This protocol knows smaller chunks, but no device that speaks it announces any. */
    if (!params_are_sound(params)) {
        return SW_E_RANGE;
    }
    uint32_t count = (params->file_bytes - 1) / params->chunk_bytes + 1;
    if (count > OTA_LEGACY_CHUNKS_MAX) {
        return SW_E_RANGE;
    }
    *ota = (struct ota_legacy){.state = OTA_STARTING,
                               .params = *params,
                               .chunk_count = count,
                               .pace = now,
                               .deadline = mono_add_ms(now, PATIENCE_MS)};
    if (ota->params.rate_bytes_s == 0) {
        ota->params.rate_bytes_s = OTA_LEGACY_RATE;
    }
    return SW_OK;
}

void ota_legacy_ready(struct ota_legacy *ota, bool is_fast, mono_time now) {
    if (ota->state != OTA_STARTING) {
        return;
    }
    ota->is_slow = !is_fast;
    legacy_move(ota, OTA_SENDING, now);
}

void ota_legacy_answered(struct ota_legacy *ota, bool is_accepted, mono_time now) {
    if (ota->state != OTA_SENDING || !ota->is_awaiting) {
        return;
    }
    ota->is_awaiting = false;
    if (is_accepted) {
        ota->next_new++;
        ota->tries = 0;
    } else if (++ota->tries >= TRIES_MAX) {
        fail(ota, OTA_FAILURE_PROTOCOL, now);
    }
}

void ota_legacy_missing(struct ota_legacy *ota, struct span indices, mono_time now) {
    if (ota->state != OTA_FINISHING || !ota->is_finish_sent) {
        return;
    }
    ota->missing_count = 0;
    ota->missing_next = 0;
    for (size_t at = 0; at + 2 <= indices.len && ota->missing_count < OTA_LEGACY_MISSING_MAX;
         at += 2) {
        uint16_t index = (uint16_t)(indices.data[at] << 8 | indices.data[at + 1]);
        if (index < ota->chunk_count) {
            ota->missing[ota->missing_count++] = index;
        }
    }
    /* What went out in the slow form was accepted one by one: nothing can be missing. */
    if (ota->missing_count == 0 || ota->is_slow || ++ota->rounds > ROUNDS_MAX) {
        fail(ota, OTA_FAILURE_PROTOCOL, now);
    } else {
        legacy_move(ota, OTA_SENDING, now);
    }
}

void ota_legacy_finished(struct ota_legacy *ota, int32_t result, mono_time now) {
    if (ota->state != OTA_FINISHING || !ota->is_finish_sent) {
        return;
    }
    if (result == 0) {
        legacy_move(ota, OTA_COMMITTED, now);
    } else {
        ota->device_error = result;
        fail(ota, OTA_FAILURE_REJECTED, now);
    }
}

void ota_legacy_refused(struct ota_legacy *ota, int32_t device_error, mono_time now) {
    if (states[ota->state].is_final || (ota->state == OTA_SENDING && !ota->is_awaiting)) {
        return;
    }
    ota->device_error = device_error;
    fail(ota, refusal(ota->state == OTA_FINISHING, device_error), now);
}

void ota_legacy_aborted(struct ota_legacy *ota, enum ota_failure failure, mono_time now) {
    if (!states[ota->state].is_final) {
        fail(ota, failure, now);
    }
}

static void send(struct ota_legacy *ota, uint32_t index, mono_time now, struct ota_output *out) {
    uint32_t at = index * ota->params.chunk_bytes;
    uint32_t left = ota->params.file_bytes - at;
    out->action = OTA_SEND_CHUNK;
    out->index = index;
    out->at = at;
    out->len = left < ota->params.chunk_bytes ? left : ota->params.chunk_bytes;
    ota->pace = paced(ota->pace, ota->params.chunk_bytes, ota->params.rate_bytes_s, now);
}

static void send_slowly(struct ota_legacy *ota, mono_time now, struct ota_output *out) {
    send(ota, ota->next_new, now, out);
    ota->is_awaiting = true;
    ota->deadline = mono_add_ms(now, PATIENCE_MS);
    ota->chunks_sent += ota->tries == 0;
    ota->chunks_resent += ota->tries > 0;
}

/* The next chunk, or UpdateDone when all are sent. */
static void next_chunk(struct ota_legacy *ota, mono_time now, bool may_send,
                       struct ota_output *out) {
    bool has_new = ota->next_new < ota->chunk_count;
    bool has_chunk = has_new || ota->missing_next < ota->missing_count;
    if (ota->is_awaiting) {
        return;
    }
    if (!mono_reached(now, ota->pace)) {
        out->deadline = mono_earlier(ota->pace, ota->deadline);
    } else if (has_chunk && !may_send) {
        out->action = OTA_HELD;
    } else if (has_new && ota->is_slow) {
        send_slowly(ota, now, out);
    } else if (has_new) {
        send(ota, ota->next_new++, now, out);
        ota->chunks_sent++;
    } else if (has_chunk) {
        send(ota, ota->missing[ota->missing_next++], now, out);
        ota->chunks_resent++;
    } else {
        legacy_move(ota, OTA_FINISHING, now);
        ota->is_finish_sent = true;
        out->action = OTA_SEND_FINISH;
    }
}

void ota_legacy_next(struct ota_legacy *ota, mono_time now, bool may_send, struct ota_output *out) {
    *out = (struct ota_output){.action = OTA_WAIT, .deadline = ota->deadline};
    if (!states[ota->state].is_final && mono_reached(now, ota->deadline)) {
        fail(ota, OTA_FAILURE_TIMEOUT, now);
    }
    switch ((enum ota_state)ota->state) {
    case OTA_STARTING:
    case OTA_FINISHING:
        return;
    case OTA_SENDING:
        next_chunk(ota, now, may_send, out);
        return;
    case OTA_COMMITTED:
    case OTA_FAILED:
    case OTA_STATES:
        break;
    }
    out->action = OTA_ENDED;
}

uint32_t ota_legacy_progress(const struct ota_legacy *ota) {
    uint64_t bytes = (uint64_t)ota->next_new * ota->params.chunk_bytes;
    return bytes < ota->params.file_bytes ? (uint32_t)bytes : ota->params.file_bytes;
}
