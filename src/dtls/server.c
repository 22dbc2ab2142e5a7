/* The server's side: one flight in answer to the ClientHello, then the client's proofs in order. */
#include "dtls/machine.h"

#include "slipway/crypto/secret.h"
#include "slipway/util/check.h"

/* The owner's search for a PSK may take this long. */
#define LOOKUP_TIMEOUT_MS 10000

static void write_extensions(struct turn *t, const struct client_hello *hello,
                             const struct choice *choice, struct writer *w) {
    const struct machine *m = t->m;
    bool certifies = choice->suite->exchange == KX_ECDHE_ECDSA;
    if (hello->has_renegotiation) { /* RFC 5746 section 3.6 */
        writer_u16(w, EXTENSION_RENEGOTIATION);
        writer_u16(w, 1);
        writer_u8(w, 0);
    }
    if (m->has_extended_master) {
        writer_u16(w, EXTENSION_EXTENDED_MASTER);
        writer_u16(w, 0);
    }
    if (choice->cid_form != DTLS_CID_NONE) {
        writer_u16(w, choice->cid_form); /* the form's number is its extension's */
        writer_u16(w, 1 + DTLS_CID_BYTES);
        writer_u8(w, DTLS_CID_BYTES);
        writer_bytes(w, span_of(m->session.cid_in, DTLS_CID_BYTES));
    }
    if (hello->has_point_formats && choice->suite->exchange != KX_PSK) {
        writer_u16(w, EXTENSION_POINT_FORMATS);
        writer_u16(w, 2);
        writer_u8(w, 1);
        writer_u8(w, 0);
    }
    if (certifies && hello->has_client_type) { /* RFC 7250 section 4.2: one value, no list */
        writer_u16(w, EXTENSION_CLIENT_TYPE);
        writer_u16(w, 1);
        writer_u8(w, choice->client_raw ? CERTIFICATE_RAW : CERTIFICATE_X509);
    }
    if (certifies && hello->has_server_type) {
        writer_u16(w, EXTENSION_SERVER_TYPE);
        writer_u16(w, 1);
        writer_u8(w, choice->server_raw ? CERTIFICATE_RAW : CERTIFICATE_X509);
    }
}

static int write_server_hello(struct turn *t, const struct client_hello *hello,
                              const struct choice *choice) {
    struct writer w = machine_message(t, MESSAGE_SERVER_HELLO);
    writer_u16(&w, DTLS_VERSION_12);
    writer_bytes(&w, span_of(t->m->server_random, RANDOM_BYTES));
    writer_u8(&w, t->m->session_id_len);
    writer_bytes(&w, span_of(t->m->session_id, t->m->session_id_len));
    writer_u16(&w, choice->suite->id);
    writer_u8(&w, 0); /* no compression */
    size_t place = writer_open(&w, 2);
    write_extensions(t, hello, choice, &w);
    if (w.at == place + 2) {
        w.at = place; /* RFC 5246 section 7.4.1.3: no extensions, no block */
    } else {
        writer_close(&w, place, 2);
    }
    return machine_message_end(t, &w);
}

/* RFC 8422 section 5.4; RFC 5489 section 2 puts an (empty) hint before and signs nothing. */
static int write_key_exchange(struct turn *t) {
    struct machine *m = t->m;
    m->ephemeral = crypto_key_ephemeral(t->endpoint->crypto->worker);
    if (m->ephemeral == NULL) {
        return SW_E_CRYPTO;
    }
    struct writer w = machine_message(t, MESSAGE_SERVER_KEY_EXCHANGE);
    bool is_signed = m->suite->exchange == KX_ECDHE_ECDSA;
    if (!is_signed) {
        writer_u16(&w, 0);
    }
    size_t start = w.at;
    writer_u8(&w, CURVE_NAMED);
    writer_u16(&w, GROUP_P256);
    writer_u8(&w, P256_POINT_BYTES);
    writer_bytes(&w, span_of(crypto_key_point(m->ephemeral)->b, P256_POINT_BYTES));
    if (is_signed) {
        if (writer_status(&w) != SW_OK) {
            return SW_E_FULL;
        }
        struct sha256 digest;
        keys_exchange_digest(m, span_of(w.data + start, w.at - start), &digest);
        int status = signature_write(endpoint_key(t->endpoint, m->server_raw), &digest, &w);
        if (status != SW_OK) {
            return status;
        }
    }
    return machine_message_end(t, &w);
}

static int write_certificate_request(struct turn *t) {
    struct writer w = machine_message(t, MESSAGE_CERTIFICATE_REQUEST);
    writer_u8(&w, 1);
    writer_u8(&w, CERTIFICATE_KIND_ECDSA);
    writer_u16(&w, 2);
    writer_u16(&w, SIGNATURE_ECDSA_SHA256);
    writer_u16(&w, 0); /* no names of authorities */
    return machine_message_end(t, &w);
}

static int write_hello_done(struct turn *t) {
    struct writer w = machine_message(t, MESSAGE_SERVER_HELLO_DONE);
    return machine_message_end(t, &w);
}

