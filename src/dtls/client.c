/* The client's side: what a device does, and what our own tools and tests need of a client. */
#include "dtls/machine.h"

#include "slipway/crypto/secret.h"
#include "slipway/util/check.h"

static bool is_device_os(const struct turn *t) {
    const struct dtls_endpoint_config *config = &t->endpoint->config;
    return config->cid_form == DTLS_CID_DRAFT05 || config->is_device_os_30;
}

/* One kind of proof of the server is asked for: its pinned raw key, or a certificate. */
static bool offers_raw(const struct turn *t) {
    return t->endpoint->config.key != NULL && t->endpoint->config.trust == NULL;
}

static bool offers(const struct turn *t, const struct suite *suite) {
    const struct dtls_endpoint_config *config = &t->endpoint->config;
    if (is_device_os(t)) {
        return suite->id == SUITE_DEVICE_OS;
    }
    if (config->only_suite != 0 && config->only_suite != suite->id) {
        return false;
    }
    return suite->exchange == KX_ECDHE_ECDSA ? offers_raw(t) || config->trust != NULL
                                             : config->psk_key.len > 0;
}

/* In the order that Device OS has them. */
static void write_extensions(struct turn *t, struct writer *w) {
    writer_u16(w, EXTENSION_SIGNATURES);
    size_t place = writer_open(w, 2);
    size_t list = writer_open(w, 2);
    writer_u16(w, SIGNATURE_ECDSA_SHA256);
    if (is_device_os(t)) { /* it verifies those too; no server of devices signs so */
        writer_u16(w, SIGNATURE_ECDSA_SHA224);
    }
    writer_close(w, list, 2);
    writer_close(w, place, 2);
    writer_u16(w, EXTENSION_GROUPS);
    writer_u16(w, 4);
    writer_u16(w, 2);
    writer_u16(w, GROUP_P256);
    writer_u16(w, EXTENSION_POINT_FORMATS);
    writer_u16(w, 2);
    writer_u8(w, 1);
    writer_u8(w, 0);
    if (t->endpoint->config.cid_form != DTLS_CID_NONE) {
        writer_u16(w, t->endpoint->config.cid_form);
        writer_u16(w, 1);
        writer_u8(w, 0); /* records to us carry none: one socket has one association */
    }
    if (offers_raw(t)) {
        for (unsigned type = EXTENSION_CLIENT_TYPE; type <= EXTENSION_SERVER_TYPE; type++) {
            writer_u16(w, (uint16_t)type);
            writer_u16(w, 2);
            writer_u8(w, 1);
            writer_u8(w, CERTIFICATE_RAW);
        }
    }
    if (!is_device_os(t)) {
        writer_u16(w, EXTENSION_EXTENDED_MASTER);
        writer_u16(w, 0);
    }
}

static void write_suites(struct turn *t, struct writer *w) {
    size_t place = writer_open(w, 2);
    for (size_t i = 0; i < SUITE_COUNT; i++) {
        if (offers(t, &suites[i])) {
            writer_u16(w, suites[i].id);
        }
    }
    writer_u16(w, SUITE_RENEGOTIATION_SCSV);
    writer_close(w, place, 2);
}

static int send_hello(struct turn *t) {
    struct machine *m = t->m;
    sha256_init(&m->transcript);
    flight_clear(&m->flight);
    struct writer w = machine_message(t, MESSAGE_CLIENT_HELLO);
    writer_u16(&w, DTLS_VERSION_12);
    writer_bytes(&w, span_of(m->client_random, RANDOM_BYTES));
    const struct dtls_resumable *resume = t->endpoint->config.resume;
    writer_u8(&w, resume == NULL ? 0 : resume->id_len);
    writer_bytes(&w, resume == NULL ? span_of(NULL, 0) : span_of(resume->id, resume->id_len));
    writer_u8(&w, m->cookie_len);
    writer_bytes(&w, span_of(m->cookie, m->cookie_len));
    write_suites(t, &w);
    writer_u8(&w, 1);
    writer_u8(&w, 0);
    size_t place = writer_open(&w, 2);
    write_extensions(t, &w);
    writer_close(&w, place, 2);
    int status = machine_message_end(t, &w);
    SW_CHECK(status == SW_OK);
    machine_move(m, STATE_SERVER_HELLO);
    machine_send(t);
    return SW_OK;
}

int client_begin(struct turn *t) {
    return send_hello(t);
}

