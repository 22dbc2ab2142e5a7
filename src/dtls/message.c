#include "dtls/message.h"

#include "slipway/util/check.h"

#include "dtls/record.h"
#include "dtls/suite.h"

const char *alert_text(uint8_t description) {
    switch (description) {
    case ALERT_CLOSE_NOTIFY:
        return "peer's alert: close_notify";
    case ALERT_UNEXPECTED_MESSAGE:
        return "peer's alert: unexpected_message";
    case ALERT_HANDSHAKE_FAILURE:
        return "peer's alert: handshake_failure";
    case ALERT_BAD_CERTIFICATE:
        return "peer's alert: bad_certificate";
    case ALERT_UNSUPPORTED_CERTIFICATE:
        return "peer's alert: unsupported_certificate";
    case ALERT_CERTIFICATE_EXPIRED:
        return "peer's alert: certificate_expired";
    case ALERT_CERTIFICATE_UNKNOWN:
        return "peer's alert: certificate_unknown";
    case ALERT_ILLEGAL_PARAMETER:
        return "peer's alert: illegal_parameter";
    case ALERT_UNKNOWN_CA:
        return "peer's alert: unknown_ca";
    case ALERT_DECODE_ERROR:
        return "peer's alert: decode_error";
    case ALERT_DECRYPT_ERROR:
        return "peer's alert: decrypt_error";
    case ALERT_PROTOCOL_VERSION:
        return "peer's alert: protocol_version";
    case ALERT_INTERNAL_ERROR:
        return "peer's alert: internal_error";
    default:
        return "peer's alert: another one";
    }
}

bool fragment_read(struct reader *r, struct fragment *out) {
    out->type = reader_u8(r);
    out->message_len = reader_u24(r);
    out->message_seq = reader_u16(r);
    out->offset = reader_u24(r);
    uint32_t len = reader_u24(r);
    out->bytes = reader_bytes(r, len);
    if (out->offset > out->message_len || len > out->message_len - out->offset) {
        reader_fail(r, "fragment reaches past its message");
    }
    return !r->failed;
}

void message_header(uint8_t out[MESSAGE_HEADER_BYTES], uint8_t type, uint16_t message_seq,
                    size_t len) {
    struct writer w = writer_of(out, MESSAGE_HEADER_BYTES);
    writer_u8(&w, type);
    writer_u24(&w, (uint32_t)len);
    writer_u16(&w, message_seq);
    writer_u24(&w, 0);
    writer_u24(&w, (uint32_t)len);
}

static bool list8_has(struct span list, uint8_t value) {
    for (size_t i = 0; i < list.len; i++) {
        if (list.data[i] == value) {
            return true;
        }
    }
    return false;
}

bool list16_has(struct span list, uint16_t value) {
    for (size_t i = 0; i + 1 < list.len; i += 2) {
        if (list.data[i] == value >> 8 && list.data[i + 1] == (value & 0xff)) {
            return true;
        }
    }
    return false;
}

bool client_hello_offers(const struct client_hello *hello, uint16_t suite) {
    return list16_has(hello->suites, suite);
}

static struct span even_list16(struct reader *r) {
    struct span list = reader_vector16(r);
    if (list.len % 2 != 0 || list.len == 0) {
        reader_fail(r, "list of an odd or no length");
    }
    return list;
}

static struct span filled_list8(struct reader *r) {
    struct span list = reader_vector8(r);
    if (list.len == 0) {
        reader_fail(r, "empty list");
    }
    return list;
}

/* The renegotiated_connection of a first handshake is empty (RFC 5746 sections 3.4, 3.6). */
static void expect_no_renegotiation(struct reader *r) {
    if (reader_vector8(r).len != 0) {
        reader_fail(r, "renegotiation is not spoken");
    }
}

/* A client's wish may be declined (RFC 9146 section 3): one for longer ids than we keep is as if
 * it had none. */
static struct span cid_wanted(struct reader *r) {
    struct span cid = reader_vector8(r);
    return cid.len > DTLS_CID_BYTES_MAX ? span_of(NULL, 0) : cid;
}