static int build_flight(struct turn *t, const struct client_hello *hello,
                        const struct choice *choice) {
    bool certifies = choice->suite->exchange == KX_ECDHE_ECDSA;
    int status = write_server_hello(t, hello, choice);
    if (status == SW_OK && certifies && !choice->is_device_os) {
        status = certificate_write(t, choice->server_raw);
    }
    if (status == SW_OK && choice->suite->exchange != KX_PSK) {
        status = write_key_exchange(t);
    }
    if (status == SW_OK && certifies) {
        status = write_certificate_request(t);
    }
    return status == SW_OK ? write_hello_done(t) : status;
}

/* RFC 5246 section 7.3: our ServerHello and Finished at once, the client's Finished after it. */
static int begin_resumed(struct turn *t, const struct client_hello *hello,
                         const struct choice *choice, const struct resumption *from) {
    struct machine *m = t->m;
    m->is_resumed = true;
    m->proof = from->proof;
    m->peer_key = from->peer_key;
    m->identity_len = from->name_len;
    memcpy(m->identity, from->name, from->name_len);
    memcpy(m->session_id, from->id, SESSION_ID_MAX);
    m->session_id_len = SESSION_ID_MAX;
    int status = write_server_hello(t, hello, choice);
    if (status == SW_OK) {
        m->master = from->master;
        keys_expand(m);
        status = machine_finish_flight(t);
    }
    if (status != SW_OK) {
        (void)machine_fail(t, ALERT_INTERNAL_ERROR, "cannot build the server's flight");
        return status;
    }
    machine_move(m, STATE_PEER_FINISHED);
    machine_send(t);
    return SW_OK;
}

static void remember(struct turn *t) {
    struct machine *m = t->m;
    struct resumption *slot =
        resumption_slot(t->endpoint, span_of(m->session_id, m->session_id_len));
    if (slot == NULL || m->is_resumed) {
        return;
    }
    *slot = (struct resumption){.made = t->now,
                                .is_used = true,
                                .has_extended_master = m->has_extended_master,
                                .suite = m->suite->id,
                                .proof = m->proof,
                                .name_len = m->identity_len,
                                .master = m->master,
                                .peer_key = m->peer_key};
    memcpy(slot->id, m->session_id, SESSION_ID_MAX);
    memcpy(slot->name, m->identity, m->identity_len);
}

int server_begin(struct turn *t, const struct client_hello *hello,
                 const uint8_t cid_in[DTLS_CID_BYTES]) {
    struct machine *m = t->m;
    struct choice choice;
    uint8_t alert = 0;
    const char *why = NULL;
    int status = endpoint_choose(t->endpoint, hello, &choice, &alert, &why);
    if (status != SW_OK) {
        (void)machine_fail(t, alert, why);
        return status;
    }
    memcpy(m->client_random, hello->random.data, RANDOM_BYTES);
    m->suite = choice.suite;
    m->is_device_os = choice.is_device_os;
    /* Device OS never offers it; in its profile it is not spoken even if something like it does. */
    m->has_extended_master = hello->has_extended_master && !choice.is_device_os;
    m->session.cid_form = choice.cid_form;
    if (choice.cid_form != DTLS_CID_NONE) {
        m->session.cid_in_len = DTLS_CID_BYTES;
        memcpy(m->session.cid_in, cid_in, DTLS_CID_BYTES);
        m->session.cid_out_len = (uint8_t)choice.cid.len;
        if (choice.cid.len > 0) {
            memcpy(m->session.cid_out, choice.cid.data, choice.cid.len);
        }
    }
    m->client_raw = choice.client_raw;
    m->server_raw = choice.server_raw;
    const struct resumption *from =
        choice.is_device_os ? NULL : resumption_find(t->endpoint, hello, t->now);
    if (from != NULL) {
        choice.suite = suite_find(from->suite);
        m->suite = choice.suite;
        return begin_resumed(t, hello, &choice, from);
    }
    if (t->endpoint->resumption != NULL && !choice.is_device_os &&
        choice.suite->exchange == KX_ECDHE_ECDSA) {
        struct sha256 id;
        keys_private(m, "session id", &id);
        m->session_id_len = SESSION_ID_MAX;
        memcpy(m->session_id, id.b, SESSION_ID_MAX);
    }
    status = build_flight(t, hello, &choice);
    if (status != SW_OK) {
        (void)machine_fail(t, ALERT_INTERNAL_ERROR, "cannot build the server's flight");
        return status;
    }
    machine_move(m, m->suite->exchange == KX_ECDHE_ECDSA ? STATE_PEER_CERTIFICATE : STATE_PEER_KEY);
    machine_send(t);
    return SW_OK;
}

static int take_certificate(struct turn *t, struct span body) {
    int status = certificate_take(t, body, t->m->client_raw);
    if (status == SW_OK) {
        machine_move(t->m, STATE_PEER_KEY);
    }
    return status;
}