static int take_verify_request(struct turn *t, struct span body) {
    struct machine *m = t->m;
    struct reader r = reader_of(body);
    uint16_t version = reader_u16(&r);
    struct span cookie = reader_vector8(&r);
    if (reader_end(&r) != SW_OK || version >> 8 != DTLS_VERSION_12 >> 8) {
        return machine_fail(t, ALERT_DECODE_ERROR, "malformed HelloVerifyRequest");
    }
    if (m->message_seq > 2) { /* a cookie may expire once; more is a loop */
        return machine_fail(t, ALERT_HANDSHAKE_FAILURE, "the server takes no cookie");
    }
    memcpy(m->cookie, cookie.data, cookie.len);
    m->cookie_len = (uint8_t)cookie.len;
    return send_hello(t);
}

/* The server took the id that we sent: its Finished is next, ours answers it. */
static int take_resumption(struct turn *t, const struct dtls_resumable *from) {
    struct machine *m = t->m;
    /* RFC 5246 section 7.4.1.3, RFC 7627 section 5.3: the same suite and kind of secret. */
    if (m->suite->id != from->suite || m->has_extended_master != from->has_extended_master) {
        return machine_fail(t, ALERT_ILLEGAL_PARAMETER, "resumed session of another kind");
    }
    m->is_resumed = true;
    m->proof = from->proof;
    m->peer_key = from->peer_key;
    m->master = from->master;
    keys_expand(m);
    machine_move(m, STATE_PEER_FINISHED);
    return SW_OK;
}

static int take_server_hello(struct turn *t, struct span body) {
    struct machine *m = t->m;
    struct server_hello hello;
    const char *why = NULL;
    if (server_hello_parse(body, &hello, &why) != SW_OK) {
        return machine_fail(t, ALERT_DECODE_ERROR, why);
    }
    m->suite = suite_find(hello.suite);
    if (m->suite == NULL || !offers(t, m->suite)) {
        return machine_fail(t, ALERT_ILLEGAL_PARAMETER, "suite that was not offered");
    }
    if ((hello.cid_form != DTLS_CID_NONE && hello.cid_form != t->endpoint->config.cid_form) ||
        (hello.has_extended_master && is_device_os(t))) {
        return machine_fail(t, ALERT_UNSUPPORTED_EXTENSION, "extension that was not asked for");
    }
    m->client_raw = hello.client_type == CERTIFICATE_RAW;
    m->server_raw = hello.server_type == CERTIFICATE_RAW || is_device_os(t);
    if (m->suite->exchange == KX_ECDHE_ECDSA &&
        (m->client_raw != offers_raw(t) || m->server_raw != offers_raw(t))) {
        return machine_fail(t, ALERT_UNSUPPORTED_CERTIFICATE, "certificate type not offered");
    }
    memcpy(m->server_random, hello.random.data, RANDOM_BYTES);
    m->has_extended_master = hello.has_extended_master;
    m->session.cid_form = hello.cid_form;
    m->session.cid_out_len = (uint8_t)hello.cid.len;
    if (hello.cid.len > 0) {
        memcpy(m->session.cid_out, hello.cid.data, hello.cid.len);
    }
    m->session_id_len = (uint8_t)hello.session_id.len;
    if (hello.session_id.len > 0) {
        memcpy(m->session_id, hello.session_id.data, hello.session_id.len);
    }
    const struct dtls_resumable *from = t->endpoint->config.resume;
    if (from != NULL && from->id_len > 0 &&
        span_equal(hello.session_id, span_of(from->id, from->id_len))) {
        return take_resumption(t, from);
    }
    switch (m->suite->exchange) {
    case KX_ECDHE_ECDSA:
        machine_move(m, is_device_os(t) ? STATE_SERVER_KEY : STATE_SERVER_CERTIFICATE);
        break;
    case KX_PSK:
        machine_move(m, STATE_SERVER_HINT);
        break;
    case KX_ECDHE_PSK:
        machine_move(m, STATE_SERVER_KEY);
        break;
    }
    return SW_OK;
}

static int take_certificate(struct turn *t, struct span body) {
    struct machine *m = t->m;
    int status = certificate_take(t, body, m->server_raw);
    if (status != SW_OK) {
        return status;
    }
    const struct p256_point *pinned = t->endpoint->config.pinned;
    if (m->server_raw && pinned != NULL &&
        memcmp(pinned->b, m->peer_key.b, sizeof pinned->b) != 0) {
        return machine_fail(t, ALERT_BAD_CERTIFICATE, "not the server's pinned key");
    }
    machine_move(m, STATE_SERVER_KEY);
    return SW_OK;
}

