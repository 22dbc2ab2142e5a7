#define OPENSSL_SUPPRESS_DEPRECATED /* RAND_METHOD: the one way to have libcrypto repeat itself */
#include "replay.h"

#include "slipway/util/check.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <sys/random.h>

#define TEXT_MAX 4096

static const uint8_t cid[DTLS_CID_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8};
static const uint8_t entropy[DTLS_HANDSHAKE_ENTROPY] = {0x51, 0x1b};
static const uint8_t cookie_secret[DTLS_COOKIE_SECRET] = {0xc0, 0x0c};
static const struct address peer = {.port = 40000};
static const wall_time noon = {.ms = INT64_C(1800000000000)}; /* in 2027 */

bool replay_is_random;

/* The same for each call, so that nothing hangs on how many there were before. */
static int fixed_bytes(unsigned char *out, int len) {
    size_t left = (size_t)len;
    if (replay_is_random) {
        return getrandom(out, left, 0) == (ssize_t)left;
    }
    for (uint8_t block = 0; left > 0; block++) {
        struct sha256 bytes;
        sha256_of(span_of(&block, 1), &bytes);
        size_t part = left < sizeof bytes.b ? left : sizeof bytes.b;
        memcpy(out, bytes.b, part);
        out += part;
        left -= part;
    }
    return 1;
}

static int always(void) {
    return 1;
}

static const RAND_METHOD fixed = {
    .bytes = fixed_bytes, .pseudorand = fixed_bytes, .status = always};

static struct span load(const char *pki, const char *name, char text[TEXT_MAX]) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s.pem", pki, name);
    FILE *file = fopen(path, "r");
    SW_CHECK(file != NULL);
    size_t len = fread(text, 1, TEXT_MAX, file);
    (void)fclose(file);
    return span_of(text, len);
}

void replay_open(struct replay *replay, const char *pki) {
    char authority[TEXT_MAX], key[TEXT_MAX], certificate[TEXT_MAX];
    memset(replay, 0, sizeof *replay);
    SW_CHECK(RAND_set_rand_method(&fixed) == 1);
    replay->key = crypto_key_from_pem(load(pki, "server.key", key));
    replay->trust = crypto_trust_from_pem(load(pki, "authority", authority));
    SW_CHECK(replay->key != NULL && replay->trust != NULL);
    struct dtls_endpoint_config config = {.is_server = true,
                                          .key = replay->key,
                                          .accepts_psk = true,
                                          .certificates = load(pki, "server", certificate),
                                          .trust = replay->trust};
    replay->server = dtls_endpoint_new(&config);
    SW_CHECK(replay->server != NULL);
    dtls_endpoint_rotate_cookie(replay->server, cookie_secret);
    dtls_endpoint_tell_time(replay->server, noon);
    replay_forget(replay);
}

void replay_close(struct replay *replay) {
    dtls_handshake_close(&replay->hs);
    dtls_endpoint_free(replay->server);
    crypto_trust_free(replay->trust);
    crypto_key_free(replay->key);
}

void replay_forget(struct replay *replay) {
    dtls_handshake_close(&replay->hs);
    replay->is_running = replay->is_established = false;
    replay->why = NULL;
    replay->now = (mono_time){.us = 1000000};
    replay->name[0] = replay->heard[0] = '\0';
}

static void note(struct replay *replay, const struct dtls_step *step) {
    struct dtls_identity identity;
    switch (step->event) {
    case DTLS_EVENT_NONE:
    case DTLS_EVENT_NEED_PSK:
        break;
    case DTLS_EVENT_ESTABLISHED:
        SW_CHECK(!replay->is_established);
        replay->is_established = true;
        dtls_handshake_session(&replay->hs, &replay->session);
        dtls_handshake_identity(&replay->hs, &identity);
        replay->proof = identity.proof;
        memset(replay->name, 0, sizeof replay->name);
        SW_CHECK(identity.name.len < sizeof replay->name);
        if (identity.name.len > 0) {
            memcpy(replay->name, identity.name.data, identity.name.len);
        }
        const struct p256_point *key = dtls_handshake_peer(&replay->hs);
        replay->peer = key != NULL ? *key : (struct p256_point){{0}};
        break;
    case DTLS_EVENT_FAILED:
        SW_CHECK(!replay->is_established && step->why != NULL);
        replay->why = step->why;
        replay->is_running = false;
        dtls_handshake_close(&replay->hs);
        break;
    }
}

/* Records of the established session. */
static void hear(struct replay *replay, struct span rest) {
    uint8_t plain[DTLS_RECORD_MAX];
    while (rest.len > 0) {
        struct dtls_opened opened = {.consumed = 0};
        int status = dtls_open(dtls_endpoint_crypto(replay->server), &replay->session, rest, plain,
                               sizeof plain, &opened);
        if (status == SW_OK && opened.type == DTLS_APPLICATION_DATA &&
            opened.content.len < sizeof replay->heard) {
            memcpy(replay->heard, opened.content.data, opened.content.len);
            replay->heard[opened.content.len] = '\0';
        }
        if (opened.consumed == 0) {
            break;
        }
        rest = span_of(rest.data + opened.consumed, rest.len - opened.consumed);
    }
}

static void answer_lookup(struct replay *replay, struct dtls_step *step, struct outbox *out) {
    bool is_known = span_is_text(step->psk_identity, REPLAY_IDENTITY);
    struct span key = is_known ? span_text(REPLAY_PSK) : span_of(NULL, 0);
    dtls_handshake_psk(&replay->hs, replay->server, key, replay->now, out, step);
}

static void take_hello(struct replay *replay, struct span datagram, struct outbox *out) {
    const char *why = NULL;
    if (dtls_server_hello(replay->server, &peer, datagram, out, &why) != DTLS_HELLO_ACCEPT) {
        replay->why = why;
        return;
    }
    struct dtls_step step;
    dtls_handshake_close(&replay->hs);
    replay->is_established = false;
    replay->is_running = true;
    int status = dtls_handshake_accept(&replay->hs, replay->server, datagram, cid, entropy,
                                       replay->now, out, &step);
    SW_CHECK((status == SW_OK) == (step.event == DTLS_EVENT_NONE));
    note(replay, &step);
}

void replay_take(struct replay *replay, struct span datagram, struct outbox *out) {
    struct dtls_sorted sorted;
    dtls_sort(datagram, &sorted);
    bool is_ours =
        sorted.kind == DTLS_KIND_HANDSHAKE || sorted.kind == DTLS_KIND_PLAIN ||
        (sorted.kind == DTLS_KIND_CID && span_equal(sorted.cid, span_of(cid, sizeof cid)));
    if (sorted.is_hello &&
        !(replay->is_running && dtls_handshake_is_repeat(&replay->hs, datagram))) {
        take_hello(replay, datagram, out);
    } else if (is_ours && replay->is_established && sorted.kind != DTLS_KIND_HANDSHAKE) {
        hear(replay, datagram);
    } else if (is_ours && replay->is_running) {
        struct dtls_step step;
        dtls_handshake_input(&replay->hs, replay->server, datagram, replay->now, out, &step);
        size_t consumed = step.consumed;
        if (step.event == DTLS_EVENT_NEED_PSK) {
            answer_lookup(replay, &step, out);
        }
        note(replay, &step);
        if (replay->is_established && consumed < datagram.len) {
            hear(replay, span_of(datagram.data + consumed, datagram.len - consumed));
        }
    }
}