/* A server's must be met. */
static struct span cid_demanded(struct reader *r) {
    struct span cid = reader_vector8(r);
    if (cid.len > DTLS_CID_BYTES_MAX) {
        reader_fail(r, "connection id too long");
    }
    return cid;
}

static void client_extension(uint16_t type, struct reader *r, void *hello) {
    struct client_hello *out = hello;
    struct span list;
    switch (type) {
    case EXTENSION_GROUPS:
        out->has_groups = true;
        out->has_p256 = list16_has(even_list16(r), GROUP_P256);
        return;
    case EXTENSION_POINT_FORMATS:
        out->has_point_formats = true;
        if (!list8_has(filled_list8(r), 0)) { /* RFC 8422 section 5.1.2: uncompressed is a must */
            reader_fail(r, "no uncompressed points");
        }
        return;
    case EXTENSION_SIGNATURES:
        list = even_list16(r);
        out->has_ecdsa_sha256 = list16_has(list, SIGNATURE_ECDSA_SHA256);
        out->has_ecdsa_sha224 = list16_has(list, SIGNATURE_ECDSA_SHA224);
        return;
    case EXTENSION_CLIENT_TYPE:
        list = filled_list8(r);
        out->has_client_type = true;
        out->client_raw = list8_has(list, CERTIFICATE_RAW);
        out->client_x509 = list8_has(list, CERTIFICATE_X509);
        return;
    case EXTENSION_SERVER_TYPE:
        list = filled_list8(r);
        out->has_server_type = true;
        out->server_raw = list8_has(list, CERTIFICATE_RAW);
        out->server_x509 = list8_has(list, CERTIFICATE_X509);
        return;
    case EXTENSION_EXTENDED_MASTER:
        out->has_extended_master = true;
        return;
    case EXTENSION_CID:
        out->cid = cid_wanted(r);
        return;
    case EXTENSION_CID_DRAFT:
        out->cid_draft = cid_wanted(r);
        return;
    case EXTENSION_RENEGOTIATION:
        out->has_renegotiation = true;
        out->has_renegotiation_extension = true;
        expect_no_renegotiation(r);
        return;
    default:
        (void)reader_rest(r); /* RFC 5246 section 7.4.1.4: unknown ones are ignored */
        return;
    }
}

/* Each type at most once (RFC 5246 section 7.4.1.4). Hostile hellos could hold hundreds, so known
 * types are a bit each and unknown ones may repeat. */
static bool is_repeated(uint16_t type, uint32_t *seen) {
    static const uint16_t known[] = {
        EXTENSION_GROUPS,      EXTENSION_POINT_FORMATS, EXTENSION_SIGNATURES,
        EXTENSION_CLIENT_TYPE, EXTENSION_SERVER_TYPE,   EXTENSION_EXTENDED_MASTER,
        EXTENSION_CID,         EXTENSION_CID_DRAFT,     EXTENSION_RENEGOTIATION};
    for (size_t i = 0; i < SW_COUNT(known); i++) {
        if (known[i] == type) {
            uint32_t bit = UINT32_C(1) << i;
            bool repeated = (*seen & bit) != 0;
            *seen |= bit;
            return repeated;
        }
    }
    return false;
}

/* Reads one extension of the block; false at its end or after a failure. */
static bool next_extension(struct reader *block, uint32_t *seen, uint16_t *type,
                           struct reader *body) {
    if (reader_left(block) == 0) {
        return false;
    }
    *type = reader_u16(block);
    *body = reader_of(reader_vector16(block));
    if (is_repeated(*type, seen)) {
        reader_fail(block, "extension given twice");
    }
    return !block->failed;
}

typedef void extension_fn(uint16_t type, struct reader *body, void *hello);

