/* CoAP messages (RFC 7252 section 3): one message per datagram, decoded in place. */
#ifndef SLIPWAY_COAP_MESSAGE_H
#define SLIPWAY_COAP_MESSAGE_H

#include "slipway/util/error.h"
#include "slipway/util/span.h"
#include "slipway/util/writer.h"

enum coap_type { COAP_CON = 0, COAP_NON = 1, COAP_ACK = 2, COAP_RST = 3 };

#define COAP_CODE(class, detail) ((uint8_t)((class) << 5 | (detail)))
enum coap_code {
    COAP_EMPTY = 0,
    COAP_GET = 1,
    COAP_POST = 2,
    COAP_PUT = 3,
    COAP_DELETE = 4,
    COAP_CREATED = 0x41,  /* 2.01 */
    COAP_CHANGED = 0x44,  /* 2.04 */
    COAP_CONTENT = 0x45,  /* 2.05: Device OS takes every one for the time */
    COAP_CONTINUE = 0x5f, /* 2.31 */
    COAP_BAD_REQUEST = 0x80,
    COAP_NOT_FOUND = 0x84,
    COAP_TOO_LARGE = 0x8d,
    COAP_INTERNAL = 0xa0,
    COAP_NOT_IMPLEMENTED = 0xa1,
    COAP_UNAVAILABLE = 0xa3
};

enum coap_option {
    COAP_ETAG = 4,
    COAP_URI_PATH = 11,
    COAP_CONTENT_FORMAT = 12,
    COAP_MAX_AGE = 14,
    COAP_URI_QUERY = 15,
    COAP_BLOCK2 = 23,
    COAP_BLOCK1 = 27,
    COAP_NO_RESPONSE = 258, /* RFC 7967: the empty acknowledgement is all it wants */
    COAP_REQUEST_TAG = 292,
    /* Device OS, OTA protocol version 3 */
    COAP_CHUNK_INDEX = 2049,
    COAP_WINDOW_SIZE = 2053,
    COAP_FILE_SIZE = 2057,
    COAP_FILE_SHA256 = 2061,
    COAP_CHUNK_SIZE = 2065,
    COAP_DISCARD_DATA = 2069,
    COAP_CANCEL_UPDATE = 2073,
    COAP_MODULE_FUNCTION = 2077
};

#define COAP_OPTIONS_MAX 16

struct coap_message {
    uint8_t type; /* enum coap_type */
    uint8_t code;
    uint16_t id;
    struct span token; /* 0..8 bytes */
    uint8_t option_count;
    struct {
        uint16_t number;
        struct span value;
    } options[COAP_OPTIONS_MAX];
    struct span payload;
};

/* Borrows from bytes. SW_E_INPUT with *why for anything that RFC 7252 calls a message format error;
 * SW_E_FULL when there are more options than fit. */
int coap_decode(struct span bytes, struct coap_message *out, const char **why) SW_NODISCARD;

/* The n-th (from 0) option of that number; false if there is none. */
bool coap_option_at(const struct coap_message *message, uint16_t number, unsigned n,
                    struct span *value);
/* As an unsigned integer of 0 to 4 bytes (RFC 7252 section 3.2); false if absent or longer. */
bool coap_option_uint(const struct coap_message *message, uint16_t number, uint32_t *value);
/* Whether the first Uri-Path is this one character, as all Device OS paths begin. */
bool coap_path_is(const struct coap_message *message, char first);

/* Encoding: begin, options in ascending order of number, payload; then writer_status. */
struct coap_writer {
    struct writer *out;
    uint16_t last_option;
};
struct coap_writer coap_begin(struct writer *out, uint8_t type, uint8_t code, uint16_t id,
                              struct span token);
void coap_put(struct coap_writer *w, uint16_t number, struct span value);
void coap_put_uint(struct coap_writer *w, uint16_t number, uint32_t value);
void coap_put_payload(struct coap_writer *w, struct span payload); /* nothing if empty */

#endif
