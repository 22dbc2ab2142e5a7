/* What a datagram is, before anything is looked up or decrypted: first bytes only. */
#include "dtls/record.h"

#define PROBE_HEADER_BYTES    15
#define PROBE_EPOCH_MIN       0x8000
#define PROBE_PAYLOAD_MAX     511
#define HANDSHAKE_HEADER_MIN  12
#define HANDSHAKE_CLIENTHELLO 1
#define HELLO_SESSION_ID_AT   (RECORD_HEADER_BYTES + HANDSHAKE_HEADER_MIN + 2 + 32)
#define DEVICE_BYTES          12

static uint16_t u16_at(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static bool is_probe_of(struct span datagram, size_t header) {
    return datagram.len > header && datagram.len <= header + PROBE_PAYLOAD_MAX &&
           u16_at(datagram.data + header - 2) == datagram.len - header;
}

/* FC fefd epoch time(4) sequence(2) length(2) payload, as a record's header is laid out, the epoch
 * being 8000 and the interface's index in one; or the index in two bytes of its own behind it, as
 * the description may be read too. It is echoed only when it says its own length. */
static bool is_probe(struct span datagram) {
    return datagram.len > RECORD_HEADER_BYTES && u16_at(datagram.data + 3) >= PROBE_EPOCH_MIN &&
           (is_probe_of(datagram, RECORD_HEADER_BYTES) ||
            is_probe_of(datagram, PROBE_HEADER_BYTES));
}

/* Behind the version and the random: a session id, and then the cookie (RFC 6347 section 4.2.1). */
static bool has_cookie(struct span datagram) {
    if (datagram.len <= HELLO_SESSION_ID_AT) {
        return false;
    }
    size_t cookie_at = HELLO_SESSION_ID_AT + 1 + (size_t)datagram.data[HELLO_SESSION_ID_AT];
    return datagram.len > cookie_at && datagram.data[cookie_at] > 0;
}

static void sort_plain(struct span datagram, struct dtls_sorted *out) {
    uint8_t type = datagram.data[0];
    uint16_t epoch = u16_at(datagram.data + 3);
    if (epoch == 0 && type != DTLS_APPLICATION_DATA) {
        out->kind = DTLS_KIND_HANDSHAKE;
        out->is_hello = type == DTLS_HANDSHAKE &&
                        datagram.len >= RECORD_HEADER_BYTES + HANDSHAKE_HEADER_MIN &&
                        datagram.data[RECORD_HEADER_BYTES] == HANDSHAKE_CLIENTHELLO;
        out->has_cookie = out->is_hello && has_cookie(datagram);
    } else if (epoch == 1) {
        out->kind = DTLS_KIND_PLAIN;
    }
}

void dtls_sort(struct span datagram, struct dtls_sorted *out) {
    *out = (struct dtls_sorted){.kind = DTLS_KIND_NOISE};
    if (datagram.len < RECORD_HEADER_BYTES || datagram.data[1] != DTLS_VERSION_12 >> 8) {
        return;
    }
    uint8_t type = datagram.data[0];
    if (type >= DTLS_CHANGE_CIPHER_SPEC && type <= DTLS_APPLICATION_DATA) {
        sort_plain(datagram, out);
        return;
    }
    /* Everything below exists in DTLS 1.2 only; early ClientHellos alone may say 1.0. */
    if (u16_at(datagram.data + 1) != DTLS_VERSION_12) {
        return;
    }
    if (type == DTLS_CID || type == DTLS_CID_MOVED) {
        if (datagram.len >= RECORD_HEADER_BYTES + DTLS_CID_BYTES &&
            u16_at(datagram.data + 3) == 1) {
            out->kind = DTLS_KIND_CID;
            out->cid = span_of(datagram.data + RECORD_HEADER_BYTES - 2, DTLS_CID_BYTES);
            out->is_moved = type == DTLS_CID_MOVED;
        }
    } else if (type == DTLS_PROBE) {
        out->kind = is_probe(datagram) ? DTLS_KIND_PROBE : DTLS_KIND_NOISE;
    } else if (type == DTLS_MOVED_30) {
        if (datagram.len > RECORD_HEADER_BYTES + MOVED_30_TAIL && u16_at(datagram.data + 3) == 1 &&
            datagram.data[datagram.len - 1] == DEVICE_BYTES) {
            out->kind = DTLS_KIND_MOVED_30;
            out->device = span_of(datagram.data + datagram.len - MOVED_30_TAIL, DEVICE_BYTES);
        }
    }
}
