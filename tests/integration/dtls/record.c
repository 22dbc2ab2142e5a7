/* Records one client against the server that can be replayed (tests/unit/dtls/replay.h), until it
 * has said its word, as lines "0 D< HEX" (from the client) and "0 D> HEX" (to it).
 *
 *   dtls_record PKI_FOLDER PORT    a foreign client, which comes to that port of 127.0.0.1
 *   dtls_record PKI_FOLDER device  our own client, in the form of Device OS
 */
#include "replay.h"
#include "slipway/util/check.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 10000

static struct replay replay;

static void print(const char *way, struct span datagram) {
    static char text[2 * 2048 + 1];
    SW_CHECK(datagram.len <= 2048);
    for (size_t i = 0; i < datagram.len; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", datagram.data[i]);
    }
    (void)printf("0 %s %s\n", way, text);
}

/* Whether the word has been heard. */
static bool serve(struct span datagram, struct outbox *out) {
    print("D<", datagram);
    replay_take(&replay, datagram, out);
    for (size_t i = 0; i < out->count; i++) {
        print("D>", outbox_datagram(out, i));
    }
    return strstr(replay.heard, REPLAY_WORD) != NULL;
}

static bool record_foreign(uint16_t port) {
    static uint8_t room[16384], bytes[2048];
    struct outbox out;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    SW_CHECK(fd >= 0);
    bool is_done = bind(fd, (const struct sockaddr *)&address, sizeof address) != 0;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    while (!is_done && poll(&ready, 1, PATIENCE_MS) == 1) {
        socklen_t len = sizeof address;
        ssize_t got = recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&address, &len);
        outbox_init(&out, room, sizeof room);
        is_done = got >= 0 && serve(span_of(bytes, (size_t)got), &out);
        for (size_t i = 0; i < out.count; i++) {
            struct span one = outbox_datagram(&out, i);
            (void)sendto(fd, one.data, one.len, 0, (const struct sockaddr *)&address, len);
        }
    }
    (void)close(fd);
    return replay.is_established;
}

static struct crypto_key *load_key(const char *pki) {
    char path[512], text[4096];
    (void)snprintf(path, sizeof path, "%s/client.key.pem", pki);
    FILE *file = fopen(path, "r");
    SW_CHECK(file != NULL);
    size_t len = fread(text, 1, sizeof text, file);
    (void)fclose(file);
    struct crypto_key *key = crypto_key_from_pem(span_of(text, len));
    SW_CHECK(key != NULL);
    return key;
}

static bool say_word(struct dtls_endpoint *client, const struct dtls_handshake *hs,
                     struct outbox *out) {
    struct dtls_session session;
    uint8_t record[256];
    struct writer w = writer_of(record, sizeof record);
    dtls_handshake_session(hs, &session);
    outbox_clear(out);
    SW_CHECK(dtls_seal(dtls_endpoint_crypto(client), &session, DTLS_APPLICATION_DATA,
                       span_text(REPLAY_WORD), &w) == SW_OK);
    return serve(writer_span(&w), out);
}

static bool record_device(const char *pki) {
    static uint8_t rooms[2][16384];
    static struct dtls_handshake hs;
    struct outbox up, down;
    uint8_t entropy[DTLS_HANDSHAKE_ENTROPY];
    struct crypto_key *key = load_key(pki);
    struct dtls_endpoint_config config = {
        .key = key, .pinned = crypto_key_point(replay.key), .cid_form = DTLS_CID_DRAFT05};
    struct dtls_endpoint *client = dtls_endpoint_new(&config);
    struct dtls_step step = {.event = DTLS_EVENT_NONE};
    bool is_done = false;
    outbox_init(&up, rooms[0], sizeof rooms[0]);
    SW_CHECK(client != NULL && getrandom(entropy, sizeof entropy, 0) == sizeof entropy);
    replay_is_random = true;
    SW_CHECK(dtls_handshake_connect(&hs, client, entropy, replay.now, &up) == SW_OK);
    while (!is_done && up.count > 0) {
        outbox_init(&down, rooms[1], sizeof rooms[1]);
        replay_is_random = false;
        for (size_t i = 0; i < up.count; i++) {
            (void)serve(outbox_datagram(&up, i), &down);
        }
        replay_is_random = true;
        outbox_init(&up, rooms[0], sizeof rooms[0]);
        for (size_t i = 0; i < down.count && step.event != DTLS_EVENT_ESTABLISHED; i++) {
            dtls_handshake_input(&hs, client, outbox_datagram(&down, i), replay.now, &up, &step);
        }
        is_done = step.event == DTLS_EVENT_ESTABLISHED && say_word(client, &hs, &down);
    }
    dtls_handshake_close(&hs);
    dtls_endpoint_free(client);
    crypto_key_free(key);
    return is_done;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        (void)fprintf(stderr, "usage: %s PKI_FOLDER PORT|device\n", argv[0]);
        return 2;
    }
    replay_open(&replay, argv[1]);
    bool is_device = strcmp(argv[2], "device") == 0;
    bool is_done =
        is_device ? record_device(argv[1]) : record_foreign((uint16_t)strtoul(argv[2], NULL, 10));
    replay_close(&replay);
    return is_done ? 0 : 1;
}
