#include "dtls/flight.h"

#include "slipway/util/check.h"

/* Smallest piece of a message that is worth a record of its own. */
#define FRAGMENT_MIN 16

void flight_clear(struct flight *flight) {
    flight->used = 0;
    flight->count = 0;
}

struct writer flight_begin(struct flight *flight, uint8_t type, uint16_t message_seq) {
    struct writer w = writer_of(flight->data + flight->used, sizeof flight->data - flight->used);
    uint8_t header[MESSAGE_HEADER_BYTES];
    message_header(header, type, message_seq, 0);
    writer_bytes(&w, span_of(header, sizeof header));
    return w;
}

int flight_end(struct flight *flight, struct writer *w, bool is_protected,
               struct sha256_state *transcript) {
    SW_CHECK(flight->count < FLIGHT_ITEMS);
    if (writer_status(w) != SW_OK) {
        return SW_E_FULL;
    }
    uint16_t message_seq = (uint16_t)(w->data[4] << 8 | w->data[5]);
    message_header(w->data, w->data[0], message_seq, w->at - MESSAGE_HEADER_BYTES);
    sha256_update(transcript, writer_span(w));
    flight->items[flight->count].at = flight->used;
    flight->items[flight->count].len = (uint16_t)w->at;
    flight->items[flight->count].content = DTLS_HANDSHAKE;
    flight->items[flight->count].is_protected = is_protected;
    flight->count++;
    flight->used = (uint16_t)(flight->used + w->at);
    return SW_OK;
}

void flight_change_cipher(struct flight *flight) {
    SW_CHECK(flight->count < FLIGHT_ITEMS && flight->used < sizeof flight->data);
    flight->data[flight->used] = 1;
    flight->items[flight->count].at = flight->used;
    flight->items[flight->count].len = 1;
    flight->items[flight->count].content = DTLS_CHANGE_CIPHER_SPEC;
    flight->items[flight->count].is_protected = false;
    flight->count++;
    flight->used++;
}

/* The datagram being filled. */
struct packing {
    const struct flight_way *way;
    struct outbox *out;
    struct writer w;
    bool is_open;
};

static void packing_flush(struct packing *p) {
    if (p->is_open) {
        outbox_commit(p->out, p->w.at);
        p->is_open = false;
    }
}

/* Makes room for a record of that size, in a fresh datagram if need be; false if the outbox is
 * full. */
static bool packing_room(struct packing *p, size_t need) {
    if (p->is_open && writer_room(&p->w) < need) {
        packing_flush(p);
    }
    if (!p->is_open) {
        uint8_t *place = outbox_begin(p->out, p->way->mtu);
        if (place == NULL) {
            return false;
        }
        p->w = writer_of(place, p->way->mtu);
        p->is_open = true;
    }
    return true;
}

static bool pack_plain(struct packing *p, uint8_t content, struct span head, struct span body) {
    size_t len = head.len + body.len;
    if (!packing_room(p, RECORD_HEADER_BYTES + len)) {
        return false;
    }
    record_header(&p->w, content, DTLS_VERSION_12, (*p->way->plain_seq)++, len);
    writer_bytes(&p->w, head);
    writer_bytes(&p->w, body);
    return true;
}

static bool pack_protected(struct packing *p, struct span message) {
    return packing_room(p, dtls_overhead(p->way->session) + message.len) &&
           dtls_seal(p->way->crypto, p->way->session, DTLS_HANDSHAKE, message, &p->w) == SW_OK;
}

static bool pack_fragments(struct packing *p, struct span message) {
    struct span body =
        span_of(message.data + MESSAGE_HEADER_BYTES, message.len - MESSAGE_HEADER_BYTES);
    size_t around = RECORD_HEADER_BYTES + MESSAGE_HEADER_BYTES;
    for (size_t offset = 0; offset < body.len;) {
        if (!packing_room(p, around + FRAGMENT_MIN)) {
            return false;
        }
        size_t room = writer_room(&p->w) - around;
        size_t part = body.len - offset < room ? body.len - offset : room;
        uint8_t header[MESSAGE_HEADER_BYTES];
        memcpy(header, message.data, 6); /* type, length, message_seq */
        struct writer h = writer_of(header + 6, 6);
        writer_u24(&h, (uint32_t)offset);
        writer_u24(&h, (uint32_t)part);
        if (!pack_plain(p, DTLS_HANDSHAKE, span_of(header, sizeof header),
                        span_of(body.data + offset, part))) {
            return false;
        }
        offset += part;
    }
    return true;
}

void flight_send(const struct flight *flight, const struct flight_way *way, struct outbox *out) {
    struct packing p = {.way = way, .out = out};
    for (size_t i = 0; i < flight->count; i++) {
        struct span bytes = span_of(flight->data + flight->items[i].at, flight->items[i].len);
        bool packed;
        if (flight->items[i].is_protected) {
            packed = pack_protected(&p, bytes);
        } else if (bytes.len + RECORD_HEADER_BYTES > way->mtu) {
            packed = pack_fragments(&p, bytes);
        } else {
            packed = pack_plain(&p, flight->items[i].content, bytes, span_of(NULL, 0));
        }
        if (!packed) {
            break;
        }
    }
    packing_flush(&p);
}
