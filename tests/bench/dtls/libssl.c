/* What libssl costs for the same work, its datagrams carried from one object to the other. */
#include "dtls/measure.h"

#include "slipway/crypto/hash.h"
#include "slipway/util/check.h"

#include <malloc.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PEER_SUITE "PSK-AES128-CCM8"

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
    SW_CHECK(cap >= sizeof BENCH_PSK - 1);
    memcpy(out, BENCH_PSK, sizeof BENCH_PSK - 1);
    return sizeof BENCH_PSK - 1;
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

double theirs_handshakes(enum credential credential) {
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

void theirs_records(double *seal_us, double *open_us) {
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

double theirs_memory(void) {
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
