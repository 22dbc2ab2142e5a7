#include "dtls/endpoint.h"

#include "dtls/record.h"
#include "slipway/crypto/secret.h"
#include "slipway/util/check.h"

#define MTU_DEFAULT 1232 /* 1280, which IPv6 guarantees, less its header and UDP's */
#define MTU_MIN     508
#define MTU_MAX     1400
/* A hello is the first or second message of its client, or a few later if cookies expired. */
#define HELLO_MESSAGE_SEQ_MAX     8
#define HELLO_RECORD_SEQUENCE_MAX UINT32_MAX
/* RFC 5246 appendix F.1.4: no session is resumed after a day. */
#define RESUMPTION_US (INT64_C(24) * 3600 * 1000000)

struct dtls_endpoint *dtls_endpoint_new(const struct dtls_endpoint_config *config) {
    struct dtls_endpoint *endpoint = crypto_alloc(sizeof *endpoint);
    if (endpoint == NULL) {
        return NULL;
    }
    endpoint->config = *config;
    if (config->mtu == 0) {
        endpoint->config.mtu = MTU_DEFAULT;
    }
    SW_CHECK(endpoint->config.mtu >= MTU_MIN && endpoint->config.mtu <= MTU_MAX);
    if (config->pinned != NULL) {
        endpoint->pinned = *config->pinned;
        endpoint->config.pinned = &endpoint->pinned;
    }
    endpoint->crypto = dtls_crypto_new();
    bool ready = endpoint->crypto != NULL;
    if (config->certificates.len > 0) {
        SW_CHECK(config->key != NULL || config->certificate_key != NULL);
        int len = certificate_list_from_pem(config->certificates, endpoint->chain, DTLS_CHAIN_MAX);
        endpoint->chain_len = len > 0 ? (size_t)len : 0;
        endpoint->config.certificates = span_of(NULL, 0);
        ready = ready && len > 0;
    }
    if (config->resumption_slots > 0) {
        endpoint->resumption =
            crypto_alloc(config->resumption_slots * sizeof *endpoint->resumption);
        ready = ready && endpoint->resumption != NULL;
    }
    if (!ready) {
        dtls_endpoint_free(endpoint);
        return NULL;
    }
    return endpoint;
}

void dtls_endpoint_tell_time(struct dtls_endpoint *endpoint, wall_time now) {
    endpoint->wall = now;
}

/* Ids are our own random bytes: a few of them are as good as a hash. */
struct resumption *resumption_slot(const struct dtls_endpoint *endpoint, struct span id) {
    if (endpoint->resumption == NULL || id.len != SESSION_ID_MAX) {
        return NULL;
    }
    uint64_t place = 0;
    memcpy(&place, id.data, sizeof place);
    return &endpoint->resumption[place % endpoint->config.resumption_slots];
}

const struct resumption *resumption_find(const struct dtls_endpoint *endpoint,
                                         const struct client_hello *hello, mono_time now) {
    const struct resumption *slot = resumption_slot(endpoint, hello->session_id);
    /* RFC 7627 section 5.3: both handshakes use the extended master secret or neither does. */
    bool fits = slot != NULL && slot->is_used &&
                memcmp(slot->id, hello->session_id.data, SESSION_ID_MAX) == 0 &&
                slot->has_extended_master == hello->has_extended_master &&
                mono_since_us(slot->made, now) < RESUMPTION_US &&
                client_hello_offers(hello, slot->suite);
    return fits ? slot : NULL;
}

void dtls_endpoint_free(struct dtls_endpoint *endpoint) {
    if (endpoint != NULL) {
        dtls_crypto_free(endpoint->crypto);
        crypto_free(endpoint->resumption,
                    endpoint->config.resumption_slots * sizeof *endpoint->resumption);
        crypto_free(endpoint, sizeof *endpoint);
    }
}

struct dtls_crypto *dtls_endpoint_crypto(struct dtls_endpoint *endpoint) {
    return endpoint->crypto;
}

void dtls_endpoint_rotate_cookie(struct dtls_endpoint *endpoint,
                                 const uint8_t secret[DTLS_COOKIE_SECRET]) {
    endpoint->cookie_keys[1] = endpoint->cookie_keys[0];
    hmac_key_init(&endpoint->cookie_keys[0], span_of(secret, DTLS_COOKIE_SECRET));
    if (endpoint->cookie_key_count < 2) {
        endpoint->cookie_key_count++;
    }
}

