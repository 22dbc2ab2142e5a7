/* Certificates and signatures: how each side shows who it is. Raw public keys (RFC 7250) are
 * compared by whoever owns the endpoint; X.509 is left to libcrypto altogether. */
#include "dtls/machine.h"

int raw_certificate_parse(struct span body, struct p256_point *out) {
    struct reader r = reader_of(body);
    struct span spki = reader_vector24(&r);
    if (reader_end(&r) != SW_OK) {
        return SW_E_INPUT;
    }
    return p256_spki_decode(spki, out);
}

void raw_certificate_write(const struct p256_point *point, struct writer *w) {
    uint8_t spki[P256_SPKI_BYTES];
    p256_spki_encode(point, spki);
    writer_u24(w, sizeof spki); /* RFC 7250 section 3: one length, no list */
    writer_bytes(w, span_of(spki, sizeof spki));
}

struct span signature_read(struct reader *r) {
    if (reader_u16(r) != SIGNATURE_ECDSA_SHA256) {
        reader_fail(r, "signature algorithm that was not offered");
    }
    struct span signature = reader_vector16(r);
    if (signature.len == 0) {
        reader_fail(r, "no signature");
    }
    return signature;
}

int signature_write(const struct crypto_key *key, const struct sha256 *digest, struct writer *w) {
    uint8_t signature[ECDSA_SIGNATURE_MAX];
    int len = crypto_sign(key, digest, signature);
    if (len < 0) {
        return len;
    }
    writer_u16(w, SIGNATURE_ECDSA_SHA256);
    writer_u16(w, (uint16_t)len);
    writer_bytes(w, span_of(signature, (size_t)len));
    return writer_status(w);
}

int certificate_write(struct turn *t, bool is_raw) {
    const struct dtls_endpoint *endpoint = t->endpoint;
    struct writer w = machine_message(t, MESSAGE_CERTIFICATE);
    if (is_raw) {
        raw_certificate_write(crypto_key_point(endpoint->config.key), &w);
    } else { /* RFC 5246 section 7.4.6: a client without one sends an empty list */
        writer_u24(&w, (uint32_t)endpoint->chain_len);
        writer_bytes(&w, span_of(endpoint->chain, endpoint->chain_len));
    }
    return machine_message_end(t, &w);
}

static int fail_certificate(struct turn *t, int status) {
    switch (status) {
    case SW_E_NOT_FOUND:
        return machine_fail(t, ALERT_UNKNOWN_CA, "no authority behind the peer's certificate");
    case SW_E_RANGE:
        return machine_fail(t, ALERT_CERTIFICATE_EXPIRED, "the peer's certificate is out of date");
    case SW_E_DENIED:
        return machine_fail(t, ALERT_UNSUPPORTED_CERTIFICATE,
                            "the peer's certificate is for another use, name or curve");
    case SW_E_MEMORY:
    case SW_E_CRYPTO:
        return machine_fail(t, ALERT_INTERNAL_ERROR, "verifying the certificate failed");
    default:
        return machine_fail(t, ALERT_BAD_CERTIFICATE, "the peer's certificate does not verify");
    }
}

static int take_chain(struct turn *t, struct span body) {
    struct machine *m = t->m;
    struct reader r = reader_of(body);
    struct span list = reader_vector24(&r);
    if (reader_end(&r) != SW_OK) {
        return machine_fail(t, ALERT_DECODE_ERROR, "malformed Certificate");
    }
    if (list.len == 0) {
        return machine_fail(t, ALERT_HANDSHAKE_FAILURE, "the peer shows no certificate");
    }
    struct certificate_check check = {.now = t->endpoint->wall,
                                      .is_client = m->is_server,
                                      .host =
                                          m->is_server ? NULL : t->endpoint->config.server_name};
    int status = crypto_trust_verify(t->endpoint->config.trust, list, &check, &m->certified);
    if (status != SW_OK) {
        return fail_certificate(t, status);
    }
    struct span name = crypto_certified_name(m->certified);
    m->identity_len = (uint8_t)name.len;
    memcpy(m->identity, name.data, name.len);
    m->proof = DTLS_PROOF_CERTIFICATE;
    return SW_OK;
}

int certificate_take(struct turn *t, struct span body, bool is_raw) {
    if (!is_raw) {
        return take_chain(t, body);
    }
    if (raw_certificate_parse(body, &t->m->peer_key) != SW_OK) {
        return machine_fail(t, ALERT_BAD_CERTIFICATE, "not a raw P-256 public key");
    }
    t->m->proof = DTLS_PROOF_RAW_KEY;
    return SW_OK;
}

int certificate_check(struct turn *t, const struct sha256 *digest, struct span signature) {
    const struct machine *m = t->m;
    struct crypto_worker *worker = t->endpoint->crypto->worker;
    int status = m->proof == DTLS_PROOF_CERTIFICATE
                     ? crypto_certified_check(m->certified, worker, digest, signature)
                     : crypto_verify(worker, &m->peer_key, digest, signature);
    if (status == SW_E_INPUT) {
        return machine_fail(t, ALERT_BAD_CERTIFICATE, "the peer's key is not on the curve");
    }
    if (status != SW_OK) {
        return machine_fail(t, ALERT_DECRYPT_ERROR, "the peer's signature does not verify");
    }
    return SW_OK;
}
