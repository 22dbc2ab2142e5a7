/* A DTLS server that gives back what it gets, and a client that sends one text and prints the
 * answer: the engine on plain sockets, for tests against other implementations.
 *
 *   dtls_echo server PORT [options]          dtls_echo client PORT TEXT [options]
 *
 *   --key FILE        own private key (PEM)         --psk IDENTITY=KEY
 *   --cert FILE       own certificates (PEM)        --suite HEX        only this one
 *   --trust FILE      authorities (PEM)             --resume           server: by session id
 *   --pin FILE        server's public key (PEM)     --coap             speak CoAP
 *   --cid FORM        client: 54 or 254             --mtu BYTES
 *   --again           client: a second time, by resumption if the server kept the session
 */
#include "slipway/dtls/handshake.h"
#include "slipway/util/check.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PEERS_MAX    32
#define FILE_MAX     16384
#define DATAGRAM_MAX 2048

struct peer {
    bool is_used, is_established;
    struct sockaddr_in from;
    struct dtls_handshake hs;
    struct dtls_session session;
};

struct echo {
    int fd;
    bool is_server, speaks_coap, is_done, comes_again;
    struct dtls_endpoint_config config;
    struct dtls_endpoint *endpoint;
    struct dtls_resumable kept; /* client */
    struct span psk_identity, psk_key;
    const char *text; /* client */
    struct peer peers[PEERS_MAX];
    uint8_t data[65536];
    struct outbox box;
};

static struct echo echo;