int hello_datagram_parse(struct span datagram, struct hello_datagram *out, const char **why) {
    struct record record;
    if (record_parse(datagram, 0, &record) != SW_OK || record.type != DTLS_HANDSHAKE ||
        record.epoch != 0) {
        *why = "not a whole handshake record";
        return SW_E_INPUT;
    }
    out->record_version = record.version;
    out->record_sequence = record.sequence;
    struct reader r = reader_of(record.fragment);
    if (!fragment_read(&r, &out->message) || out->message.type != MESSAGE_CLIENT_HELLO) {
        *why = "not a ClientHello";
        return SW_E_INPUT;
    }
    /* Both numbers go on with us: a client that starts near their end wants us to run past it. */
    if (out->message.message_seq > HELLO_MESSAGE_SEQ_MAX ||
        out->record_sequence > HELLO_RECORD_SEQUENCE_MAX) {
        *why = "ClientHello numbered beyond reason";
        return SW_E_INPUT;
    }
    /* Gathering fragments would cost memory for an address that is not proved. */
    if (out->message.bytes.len != out->message.message_len) {
        *why = "ClientHello in fragments";
        return SW_E_INPUT;
    }
    return client_hello_parse(out->message.bytes, &out->hello, why);
}

/* Device OS 3.0 knows no connection ids. What is left to tell it by is the whole of its hello: one
 * suite and the SCSV, raw keys and nothing else, no extended master secret and no renegotiation
 * extension, no session to resume, and the SHA-224 signatures that its library still lists. Other
 * raw-key clients differ in several of these. */
static bool is_device_os_30(const struct client_hello *hello) {
    return hello->suites.len == 4 && client_hello_offers(hello, SUITE_RENEGOTIATION_SCSV) &&
           !hello->client_x509 && !hello->server_x509 && !hello->has_extended_master &&
           !hello->has_renegotiation_extension && hello->session_id.len == 0 &&
           hello->has_ecdsa_sha224;
}

/* Device OS leaves the server's key out of the handshake, which no RFC allows, so it must be told
 * apart: from 3.1 on it alone combines raw keys with the draft's extension number. */
static bool is_device_os(const struct dtls_endpoint *endpoint, const struct client_hello *hello) {
    return endpoint->config.key != NULL && hello->cid.data == NULL && hello->has_client_type &&
           hello->client_raw && hello->has_server_type && hello->server_raw && hello->has_p256 &&
           hello->has_ecdsa_sha256 && client_hello_offers(hello, SUITE_DEVICE_OS) &&
           (hello->cid_draft.data != NULL || is_device_os_30(hello));
}

static bool can_certify(const struct dtls_endpoint *endpoint, const struct client_hello *hello,
                        struct choice *out) {
    /* Raw keys only by their extensions (RFC 7250): without them both sides mean X.509. */
    out->server_raw = hello->has_server_type && hello->server_raw && endpoint->config.key != NULL;
    out->client_raw = hello->has_client_type && hello->client_raw;
    return hello->has_p256 && hello->has_ecdsa_sha256 &&
           (out->server_raw || (hello->server_x509 && endpoint->chain_len > 0)) &&
           (out->client_raw || (hello->client_x509 && endpoint->config.trust != NULL));
}

static bool can_speak(const struct dtls_endpoint *endpoint, const struct client_hello *hello,
                      const struct suite *suite, struct choice *out) {
    uint16_t only = endpoint->config.only_suite;
    if (!client_hello_offers(hello, suite->id) || (only != 0 && only != suite->id)) {
        return false;
    }
    switch (suite->exchange) {
    case KX_ECDHE_ECDSA:
        return can_certify(endpoint, hello, out);
    case KX_ECDHE_PSK:
        return endpoint->config.accepts_psk && hello->has_p256;
    case KX_PSK:
        return endpoint->config.accepts_psk;
    }
    return false;
}

const struct crypto_key *endpoint_key(const struct dtls_endpoint *endpoint, bool is_raw) {
    const struct dtls_endpoint_config *config = &endpoint->config;
    return is_raw || config->certificate_key == NULL ? config->key : config->certificate_key;
}

int endpoint_choose(const struct dtls_endpoint *endpoint, const struct client_hello *hello,
                    struct choice *out, uint8_t *alert, const char **why) {
    *out = (struct choice){0};
    /* DTLS versions count down; a newer client falls back to what we answer (RFC 6347 section 4.1).
     */
    if (hello->version >> 8 != DTLS_VERSION_12 >> 8 || hello->version > DTLS_VERSION_12) {
        *alert = ALERT_PROTOCOL_VERSION;
        *why = "client cannot speak DTLS 1.2";
        return SW_E_DENIED;
    }
    if (hello->cid.data != NULL) {
        out->cid_form = DTLS_CID_RFC9146;
        out->cid = hello->cid;
    } else if (hello->cid_draft.data != NULL) {
        out->cid_form = DTLS_CID_DRAFT05;
        out->cid = hello->cid_draft;
    }
    if (is_device_os(endpoint, hello)) {
        out->is_device_os = true;
        out->server_raw = true;
        out->client_raw = true;
        out->suite = suite_find(SUITE_DEVICE_OS);
        return SW_OK;
    }
    for (size_t i = 0; i < SUITE_COUNT; i++) {
        if (can_speak(endpoint, hello, &suites[i], out)) {
            out->suite = &suites[i];
            return SW_OK;
        }
    }
    *alert = ALERT_HANDSHAKE_FAILURE;
    *why = "no cipher suite and credential in common";
    return SW_E_DENIED;
}

