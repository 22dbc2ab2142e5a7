/* The inside of a handshake, shared by its two roles.
 *
 *   server   IDLE -> PEER_CERTIFICATE -> PEER_KEY -> PEER_VERIFY -> PEER_FINISHED -> ESTABLISHED
 *                 \-> PEER_KEY -> LOOKUP (PSK) ----------------------^
 *                 \-> PEER_FINISHED (resumed by session id)
 *   client   IDLE -> SERVER_HELLO -> SERVER_CERTIFICATE -> SERVER_KEY -> SERVER_REQUEST
 *                 -> SERVER_DONE -> PEER_FINISHED -> ESTABLISHED
 *                 with plain PSK, SERVER_HELLO -> SERVER_HINT -> SERVER_DONE
 *                 resumed, SERVER_HELLO -> PEER_FINISHED
 *
 * and from each to FAILED. The state selects which messages may come; anything else is answered
 * with the alert unexpected_message. */
#ifndef DTLS_MACHINE_H
#define DTLS_MACHINE_H

#include "dtls/endpoint.h"
#include "dtls/flight.h"
#include "dtls/reassembly.h"
#include "slipway/util/fsm.h"

enum state {
    STATE_IDLE,
    STATE_PEER_CERTIFICATE,
    STATE_PEER_KEY,
    STATE_LOOKUP,
    STATE_PEER_VERIFY,
    STATE_PEER_FINISHED,
    STATE_SERVER_HELLO,
    STATE_SERVER_CERTIFICATE,
    STATE_SERVER_HINT,
    STATE_SERVER_KEY,
    STATE_SERVER_REQUEST,
    STATE_SERVER_DONE,
    STATE_ESTABLISHED,
    STATE_FAILED,
    STATE_COUNT
};

extern const struct fsm handshake_fsm;

#define EARLY_BYTES       192
#define LAST_FLIGHT_BYTES 160
#define COOKIE_MAX        255 /* of a foreign server */

struct machine {
    enum state state;
    bool is_server, is_device_os;
    bool has_extended_master;
    bool saw_change_cipher;      /* the peer's next epoch may begin once its keys are known */
    bool is_protecting;          /* our ChangeCipherSpec was sent */
    bool wants_certificate;      /* client: the server asked for one */
    bool server_raw, client_raw; /* else X.509 */
    bool is_resumed;
    uint8_t proof; /* enum dtls_proof: what the peer's proof is, once ESTABLISHED */
    const struct suite *suite;
    uint8_t client_random[RANDOM_BYTES], server_random[RANDOM_BYTES];
    struct sha256_state transcript;
    struct sha256 transcript_before; /* the message in hand: what signatures and Finished cover */
    struct hmac_key master;
    struct crypto_key *ephemeral;       /* heap */
    struct crypto_certified *certified; /* heap; X.509 peers */
    struct p256_point peer_key;         /* proved only when ESTABLISHED */
    struct p256_point peer_share;       /* client: the server's ECDHE point */
    struct dtls_session session;
    uint64_t plain_seq;   /* next of our epoch 0 */
    uint16_t message_seq; /* next of ours */
    uint16_t peer_flight; /* message_seq that began the peer's present flight */
    struct flight flight;
    struct reassembly in;
    mono_time deadline, sent_at;
    int64_t timeout_ms;
    unsigned sends; /* of the present flight, by the timer */
    uint8_t early_len, last_len, cookie_len, identity_len, shared_len, session_id_len;
    uint8_t session_id[SESSION_ID_MAX];
    uint8_t early[EARLY_BYTES];      /* one protected record that overtook what it needs */
    uint8_t last[LAST_FLIGHT_BYTES]; /* our final datagram, repeated byte for byte */
    uint8_t cookie[COOKIE_MAX];
    uint8_t identity[DTLS_PSK_IDENTITY_MAX]; /* PSK identity, or a certificate's name */
    uint8_t shared[ECDH_SECRET_BYTES]; /* server, from ClientKeyExchange until keys are derived */
    uint8_t entropy[RANDOM_BYTES];     /* what the random did not take */
};

