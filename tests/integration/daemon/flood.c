/* A hostile flood for the device door: junk, ClientHellos from many addresses, half of a handshake,
 * records under connection ids that do not exist and that do, fragments of messages that would be
 * huge. It says what it sent and what came back as one line of JSON.
 *
 *   flood PORT DATABASE COUNT RATE SEED    datagrams in all, a second
 *
 * The real connection ids, which everybody on the way can see, are read from the database. */
#include "slipway/dtls/handshake.h"
#include "slipway/sys/clock.h"
#include "slipway/sys/entropy.h"
#include "slipway/util/rng.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SOCKETS     64
#define SENDS       40 /* of one socket, before another address takes its place */
#define CIDS_MAX    10000
#define CID_BYTES   8
#define BATCH       32
#define RECORD_MAX  1400
#define HELLO_BYTES 4096

enum kind { JUNK, HELLO, BENT_HELLO, HALF, WRONG_CID, RIGHT_CID, HUGE_FRAGMENT, PROBE, KINDS };
static const char *const kind_names[KINDS] = {"junk",      "hello",     "bent_hello",    "half",
                                              "wrong_cid", "right_cid", "huge_fragment", "probe"};

struct flood {
    struct sockaddr_in server;
    struct rng rng;
    struct dtls_endpoint *endpoint;
    int sockets[SOCKETS];
    unsigned sends[SOCKETS];
    uint32_t addresses;
    uint8_t cids[CIDS_MAX][CID_BYTES];
    size_t cid_count;
    unsigned long sent[KINDS], sent_bytes, back, back_bytes;
};

static void die(const char *what) {
    perror(what);
    exit(EXIT_FAILURE);
}

static int open_socket(struct flood *flood) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    uint32_t host = 0x7F640000U + flood->addresses++ % 60000U; /* 127.100.0.0 and on */
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)};
    if (fd < 0 || bind(fd, (const struct sockaddr *)&own, sizeof own) != 0 ||
        connect(fd, (const struct sockaddr *)&flood->server, sizeof flood->server) != 0) {
        die("socket");
    }
    return fd;
}

static void read_cids(struct flood *flood, const char *path) {
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db, "SELECT cid FROM session", -1, &q, NULL) != SQLITE_OK) {
        (void)fprintf(stderr, "%s: %s\n", path, sqlite3_errmsg(db));
        exit(EXIT_FAILURE);
    }
    while (sqlite3_step(q) == SQLITE_ROW && flood->cid_count < CIDS_MAX) {
        memcpy(flood->cids[flood->cid_count++], sqlite3_column_blob(q, 0), CID_BYTES);
    }
    (void)sqlite3_finalize(q);
    (void)sqlite3_close(db);
}

static void put(struct flood *flood, unsigned at, const void *bytes, size_t len) {
    if (send(flood->sockets[at], bytes, len, 0) == (ssize_t)len) {
        flood->sent_bytes += len;
    }
}

/* What has come back to that socket; its last datagram stays in bytes. */
static size_t take(struct flood *flood, unsigned at, uint8_t bytes[2048]) {
    size_t last = 0;
    for (;;) {
        ssize_t len = recv(flood->sockets[at], bytes, 2048, 0);
        if (len < 0) {
            return last;
        }
        last = (size_t)len;
        flood->back++;
        flood->back_bytes += last;
    }
}

static size_t record_header(uint8_t *out, uint8_t type, uint16_t epoch, uint64_t seq) {
    const uint8_t header[11] = {type,
                                0xfe,
                                0xfd,
                                (uint8_t)(epoch >> 8),
                                (uint8_t)epoch,
                                (uint8_t)(seq >> 40),
                                (uint8_t)(seq >> 32),
                                (uint8_t)(seq >> 24),
                                (uint8_t)(seq >> 16),
                                (uint8_t)(seq >> 8),
                                (uint8_t)seq};
    memcpy(out, header, sizeof header);
    return sizeof header;
}

static size_t with_length(struct flood *flood, uint8_t *out, size_t at, size_t body) {
    out[at] = (uint8_t)(body >> 8);
    out[at + 1] = (uint8_t)body;
    rng_fill(&flood->rng, out + at + 2, body);
    return at + 2 + body;
}

static void send_record(struct flood *flood, unsigned at, const uint8_t *cid) {
    uint8_t bytes[RECORD_MAX + 64];
    uint8_t type = rng_below(&flood->rng, 2) == 0 ? 25 : 253;
    /* Numbers near those in use, and far ahead of them. */
    uint64_t seq = rng_below(&flood->rng, rng_below(&flood->rng, 2) == 0 ? 2000 : 1ULL << 47);
    size_t len = record_header(bytes, type, 1, seq);
    memcpy(bytes + len, cid, CID_BYTES);
    len = with_length(flood, bytes, len + CID_BYTES, 16 + rng_below(&flood->rng, 600));
    put(flood, at, bytes, len);
}

static void send_fragment(struct flood *flood, unsigned at) {
    uint8_t bytes[RECORD_MAX];
    size_t body = 12 + rng_below(&flood->rng, 900);
    size_t len = record_header(bytes, 22, 0, rng_below(&flood->rng, 100));
    (void)with_length(flood, bytes, len, body);
    uint8_t *message = bytes + len + 2;
    message[0] = (uint8_t)(rng_below(&flood->rng, 4) == 0 ? 16 : 1);
    memset(message + 1, 0xff, 3); /* its length: 16 MiB */
    message[4] = 0;               /* message_seq */
    message[9] = 0;               /* the fragment's length: */
    message[10] = (uint8_t)((body - 12) >> 8);
    message[11] = (uint8_t)(body - 12);
    put(flood, at, bytes, len + 2 + body);
}

