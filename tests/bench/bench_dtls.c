/* What DTLS costs this engine, next to libssl doing the same work in the same run, in turns, on the
 * same core: server CPU per handshake, sealing and opening of records, memory per session.
 *
 *   bench_dtls [SECONDS_PER_MEASUREMENT]
 */
#include "slipway/dtls/handshake.h"
#include "slipway/util/check.h"

#include <malloc.h>
#include <math.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define TURNS        5 /* interleaved; the median is printed */
#define RECORD_BYTES 512
#define PEER_SUITE   "PSK-AES128-CCM8"

enum credential { RAW, PSK, CERTIFICATE, KNOWN_CERTIFICATE };
#define CREDENTIALS 4

static double seconds = 0.5;
static const char psk[] = "0123456789abcdef";

static double cpu_now(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double values[TURNS]) {
    qsort(values, TURNS, sizeof values[0], compare);
    return values[TURNS / 2];
}

/* --- this engine --- */

struct ours {
    struct dtls_endpoint *server, *client;
    struct dtls_handshake server_hs, client_hs;
    struct dtls_session session;
    double server_cpu;
};

static struct ours ours;
static uint8_t boxes[2][16384];

static struct span load(const char *name) {
    static uint8_t texts[8][4096];
    static size_t used;
    char path[512];
    SW_CHECK(used < 8);
    (void)snprintf(path, sizeof path, "%s/%s", BENCH_PKI, name);
    FILE *file = fopen(path, "r");
    SW_CHECK(file != NULL);
    size_t len = fread(texts[used], 1, sizeof texts[used], file);
    (void)fclose(file);
    return span_of(texts[used++], len);
}

static struct {
    struct crypto_key *server_key, *client_key;
    struct span server, client;
    struct crypto_trust *trust, *issuer_trust;
    EVP_PKEY *issuer_key; /* of an authority that can certify more clients: issuer_trust */
    X509 *template;
} pki;

static X509 *certificate_of(struct span pem) {
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    SW_CHECK(certificate != NULL);
    BIO_free(bio);
    return certificate;
}

/* Signed by the issuer, as text that lives until the next call. */
static struct span certify(X509 *certificate) {
    static uint8_t text[4096];
    char *pem = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    SW_CHECK(X509_sign(certificate, pki.issuer_key, EVP_sha256()) > 0 &&
             PEM_write_bio_X509(bio, certificate) == 1);
    long len = BIO_get_mem_data(bio, &pem);
    SW_CHECK(len > 0 && (size_t)len <= sizeof text);
    memcpy(text, pem, (size_t)len);
    BIO_free(bio);
    return span_of(text, (size_t)len);
}

/* One that no server has seen before. */
static struct span new_certificate(void) {
    static int64_t serial = 1000;
    SW_CHECK(ASN1_INTEGER_set_int64(X509_get_serialNumber(pki.template), serial++) == 1);
    return certify(pki.template);
}

static void load_pki(void) {
    pki.server_key = crypto_key_from_pem(load("server.key.pem"));
    pki.client_key = crypto_key_from_pem(load("client.key.pem"));
    pki.server = load("server.pem");
    pki.client = load("client.pem");
    struct span authority = load("authority.pem");
    pki.trust = crypto_trust_from_pem(authority);
    pki.issuer_key = EVP_EC_gen("P-256");
    X509 *issuer = certificate_of(authority);
    SW_CHECK(pki.issuer_key != NULL && X509_set_pubkey(issuer, pki.issuer_key) == 1);
    pki.issuer_trust = crypto_trust_from_pem(certify(issuer));
    X509_free(issuer);
    pki.template = certificate_of(pki.client);
    SW_CHECK(pki.server_key != NULL && pki.client_key != NULL && pki.trust != NULL &&
             pki.issuer_trust != NULL);
}