/* One call's surroundings. */
struct turn {
    struct machine *m;
    struct dtls_endpoint *endpoint;
    mono_time now;
    struct outbox *out;
    struct dtls_step *step;
};

/* Handles a message that the state allows. SW_OK, or the result of machine_fail. */
typedef int message_fn(struct turn *t, struct span body);

struct message_rule {
    enum state state;
    uint8_t type; /* enum message_type */
    bool is_protected;
    message_fn *handle;
};

extern const struct message_rule server_rules[], client_rules[];
extern const size_t server_rule_count, client_rule_count;

/* The roles' beginnings. */
int server_begin(struct turn *t, const struct client_hello *hello,
                 const uint8_t cid_in[DTLS_CID_BYTES]) SW_NODISCARD;
int client_begin(struct turn *t) SW_NODISCARD;
/* The answer to a lookup; empty = unknown identity. */
void server_take_psk(struct turn *t, struct span psk);

void machine_move(struct machine *m, enum state to);
/* Ends the handshake with a fatal alert; returns SW_E_INPUT for the handler to pass on. */
int machine_fail(struct turn *t, uint8_t alert, const char *why);
/* Sends the flight that was just built, and starts its timer. */
void machine_send(struct turn *t);
/* The same for a flight that nobody answers: it is kept to be repeated byte for byte. */
void machine_send_last(struct turn *t);
/* Ends the handshake well; the flight that was built last (if any) went out before. */
void machine_establish(struct turn *t);

struct writer machine_message(struct turn *t, uint8_t type);
/* Ends the message and adds it to flight and transcript; our own flights always fit. */
int machine_message_end(struct turn *t, struct writer *w) SW_NODISCARD;
/* ChangeCipherSpec and Finished of our side, as the end of the flight. */
int machine_finish_flight(struct turn *t) SW_NODISCARD;
/* The peer's Finished against the transcript. */
int machine_check_finished(struct turn *t, struct span body) SW_NODISCARD;

/* Master secret and record keys from the premaster secret (RFC 5246 sections 6.3 and 8.1). */
void keys_derive(struct machine *m, struct span premaster);
/* The second half alone: record keys of m->master. */
void keys_expand(struct machine *m);
/* 32 bytes of the caller's entropy for one use, which tell nothing about those of another. */
void keys_private(const struct machine *m, const char *use, struct sha256 *out);
/* RFC 4279 section 2 and RFC 5489 section 2; shared is empty for plain PSK. Wipe out. */
#define PSK_PREMASTER_MAX (2 + DTLS_PSK_MAX + 2 + DTLS_PSK_MAX)
size_t keys_psk_premaster(struct span psk, struct span shared, uint8_t out[PSK_PREMASTER_MAX]);
void keys_finished(const struct machine *m, bool of_server, const struct sha256 *transcript,
                   uint8_t out[FINISHED_BYTES]);
/* What a ServerKeyExchange's signature covers (RFC 8422 section 5.4). */
void keys_exchange_digest(const struct machine *m, struct span parameters, struct sha256 *out);

/* The raw public key of an RFC 7250 Certificate message; its point is checked when it is used. */
int raw_certificate_parse(struct span body, struct p256_point *out) SW_NODISCARD;
void raw_certificate_write(const struct p256_point *point, struct writer *w);
/* The Certificate message of one side, raw or X.509. */
int certificate_write(struct turn *t, bool is_raw) SW_NODISCARD;
/* The peer's, raw or X.509: SW_OK, or the result of machine_fail. */
int certificate_take(struct turn *t, struct span body, bool is_raw) SW_NODISCARD;
/* A signature with the key of certificate_take; SW_OK, or the result of machine_fail. */
int certificate_check(struct turn *t, const struct sha256 *digest,
                      struct span signature) SW_NODISCARD;
/* 0403, length, signature (RFC 5246 section 4.7); the signature is empty if it is not of that form.
 */
struct span signature_read(struct reader *r);
int signature_write(const struct crypto_key *key, const struct sha256 *digest,
                    struct writer *w) SW_NODISCARD;

#endif