/* A true ClientHello; once the cookie came, a second one with it, and then silence. */
static void send_hello(struct flood *flood, unsigned at, enum kind kind) {
    static struct dtls_handshake hs;
    static uint8_t data[HELLO_BYTES];
    uint8_t entropy[DTLS_HANDSHAKE_ENTROPY], reply[2048];
    struct outbox box;
    outbox_init(&box, data, sizeof data);
    sys_entropy(entropy, sizeof entropy);
    if (dtls_handshake_connect(&hs, flood->endpoint, entropy, mono_now(), &box) != SW_OK) {
        exit(EXIT_FAILURE);
    }
    struct span first = outbox_datagram(&box, 0);
    if (kind == BENT_HELLO) {
        uint8_t bent[2048];
        memcpy(bent, first.data, first.len);
        for (unsigned n = 0; n < 3; n++) {
            bent[rng_below(&flood->rng, first.len)] = (uint8_t)rng_next(&flood->rng);
        }
        put(flood, at, bent, 1 + rng_below(&flood->rng, first.len));
    } else {
        put(flood, at, first.data, first.len);
    }
    for (unsigned wait = 0; kind == HALF && wait < 20; wait++) {
        size_t len = take(flood, at, reply);
        struct dtls_step step = {0};
        if (len == 0) {
            (void)usleep(1000);
            continue;
        }
        outbox_clear(&box);
        dtls_handshake_input(&hs, flood->endpoint, span_of(reply, len), mono_now(), &box, &step);
        if (box.count > 0) {
            put(flood, at, outbox_datagram(&box, 0).data, outbox_datagram(&box, 0).len);
        }
        break;
    }
    dtls_handshake_close(&hs);
}

static void send_one(struct flood *flood, unsigned at) {
    /* Handshakes that go half the way wait for an answer: few of them. */
    uint64_t dice = rng_below(&flood->rng, 100);
    enum kind kind = dice < 2 ? HALF : (enum kind)rng_below(&flood->rng, KINDS);
    kind = kind == HALF && dice >= 2 ? HELLO : kind;
    uint8_t bytes[RECORD_MAX], cid[CID_BYTES];
    flood->sent[kind]++;
    switch (kind) {
    case JUNK:
        rng_fill(&flood->rng, bytes, sizeof bytes);
        put(flood, at, bytes, rng_below(&flood->rng, sizeof bytes));
        break;
    case HELLO:
    case BENT_HELLO:
    case HALF:
        send_hello(flood, at, kind);
        break;
    case WRONG_CID:
        rng_fill(&flood->rng, cid, sizeof cid);
        send_record(flood, at, cid);
        break;
    case RIGHT_CID:
        if (flood->cid_count > 0) {
            send_record(flood, at, flood->cids[rng_below(&flood->rng, flood->cid_count)]);
        }
        break;
    case HUGE_FRAGMENT:
        send_fragment(flood, at);
        break;
    case PROBE:
        (void)record_header(bytes, 252, 0x8000, rng_next(&flood->rng));
        put(flood, at, bytes, with_length(flood, bytes, 11, 1 + rng_below(&flood->rng, 200)));
        break;
    case KINDS:
        break;
    }
}

static void run(struct flood *flood, unsigned long count, unsigned long rate) {
    mono_time start = mono_now();
    uint8_t reply[2048];
    for (unsigned long n = 0; n < count; n++) {
        unsigned at = (unsigned)rng_below(&flood->rng, SOCKETS);
        send_one(flood, at);
        (void)take(flood, at, reply);
        if (++flood->sends[at] == SENDS) {
            (void)close(flood->sockets[at]);
            flood->sockets[at] = open_socket(flood);
            flood->sends[at] = 0;
        }
        int64_t due_us = (int64_t)(n * 1000000 / rate);
        int64_t ahead_us = due_us - mono_since_us(start, mono_now());
        if (n % BATCH == 0 && ahead_us > 0) {
            (void)usleep((useconds_t)ahead_us);
        }
    }
}

int main(int argc, char **argv) {
    static struct flood flood;
    if (argc != 6) {
        (void)fputs("usage: flood PORT DATABASE COUNT RATE SEED\n", stderr);
        return EXIT_FAILURE;
    }
    flood.server = (struct sockaddr_in){.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10)),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    rng_seed(&flood.rng, strtoul(argv[5], NULL, 10));
    read_cids(&flood, argv[2]);
    struct crypto_key *key = crypto_key_generate();
    const struct dtls_endpoint_config config = {
        .key = key, .pinned = crypto_key_point(key), .cid_form = DTLS_CID_DRAFT05};
    flood.endpoint = dtls_endpoint_new(&config);
    for (unsigned n = 0; n < SOCKETS; n++) {
        flood.sockets[n] = open_socket(&flood);
    }
    run(&flood, strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
    (void)printf("{");
    for (unsigned n = 0; n < KINDS; n++) {
        (void)printf("\"%s\":%lu,", kind_names[n], flood.sent[n]);
    }
    (void)printf("\"cids\":%zu,\"sent_bytes\":%lu,\"back\":%lu,\"back_bytes\":%lu}\n",
                 flood.cid_count, flood.sent_bytes, flood.back, flood.back_bytes);
    dtls_endpoint_free(flood.endpoint);
    crypto_key_free(key);
    return EXIT_SUCCESS;
}