static void ours_open(enum credential credential) {
    struct dtls_endpoint_config server = {
        .is_server = true, .key = pki.server_key, .accepts_psk = true};
    struct dtls_endpoint_config client = {0};
    switch (credential) {
    case RAW:
        client.key = pki.client_key;
        client.pinned = crypto_key_point(pki.server_key);
        client.cid_form = DTLS_CID_DRAFT05;
        break;
    case PSK:
        client.psk_identity = span_text("device");
        client.psk_key = span_text(psk);
        client.only_suite = 0xC0A8;
        break;
    case CERTIFICATE:
    case KNOWN_CERTIFICATE:
        server.certificates = pki.server;
        server.trust = credential == CERTIFICATE ? pki.issuer_trust : pki.trust;
        client.key = pki.client_key;
        client.certificates = credential == CERTIFICATE ? new_certificate() : pki.client;
        client.trust = pki.trust;
        client.only_suite = 0xC0AE;
        break;
    }
    ours.server = dtls_endpoint_new(&server);
    ours.client = dtls_endpoint_new(&client);
    SW_CHECK(ours.server != NULL && ours.client != NULL);
    uint8_t secret[DTLS_COOKIE_SECRET] = {1};
    dtls_endpoint_rotate_cookie(ours.server, secret);
    wall_time wall = {.ms = (int64_t)time(NULL) * 1000};
    dtls_endpoint_tell_time(ours.server, wall);
    dtls_endpoint_tell_time(ours.client, wall);
}

static bool to_client(struct outbox *in, struct outbox *out) {
    bool established = false;
    for (size_t i = 0; i < in->count; i++) {
        struct dtls_step step;
        dtls_handshake_input(&ours.client_hs, ours.client, outbox_datagram(in, i),
                             (mono_time){.us = 1}, out, &step);
        SW_CHECK(step.event != DTLS_EVENT_FAILED);
        established = established || step.event == DTLS_EVENT_ESTABLISHED;
    }
    outbox_clear(in);
    return established;
}

/* One whole handshake with cookie; the server's share of it is counted. */
static void ours_handshake(void) {
    static const struct address peer = {.port = 5684};
    struct outbox up, down;
    uint8_t entropy[DTLS_HANDSHAKE_ENTROPY], cid[DTLS_CID_BYTES] = {7};
    struct dtls_step step = {.event = DTLS_EVENT_NONE};
    mono_time now = {.us = 1};
    const char *why = NULL;
    outbox_init(&up, boxes[0], sizeof boxes[0]);
    outbox_init(&down, boxes[1], sizeof boxes[1]);
    SW_CHECK(getrandom(entropy, sizeof entropy, 0) == sizeof entropy);
    SW_CHECK(dtls_handshake_connect(&ours.client_hs, ours.client, entropy, now, &up) == SW_OK);
    double from = cpu_now();
    SW_CHECK(dtls_server_hello(ours.server, &peer, outbox_datagram(&up, 0), &down, &why) ==
             DTLS_HELLO_REPLY);
    ours.server_cpu += cpu_now() - from;
    outbox_clear(&up);
    (void)to_client(&down, &up);
    from = cpu_now();
    SW_CHECK(dtls_server_hello(ours.server, &peer, outbox_datagram(&up, 0), &down, &why) ==
             DTLS_HELLO_ACCEPT);
    SW_CHECK(getrandom(entropy, sizeof entropy, 0) == sizeof entropy);
    SW_CHECK(dtls_handshake_accept(&ours.server_hs, ours.server, outbox_datagram(&up, 0), cid,
                                   entropy, now, &down, &step) == SW_OK);
    ours.server_cpu += cpu_now() - from;
    outbox_clear(&up);
    (void)to_client(&down, &up);
    from = cpu_now();
    for (size_t i = 0; i < up.count; i++) {
        dtls_handshake_input(&ours.server_hs, ours.server, outbox_datagram(&up, i), now, &down,
                             &step);
        if (step.event == DTLS_EVENT_NEED_PSK) {
            dtls_handshake_psk(&ours.server_hs, ours.server, span_text(psk), now, &down, &step);
        }
    }
    SW_CHECK(step.event == DTLS_EVENT_ESTABLISHED);
    dtls_handshake_session(&ours.server_hs, &ours.session);
    dtls_handshake_close(&ours.server_hs);
    ours.server_cpu += cpu_now() - from;
    outbox_clear(&up);
    SW_CHECK(to_client(&down, &up));
    dtls_handshake_close(&ours.client_hs);
}

