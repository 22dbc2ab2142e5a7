/* CoAP's binary form. Decoding borrows: nothing is copied, a message is a set of spans into its
 * datagram, so that a session can take thousands a second apart without memory of its own. */
#include "slipway/coap/message.h"

#include "slipway/util/check.h"
#include "slipway/util/reader.h"

#define HEADER_BYTES   4
#define TOKEN_MAX      8
#define PAYLOAD_MARKER 0xff

/* RFC 7252 section 3.1: a nibble of 13 or 14 announces one or two further bytes. */
static uint32_t read_extended(struct reader *r, unsigned nibble) {
    switch (nibble) {
    case 13:
        return 13U + reader_u8(r);
    case 14:
        return 269U + reader_u16(r);
    case 15:
        reader_fail(r, "option with a reserved delta or length");
        return 0;
    default:
        return nibble;
    }
}

static int decode_options(struct reader *r, struct coap_message *out) {
    uint32_t number = 0;
    while (reader_left(r) > 0) {
        uint8_t head = reader_u8(r);
        if (head == PAYLOAD_MARKER) {
            if (reader_left(r) == 0) {
                reader_fail(r, "payload marker without a payload");
            }
            out->payload = reader_rest(r);
            break;
        }
        number += read_extended(r, head >> 4);
        uint32_t len = read_extended(r, head & 0x0f);
        struct span value = reader_bytes(r, len);
        if (number > UINT16_MAX) {
            reader_fail(r, "option number past 65535");
        }
        if (r->failed) {
            break;
        }
        if (out->option_count == COAP_OPTIONS_MAX) {
            reader_fail(r, "too many options");
            return SW_E_FULL;
        }
        out->options[out->option_count].number = (uint16_t)number;
        out->options[out->option_count].value = value;
        out->option_count++;
    }
    return reader_status(r);
}

int coap_decode(struct span bytes, struct coap_message *out, const char **why) {
    struct reader r = reader_of(bytes);
    uint8_t first = reader_u8(&r);
    size_t token_len = first & 0x0f;
    /* The options are left as they are: option_count says how many of them mean anything. */
    out->type = first >> 4 & 3;
    out->code = reader_u8(&r);
    out->id = reader_u16(&r);
    out->option_count = 0;
    out->payload = (struct span){0};
    if (first >> 6 != 1) {
        reader_fail(&r, "not version 1");
    }
    if (token_len > TOKEN_MAX) {
        reader_fail(&r, "token longer than 8 bytes");
    }
    out->token = reader_bytes(&r, token_len);
    if (out->code == COAP_EMPTY && bytes.len > HEADER_BYTES) {
        reader_fail(&r, "empty message with more than a header");
    }
    int status = decode_options(&r, out);
    *why = r.why;
    return status;
}

bool coap_option_at(const struct coap_message *message, uint16_t number, unsigned n,
                    struct span *value) {
    for (unsigned i = 0; i < message->option_count; i++) {
        if (message->options[i].number == number && n-- == 0) {
            *value = message->options[i].value;
            return true;
        }
    }
    return false;
}

bool coap_option_uint(const struct coap_message *message, uint16_t number, uint32_t *value) {
    struct span bytes;
    if (!coap_option_at(message, number, 0, &bytes) || bytes.len > sizeof *value) {
        return false;
    }
    uint32_t sum = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        sum = sum << 8 | bytes.data[i];
    }
    *value = sum;
    return true;
}

bool coap_path_is(const struct coap_message *message, char first) {
    struct span path;
    return coap_option_at(message, COAP_URI_PATH, 0, &path) && path.len == 1 &&
           path.data[0] == (uint8_t)first;
}

struct coap_writer coap_begin(struct writer *out, uint8_t type, uint8_t code, uint16_t id,
                              struct span token) {
    SW_CHECK(token.len <= TOKEN_MAX);
    writer_u8(out, (uint8_t)(1U << 6 | (type & 3U) << 4 | token.len));
    writer_u8(out, code);
    writer_u16(out, id);
    writer_bytes(out, token);
    return (struct coap_writer){.out = out};
}

static unsigned nibble_of(size_t value) {
    return value < 13 ? (unsigned)value : value < 269 ? 13 : 14;
}

static void write_extended(struct writer *w, size_t value) {
    if (value >= 269) {
        writer_u16(w, (uint16_t)(value - 269));
    } else if (value >= 13) {
        writer_u8(w, (uint8_t)(value - 13));
    }
}

void coap_put(struct coap_writer *w, uint16_t number, struct span value) {
    SW_CHECK(number >= w->last_option && value.len <= 269 + UINT16_MAX);
    size_t delta = (size_t)(number - w->last_option);
    writer_u8(w->out, (uint8_t)(nibble_of(delta) << 4 | nibble_of(value.len)));
    write_extended(w->out, delta);
    write_extended(w->out, value.len);
    writer_bytes(w->out, value);
    w->last_option = number;
}

void coap_put_uint(struct coap_writer *w, uint16_t number, uint32_t value) {
    /* Device OS writes 0, 1, 2 or 4 bytes, never 3. */
    size_t len = value == 0 ? 0 : value <= UINT8_MAX ? 1 : value <= UINT16_MAX ? 2 : 4;
    uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                        (uint8_t)value};
    coap_put(w, number, span_of(bytes + sizeof bytes - len, len));
}

void coap_put_payload(struct coap_writer *w, struct span payload) {
    if (payload.len > 0) {
        writer_u8(w->out, PAYLOAD_MARKER);
        writer_bytes(w->out, payload);
    }
}
