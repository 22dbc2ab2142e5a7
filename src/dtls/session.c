/* The stored form of a session: fixed order, big-endian, behind a version byte. */
#include "slipway/dtls/session.h"
#include "dtls/suite.h"
#include "slipway/util/reader.h"

#define STORED_VERSION 1

/* Limits past the last number mean the last number: cut to 48 bits they would mean another. */
static void write_limit(struct writer *w, uint64_t limit) {
    writer_u48(w, limit < DTLS_SEQUENCE_MAX ? limit : DTLS_SEQUENCE_MAX);
}

int dtls_session_encode(const struct dtls_session *session, struct writer *out) {
    writer_u8(out, STORED_VERSION);
    writer_u8(out, session->is_server);
    writer_u16(out, session->suite);
    writer_u16(out, session->epoch);
    writer_bytes(out, span_of(session->key_in, sizeof session->key_in));
    writer_bytes(out, span_of(session->key_out, sizeof session->key_out));
    writer_bytes(out, span_of(session->salt_in, sizeof session->salt_in));
    writer_bytes(out, span_of(session->salt_out, sizeof session->salt_out));
    writer_u48(out, session->seq_out);
    write_limit(out, session->seq_out_limit);
    writer_u48(out, session->seq_in_top);
    writer_u64(out, session->seq_in_window);
    write_limit(out, session->seq_in_limit);
    writer_u8(out, session->cid_form);
    writer_u8(out, session->cid_in_len);
    writer_bytes(out, span_of(session->cid_in, session->cid_in_len));
    writer_u8(out, session->cid_out_len);
    writer_bytes(out, span_of(session->cid_out, session->cid_out_len));
    return writer_status(out);
}

static void read_cid(struct reader *r, uint8_t *out, size_t cap, uint8_t *len) {
    struct span cid = reader_vector8(r);
    if (cid.len > cap) {
        reader_fail(r, "connection id too long");
        return;
    }
    if (cid.len > 0) {
        memcpy(out, cid.data, cid.len);
    }
    *len = (uint8_t)cid.len;
}

static bool is_sound(const struct dtls_session *session) {
    bool has_cid = session->cid_in_len > 0 || session->cid_out_len > 0;
    bool known_form = session->cid_form == DTLS_CID_NONE || session->cid_form == DTLS_CID_RFC9146 ||
                      session->cid_form == DTLS_CID_DRAFT05;
    return session->is_server <= 1 && session->epoch == 1 && suite_find(session->suite) != NULL &&
           known_form && (!has_cid || session->cid_form != DTLS_CID_NONE) &&
           session->seq_out <= session->seq_out_limit &&
           session->seq_in_top <= session->seq_in_limit;
}

int dtls_session_decode(struct span stored, struct dtls_session *out) {
    *out = (struct dtls_session){0};
    struct dtls_session session = {0};
    struct reader r = reader_of(stored);
    if (reader_u8(&r) != STORED_VERSION) {
        return stored.len == 0 ? SW_E_INPUT : SW_E_VERSION;
    }
    session.is_server = reader_u8(&r);
    session.suite = reader_u16(&r);
    session.epoch = reader_u16(&r);
    reader_copy(&r, session.key_in, sizeof session.key_in);
    reader_copy(&r, session.key_out, sizeof session.key_out);
    reader_copy(&r, session.salt_in, sizeof session.salt_in);
    reader_copy(&r, session.salt_out, sizeof session.salt_out);
    session.seq_out = reader_u48(&r);
    session.seq_out_limit = reader_u48(&r);
    session.seq_in_top = reader_u48(&r);
    session.seq_in_window = reader_u64(&r);
    session.seq_in_limit = reader_u48(&r);
    session.cid_form = reader_u8(&r);
    read_cid(&r, session.cid_in, sizeof session.cid_in, &session.cid_in_len);
    read_cid(&r, session.cid_out, sizeof session.cid_out, &session.cid_out_len);
    int status = reader_end(&r);
    if (status == SW_OK && !is_sound(&session)) {
        status = SW_E_RANGE;
    }
    if (status == SW_OK) {
        *out = session;
    }
    return status;
}