static void ours_close(void) {
    dtls_endpoint_free(ours.server);
    dtls_endpoint_free(ours.client);
}

/* Another client with a certificate of its own. */
static void ours_stranger(void) {
    struct dtls_endpoint_config client = {.key = pki.client_key,
                                          .certificates = new_certificate(),
                                          .trust = pki.trust,
                                          .only_suite = 0xC0AE};
    dtls_endpoint_free(ours.client);
    ours.client = dtls_endpoint_new(&client);
    SW_CHECK(ours.client != NULL);
    dtls_endpoint_tell_time(ours.client, (wall_time){.ms = (int64_t)time(NULL) * 1000});
}

static double ours_handshakes(enum credential credential) {
    unsigned count = 0;
    ours_open(credential);
    for (unsigned i = 0; i < 20; i++) {
        ours_handshake();
    }
    ours.server_cpu = 0;
    while (ours.server_cpu < seconds) {
        if (credential == CERTIFICATE) {
            ours_stranger();
        }
        ours_handshake();
        count++;
    }
    dtls_handshake_close(&ours.client_hs);
    ours_close();
    return count / ours.server_cpu;
}

/* What anybody's first datagram costs. */
static double ours_first_hello(void) {
    static const uint8_t entropy[DTLS_HANDSHAKE_ENTROPY] = {1};
    static const struct address peer = {.port = 5684};
    struct outbox up, down;
    const char *why = NULL;
    unsigned count = 0;
    ours_open(RAW);
    outbox_init(&up, boxes[0], sizeof boxes[0]);
    SW_CHECK(dtls_handshake_connect(&ours.client_hs, ours.client, entropy, (mono_time){.us = 1},
                                    &up) == SW_OK);
    double from = cpu_now();
    while (cpu_now() - from < seconds) {
        for (unsigned i = 0; i < 100; i++) {
            outbox_init(&down, boxes[1], sizeof boxes[1]);
            SW_CHECK(dtls_server_hello(ours.server, &peer, outbox_datagram(&up, 0), &down, &why) ==
                     DTLS_HELLO_REPLY);
        }
        count += 100;
    }
    double us = (cpu_now() - from) / count * 1e6;
    dtls_handshake_close(&ours.client_hs);
    dtls_endpoint_free(ours.server);
    dtls_endpoint_free(ours.client);
    return us;
}

/* Sealing and opening by sessions that are picked in turn out of many, as a server has them. */
static void ours_records(double *seal_us, double *open_us, uint16_t suite) {
    enum { COUNT = 1024 };
    static struct dtls_session senders[COUNT], receivers[COUNT];
    static uint8_t records[COUNT][RECORD_BYTES + 64];
    size_t lens[COUNT];
    uint8_t content[RECORD_BYTES] = {0}, plain[DTLS_RECORD_MAX];
    struct dtls_crypto *crypto = dtls_crypto_new();
    for (size_t i = 0; i < COUNT; i++) {
        senders[i] = (struct dtls_session){.suite = suite,
                                           .epoch = 1,
                                           .key_out = {(uint8_t)i, (uint8_t)(i >> 8)},
                                           .seq_out_limit = DTLS_SEQUENCE_MAX,
                                           .seq_in_limit = DTLS_SEQUENCE_MAX};
        receivers[i] = senders[i];
        memcpy(receivers[i].key_in, senders[i].key_out, 16);
    }
    double sealing = 0, opening = 0;
    unsigned count = 0;
    while (sealing + opening < seconds) {
        double from = cpu_now();
        for (size_t i = 0; i < COUNT; i++) {
            struct writer w = writer_of(records[i], sizeof records[i]);
            SW_CHECK(dtls_seal(crypto, &senders[i], DTLS_APPLICATION_DATA,
                               span_of(content, sizeof content), &w) == SW_OK);
            lens[i] = w.at;
        }
        double middle = cpu_now();
        for (size_t i = 0; i < COUNT; i++) {
            struct dtls_opened opened;
            SW_CHECK(dtls_open(crypto, &receivers[i], span_of(records[i], lens[i]), plain,
                               sizeof plain, &opened) == SW_OK);
        }
        opening += cpu_now() - middle;
        sealing += middle - from;
        count += COUNT;
    }
    dtls_crypto_free(crypto);
    *seal_us = sealing / count * 1e6;
    *open_us = opening / count * 1e6;
}