static int take_hint(struct turn *t, struct span body) {
    struct reader r = reader_of(body);
    (void)reader_vector16(&r); /* we have one identity, whatever the server hints at */
    if (reader_end(&r) != SW_OK) {
        return machine_fail(t, ALERT_DECODE_ERROR, "malformed ServerKeyExchange");
    }
    machine_move(t->m, STATE_SERVER_DONE);
    return SW_OK;
}

static int check_signed_share(struct turn *t, struct span signed_part, struct reader *r) {
    struct machine *m = t->m;
    if (is_device_os(t) && t->endpoint->config.pinned != NULL) {
        m->peer_key = *t->endpoint->config.pinned;
        m->proof = DTLS_PROOF_RAW_KEY;
    }
    struct sha256 digest;
    keys_exchange_digest(m, signed_part, &digest);
    struct span signature = signature_read(r);
    if (reader_end(r) != SW_OK) {
        return machine_fail(t, ALERT_DECODE_ERROR, "malformed ServerKeyExchange");
    }
    return certificate_check(t, &digest, signature);
}

static int take_key_exchange(struct turn *t, struct span body) {
    struct machine *m = t->m;
    struct reader r = reader_of(body);
    bool is_psk = m->suite->exchange == KX_ECDHE_PSK;
    if (is_psk) {
        (void)reader_vector16(&r); /* hint */
    }
    size_t start = r.at;
    if (reader_u8(&r) != CURVE_NAMED || reader_u16(&r) != GROUP_P256) {
        return machine_fail(t, ALERT_ILLEGAL_PARAMETER, "group that was not offered");
    }
    struct span point = reader_vector8(&r);
    if (reader_status(&r) != SW_OK || point.len != sizeof m->peer_share.b) {
        return machine_fail(t, ALERT_DECODE_ERROR, "key share of a wrong length");
    }
    memcpy(m->peer_share.b, point.data, point.len);
    int status = SW_OK;
    if (!is_psk) {
        status = check_signed_share(t, span_of(body.data + start, r.at - start), &r);
    } else if (reader_end(&r) != SW_OK) {
        status = machine_fail(t, ALERT_DECODE_ERROR, "malformed ServerKeyExchange");
    }
    if (status == SW_OK) {
        machine_move(m, is_psk ? STATE_SERVER_DONE : STATE_SERVER_REQUEST);
    }
    return status;
}

static int take_certificate_request(struct turn *t, struct span body) {
    struct reader r = reader_of(body);
    (void)reader_vector8(&r); /* kinds; only ECDSA was offered, so only its keys are meant */
    struct span algorithms = reader_vector16(&r);
    (void)reader_vector16(&r); /* authorities: there is one certificate to show, or none */
    if (reader_end(&r) != SW_OK || algorithms.len % 2 != 0) {
        return machine_fail(t, ALERT_DECODE_ERROR, "malformed CertificateRequest");
    }
    if (!list16_has(algorithms, SIGNATURE_ECDSA_SHA256)) {
        return machine_fail(t, ALERT_HANDSHAKE_FAILURE, "no signature algorithm in common");
    }
    t->m->wants_certificate = true;
    machine_move(t->m, STATE_SERVER_DONE);
    return SW_OK;
}

static int agree(struct turn *t, struct writer *w, uint8_t shared[ECDH_SECRET_BYTES]) {
    struct crypto_worker *worker = t->endpoint->crypto->worker;
    struct crypto_key *ephemeral = crypto_key_ephemeral(worker);
    if (ephemeral == NULL) {
        return SW_E_CRYPTO;
    }
    writer_u8(w, P256_POINT_BYTES);
    writer_bytes(w, span_of(crypto_key_point(ephemeral)->b, P256_POINT_BYTES));
    int status = crypto_agree(worker, ephemeral, &t->m->peer_share, shared);
    crypto_key_free(ephemeral);
    return status;
}

