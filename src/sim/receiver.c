/* What a device does with chunks: put each where it belongs, remember which are there, and say so
 * after every second one, after a pause, and at once whenever something is out of order. It never
 * asks for anything: finding out what is missing is the sender's work. */
#include "sim/receiver.h"

#include "slipway/util/check.h"

const char *sim_error_text(int error) {
    switch (error) {
    case SIM_ERROR_TOO_LARGE:
        return "Data size exceeds the limit";
    case SIM_ERROR_INVALID_STATE:
        return "Invalid state";
    case SIM_ERROR_PROTOCOL:
        return "Protocol error";
    case SIM_ERROR_INTEGRITY:
        return "Integrity check failed";
    case SIM_ERROR_RESUMED:
        return "Resumed update failed";
    case SIM_ERROR_SIZE:
        return "Invalid size";
    case SIM_ERROR_PLATFORM:
        return "Invalid platform";
    case SIM_ERROR_DISABLED:
        return "Firmware updates are disabled";
    default: /* codes are open-ended */
        return "Error";
    }
}

int receiver_check(const struct receiver_request *request) {
    bool is_sound = request->file_bytes > 0 && request->chunk_bytes >= RECEIVER_CHUNK_MIN &&
                    request->chunk_bytes <= RECEIVER_CHUNK_MAX && request->chunk_bytes % 4 == 0;
    return is_sound ? 0 : SIM_ERROR_PROTOCOL;
}

int receiver_start(struct receiver *receiver, struct sim_flash *flash,
                   const struct receiver_request *request, mono_time now) {
    receiver_stop(receiver, flash, request->discard);
    if (request->file_bytes > flash->cap) {
        return SIM_ERROR_SIZE;
    }
    bool is_resumed = flash->has_partial && request->has_hash &&
                      flash->file_bytes == request->file_bytes &&
                      memcmp(flash->hash.b, request->hash.b, SHA256_BYTES) == 0;
    if (!is_resumed) {
        flash->has_partial = false;
        flash->kept_bytes = 0;
        flash->saved_bytes = 0;
        flash->file_bytes = request->file_bytes;
        flash->hash = request->hash;
    }
    uint32_t left = request->file_bytes - flash->kept_bytes;
    *receiver = (struct receiver){
        .is_running = true,
        .has_hash = request->has_hash,
        .hash = request->hash,
        .file_bytes = request->file_bytes,
        .offset = flash->kept_bytes,
        .chunk_bytes = request->chunk_bytes,
        .chunk_count = (left + request->chunk_bytes - 1) / request->chunk_bytes,
        .window = RECEIVER_WINDOW_BYTES / request->chunk_bytes,
        .chunk_at = now,
        .silence_at = mono_add_ms(now, RECEIVER_SILENCE_MS),
        .sync_at = mono_add_ms(now, RECEIVER_SYNC_MS),
    };
    return 0;
}

uint32_t receiver_bytes(const struct receiver *receiver) {
    uint64_t end = receiver->offset + (uint64_t)receiver->cumulative * receiver->chunk_bytes;
    return end < receiver->file_bytes ? (uint32_t)end : receiver->file_bytes;
}

void receiver_stop(struct receiver *receiver, struct sim_flash *flash, bool discard) {
    if (receiver->is_running) {
        flash->kept_bytes = receiver_bytes(receiver);
        flash->has_partial = receiver->has_hash;
    }
    if (discard) {
        flash->has_partial = false;
    }
    if (!flash->has_partial) {
        flash->kept_bytes = 0;
        flash->saved_bytes = 0;
    }
    *receiver = (struct receiver){0};
}

static bool has_chunk(const struct receiver *receiver, uint32_t index) {
    uint32_t bit = (index - 1) % receiver->window;
    return (receiver->have[bit / 8] >> (bit % 8) & 1) != 0;
}

static void mark_chunk(struct receiver *receiver, uint32_t index, bool is_there) {
    uint32_t bit = (index - 1) % receiver->window;
    uint8_t mask = (uint8_t)(1U << (bit % 8));
    receiver->have[bit / 8] =
        (uint8_t)(is_there ? receiver->have[bit / 8] | mask : receiver->have[bit / 8] & ~mask);
}

