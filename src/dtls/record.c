/* Records of an established session. Nothing is kept here but two shared cipher contexts: all state
 * is in the session, a plain value, so that a hundred thousand of them cost their bytes and no
 * more.
 *
 * Three forms differ only in their header and in what the AEAD authenticates beside the content.
 * After the header each has: length, explicit nonce, text, tag.
 *
 *   plain     header: type fefd epoch seq      authenticated: epoch seq type fefd len
 *   draft-05  header: 25 fefd epoch seq cid    authenticated: epoch seq 25 fefd cid cidlen len
 *   RFC 9146  header: 25 fefd epoch seq cid
 *             authenticated: ff*8 25 cidlen 25 fefd epoch seq cid len
 *
 * where the text of the last two is content, real type and zeroes. */
#include "dtls/record.h"

#include "dtls/message.h"
#include "dtls/suite.h"
#include "dtls/window.h"
#include "slipway/crypto/secret.h"
#include "slipway/util/check.h"
#include "slipway/util/reader.h"

#define ASSOCIATED_MAX 40
/* Device OS pads what it sends to this (and so hides lengths); we do the same in its form. */
#define DRAFT05_PADDING ((size_t)16)

struct dtls_crypto *dtls_crypto_new(void) {
    struct dtls_crypto *crypto = crypto_alloc(sizeof *crypto);
    if (crypto == NULL) {
        return NULL;
    }
    crypto->worker = crypto_worker_new();
    if (crypto->worker == NULL) {
        dtls_crypto_free(crypto);
        return NULL;
    }
    return crypto;
}

void dtls_crypto_free(struct dtls_crypto *crypto) {
    if (crypto != NULL) {
        crypto_worker_free(crypto->worker);
        crypto_free(crypto, sizeof *crypto);
    }
}

int record_parse(struct span datagram, size_t cid_len, struct record *out) {
    struct reader r = reader_of(datagram);
    *out = (struct record){0};
    out->type = reader_u8(&r);
    out->version = reader_u16(&r);
    out->epoch = reader_u16(&r);
    out->sequence = reader_u48(&r);
    if (out->type == DTLS_CID || out->type == DTLS_CID_MOVED) {
        out->cid = reader_bytes(&r, cid_len);
    }
    out->fragment = reader_vector16(&r);
    out->consumed = r.at;
    return reader_status(&r);
}

void record_header(struct writer *w, uint8_t type, uint16_t version, uint64_t epoch_sequence,
                   size_t len) {
    writer_u8(w, type);
    writer_u16(w, version);
    writer_u64(w, epoch_sequence);
    writer_u16(w, (uint16_t)len);
}

static uint64_t epoch_sequence_of(const struct dtls_session *session, uint64_t sequence) {
    return (uint64_t)session->epoch << 48 | sequence;
}

/* text_len counts what is encrypted: for records with a cid, type and padding too. */
static struct span associate(uint8_t buffer[ASSOCIATED_MAX], enum dtls_cid_form form,
                             uint64_t epoch_sequence, uint8_t type, struct span cid,
                             size_t text_len) {
    struct writer w = writer_of(buffer, ASSOCIATED_MAX);
    if (cid.len == 0) { /* RFC 5246 section 6.2.3.3 */
        writer_u64(&w, epoch_sequence);
        writer_u8(&w, type);
        writer_u16(&w, DTLS_VERSION_12);
    } else if (form == DTLS_CID_DRAFT05) { /* draft-ietf-tls-dtls-connection-id-05 section 5 */
        writer_u64(&w, epoch_sequence);
        writer_u8(&w, DTLS_CID);
        writer_u16(&w, DTLS_VERSION_12);
        writer_bytes(&w, cid);
        writer_u8(&w, (uint8_t)cid.len);
    } else { /* RFC 9146 section 5.3 */
        writer_u64(&w, UINT64_MAX);
        writer_u8(&w, DTLS_CID);
        writer_u8(&w, (uint8_t)cid.len);
        writer_u8(&w, DTLS_CID);
        writer_u16(&w, DTLS_VERSION_12);
        writer_u64(&w, epoch_sequence);
        writer_bytes(&w, cid);
    }
    writer_u16(&w, (uint16_t)text_len);
    SW_CHECK(!w.failed);
    return writer_span(&w);
}

static void nonce_of(const uint8_t salt[4], const uint8_t explicit_part[RECORD_EXPLICIT_BYTES],
                     uint8_t out[AEAD_NONCE_BYTES]) {
    memcpy(out, salt, 4);
    memcpy(out + 4, explicit_part, RECORD_EXPLICIT_BYTES);
}