static int agree(struct turn *t, struct span point, uint8_t shared[ECDH_SECRET_BYTES]) {
    struct p256_point peer;
    if (point.len != sizeof peer.b) {
        return machine_fail(t, ALERT_DECODE_ERROR, "key share of a wrong length");
    }
    memcpy(peer.b, point.data, sizeof peer.b);
    int status = crypto_agree(t->endpoint->crypto->worker, t->m->ephemeral, &peer, shared);
    if (status == SW_E_INPUT) { /* RFC 8422 section 5.11 */
        return machine_fail(t, ALERT_ILLEGAL_PARAMETER, "key share is not on the curve");
    }
    if (status != SW_OK) {
        return machine_fail(t, ALERT_INTERNAL_ERROR, "key agreement failed");
    }
    /* It has served: even half-open handshakes keep nothing that could decrypt a record later. */
    crypto_key_free(t->m->ephemeral);
    t->m->ephemeral = NULL;
    return SW_OK;
}

static int take_psk_identity(struct turn *t, struct reader *r) {
    struct machine *m = t->m;
    struct span identity = reader_vector16(r);
    if (reader_status(r) != SW_OK || identity.len > sizeof m->identity) {
        return machine_fail(t, ALERT_DECODE_ERROR, "bad PSK identity");
    }
    m->identity_len = (uint8_t)identity.len;
    if (identity.len > 0) {
        memcpy(m->identity, identity.data, identity.len);
    }
    return SW_OK;
}

static int take_key_exchange(struct turn *t, struct span body) {
    struct machine *m = t->m;
    struct reader r = reader_of(body);
    bool is_psk = m->suite->exchange != KX_ECDHE_ECDSA;
    if (is_psk && take_psk_identity(t, &r) != SW_OK) {
        return SW_E_INPUT;
    }
    struct span point = span_of(NULL, 0);
    if (m->suite->exchange != KX_PSK) {
        point = reader_vector8(&r);
    }
    if (reader_end(&r) != SW_OK) {
        return machine_fail(t, ALERT_DECODE_ERROR, "malformed ClientKeyExchange");
    }
    if (m->suite->exchange != KX_PSK) {
        int status = agree(t, point, m->shared);
        if (status != SW_OK) {
            return status;
        }
        m->shared_len = ECDH_SECRET_BYTES;
    }
    if (is_psk) {
        machine_move(m, STATE_LOOKUP);
        m->deadline = mono_add_ms(t->now, LOOKUP_TIMEOUT_MS);
        t->step->event = DTLS_EVENT_NEED_PSK;
        t->step->psk_identity = span_of(m->identity, m->identity_len);
        return SW_OK;
    }
    keys_derive(m, span_of(m->shared, m->shared_len));
    crypto_wipe(m->shared, sizeof m->shared);
    machine_move(m, STATE_PEER_VERIFY);
    return SW_OK;
}

void server_take_psk(struct turn *t, struct span psk) {
    struct machine *m = t->m;
    SW_CHECK(psk.len <= DTLS_PSK_MAX);
    /* An unknown identity goes on with a key that nobody has and fails at Finished, like a wrong
     * key (RFC 4279 section 2 allows this so that identities cannot be tried out). */
    struct sha256 nobodys;
    keys_private(m, "a key that nobody has", &nobodys);
    struct span key = psk.len > 0 ? psk : span_of(nobodys.b, sizeof nobodys.b);
    m->proof = DTLS_PROOF_PSK;
    uint8_t premaster[PSK_PREMASTER_MAX];
    size_t len = keys_psk_premaster(key, span_of(m->shared, m->shared_len), premaster);
    keys_derive(m, span_of(premaster, len));
    crypto_wipe(premaster, sizeof premaster);
    crypto_wipe(&nobodys, sizeof nobodys);
    crypto_wipe(m->shared, sizeof m->shared);
    machine_move(m, STATE_PEER_FINISHED);
    m->deadline = mono_add_ms(t->now, m->timeout_ms);
}

static int take_certificate_verify(struct turn *t, struct span body) {
    struct machine *m = t->m;
    struct reader r = reader_of(body);
    struct span signature = signature_read(&r);
    if (reader_end(&r) != SW_OK) {
        return machine_fail(t, ALERT_DECODE_ERROR, "malformed CertificateVerify");
    }
    int status = certificate_check(t, &m->transcript_before, signature);
    if (status == SW_OK) {
        machine_move(m, STATE_PEER_FINISHED);
    }
    return status;
}

static int take_finished(struct turn *t, struct span body) {
    int status = machine_check_finished(t, body);
    if (status != SW_OK) {
        return status;
    }
    if (!t->m->is_resumed) {
        flight_clear(&t->m->flight);
        status = machine_finish_flight(t);
        SW_CHECK(status == SW_OK);
        machine_send_last(t);
    }
    remember(t);
    machine_establish(t);
    return SW_OK;
}

const struct message_rule server_rules[] = {
    {STATE_PEER_CERTIFICATE, MESSAGE_CERTIFICATE, false, take_certificate},
    {STATE_PEER_KEY, MESSAGE_CLIENT_KEY_EXCHANGE, false, take_key_exchange},
    {STATE_PEER_VERIFY, MESSAGE_CERTIFICATE_VERIFY, false, take_certificate_verify},
    {STATE_PEER_FINISHED, MESSAGE_FINISHED, true, take_finished},
};
const size_t server_rule_count = SW_COUNT(server_rules);