/* The extensions at the end of a hello, if there are any (RFC 5246 section 7.4.1.4). */
static void read_extensions(struct reader *r, extension_fn *take, void *hello) {
    if (reader_left(r) == 0) {
        return;
    }
    struct reader block = reader_of(reader_vector16(r));
    uint32_t seen = 0;
    uint16_t type;
    struct reader extension;
    while (reader_status(r) == SW_OK && next_extension(&block, &seen, &type, &extension)) {
        take(type, &extension, hello);
        if (reader_end(&extension) != SW_OK) {
            reader_fail(r, extension.why);
        }
    }
    if (block.failed) {
        reader_fail(r, block.why);
    }
}

int client_hello_parse(struct span body, struct client_hello *out, const char **why) {
    *out = (struct client_hello){
        .has_p256 = true, .has_ecdsa_sha256 = true, .client_x509 = true, .server_x509 = true};
    struct reader r = reader_of(body);
    out->version = reader_u16(&r);
    out->random = reader_bytes(&r, RANDOM_BYTES);
    out->session_id = reader_vector8(&r);
    if (out->session_id.len > SESSION_ID_MAX) {
        reader_fail(&r, "session id too long");
    }
    out->before_cookie = span_of(body.data, r.at);
    out->cookie = reader_vector8(&r);
    size_t cookie_end = r.at;
    out->suites = even_list16(&r);
    if (!list8_has(filled_list8(&r), 0)) {
        reader_fail(&r, "no null compression");
    }
    read_extensions(&r, client_extension, out);
    int status = reader_end(&r);
    *why = r.why;
    if (status == SW_OK) {
        out->after_cookie = span_of(body.data + cookie_end, body.len - cookie_end);
        out->has_renegotiation =
            out->has_renegotiation || client_hello_offers(out, SUITE_RENEGOTIATION_SCSV);
    }
    return status;
}

/* Exactly one type was chosen by the server (RFC 7250 section 4.2). */
static uint8_t chosen_type(struct reader *r) {
    uint8_t type = reader_u8(r);
    if (type != CERTIFICATE_RAW && type != CERTIFICATE_X509) {
        reader_fail(r, "unknown certificate type");
    }
    return type;
}

static void server_extension(uint16_t type, struct reader *r, void *hello) {
    struct server_hello *out = hello;
    switch (type) {
    case EXTENSION_POINT_FORMATS:
        if (!list8_has(filled_list8(r), 0)) {
            reader_fail(r, "no uncompressed points");
        }
        return;
    case EXTENSION_CLIENT_TYPE:
        out->has_client_type = true;
        out->client_type = chosen_type(r);
        return;
    case EXTENSION_SERVER_TYPE:
        out->has_server_type = true;
        out->server_type = chosen_type(r);
        return;
    case EXTENSION_EXTENDED_MASTER:
        out->has_extended_master = true;
        return;
    case EXTENSION_CID:
    case EXTENSION_CID_DRAFT:
        if (out->cid_form != DTLS_CID_NONE) {
            reader_fail(r, "both forms of connection ids");
        }
        out->cid = cid_demanded(r);
        out->cid_form = type == EXTENSION_CID ? DTLS_CID_RFC9146 : DTLS_CID_DRAFT05;
        return;
    case EXTENSION_RENEGOTIATION:
        out->has_renegotiation = true;
        expect_no_renegotiation(r);
        return;
    default: /* RFC 5246 section 7.4.1.4: a server answers only what was asked */
        reader_fail(r, "extension that was not asked for");
        return;
    }
}

int server_hello_parse(struct span body, struct server_hello *out, const char **why) {
    *out = (struct server_hello){.client_type = CERTIFICATE_X509, .server_type = CERTIFICATE_X509};
    struct reader r = reader_of(body);
    if (reader_u16(&r) != DTLS_VERSION_12) {
        reader_fail(&r, "version is not DTLS 1.2");
    }
    out->random = reader_bytes(&r, RANDOM_BYTES);
    out->session_id = reader_vector8(&r);
    if (out->session_id.len > SESSION_ID_MAX) {
        reader_fail(&r, "session id too long");
    }
    out->suite = reader_u16(&r);
    if (reader_u8(&r) != 0) {
        reader_fail(&r, "compression");
    }
    read_extensions(&r, server_extension, out);
    int status = reader_end(&r);
    *why = r.why;
    return status;
}