enum receiver_verdict receiver_chunk(struct receiver *receiver, struct sim_flash *flash,
                                     uint32_t index, struct span data, mono_time now) {
    if (index == 0 || index > receiver->chunk_count) {
        return RECEIVER_RESET;
    }
    uint64_t at = receiver->offset + (uint64_t)(index - 1) * receiver->chunk_bytes;
    uint64_t left = receiver->file_bytes - at;
    if (data.len != (left < receiver->chunk_bytes ? left : receiver->chunk_bytes)) {
        return RECEIVER_RESET;
    }
    bool had_gap = receiver->ahead > 0;
    bool was_pausing = now.us - receiver->chunk_at.us >= RECEIVER_ACK_MS * INT64_C(1000);
    receiver->chunk_at = now;
    receiver->silence_at = mono_add_ms(now, RECEIVER_SILENCE_MS);
    receiver->received++;
    receiver->unacked++;
    if (index <= receiver->cumulative ||
        (index <= receiver->cumulative + receiver->window && has_chunk(receiver, index))) {
        receiver->duplicates++;
        return RECEIVER_ACK;
    }
    if (index <= receiver->cumulative + receiver->window) {
        SW_CHECK(at + data.len <= flash->cap);
        memcpy(flash->data + at, data.data, data.len);
        mark_chunk(receiver, index, true);
        receiver->ahead++;
        receiver->out_of_order += index != receiver->cumulative + 1 ? 1 : 0;
        while (receiver->ahead > 0 && has_chunk(receiver, receiver->cumulative + 1)) {
            receiver->cumulative++;
            receiver->ahead--;
            mark_chunk(receiver, receiver->cumulative, false);
        }
    }
    bool is_due = had_gap || receiver->ahead > 0 || receiver->unacked >= 2 || was_pausing ||
                  receiver_is_complete(receiver);
    return is_due ? RECEIVER_ACK : RECEIVER_NOTHING;
}

size_t receiver_ack(struct receiver *receiver, uint8_t bitmap[RECEIVER_BITMAP_BYTES]) {
    memset(bitmap, 0, RECEIVER_BITMAP_BYTES);
    size_t len = 0;
    uint32_t left = receiver->ahead;
    for (uint32_t i = 0; left > 0 && i < receiver->window; i++) {
        if (has_chunk(receiver, receiver->cumulative + 1 + i)) {
            /* Little-endian words of 32 bits are the same bytes as a row of bits. */
            bitmap[i / 8] = (uint8_t)(bitmap[i / 8] | 1U << (i % 8));
            len = (size_t)4 * (i / 32 + 1);
            left--;
        }
    }
    receiver->unacked = 0;
    receiver->acks++;
    return len;
}

bool receiver_ack_due(const struct receiver *receiver, mono_time now) {
    return receiver->is_running && receiver->unacked > 0 &&
           mono_reached(now, mono_add_ms(receiver->chunk_at, RECEIVER_ACK_MS));
}

bool receiver_is_silent(const struct receiver *receiver, mono_time now) {
    return receiver->is_running && mono_reached(now, receiver->silence_at);
}

void receiver_sync(struct receiver *receiver, struct sim_flash *flash, mono_time now) {
    if (receiver->is_running && mono_reached(now, receiver->sync_at)) {
        flash->saved_bytes = receiver_bytes(receiver);
        receiver->sync_at = mono_add_ms(now, RECEIVER_SYNC_MS);
    }
}

mono_time receiver_deadline(const struct receiver *receiver) {
    if (!receiver->is_running) {
        return MONO_NEVER;
    }
    mono_time next = mono_earlier(receiver->silence_at, receiver->sync_at);
    if (receiver->unacked > 0) {
        next = mono_earlier(next, mono_add_ms(receiver->chunk_at, RECEIVER_ACK_MS));
    }
    return next;
}

bool receiver_is_complete(const struct receiver *receiver) {
    return receiver->cumulative == receiver->chunk_count;
}
