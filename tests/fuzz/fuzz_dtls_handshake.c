/* Datagrams of any bytes into a server that accepted a hello, and into a client: neither may ever
 * be established, whatever the order and content, as nobody here knows the keys. The first byte
 * picks the side; then each datagram is a length (2 bytes) and bytes. A length of 0xffff lets the
 * timer run. */
#include "dtls/machine.h"
#include "fuzz.h"

static struct dtls_endpoint *server, *client;
static struct dtls_handshake hs;
static uint8_t outgoing[16384];

static const uint8_t device_hello[] = {
    0x16, 0xfe, 0xfd, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x67, 0x01, 0x00,
    0x00, 0x5b, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x5b, 0xfe, 0xfd, 0xed, 0xb7, 0x46,
    0x05, 0x6f, 0xd7, 0xaa, 0x8d, 0xf9, 0xbe, 0x0f, 0x38, 0xb6, 0x03, 0xd7, 0xc0, 0x32, 0xf1,
    0x7a, 0xb0, 0x12, 0xe8, 0xe7, 0x76, 0xad, 0x91, 0x97, 0x4c, 0x0f, 0xb3, 0x56, 0x06, 0x00,
    0x00, 0x00, 0x04, 0xc0, 0xae, 0x00, 0xff, 0x01, 0x00, 0x00, 0x2d, 0x00, 0x0d, 0x00, 0x0a,
    0x00, 0x08, 0x04, 0x03, 0x04, 0x01, 0x03, 0x03, 0x03, 0x01, 0x00, 0x0a, 0x00, 0x04, 0x00,
    0x02, 0x00, 0x17, 0x00, 0x0b, 0x00, 0x02, 0x01, 0x00, 0x00, 0xfe, 0x00, 0x01, 0x00, 0x00,
    0x13, 0x00, 0x02, 0x01, 0x02, 0x00, 0x14, 0x00, 0x02, 0x01, 0x02};
static const uint8_t psk_hello[] = {
    0x16, 0xfe, 0xfd, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x4c, 0x01, 0x00,
    0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0xfe, 0xfd, 0x00, 0x01, 0x02,
    0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11,
    0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f, 0x00,
    0x00, 0x00, 0x04, 0xc0, 0xa8, 0xd0, 0x03, 0x01, 0x00, 0x00, 0x12, 0x00, 0x0a, 0x00, 0x04,
    0x00, 0x02, 0x00, 0x17, 0x00, 0x17, 0x00, 0x00, 0x00, 0x36, 0x00, 0x02, 0x01, 0x01};

static void begin_server(bool with_psk, struct outbox *box, mono_time now) {
    uint8_t cid[DTLS_CID_BYTES] = {1}, entropy[DTLS_HANDSHAKE_ENTROPY] = {2};
    struct dtls_step step;
    struct span hello = with_psk ? span_of(psk_hello, sizeof psk_hello)
                                 : span_of(device_hello, sizeof device_hello);
    SW_CHECK(dtls_handshake_accept(&hs, server, hello, cid, entropy, now, box, &step) == SW_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (server == NULL) {
        struct crypto_key *key = crypto_key_generate();
        struct dtls_endpoint_config config = {.is_server = true, .key = key, .accepts_psk = true};
        server = dtls_endpoint_new(&config);
        config = (struct dtls_endpoint_config){
            .key = key, .pinned = crypto_key_point(key), .cid_form = DTLS_CID_DRAFT05};
        client = dtls_endpoint_new(&config);
        SW_CHECK(server != NULL && client != NULL);
    }
    struct outbox box;
    outbox_init(&box, outgoing, sizeof outgoing);
    mono_time now = {.us = 1000};
    struct reader in = reader_of(span_of(data, size));
    uint8_t side = reader_u8(&in) % 3;
    bool is_server = side != 1;
    struct dtls_endpoint *endpoint = is_server ? server : client;
    if (is_server) {
        begin_server(side == 2, &box, now);
    } else {
        uint8_t entropy[DTLS_HANDSHAKE_ENTROPY] = {3};
        SW_CHECK(dtls_handshake_connect(&hs, endpoint, entropy, now, &box) == SW_OK);
    }
    for (unsigned i = 0; i < 200 && reader_left(&in) >= 2; i++) {
        struct dtls_step step;
        uint16_t len = reader_u16(&in);
        outbox_clear(&box);
        if (len == 0xffff) {
            now = mono_add_ms(now, 5000);
            dtls_handshake_timer(&hs, endpoint, now, &box, &step);
        } else {
            struct span datagram =
                reader_bytes(&in, len < reader_left(&in) ? len : reader_left(&in));
            dtls_handshake_input(&hs, endpoint, datagram, now, &box, &step);
            SW_CHECK(step.consumed <= datagram.len);
        }
        if (step.event == DTLS_EVENT_NEED_PSK) {
            dtls_handshake_psk(&hs, endpoint, span_of(NULL, 0), now, &box, &step);
        }
        SW_CHECK(step.event != DTLS_EVENT_ESTABLISHED);
        SW_CHECK(step.event != DTLS_EVENT_FAILED || step.why != NULL);
    }
    dtls_handshake_close(&hs);
    return 0;
}