/* RFC 6347 section 4.2.1: HMAC over the client's address and its parameters. */
static void cookie_make(const struct hmac_key *key, const struct address *peer,
                        const struct client_hello *hello, struct sha256 *out) {
    struct sha256_state state;
    struct sha256 parameters;
    sha256_init(&state);
    sha256_update(&state, hello->before_cookie);
    sha256_update(&state, hello->after_cookie);
    sha256_final(&state, &parameters);
    uint8_t text[sizeof peer->ip + 2 + sizeof parameters.b];
    struct writer w = writer_of(text, sizeof text);
    writer_bytes(&w, span_of(peer->ip, sizeof peer->ip));
    writer_u16(&w, peer->port);
    writer_bytes(&w, span_of(parameters.b, sizeof parameters.b));
    hmac_key_sign(key, writer_span(&w), out);
}

static bool cookie_is_ours(const struct dtls_endpoint *endpoint, const struct address *peer,
                           const struct client_hello *hello) {
    if (hello->cookie.len != COOKIE_BYTES) {
        return false;
    }
    for (unsigned i = 0; i < endpoint->cookie_key_count; i++) {
        struct sha256 want;
        cookie_make(&endpoint->cookie_keys[i], peer, hello, &want);
        if (crypto_equal(want.b, hello->cookie.data, COOKIE_BYTES)) {
            return true;
        }
    }
    return false;
}

/* The version says what the client's record said: some clients hold the record layer against the
 * one version that they speak, and it must not be used to negotiate anyway. The record's sequence
 * number is the hello's, so that answering needs no state (RFC 6347 section 4.2.2). */
static void write_verify_request(const struct dtls_endpoint *endpoint, const struct address *peer,
                                 const struct hello_datagram *in, struct writer *w) {
    struct sha256 cookie;
    cookie_make(&endpoint->cookie_keys[0], peer, &in->hello, &cookie);
    size_t body_len = 2 + 1 + COOKIE_BYTES;
    uint8_t header[MESSAGE_HEADER_BYTES];
    message_header(header, MESSAGE_HELLO_VERIFY_REQUEST, in->message.message_seq, body_len);
    record_header(w, DTLS_HANDSHAKE, in->record_version, in->record_sequence,
                  sizeof header + body_len);
    writer_bytes(w, span_of(header, sizeof header));
    writer_u16(w, in->record_version);
    writer_u8(w, COOKIE_BYTES);
    writer_bytes(w, span_of(cookie.b, COOKIE_BYTES));
}

enum dtls_hello dtls_server_hello(struct dtls_endpoint *endpoint, const struct address *peer,
                                  struct span datagram, struct outbox *out, const char **why) {
    struct hello_datagram in;
    struct choice choice;
    uint8_t alert = 0;
    *why = NULL;
    SW_CHECK(endpoint->config.is_server && endpoint->cookie_key_count > 0);
    if (hello_datagram_parse(datagram, &in, why) != SW_OK) {
        return DTLS_HELLO_DROP;
    }
    if (in.record_version >> 8 != DTLS_VERSION_12 >> 8) {
        *why = "not a DTLS record";
        return DTLS_HELLO_DROP;
    }
    int status = endpoint_choose(endpoint, &in.hello, &choice, &alert, why);
    if (status == SW_OK && cookie_is_ours(endpoint, peer, &in.hello)) {
        return DTLS_HELLO_ACCEPT;
    }
    /* Either answer is shorter than any hello: no use to whoever forges addresses. */
    uint8_t *place = outbox_begin(out, endpoint->config.mtu);
    if (place == NULL) {
        *why = "outbox full";
        return DTLS_HELLO_DROP;
    }
    struct writer w = writer_of(place, endpoint->config.mtu);
    if (status == SW_OK) {
        write_verify_request(endpoint, peer, &in, &w);
    } else {
        record_header(&w, DTLS_ALERT, in.record_version, in.record_sequence, ALERT_BYTES);
        writer_u8(&w, ALERT_FATAL);
        writer_u8(&w, alert);
    }
    outbox_commit(out, w.at);
    return DTLS_HELLO_REPLY;
}
