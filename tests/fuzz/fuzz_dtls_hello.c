/* A first datagram of any bytes: answered statelessly, never accepted without a cookie, and taken
 * as if a cookie had proved it, by a server with a session to resume and every kind of credential.
 */
#include "dtls/machine.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct dtls_endpoint *server;
    static struct dtls_handshake hs;
    static const uint8_t secret[DTLS_COOKIE_SECRET] = {1};
    static const uint8_t cid[DTLS_CID_BYTES] = {2}, entropy[DTLS_HANDSHAKE_ENTROPY] = {3};
    static const struct address peer = {.port = 1};
    static uint8_t bytes[8192];
    if (server == NULL) {
        struct dtls_endpoint_config config = {.is_server = true,
                                              .key = crypto_key_generate(),
                                              .accepts_psk = true,
                                              .resumption_slots = 4,
                                              .mtu = 508};
        server = dtls_endpoint_new(&config);
        SW_CHECK(server != NULL);
        dtls_endpoint_rotate_cookie(server, secret);
        uint8_t id[SESSION_ID_MAX];
        memset(id, 0x11, sizeof id);
        struct resumption *slot = resumption_slot(server, span_of(id, sizeof id));
        *slot = (struct resumption){.is_used = true, .suite = 0xC0A8, .proof = DTLS_PROOF_PSK};
        memcpy(slot->id, id, sizeof id);
        hmac_key_init(&slot->master, span_text("master"));
    }
    struct outbox box;
    struct span datagram = span_of(data, size);
    struct dtls_step step;
    const char *why = NULL;
    outbox_init(&box, bytes, sizeof bytes);
    enum dtls_hello verdict = dtls_server_hello(server, &peer, datagram, &box, &why);
    SW_CHECK(verdict != DTLS_HELLO_REPLY || (box.count == 1 && box.used <= size));
    SW_CHECK(verdict != DTLS_HELLO_DROP || (box.count == 0 && why != NULL));
    outbox_clear(&box);
    int status = dtls_handshake_accept(&hs, server, datagram, cid, entropy, (mono_time){.us = 1},
                                       &box, &step);
    SW_CHECK((status == SW_OK) == (step.event == DTLS_EVENT_NONE));
    SW_CHECK(status != SW_OK || dtls_handshake_is_repeat(&hs, datagram));
    dtls_handshake_input(&hs, server, datagram, (mono_time){.us = 2}, &box, &step);
    SW_CHECK(step.event != DTLS_EVENT_ESTABLISHED);
    dtls_handshake_close(&hs);
    return 0;
}
