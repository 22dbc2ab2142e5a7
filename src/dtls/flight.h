/* The messages that were sent last, kept as plain text until the peer's answer shows that they
 * arrived (RFC 6347 section 4.2.4), and their way into datagrams: as many records to a datagram as
 * fit, messages cut into fragments only if a whole datagram cannot hold them. */
#ifndef DTLS_FLIGHT_H
#define DTLS_FLIGHT_H

#include "dtls/message.h"
#include "dtls/record.h"
#include "slipway/crypto/hash.h"
#include "slipway/util/outbox.h"

#define FLIGHT_ITEMS 7
#define FLIGHT_BYTES 2560

struct flight {
    uint16_t used;
    uint8_t count;
    struct {
        uint16_t at, len; /* handshake messages: header included */
        uint8_t content;  /* enum dtls_content: HANDSHAKE or CHANGE_CIPHER_SPEC */
        bool is_protected;
    } items[FLIGHT_ITEMS];
    uint8_t data[FLIGHT_BYTES];
};

void flight_clear(struct flight *flight);
/* Starts a handshake message; write its body, then flight_end, which adds it to the transcript.
 * flight_end: SW_E_FULL if it did not fit. */
struct writer flight_begin(struct flight *flight, uint8_t type, uint16_t message_seq);
int flight_end(struct flight *flight, struct writer *w, bool is_protected,
               struct sha256_state *transcript) SW_NODISCARD;
void flight_change_cipher(struct flight *flight);

/* How to send: next epoch-0 number, the session for protected records, largest datagram. */
struct flight_way {
    struct dtls_crypto *crypto;
    struct dtls_session *session;
    uint64_t *plain_seq;
    size_t mtu;
};
/* What the outbox cannot hold is lost, as on a network: the timer sends it again. */
void flight_send(const struct flight *flight, const struct flight_way *way, struct outbox *out);

#endif