/* --- libssl --- */

/* A queue of whole datagrams between two SSL objects. */
struct wire {
    size_t first, count;
    struct {
        int len;
        uint8_t bytes[2048];
    } datagrams[16];
};

static BIO_METHOD *wire_method;

static int wire_write(BIO *bio, const char *data, int len) {
    struct wire *wire = ((struct wire **)BIO_get_data(bio))[1];
    SW_CHECK(len <= 2048 && wire->count < 16);
    size_t place = (wire->first + wire->count++) % 16;
    memcpy(wire->datagrams[place].bytes, data, (size_t)len);
    wire->datagrams[place].len = len;
    return len;
}

static int wire_read(BIO *bio, char *out, int cap) {
    struct wire *wire = ((struct wire **)BIO_get_data(bio))[0];
    BIO_clear_retry_flags(bio);
    if (wire->count == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    int len = wire->datagrams[wire->first].len;
    len = len < cap ? len : cap;
    memcpy(out, wire->datagrams[wire->first].bytes, (size_t)len);
    wire->first = (wire->first + 1) % 16;
    wire->count--;
    return len;
}

static long wire_ctrl(BIO *bio, int command, long value, void *pointer) {
    (void)bio;
    (void)value;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH:
    case BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT:
        return 1;
    case BIO_CTRL_DGRAM_QUERY_MTU:
    case BIO_CTRL_DGRAM_GET_FALLBACK_MTU:
        return 1400;
    default:
        return 0;
    }
}

static BIO *wire_bio(struct wire *ends[2]) {
    if (wire_method == NULL) {
        wire_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");
        BIO_meth_set_write(wire_method, wire_write);
        BIO_meth_set_read(wire_method, wire_read);
        BIO_meth_set_ctrl(wire_method, wire_ctrl);
    }
    BIO *bio = BIO_new(wire_method);
    BIO_set_data(bio, ends);
    BIO_set_init(bio, 1);
    return bio;
}

static unsigned give_psk(SSL *ssl, const char *identity, unsigned char *out, unsigned cap) {
    (void)ssl;
    (void)identity;
    SW_CHECK(cap >= sizeof psk - 1);
    memcpy(out, psk, sizeof psk - 1);
    return sizeof psk - 1;
}

static unsigned use_psk(SSL *ssl, const char *hint, char *identity, unsigned identity_cap,
                        unsigned char *out, unsigned cap) {
    (void)hint;
    (void)snprintf(identity, identity_cap, "device");
    return give_psk(ssl, identity, out, cap);
}

static int make_cookie(SSL *ssl, unsigned char *cookie, unsigned *len) {
    (void)ssl;
    struct sha256 mac;
    hmac_sha256(span_text("secret"), span_text("peer"), &mac);
    memcpy(cookie, mac.b, sizeof mac.b);
    *len = sizeof mac.b;
    return 1;
}

static int check_cookie(SSL *ssl, const unsigned char *cookie, unsigned len) {
    unsigned char want[64];
    unsigned want_len;
    (void)make_cookie(ssl, want, &want_len);
    return len == want_len && memcmp(cookie, want, len) == 0;
}

struct theirs {
    SSL_CTX *server, *client;
    double server_cpu;
};

static struct theirs theirs;

static void theirs_certify(SSL_CTX *ctx, const char *name) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s.pem", BENCH_PKI, name);
    SW_CHECK(SSL_CTX_use_certificate_file(ctx, path, SSL_FILETYPE_PEM) == 1);
    (void)snprintf(path, sizeof path, "%s/%s.key.pem", BENCH_PKI, name);
    SW_CHECK(SSL_CTX_use_PrivateKey_file(ctx, path, SSL_FILETYPE_PEM) == 1);
    (void)snprintf(path, sizeof path, "%s/authority.pem", BENCH_PKI);
    SW_CHECK(SSL_CTX_load_verify_file(ctx, path) == 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    char group[] = "P-256"; /* the macro casts const away */
    SW_CHECK(SSL_CTX_set1_groups_list(ctx, group) == 1);
}

