/* The outer form of records (RFC 6347 section 4.1, RFC 9146 section 4), shared by sessions and
 * handshakes. */
#ifndef DTLS_RECORD_H
#define DTLS_RECORD_H

#include "slipway/crypto/worker.h"
#include "slipway/dtls/session.h"

#define DTLS_VERSION_10 0xFEFF
#define DTLS_VERSION_12 0xFEFD

#define RECORD_HEADER_BYTES   13
#define RECORD_EXPLICIT_BYTES AEAD_SENT_BYTES /* in front of the text */

#define DTLS_MOVED_30                                                                              \
    254 /* Device OS 3.0: a plain record whose datagram ends with the device's id */
#define MOVED_30_TAIL 13 /* 12 bytes of id, then 0C */
#define DTLS_PROBE    252

struct dtls_crypto {
    struct crypto_worker *worker;
};

struct record {
    uint8_t type; /* as on the wire */
    uint16_t version;
    uint16_t epoch;
    uint64_t sequence;
    struct span cid;      /* only types 25 and 253, of the length that was asked for */
    struct span fragment; /* what the length field counts */
    size_t consumed;      /* header and fragment */
};

/* The first record of a datagram; cid_len is the length of the ids that we chose. SW_E_INPUT if it
 * is cut short. */
int record_parse(struct span datagram, size_t cid_len, struct record *out) SW_NODISCARD;
/* Header of a record without a cid, whose length the caller knows. */
void record_header(struct writer *w, uint8_t type, uint16_t version, uint64_t epoch_sequence,
                   size_t len);

#endif
