#include "receiver.h"

#define ACK_DELAY_MS 200

void receiver_init(struct receiver *r, uint32_t file_bytes, uint32_t offset, uint32_t chunk_bytes,
                   uint32_t window) {
    memset(r, 0, sizeof *r);
    r->file_bytes = file_bytes;
    r->offset = offset;
    r->chunk_bytes = chunk_bytes;
    r->window = window;
    r->count = (file_bytes - offset + chunk_bytes - 1) / chunk_bytes;
    r->ack_due = MONO_NEVER;
    r->last_chunk = MONO_NEVER;
}

bool receiver_is_complete(const struct receiver *r) {
    return r->cumulative == r->count;
}

static uint32_t highest(const struct receiver *r) {
    uint32_t index = r->count;
    while (index > r->cumulative && !r->has[index]) {
        index--;
    }
    return index;
}

static void acknowledge(struct receiver *r, struct receiver_ack *ack) {
    memset(ack, 0, sizeof *ack);
    ack->is_sent = true;
    ack->cumulative = r->cumulative;
    for (uint32_t i = r->cumulative + 1; i <= highest(r); i++) {
        if (r->has[i]) {
            uint32_t bit = i - r->cumulative - 1;
            uint32_t word = bit / 32, in_word = bit % 32;
            ack->bitmap[word * 4 + in_word / 8] |= (uint8_t)(1U << in_word % 8);
            ack->len = (word + 1) * 4;
        }
    }
    r->since_ack = 0;
    r->ack_due = MONO_NEVER;
    r->acks++;
}

void receiver_chunk(struct receiver *r, uint32_t index, uint32_t at, uint32_t len, mono_time now,
                    struct receiver_ack *ack) {
    ack->is_sent = false;
    if (index == 0 || index > r->count) {
        r->killed = "index out of range";
        return;
    }
    uint32_t begin = r->offset + (index - 1) * r->chunk_bytes;
    uint32_t expected =
        r->file_bytes - begin < r->chunk_bytes ? r->file_bytes - begin : r->chunk_bytes;
    if (len != expected || at != begin) {
        r->killed = "wrong size or place";
        return;
    }
    bool had_gap = highest(r) > r->cumulative;
    bool is_duplicate = index <= r->cumulative || r->has[index];
    bool is_late =
        r->last_chunk.us != MONO_NEVER.us && mono_since_us(r->last_chunk, now) >= 200 * 1000;
    r->last_chunk = now;
    r->since_ack++;
    if (index > r->cumulative + r->window) {
        r->beyond++;
    } else if (is_duplicate) {
        r->duplicates++;
    } else {
        r->has[index] = true;
        while (r->cumulative < r->count && r->has[r->cumulative + 1]) {
            r->cumulative++;
        }
    }
    bool has_gap = highest(r) > r->cumulative;
    if (is_duplicate || had_gap || has_gap || is_late || receiver_is_complete(r) ||
        r->since_ack >= 2) {
        acknowledge(r, ack);
    } else {
        r->ack_due = mono_add_ms(now, ACK_DELAY_MS);
    }
}

void receiver_idle(struct receiver *r, mono_time now, struct receiver_ack *ack) {
    ack->is_sent = false;
    if (mono_reached(now, r->ack_due)) {
        acknowledge(r, ack);
    }
}
