/* The stored form of a session: what must outlive the process, in fixed order behind a version. */
#include "session/work.h"

#include "slipway/crypto/secret.h"
#include "slipway/util/check.h"
#include "slipway/util/reader.h"

#define STORED_VERSION 3
#define STORED_CERTAIN 2 /* without the doubt: there was none to be had */
#define STORED_FIRST   1 /* without the ping interval and the round trip */
#define TOKEN_JUMP     64
#define FLAG_KNOWN     0x01
#define FLAG_ENABLED   0x02
#define FLAG_FORCED    0x04
#define FLAG_TRUSTED   0x08

int session_encode(const struct session *session, const struct session_reserve *limits,
                   struct writer *out) {
    struct dtls_session dtls = session->dtls;
    uint16_t id = session->coap_id;
    uint8_t token = session->coap_token;
    uint64_t certain = dtls.seq_in_top - session->doubt;
    if (limits != NULL) {
        /* Everything below the limits counts as used, in both directions. */
        SW_CHECK(limits->seq_out_limit >= dtls.seq_out && limits->seq_in_limit >= dtls.seq_in_top);
        dtls.seq_out = limits->seq_out_limit;
        if (limits->seq_in_limit > dtls.seq_in_top) {
            dtls.seq_in_top = limits->seq_in_limit;
            dtls.seq_in_window = UINT64_MAX;
        }
    }
    /* Who waits in doubt accepts nothing and asks nothing: a life of that kind leaves the ids to
     * the next one, however many follow each other. Any other has ids of its own, as an answer to
     * its knocks proves nothing to the next. */
    if (limits != NULL && !limits->is_waiting) {
        id = (uint16_t)((id + OUT_BLOCK_MAX + KNOCK_IDS) % SESSION_CHUNK_ID_FIRST);
        token = (uint8_t)(token + TOKEN_JUMP);
    }
    uint64_t doubt = dtls.seq_in_top - certain;
    dtls.seq_out_limit = dtls.seq_out;
    dtls.seq_in_limit = dtls.seq_in_top;
    writer_u8(out, STORED_VERSION);
    size_t place = writer_open(out, 1);
    int status = dtls_session_encode(&dtls, out);
    crypto_wipe(&dtls, sizeof dtls);
    if (status != SW_OK) {
        return status;
    }
    writer_close(out, place, 1);
    writer_bytes(out, span_of(session->peer.ip, sizeof session->peer.ip));
    writer_u16(out, session->peer.port);
    writer_bytes(out, span_of(session->device.b, sizeof session->device.b));
    writer_u8(out, (uint8_t)((session->is_known ? FLAG_KNOWN : 0) |
                             (session->updates_enabled ? FLAG_ENABLED : 0) |
                             (session->updates_forced ? FLAG_FORCED : 0) |
                             (session->is_trusted ? FLAG_TRUSTED : 0)));
    writer_u16(out, session->hello_flags);
    writer_u16(out, session->message_max);
    writer_u16(out, session->chunk_bytes);
    writer_u32(out, session->binary_max);
    writer_u16(out, id);
    writer_u8(out, token);
    writer_u16(out, session->ping_s);
    writer_u16(out, session->rtt_ms);
    writer_u16(out, (uint16_t)(doubt < UINT16_MAX ? doubt : UINT16_MAX));
    return writer_status(out);
}

int session_decode(struct span stored, mono_time now, struct session *out) {
    struct reader r = reader_of(stored);
    struct dtls_session dtls;
    struct address peer;
    *out = (struct session){0};
    uint8_t version = reader_u8(&r);
    if (version < STORED_FIRST || version > STORED_VERSION) {
        return stored.len == 0 ? SW_E_INPUT : SW_E_VERSION;
    }
    int status = dtls_session_decode(reader_vector8(&r), &dtls);
    if (status != SW_OK) {
        return status;
    }
    reader_copy(&r, peer.ip, sizeof peer.ip);
    peer.port = reader_u16(&r);
    struct session session;
    session_init(&session, &dtls, &peer, now);
    reader_copy(&r, session.device.b, sizeof session.device.b);
    uint8_t flags = reader_u8(&r);
    session.is_known = (flags & FLAG_KNOWN) != 0;
    session.updates_enabled = (flags & FLAG_ENABLED) != 0;
    session.updates_forced = (flags & FLAG_FORCED) != 0;
    session.is_trusted = (flags & FLAG_TRUSTED) != 0;
    session.hello_flags = reader_u16(&r);
    session.message_max = reader_u16(&r);
    session.chunk_bytes = reader_u16(&r);
    session.binary_max = reader_u32(&r);
    session.coap_id = reader_u16(&r) % SESSION_CHUNK_ID_FIRST;
    session.coap_token = reader_u8(&r);
    session.ping_s = version == STORED_FIRST ? 0 : reader_u16(&r);
    session.rtt_ms = version == STORED_FIRST ? 0 : reader_u16(&r);
    session.doubt = version < STORED_VERSION ? 0 : reader_u16(&r);
    session.is_doubtful = session.doubt > 0;
    session.is_resumed = true;
    session.seq_in_stride = STRIDE_RESTORED;
    status = reader_end(&r);
    if (status == SW_OK) {
        *out = session;
    }
    crypto_wipe(&session, sizeof session);
    crypto_wipe(&dtls, sizeof dtls);
    return status;
}
