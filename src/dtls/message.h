/* Handshake messages (RFC 5246 section 7.4, RFC 6347 section 4.2.2): numbers, header, ClientHello.
 */
#ifndef DTLS_MESSAGE_H
#define DTLS_MESSAGE_H

#include "slipway/dtls/session.h"
#include "slipway/util/reader.h"

enum message_type {
    MESSAGE_HELLO_REQUEST = 0,
    MESSAGE_CLIENT_HELLO = 1,
    MESSAGE_SERVER_HELLO = 2,
    MESSAGE_HELLO_VERIFY_REQUEST = 3,
    MESSAGE_CERTIFICATE = 11,
    MESSAGE_SERVER_KEY_EXCHANGE = 12,
    MESSAGE_CERTIFICATE_REQUEST = 13,
    MESSAGE_SERVER_HELLO_DONE = 14,
    MESSAGE_CERTIFICATE_VERIFY = 15,
    MESSAGE_CLIENT_KEY_EXCHANGE = 16,
    MESSAGE_FINISHED = 20
};

enum extension {
    EXTENSION_GROUPS = 10,           /* RFC 8422 */
    EXTENSION_POINT_FORMATS = 11,    /* RFC 8422 */
    EXTENSION_SIGNATURES = 13,       /* RFC 5246 */
    EXTENSION_CLIENT_TYPE = 19,      /* RFC 7250 */
    EXTENSION_SERVER_TYPE = 20,      /* RFC 7250 */
    EXTENSION_EXTENDED_MASTER = 23,  /* RFC 7627 */
    EXTENSION_CID = 54,              /* RFC 9146 */
    EXTENSION_CID_DRAFT = 254,       /* as Device OS numbers it */
    EXTENSION_RENEGOTIATION = 0xff01 /* RFC 5746 */
};

#define CERTIFICATE_X509       0
#define CERTIFICATE_RAW        2
#define GROUP_P256             23
#define CURVE_NAMED            3
#define SIGNATURE_ECDSA_SHA224 0x0303
#define SIGNATURE_ECDSA_SHA256 0x0403
#define SIGNATURE_ECDSA_SHA384 0x0503
#define CERTIFICATE_KIND_ECDSA 64
#define MESSAGE_HEADER_BYTES   12
#define FINISHED_BYTES         12
#define RANDOM_BYTES           32
#define SESSION_ID_MAX         32
#define MASTER_BYTES           48
#define COOKIE_BYTES           32

enum alert {
    ALERT_CLOSE_NOTIFY = 0,
    ALERT_UNEXPECTED_MESSAGE = 10,
    ALERT_HANDSHAKE_FAILURE = 40,
    ALERT_BAD_CERTIFICATE = 42,
    ALERT_UNSUPPORTED_CERTIFICATE = 43,
    ALERT_CERTIFICATE_EXPIRED = 45,
    ALERT_CERTIFICATE_UNKNOWN = 46,
    ALERT_ILLEGAL_PARAMETER = 47,
    ALERT_UNKNOWN_CA = 48,
    ALERT_DECODE_ERROR = 50,
    ALERT_DECRYPT_ERROR = 51,
    ALERT_PROTOCOL_VERSION = 70,
    ALERT_INTERNAL_ERROR = 80,
    ALERT_NO_RENEGOTIATION = 100,
    ALERT_UNSUPPORTED_EXTENSION = 110
};

#define ALERT_BYTES   2
#define ALERT_WARNING 1
#define ALERT_FATAL   2
/* Static text such as "peer's alert: decrypt_error". */
const char *alert_text(uint8_t description);

/* One fragment of a handshake message. */
struct fragment {
    uint8_t type;
    uint32_t message_len;
    uint16_t message_seq;
    uint32_t offset;
    struct span bytes;
};

/* Reads the next fragment; false (and the reader failed) if it is malformed: fragments that reach
 * past their message's length among them. */
bool fragment_read(struct reader *r, struct fragment *out);
/* The header of a whole message, as transcripts want it (RFC 6347 section 4.2.6). */
void message_header(uint8_t out[MESSAGE_HEADER_BYTES], uint8_t type, uint16_t message_seq,
                    size_t len);

/* A ClientHello; spans borrow from the message. */
struct client_hello {
    uint16_t version;
    struct span random; /* RANDOM_BYTES */
    struct span session_id, cookie;
    struct span suites;                      /* pairs of bytes */
    struct span before_cookie, after_cookie; /* what a cookie is bound to */
    struct span cid, cid_draft;              /* wanted for our records; data NULL = not offered, or
                                                declined */
    bool has_p256;                           /* or says nothing of groups */
    bool has_ecdsa_sha256;                   /* or says nothing of signatures */
    bool has_ecdsa_sha224;                   /* and says so */
    bool has_groups, has_point_formats, has_server_type, has_client_type;
    bool has_extended_master;
    bool has_renegotiation; /* by extension or SCSV */
    bool has_renegotiation_extension;
    bool client_raw, client_x509, server_raw,
        server_x509; /* X.509 unless the lists say otherwise */
};

int client_hello_parse(struct span body, struct client_hello *out, const char **why) SW_NODISCARD;
bool list16_has(struct span list, uint16_t value);
bool client_hello_offers(const struct client_hello *hello, uint16_t suite);

/* A ServerHello; spans borrow from the message. */
struct server_hello {
    struct span random, session_id;
    uint16_t suite;
    struct span cid;                  /* wanted for our records; data NULL = none */
    uint8_t cid_form;                 /* enum dtls_cid_form */
    uint8_t client_type, server_type; /* CERTIFICATE_* */
    bool has_client_type, has_server_type;
    bool has_extended_master, has_renegotiation;
};

int server_hello_parse(struct span body, struct server_hello *out, const char **why) SW_NODISCARD;

#endif
