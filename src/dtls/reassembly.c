#include "dtls/reassembly.h"

#include "slipway/util/check.h"

void reassembly_init(struct reassembly *r, uint16_t next) {
    *r = (struct reassembly){.next = next};
}

static size_t footprint(size_t len) {
    return len + (len + 7) / 8;
}

static void drop(struct reassembly *r, struct reassembly_slot *slot) {
    if (!slot->is_used) {
        return;
    }
    size_t size = footprint(slot->len);
    size_t end = slot->at + size;
    memmove(r->arena + slot->at, r->arena + end, r->used - end);
    r->used = (uint16_t)(r->used - size);
    for (size_t i = 0; i < REASSEMBLY_SLOTS; i++) {
        if (r->slots[i].is_used && r->slots[i].at > slot->at) {
            r->slots[i].at = (uint16_t)(r->slots[i].at - size);
        }
    }
    *slot = (struct reassembly_slot){0};
}

/* Room for a message `ahead` of the next: messages still further ahead make way. */
static bool make_room(struct reassembly *r, size_t ahead, size_t size) {
    for (size_t i = REASSEMBLY_SLOTS - 1; i > ahead && REASSEMBLY_BYTES - r->used < size; i--) {
        drop(r, &r->slots[i]);
    }
    return REASSEMBLY_BYTES - r->used >= size;
}

/* Copies what is new; bytes that came before stay as they came. */
static void fill(struct reassembly *r, struct reassembly_slot *slot,
                 const struct fragment *fragment) {
    uint8_t *body = r->arena + slot->at;
    uint8_t *bits = body + slot->len;
    for (size_t i = 0; i < fragment->bytes.len; i++) {
        size_t place = fragment->offset + i;
        uint8_t bit = (uint8_t)(1U << (place % 8));
        if ((bits[place / 8] & bit) == 0) {
            bits[place / 8] |= bit;
            body[place] = fragment->bytes.data[i];
            slot->missing--;
        }
    }
}

enum reassembly_result reassembly_add(struct reassembly *r, const struct fragment *fragment) {
    uint16_t ahead = (uint16_t)(fragment->message_seq - r->next);
    if (fragment->message_seq < r->next) {
        return REASSEMBLY_OLD;
    }
    if (ahead >= REASSEMBLY_SLOTS) {
        return REASSEMBLY_DROPPED;
    }
    size_t size = footprint(fragment->message_len);
    if (size > REASSEMBLY_BYTES) {
        return ahead == 0 ? REASSEMBLY_TOO_LARGE : REASSEMBLY_DROPPED;
    }
    struct reassembly_slot *slot = &r->slots[ahead];
    if (!slot->is_used) {
        if (!make_room(r, ahead, size)) {
            return REASSEMBLY_DROPPED;
        }
        *slot = (struct reassembly_slot){.type = fragment->type,
                                         .is_used = true,
                                         .at = r->used,
                                         .len = (uint16_t)fragment->message_len,
                                         .missing = (uint16_t)fragment->message_len};
        memset(r->arena + r->used, 0, size);
        r->used = (uint16_t)(r->used + size);
    } else if (slot->type != fragment->type || slot->len != fragment->message_len) {
        return REASSEMBLY_DROPPED;
    }
    fill(r, slot, fragment);
    return REASSEMBLY_KEPT;
}

bool reassembly_peek(const struct reassembly *r, uint8_t *type, struct span *body) {
    const struct reassembly_slot *slot = &r->slots[0];
    if (!slot->is_used || slot->missing > 0) {
        return false;
    }
    *type = slot->type;
    *body = span_of(r->arena + slot->at, slot->len);
    return true;
}

void reassembly_taken(struct reassembly *r) {
    drop(r, &r->slots[0]);
    memmove(&r->slots[0], &r->slots[1], sizeof r->slots - sizeof r->slots[0]);
    r->slots[REASSEMBLY_SLOTS - 1] = (struct reassembly_slot){0};
    r->next++;
    SW_CHECK(r->next != 0);
}
