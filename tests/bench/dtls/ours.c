/* What this engine costs. The certificates that a server has not seen are made on the way, by
 * libcrypto. */
#include "dtls/measure.h"

#include "slipway/dtls/handshake.h"
#include "slipway/util/check.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

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

void ours_load(void) {
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
        client.psk_key = span_text(BENCH_PSK);
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
            dtls_handshake_psk(&ours.server_hs, ours.server, span_text(BENCH_PSK), now, &down,
                               &step);
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

double ours_handshakes(enum credential credential) {
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
double ours_first_hello(void) {
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
    ours_close();
    return us;
}

/* Sealing and opening by sessions that are picked in turn out of many, as a server has them. */
void ours_records(double *seal_us, double *open_us, uint16_t suite) {
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