static int write_key_exchange(struct turn *t) {
    struct machine *m = t->m;
    const struct dtls_endpoint_config *config = &t->endpoint->config;
    uint8_t shared[ECDH_SECRET_BYTES], premaster[PSK_PREMASTER_MAX];
    size_t shared_len = 0;
    int status = SW_OK;
    struct writer w = machine_message(t, MESSAGE_CLIENT_KEY_EXCHANGE);
    if (m->suite->exchange != KX_ECDHE_ECDSA) {
        writer_u16(&w, (uint16_t)config->psk_identity.len);
        writer_bytes(&w, config->psk_identity);
    }
    if (m->suite->exchange != KX_PSK) {
        status = agree(t, &w, shared);
        shared_len = sizeof shared;
    }
    if (status == SW_OK) {
        status = machine_message_end(t, &w);
    }
    if (status == SW_OK && m->suite->exchange == KX_ECDHE_ECDSA) {
        keys_derive(m, span_of(shared, sizeof shared));
    } else if (status == SW_OK) {
        size_t len = keys_psk_premaster(config->psk_key, span_of(shared, shared_len), premaster);
        keys_derive(m, span_of(premaster, len));
        m->proof = DTLS_PROOF_PSK;
        crypto_wipe(premaster, sizeof premaster);
    }
    crypto_wipe(shared, sizeof shared);
    return status;
}

static int write_certificate_verify(struct turn *t) {
    struct sha256_state state = t->m->transcript;
    struct sha256 digest;
    sha256_final(&state, &digest);
    struct writer w = machine_message(t, MESSAGE_CERTIFICATE_VERIFY);
    int status = signature_write(endpoint_key(t->endpoint, t->m->client_raw), &digest, &w);
    return status == SW_OK ? machine_message_end(t, &w) : status;
}

static int take_hello_done(struct turn *t, struct span body) {
    struct machine *m = t->m;
    if (body.len != 0) {
        return machine_fail(t, ALERT_DECODE_ERROR, "malformed ServerHelloDone");
    }
    flight_clear(&m->flight);
    /* Without a certificate of our own the list is empty, and there is nothing to verify. */
    bool signs = m->wants_certificate && (m->client_raw || t->endpoint->chain_len > 0);
    int status = m->wants_certificate ? certificate_write(t, m->client_raw) : SW_OK;
    if (status == SW_OK) {
        status = write_key_exchange(t);
    }
    if (status == SW_OK && signs) {
        status = write_certificate_verify(t);
    }
    if (status == SW_OK) {
        status = machine_finish_flight(t);
    }
    if (status == SW_E_INPUT) {
        return machine_fail(t, ALERT_ILLEGAL_PARAMETER, "key share is not on the curve");
    }
    if (status != SW_OK) {
        return machine_fail(t, ALERT_INTERNAL_ERROR, "cannot build the client's flight");
    }
    machine_move(m, STATE_PEER_FINISHED);
    machine_send(t);
    return SW_OK;
}

static int take_finished(struct turn *t, struct span body) {
    int status = machine_check_finished(t, body);
    if (status != SW_OK) {
        return status;
    }
    if (t->m->is_resumed) {
        flight_clear(&t->m->flight);
        status = machine_finish_flight(t);
        SW_CHECK(status == SW_OK);
        machine_send_last(t);
    }
    machine_establish(t);
    return SW_OK;
}

const struct message_rule client_rules[] = {
    {STATE_SERVER_HELLO, MESSAGE_HELLO_VERIFY_REQUEST, false, take_verify_request},
    {STATE_SERVER_HELLO, MESSAGE_SERVER_HELLO, false, take_server_hello},
    {STATE_SERVER_CERTIFICATE, MESSAGE_CERTIFICATE, false, take_certificate},
    {STATE_SERVER_HINT, MESSAGE_SERVER_KEY_EXCHANGE, false, take_hint},
    {STATE_SERVER_HINT, MESSAGE_SERVER_HELLO_DONE, false, take_hello_done},
    {STATE_SERVER_KEY, MESSAGE_SERVER_KEY_EXCHANGE, false, take_key_exchange},
    {STATE_SERVER_REQUEST, MESSAGE_CERTIFICATE_REQUEST, false, take_certificate_request},
    {STATE_SERVER_REQUEST, MESSAGE_SERVER_HELLO_DONE, false, take_hello_done},
    {STATE_SERVER_DONE, MESSAGE_SERVER_HELLO_DONE, false, take_hello_done},
    {STATE_PEER_FINISHED, MESSAGE_FINISHED, true, take_finished},
};
const size_t client_rule_count = SW_COUNT(client_rules);