/* It has no raw keys in this version: certificates stand for them. */
static void theirs_open(enum credential credential) {
    const char *suite = credential == PSK ? PEER_SUITE : "ECDHE-ECDSA-AES128-CCM8";
    theirs.server = SSL_CTX_new(DTLS_server_method());
    theirs.client = SSL_CTX_new(DTLS_client_method());
    SSL_CTX *both[] = {theirs.server, theirs.client};
    for (size_t i = 0; i < 2; i++) {
        SW_CHECK(SSL_CTX_set_cipher_list(both[i], suite) == 1);
        (void)SSL_CTX_set_options(both[i], SSL_OP_NO_TICKET | SSL_OP_NO_QUERY_MTU);
        (void)SSL_CTX_set_session_cache_mode(both[i], SSL_SESS_CACHE_OFF);
    }
    if (credential != PSK) {
        theirs_certify(theirs.server, "server");
        theirs_certify(theirs.client, "client");
    }
    SSL_CTX_set_psk_server_callback(theirs.server, give_psk);
    SSL_CTX_set_psk_client_callback(theirs.client, use_psk);
    SSL_CTX_set_cookie_generate_cb(theirs.server, make_cookie);
    SSL_CTX_set_cookie_verify_cb(theirs.server, check_cookie);
    (void)SSL_CTX_set_options(theirs.server, SSL_OP_COOKIE_EXCHANGE);
}

static void theirs_close(void) {
    SSL_CTX_free(theirs.server);
    SSL_CTX_free(theirs.client);
}

struct theirs_pair {
    SSL *server, *client;
    struct wire up, down;
    struct wire *server_ends[2], *client_ends[2];
};

static void theirs_handshake(struct theirs_pair *pair) {
    pair->up = (struct wire){0};
    pair->down = (struct wire){0};
    pair->server_ends[0] = pair->client_ends[1] = &pair->up;
    pair->server_ends[1] = pair->client_ends[0] = &pair->down;
    double from = cpu_now();
    pair->server = SSL_new(theirs.server);
    BIO *bio = wire_bio(pair->server_ends);
    SSL_set_bio(pair->server, bio, bio);
    SSL_set_accept_state(pair->server);
    (void)SSL_set_mtu(pair->server, 1400);
    theirs.server_cpu += cpu_now() - from;
    pair->client = SSL_new(theirs.client);
    bio = wire_bio(pair->client_ends);
    SSL_set_bio(pair->client, bio, bio);
    SSL_set_connect_state(pair->client);
    (void)SSL_set_mtu(pair->client, 1400);
    for (unsigned i = 0;
         i < 20 && !(SSL_is_init_finished(pair->server) && SSL_is_init_finished(pair->client));
         i++) {
        (void)SSL_do_handshake(pair->client);
        from = cpu_now();
        (void)SSL_do_handshake(pair->server);
        theirs.server_cpu += cpu_now() - from;
    }
    SW_CHECK(SSL_is_init_finished(pair->server) && SSL_is_init_finished(pair->client));
}

static double theirs_handshakes(enum credential credential) {
    static struct theirs_pair pair;
    unsigned count = 0;
    theirs_open(credential);
    theirs.server_cpu = 0;
    while (theirs.server_cpu < seconds) {
        theirs_handshake(&pair);
        double from = cpu_now();
        SSL_free(pair.server);
        theirs.server_cpu += cpu_now() - from;
        SSL_free(pair.client);
        count++;
    }
    theirs_close();
    return count / theirs.server_cpu;
}