static bool has_form_of(const struct record *record, const struct dtls_session *session) {
    if (record->version != DTLS_VERSION_12 || record->epoch != session->epoch) {
        return false;
    }
    switch (record->type) {
    case DTLS_CHANGE_CIPHER_SPEC:
    case DTLS_ALERT:
    case DTLS_HANDSHAKE:
    case DTLS_APPLICATION_DATA:
    case DTLS_MOVED_30:
        /* RFC 9146 section 3: once an id is agreed on, protected records without it are not ours.
         */
        return session->cid_in_len == 0;
    case DTLS_CID:
    case DTLS_CID_MOVED:
        return session->cid_in_len != 0 && record->cid.len == session->cid_in_len &&
               memcmp(record->cid.data, session->cid_in, record->cid.len) == 0;
    default:
        return false;
    }
}

/* RFC 9146 section 4: the type is the last byte that is not zero. 0 if there is none. */
static uint8_t strip_padding(struct span *text) {
    while (text->len > 0 && text->data[text->len - 1] == 0) {
        text->len--;
    }
    if (text->len == 0) {
        return 0;
    }
    text->len--;
    return text->data[text->len];
}

int dtls_open(struct dtls_crypto *crypto, struct dtls_session *session, struct span datagram,
              uint8_t *plain, size_t cap, struct dtls_opened *out) {
    struct record record;
    *out = (struct dtls_opened){.consumed = datagram.len};
    if (record_parse(datagram, session->cid_in_len, &record) != SW_OK) {
        return SW_E_INPUT;
    }
    out->consumed = record.consumed;
    out->sequence = record.sequence;
    const struct suite *suite = suite_find(session->suite);
    if (suite == NULL || !has_form_of(&record, session)) {
        return SW_E_INPUT;
    }
    uint8_t type = record.type;
    if (type == DTLS_MOVED_30) {
        if (datagram.len - record.consumed != MOVED_30_TAIL) {
            return SW_E_INPUT;
        }
        out->consumed = datagram.len;
        type = DTLS_APPLICATION_DATA;
    }
    size_t added = RECORD_EXPLICIT_BYTES + aead_tag_bytes(suite->aead);
    if (record.fragment.data == NULL || record.fragment.len < added ||
        record.fragment.len - added > cap || record.fragment.len - added > DTLS_RECORD_MAX) {
        return SW_E_INPUT;
    }
    if (!window_is_new(session, record.sequence)) {
        return SW_E_REPLAY;
    }
    struct span text = span_of(plain, record.fragment.len - added);
    uint8_t nonce[AEAD_NONCE_BYTES], associated[ASSOCIATED_MAX];
    nonce_of(session->salt_in, record.fragment.data, nonce);
    struct aead_use use = {
        .aead = suite->aead,
        .key = session->key_in,
        .nonce = nonce,
        .associated =
            associate(associated, (enum dtls_cid_form)session->cid_form,
                      epoch_sequence_of(session, record.sequence), type, record.cid, text.len),
    };
    int status = aead_open(crypto->worker, &use,
                           span_of(record.fragment.data + RECORD_EXPLICIT_BYTES,
                                   record.fragment.len - RECORD_EXPLICIT_BYTES),
                           plain);
    if (status != SW_OK) {
        return status;
    }
    if (record.sequence >= session->seq_in_limit) {
        return SW_E_LIMIT;
    }
    out->is_newest = record.sequence >= session->seq_in_top;
    window_mark(session, record.sequence);
    if (record.cid.len > 0) {
        type = strip_padding(&text);
        if (type < DTLS_CHANGE_CIPHER_SPEC || type > DTLS_APPLICATION_DATA) {
            return SW_E_INPUT;
        }
    }
    out->type = type;
    out->content = text;
    return SW_OK;
}

static size_t padded_len(const struct dtls_session *session, size_t content_len) {
    if (session->cid_out_len == 0) {
        return content_len;
    }
    size_t len = content_len + 1;
    return session->cid_form != DTLS_CID_DRAFT05
               ? len
               : (len + DRAFT05_PADDING - 1) / DRAFT05_PADDING * DRAFT05_PADDING;
}