static mono_time now_mono(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (mono_time){.us = (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000};
}

static wall_time now_wall(void) {
    return (wall_time){.ms = (int64_t)time(NULL) * 1000};
}

static void entropy(void *out, size_t len) {
    SW_CHECK(getrandom(out, len, 0) == (ssize_t)len);
}

static struct span load(const char *path) {
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    uint8_t *text = malloc(FILE_MAX);
    SW_CHECK(text != NULL);
    size_t len = fread(text, 1, FILE_MAX, file);
    (void)fclose(file);
    return span_of(text, len);
}

static void flush(const struct peer *peer) {
    for (size_t i = 0; i < echo.box.count; i++) {
        struct span datagram = outbox_datagram(&echo.box, i);
        (void)sendto(echo.fd, datagram.data, datagram.len, 0, (const struct sockaddr *)&peer->from,
                     sizeof peer->from);
    }
    outbox_clear(&echo.box);
}

static void send_content(struct peer *peer, struct span content) {
    uint8_t *place = outbox_begin(&echo.box, DATAGRAM_MAX);
    SW_CHECK(place != NULL);
    struct writer w = writer_of(place, DATAGRAM_MAX);
    int status = dtls_seal(dtls_endpoint_crypto(echo.endpoint), &peer->session,
                           DTLS_APPLICATION_DATA, content, &w);
    outbox_commit(&echo.box, status == SW_OK ? w.at : 0);
    flush(peer);
}

static void close_peer(struct peer *peer) {
    dtls_handshake_close(&peer->hs);
    peer->is_used = false;
}

static void say_established(const struct peer *peer) {
    static const char *const proofs[] = {"none", "raw", "psk", "x509"};
    struct dtls_identity identity;
    dtls_handshake_identity(&peer->hs, &identity);
    (void)printf("established suite=%04x proof=%s name=%.*s cid=%u resumed=%d device=%d\n",
                 peer->session.suite, proofs[identity.proof], (int)identity.name.len,
                 identity.name.len > 0 ? (const char *)identity.name.data : "",
                 peer->session.cid_form, identity.is_resumed, identity.is_device_os);
    (void)fflush(stdout);
}

/* GET with the path's one segment, as a confirmable message. */
static size_t coap_request(const char *path, uint8_t *out) {
    size_t len = strlen(path);
    SW_CHECK(len < 13);
    memcpy(out, "\x41\x01\x12\x34\x77", 5);
    out[5] = (uint8_t)(0xb0 | len);
    memcpy(out + 6, path, len);
    return 6 + len;
}

/* An acknowledgement with 2.05 and a text. */
static void coap_answer(struct peer *peer, struct span request) {
    static const char payload[] = "slipway";
    uint8_t out[64];
    size_t token_len = request.len > 0 ? request.data[0] & 15 : 0;
    if (request.len < 4 + token_len || token_len > 8 || request.data[1] == 0) {
        return;
    }
    out[0] = (uint8_t)(0x60 | token_len);
    out[1] = 0x45;
    memcpy(out + 2, request.data + 2, 2 + token_len);
    out[4 + token_len] = 0xff;
    memcpy(out + 5 + token_len, payload, sizeof payload - 1);
    send_content(peer, span_of(out, 5 + token_len + sizeof payload - 1));
}

static void open_endpoint(void) {
    echo.endpoint = dtls_endpoint_new(&echo.config);
    SW_CHECK(echo.endpoint != NULL);
    uint8_t secret[DTLS_COOKIE_SECRET];
    entropy(secret, sizeof secret);
    dtls_endpoint_rotate_cookie(echo.endpoint, secret);
    dtls_endpoint_tell_time(echo.endpoint, now_wall());
}

static void connect_peer(struct peer *peer) {
    uint8_t bytes[DTLS_HANDSHAKE_ENTROPY];
    entropy(bytes, sizeof bytes);
    *peer = (struct peer){.is_used = true, .from = peer->from};
    SW_CHECK(dtls_handshake_connect(&peer->hs, echo.endpoint, bytes, now_mono(), &echo.box) ==
             SW_OK);
    flush(peer);
}

static void open_socket(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    echo.fd = socket(AF_INET, SOCK_DGRAM, 0);
    address.sin_port = echo.is_server ? htons(port) : 0;
    if (echo.fd < 0 || bind(echo.fd, (struct sockaddr *)&address, sizeof address) != 0) {
        perror("socket");
        exit(2);
    }
    echo.peers[0].from = address;
    echo.peers[0].from.sin_port = htons(port);
}

/* The answer is there. */
static void leave(struct peer *peer) {
    uint8_t *place = outbox_begin(&echo.box, DATAGRAM_MAX);
    struct writer w = writer_of(place, DATAGRAM_MAX);
    if (dtls_seal_close(dtls_endpoint_crypto(echo.endpoint), &peer->session, &w) == SW_OK) {
        outbox_commit(&echo.box, w.at);
    }
    flush(peer);
    echo.is_done = !echo.comes_again;
    if (echo.comes_again) {
        echo.comes_again = false;
        dtls_handshake_resumable(&peer->hs, &echo.kept);
        close_peer(peer);
        dtls_endpoint_free(echo.endpoint);
        echo.config.resume = &echo.kept;
        open_endpoint();
        (void)close(echo.fd);
        open_socket(ntohs(peer->from.sin_port));
        connect_peer(peer);
    }
}

static void on_content(struct peer *peer, struct span content) {
    (void)printf("content %.*s\n", (int)content.len, (const char *)content.data);
    (void)fflush(stdout);
    if (!echo.is_server) {
        leave(peer);
    } else if (echo.speaks_coap) {
        coap_answer(peer, content);
    } else {
        send_content(peer, content);
    }
}

/* What the protocol itself answers: goodbye to a goodbye, and that there is no renegotiation. */
static void send_answer(struct peer *peer, const struct dtls_opened *opened) {
    uint8_t record[64];
    struct writer w = writer_of(record, sizeof record);
    uint8_t *place = outbox_begin(&echo.box, sizeof record);
    if (place != NULL && dtls_seal_answer(dtls_endpoint_crypto(echo.endpoint), &peer->session,
                                          opened, &w) == SW_OK) {
        memcpy(place, record, w.at);
        outbox_commit(&echo.box, w.at);
        flush(peer);
    }
}

static void on_records(struct peer *peer, const struct sockaddr_in *from, struct span datagram) {
    size_t at = 0;
    while (at < datagram.len && peer->is_used && peer->is_established) {
        uint8_t plain[DTLS_RECORD_MAX];
        struct dtls_opened opened;
        int status =
            dtls_open(dtls_endpoint_crypto(echo.endpoint), &peer->session,
                      span_of(datagram.data + at, datagram.len - at), plain, sizeof plain, &opened);
        at += opened.consumed;
        if (status != SW_OK) {
            continue;
        }
        if (opened.is_newest) { /* RFC 9146 section 6 */
            peer->from = *from;
        }
        send_answer(peer, &opened);
        if (dtls_is_end(&opened)) {
            (void)printf("closed\n");
            (void)fflush(stdout);
            close_peer(peer);
        } else if (opened.type == DTLS_APPLICATION_DATA) {
            on_content(peer, opened.content);
        }
    }
}

static void on_step(struct peer *peer, struct span datagram, struct dtls_step *step) {
    if (step->event == DTLS_EVENT_NEED_PSK) {
        bool is_known = span_equal(step->psk_identity, echo.psk_identity);
        dtls_handshake_psk(&peer->hs, echo.endpoint, is_known ? echo.psk_key : span_of(NULL, 0),
                           now_mono(), &echo.box, step);
        step->consumed = datagram.len;
    }
    flush(peer);
    if (step->event == DTLS_EVENT_FAILED) {
        (void)printf("failed %s\n", step->why);
        (void)fflush(stdout);
        close_peer(peer);
        echo.is_done = echo.is_done || !echo.is_server;
    } else if (step->event == DTLS_EVENT_ESTABLISHED) {
        peer->is_established = true;
        dtls_handshake_session(&peer->hs, &peer->session);
        say_established(peer);
        if (!echo.is_server) {
            uint8_t request[32];
            send_content(peer, echo.speaks_coap ? span_of(request, coap_request(echo.text, request))
                                                : span_text(echo.text));
        }
        on_records(peer, &peer->from,
                   span_of(datagram.data + step->consumed, datagram.len - step->consumed));
    }
}

static struct address address_of(const struct sockaddr_in *from) {
    struct address address = {.ip = {[10] = 0xff, [11] = 0xff}, .port = ntohs(from->sin_port)};
    memcpy(address.ip + 12, &from->sin_addr, 4);
    return address;
}

static struct peer *find_peer(const struct sockaddr_in *from, const struct dtls_sorted *sorted) {
    for (size_t i = 0; i < PEERS_MAX; i++) {
        struct peer *peer = &echo.peers[i];
        bool is_its_cid = sorted->kind == DTLS_KIND_CID && sorted->cid.data[0] == i;
        bool is_its_address = peer->from.sin_port == from->sin_port &&
                              peer->from.sin_addr.s_addr == from->sin_addr.s_addr;
        if (peer->is_used && (is_its_cid || (sorted->kind != DTLS_KIND_CID && is_its_address))) {
            return peer;
        }
    }
    return NULL;
}

static void on_hello(const struct sockaddr_in *from, struct span datagram) {
    struct address address = address_of(from);
    struct peer answer = {.from = *from};
    const char *why = NULL;
    enum dtls_hello verdict = dtls_server_hello(echo.endpoint, &address, datagram, &echo.box, &why);
    if (why != NULL) {
        (void)printf("refused %s\n", why);
        (void)fflush(stdout);
    }
    if (verdict != DTLS_HELLO_ACCEPT) {
        flush(&answer);
        return;
    }
    for (size_t i = 0; i < PEERS_MAX; i++) {
        struct peer *peer = &echo.peers[i];
        if (!peer->is_used) {
            uint8_t bytes[DTLS_HANDSHAKE_ENTROPY], cid[DTLS_CID_BYTES] = {(uint8_t)i, 0x5e};
            struct dtls_step step;
            entropy(bytes, sizeof bytes);
            *peer = (struct peer){.is_used = true, .from = *from};
            int status = dtls_handshake_accept(&peer->hs, echo.endpoint, datagram, cid, bytes,
                                               now_mono(), &echo.box, &step);
            SW_CHECK(status == SW_OK || step.event == DTLS_EVENT_FAILED);
            on_step(peer, datagram, &step);
            return;
        }
    }
}

static void on_datagram(const struct sockaddr_in *from, struct span datagram) {
    struct dtls_sorted sorted;
    struct dtls_step step;
    dtls_sort(datagram, &sorted);
    struct peer *peer = find_peer(from, &sorted);
    if (echo.is_server && sorted.is_hello &&
        (peer == NULL || !dtls_handshake_is_repeat(&peer->hs, datagram))) {
        if (peer != NULL) {
            close_peer(peer);
        }
        on_hello(from, datagram);
    } else if (peer != NULL && (!peer->is_established || sorted.kind == DTLS_KIND_HANDSHAKE)) {
        dtls_handshake_input(&peer->hs, echo.endpoint, datagram, now_mono(), &echo.box, &step);
        on_step(peer, datagram, &step);
    } else if (peer != NULL) {
        on_records(peer, from, datagram);
    }
}

static void run(void) {
    while (!echo.is_done) {
        struct pollfd wait = {.fd = echo.fd, .events = POLLIN};
        if (poll(&wait, 1, 20) > 0) {
            static uint8_t bytes[65536];
            struct sockaddr_in from;
            socklen_t from_len = sizeof from;
            ssize_t len =
                recvfrom(echo.fd, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &from_len);
            if (len > 0) {
                on_datagram(&from, span_of(bytes, (size_t)len));
            }
        }
        for (size_t i = 0; i < PEERS_MAX; i++) {
            struct peer *peer = &echo.peers[i];
            struct dtls_step step;
            if (peer->is_used && !peer->is_established) {
                dtls_handshake_timer(&peer->hs, echo.endpoint, now_mono(), &echo.box, &step);
                on_step(peer, span_of(NULL, 0), &step);
            }
        }
    }
}

static void parse_psk(char *text, struct dtls_endpoint_config *config) {
    char *equals = strchr(text, '=');
    if (equals == NULL) {
        (void)fprintf(stderr, "--psk IDENTITY=KEY\n");
        exit(2);
    }
    echo.psk_identity = span_of(text, (size_t)(equals - text));
    echo.psk_key = span_text(equals + 1);
    config->accepts_psk = true;
    config->psk_identity = echo.psk_identity;
    config->psk_key = echo.psk_key;
}

static void parse_options(int argc, char **argv, struct dtls_endpoint_config *config) {
    static const struct option options[] = {
        {"key", required_argument, NULL, 'k'},   {"cert", required_argument, NULL, 'c'},
        {"trust", required_argument, NULL, 't'}, {"pin", required_argument, NULL, 'p'},
        {"psk", required_argument, NULL, 's'},   {"suite", required_argument, NULL, 'u'},
        {"cid", required_argument, NULL, 'i'},   {"resume", no_argument, NULL, 'r'},
        {"coap", no_argument, NULL, 'o'},        {"mtu", required_argument, NULL, 'm'},
        {"again", no_argument, NULL, 'a'},       {NULL, 0, NULL, 0}};
    static struct p256_point pinned;
    for (int option = getopt_long(argc, argv, "", options, NULL); option != -1;
         option = getopt_long(argc, argv, "", options, NULL)) {
        switch (option) {
        case 'k':
            config->key = crypto_key_from_pem(load(optarg));
            SW_CHECK(config->key != NULL);
            break;
        case 'c':
            config->certificates = load(optarg);
            break;
        case 't':
            config->trust = crypto_trust_from_pem(load(optarg));
            SW_CHECK(config->trust != NULL);
            break;
        case 'p':
            SW_CHECK(p256_point_from_pem(load(optarg), &pinned) == SW_OK);
            config->pinned = &pinned;
            break;
        case 's':
            parse_psk(optarg, config);
            break;
        case 'u':
            config->only_suite = (uint16_t)strtoul(optarg, NULL, 16);
            break;
        case 'i':
            config->cid_form = (uint8_t)strtoul(optarg, NULL, 10);
            break;
        case 'r':
            config->resumption_slots = 64;
            break;
        case 'o':
            echo.speaks_coap = true;
            break;
        case 'a':
            echo.comes_again = true;
            break;
        case 'm':
            config->mtu = strtoul(optarg, NULL, 10);
            break;
        default:
            exit(2);
        }
    }
}

int main(int argc, char **argv) {
    parse_options(argc, argv, &echo.config);
    char **words = argv + optind;
    echo.is_server = argc - optind >= 2 && strcmp(words[0], "server") == 0;
    if (argc - optind < (echo.is_server ? 2 : 3)) {
        (void)fprintf(stderr, "usage: dtls_echo server PORT | client PORT TEXT\n");
        return 2;
    }
    echo.config.is_server = echo.is_server;
    outbox_init(&echo.box, echo.data, sizeof echo.data);
    open_endpoint();
    open_socket((uint16_t)strtoul(words[1], NULL, 10));
    if (echo.is_server) {
        (void)printf("ready\n");
        (void)fflush(stdout);
    } else {
        echo.text = words[2];
        connect_peer(&echo.peers[0]);
    }
    run();
    return 0;
}
