#include "dtls/machine.h"

#include "slipway/crypto/secret.h"
#include "slipway/util/check.h"

#define KEY_BLOCK_BYTES 40 /* two keys of 16, two salts of 4; AEAD suites have no MAC keys */

void keys_derive(struct machine *m, struct span premaster) {
    struct hmac_key key;
    uint8_t master[MASTER_BYTES];
    hmac_key_init(&key, premaster);
    if (m->has_extended_master) { /* RFC 7627 section 4: up to and including ClientKeyExchange */
        struct sha256_state state = m->transcript;
        struct sha256 session_hash;
        sha256_final(&state, &session_hash);
        prf_sha256(&key, "extended master secret", span_of(session_hash.b, sizeof session_hash.b),
                   span_of(NULL, 0), master, sizeof master);
    } else {
        prf_sha256(&key, "master secret", span_of(m->client_random, RANDOM_BYTES),
                   span_of(m->server_random, RANDOM_BYTES), master, sizeof master);
    }
    hmac_key_init(&m->master, span_of(master, sizeof master));
    crypto_wipe(&key, sizeof key);
    crypto_wipe(master, sizeof master);
    keys_expand(m);
}

void keys_private(const struct machine *m, const char *use, struct sha256 *out) {
    hmac_sha256(span_of(m->entropy, sizeof m->entropy), span_text(use), out);
}

void keys_expand(struct machine *m) {
    uint8_t block[KEY_BLOCK_BYTES];
    prf_sha256(&m->master, "key expansion", span_of(m->server_random, RANDOM_BYTES),
               span_of(m->client_random, RANDOM_BYTES), block, sizeof block);
    struct dtls_session *session = &m->session;
    memcpy(m->is_server ? session->key_in : session->key_out, block, 16);
    memcpy(m->is_server ? session->key_out : session->key_in, block + 16, 16);
    memcpy(m->is_server ? session->salt_in : session->salt_out, block + 32, 4);
    memcpy(m->is_server ? session->salt_out : session->salt_in, block + 36, 4);
    session->seq_out_limit = DTLS_SEQUENCE_MAX;
    session->seq_in_limit = DTLS_SEQUENCE_MAX;
    session->is_server = m->is_server;
    session->suite = m->suite->id;
    session->epoch = 1;
    crypto_wipe(block, sizeof block);
}

size_t keys_psk_premaster(struct span psk, struct span shared, uint8_t out[PSK_PREMASTER_MAX]) {
    struct writer w = writer_of(out, PSK_PREMASTER_MAX);
    size_t other_len = shared.len > 0 ? shared.len : psk.len;
    writer_u16(&w, (uint16_t)other_len);
    if (shared.len > 0) {
        writer_bytes(&w, shared);
    } else {
        writer_zeroes(&w, other_len);
    }
    writer_u16(&w, (uint16_t)psk.len);
    writer_bytes(&w, psk);
    SW_CHECK(!w.failed);
    return w.at;
}

void keys_finished(const struct machine *m, bool of_server, const struct sha256 *transcript,
                   uint8_t out[FINISHED_BYTES]) {
    prf_sha256(&m->master, of_server ? "server finished" : "client finished",
               span_of(transcript->b, sizeof transcript->b), span_of(NULL, 0), out, FINISHED_BYTES);
}

void keys_exchange_digest(const struct machine *m, struct span parameters, struct sha256 *out) {
    struct sha256_state state;
    sha256_init(&state);
    sha256_update(&state, span_of(m->client_random, RANDOM_BYTES));
    sha256_update(&state, span_of(m->server_random, RANDOM_BYTES));
    sha256_update(&state, parameters);
    sha256_final(&state, out);
}