static int seal(struct dtls_crypto *crypto, struct dtls_session *session, uint8_t type,
                uint8_t cid_type, struct span content, struct writer *out) {
    const struct suite *suite = suite_find(session->suite);
    SW_CHECK(suite != NULL && session->epoch > 0);
    if (content.len > DTLS_RECORD_MAX - 64) {
        return SW_E_RANGE;
    }
    if (session->seq_out >= session->seq_out_limit || session->seq_out >= DTLS_SEQUENCE_MAX) {
        return SW_E_LIMIT;
    }
    size_t tag_bytes = aead_tag_bytes(suite->aead);
    struct span cid = span_of(session->cid_out, session->cid_out_len);
    size_t text_len = padded_len(session, content.len);
    size_t fragment_len = RECORD_EXPLICIT_BYTES + text_len + tag_bytes;
    if (writer_room(out) < RECORD_HEADER_BYTES + cid.len + fragment_len) {
        return SW_E_FULL;
    }
    uint64_t epoch_sequence = epoch_sequence_of(session, session->seq_out);
    size_t start = out->at;
    writer_u8(out, cid.len > 0 ? cid_type : type);
    writer_u16(out, DTLS_VERSION_12);
    writer_u64(out, epoch_sequence);
    writer_bytes(out, cid);
    writer_u16(out, (uint16_t)fragment_len);
    uint8_t *fragment = out->data + out->at;
    writer_u64(out, epoch_sequence);
    uint8_t *text = writer_reserve(out, text_len + tag_bytes);
    SW_CHECK(text != NULL);
    if (content.len > 0) {
        memcpy(text, content.data, content.len);
    }
    if (cid.len > 0) {
        text[content.len] = type;
        memset(text + content.len + 1, 0, text_len - content.len - 1);
    }
    uint8_t nonce[AEAD_NONCE_BYTES], associated[ASSOCIATED_MAX];
    nonce_of(session->salt_out, fragment, nonce);
    struct aead_use use = {
        .aead = suite->aead,
        .key = session->key_out,
        .nonce = nonce,
        .associated = associate(associated, (enum dtls_cid_form)session->cid_form, epoch_sequence,
                                type, cid, text_len),
    };
    /* Counted before the cipher runs: a number is spent even if libcrypto fails half-way. */
    session->seq_out++;
    int status = aead_seal_record(crypto->worker, &use, fragment, text_len);
    if (status != SW_OK) {
        out->at = start;
    }
    return status;
}

int dtls_seal(struct dtls_crypto *crypto, struct dtls_session *session, uint8_t type,
              struct span content, struct writer *out) {
    return seal(crypto, session, type, DTLS_CID, content, out);
}

int dtls_seal_moved(struct dtls_crypto *crypto, struct dtls_session *session, uint8_t type,
                    struct span content, struct writer *out) {
    return seal(crypto, session, type, DTLS_CID_MOVED, content, out);
}

int dtls_seal_close(struct dtls_crypto *crypto, struct dtls_session *session, struct writer *out) {
    static const uint8_t close_notify[ALERT_BYTES] = {ALERT_WARNING, ALERT_CLOSE_NOTIFY};
    return dtls_seal(crypto, session, DTLS_ALERT, span_of(close_notify, ALERT_BYTES), out);
}

bool dtls_is_end(const struct dtls_opened *opened) {
    return opened->type == DTLS_ALERT && opened->content.len == ALERT_BYTES &&
           (opened->content.data[0] == ALERT_FATAL ||
            opened->content.data[1] == ALERT_CLOSE_NOTIFY);
}

static bool wants_handshake(const struct dtls_session *session, const struct dtls_opened *opened) {
    uint8_t type = session->is_server ? MESSAGE_CLIENT_HELLO : MESSAGE_HELLO_REQUEST;
    return opened->type == DTLS_HANDSHAKE && opened->content.len >= MESSAGE_HEADER_BYTES &&
           opened->content.data[0] == type;
}

int dtls_seal_answer(struct dtls_crypto *crypto, struct dtls_session *session,
                     const struct dtls_opened *opened, struct writer *out) {
    static const uint8_t no_renegotiation[ALERT_BYTES] = {ALERT_WARNING, ALERT_NO_RENEGOTIATION};
    if (opened->type == DTLS_ALERT && opened->content.len == ALERT_BYTES &&
        opened->content.data[1] == ALERT_CLOSE_NOTIFY) {
        return dtls_seal_close(crypto, session, out);
    }
    if (opened->is_newest && wants_handshake(session, opened)) {
        return dtls_seal(crypto, session, DTLS_ALERT, span_of(no_renegotiation, ALERT_BYTES), out);
    }
    return SW_E_NOT_FOUND;
}

size_t dtls_overhead(const struct dtls_session *session) {
    const struct suite *suite = suite_find(session->suite);
    size_t tag_bytes = AEAD_TAG_MAX;
    size_t padding = 0;
    if (suite != NULL) {
        tag_bytes = aead_tag_bytes(suite->aead);
    }
    if (session->cid_out_len > 0) {
        padding = padded_len(session, DRAFT05_PADDING) - DRAFT05_PADDING;
    }
    return padding + tag_bytes + session->cid_out_len + RECORD_HEADER_BYTES + RECORD_EXPLICIT_BYTES;
}