static void theirs_records(double *seal_us, double *open_us) {
    static struct theirs_pair pair;
    uint8_t content[RECORD_BYTES] = {0}, plain[2048];
    theirs_open(PSK);
    theirs_handshake(&pair);
    double sealing = 0, opening = 0;
    unsigned count = 0;
    while (sealing + opening < seconds) {
        double from = cpu_now();
        for (size_t i = 0; i < 16; i++) {
            SW_CHECK(SSL_write(pair.client, content, sizeof content) == sizeof content);
        }
        double middle = cpu_now();
        for (size_t i = 0; i < 16; i++) {
            SW_CHECK(SSL_read(pair.server, plain, sizeof plain) == sizeof content);
        }
        opening += cpu_now() - middle;
        sealing += middle - from;
        count += 16;
    }
    SSL_free(pair.server);
    SSL_free(pair.client);
    theirs_close();
    *seal_us = sealing / count * 1e6;
    *open_us = opening / count * 1e6;
}

static size_t heap_in_use(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static double theirs_memory(void) {
    enum { COUNT = 200 };
    static SSL *servers[COUNT];
    static struct theirs_pair pair;
    theirs_open(PSK);
    theirs_handshake(&pair);
    SSL_free(pair.client);
    SSL_free(pair.server);
    size_t before = heap_in_use();
    for (size_t i = 0; i < COUNT; i++) {
        theirs_handshake(&pair);
        SSL_free(pair.client);
        servers[i] = pair.server;
    }
    double bytes = (double)(heap_in_use() - before) / COUNT;
    for (size_t i = 0; i < COUNT; i++) {
        SSL_free(servers[i]);
    }
    theirs_close();
    return bytes;
}

static void print_row(const char *what, double ours_value, double theirs_value, const char *unit) {
    char text[32] = "-";
    if (!isnan(theirs_value)) {
        (void)snprintf(text, sizeof text, "%.2f", theirs_value);
    }
    (void)printf("| %-40s | %10.2f | %10s | %-18s |\n", what, ours_value, text, unit);
}

int main(int argc, char **argv) {
    double ours_of[CREDENTIALS][TURNS], theirs_of[CREDENTIALS][TURNS], seal[3][TURNS],
        open[3][TURNS], hello[TURNS];
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    (void)sched_setaffinity(0, sizeof one, &one);
    if (argc > 1) {
        seconds = strtod(argv[1], NULL);
    }
    load_pki();
    for (size_t turn = 0; turn < TURNS; turn++) {
        for (int i = RAW; i < CREDENTIALS; i++) {
            ours_of[i][turn] = ours_handshakes((enum credential)i);
            if (i != KNOWN_CERTIFICATE) {
                theirs_of[i][turn] = theirs_handshakes((enum credential)i);
            }
        }
        hello[turn] = ours_first_hello();
        ours_records(&seal[0][turn], &open[0][turn], 0xC0AE);
        theirs_records(&seal[1][turn], &open[1][turn]);
        ours_records(&seal[2][turn], &open[2][turn], 0xC02B);
    }
    (void)printf("| %-40s | %10s | %10s | %-18s |\n", "what", "slipway", "libssl", "unit");
    (void)printf("| --- | --- | --- | --- |\n");
    double certified = median(theirs_of[CERTIFICATE]);
    print_row("raw-key handshakes (libssl: certificates)", median(ours_of[RAW]), certified,
              "/s of server CPU");
    print_row("certificates that were verified before", median(ours_of[KNOWN_CERTIFICATE]),
              certified, "/s of server CPU");
    print_row("certificate handshakes, one authority", median(ours_of[CERTIFICATE]), certified,
              "/s of server CPU");
    print_row("PSK handshakes", median(ours_of[PSK]), median(theirs_of[PSK]), "/s of server CPU");
    print_row("a first hello, answered with a cookie", median(hello), NAN, "us");
    print_row("seal 512 bytes, CCM_8", median(seal[0]), median(seal[1]), "us");
    print_row("open 512 bytes, CCM_8", median(open[0]), median(open[1]), "us");
    print_row("seal 512 bytes, GCM", median(seal[2]), NAN, "us");
    print_row("open 512 bytes, GCM", median(open[2]), NAN, "us");
    print_row("memory of an established session", sizeof(struct dtls_session), theirs_memory(),
              "bytes");
    print_row("memory of a running handshake", sizeof(struct dtls_handshake), NAN, "bytes");
    return 0;
}
