#include "pair.h"

#include "pki.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

const struct pair_setup pair_setup_device = {.client = {.cid_form = DTLS_CID_DRAFT05}};

static const uint8_t cid[DTLS_CID_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8};

static struct crypto_key *key_of(struct span pem) {
    struct crypto_key *key = pem.len == 0 ? crypto_key_generate() : crypto_key_from_pem(pem);
    assert_non_null(key);
    return key;
}

void pair_open(struct pair *pair, const struct pair_setup *setup, uint64_t seed) {
    memset(pair, 0, sizeof *pair);
    rng_seed(&pair->rng, seed);
    pair->now.us = 1000000;
    pair->peer.port = 40000;
    pair->server_key = key_of(setup->server_key);
    pair->client_key = key_of(setup->client_key);
    struct dtls_endpoint_config config = setup->server;
    config.is_server = true;
    config.key = pair->server_key;
    pair->server = dtls_endpoint_new(&config);
    config = setup->client;
    config.key = setup->keyless_client ? NULL : pair->client_key;
    config.pinned = crypto_key_point(setup->wrong_pin ? pair->client_key : pair->server_key);
    pair->client = dtls_endpoint_new(&config);
    assert_non_null(pair->server);
    assert_non_null(pair->client);
    uint8_t secret[DTLS_COOKIE_SECRET];
    rng_fill(&pair->rng, secret, sizeof secret);
    dtls_endpoint_rotate_cookie(pair->server, secret);
}

void pair_close(struct pair *pair) {
    dtls_handshake_close(&pair->server_hs);
    dtls_handshake_close(&pair->client_hs);
    dtls_endpoint_free(pair->server);
    dtls_endpoint_free(pair->client);
    crypto_key_free(pair->server_key);
    crypto_key_free(pair->client_key);
}

void pair_push(struct pair *pair, bool to_server, const uint8_t *bytes, size_t len) {
    if (pair->queued == PAIR_QUEUE) {
        return;
    }
    struct pair_datagram *datagram = &pair->queue[pair->queued];
    datagram->to_server = to_server;
    datagram->len = len;
    memcpy(datagram->bytes, bytes, len);
    if (pair->tamper != NULL) {
        pair->tamper(pair, datagram);
    }
    pair->queued++;
}

static void transport(struct pair *pair, bool to_server, struct outbox *box) {
    for (size_t i = 0; i < box->count; i++) {
        struct span datagram = outbox_datagram(box, i);
        *(to_server ? &pair->client_sent : &pair->server_sent) += 1;
        if (rng_below(&pair->rng, 100) < pair->loss) {
            continue;
        }
        pair_push(pair, to_server, datagram.data, datagram.len);
        if (rng_below(&pair->rng, 100) < pair->duplication) {
            pair_push(pair, to_server, datagram.data, datagram.len);
        }
    }
    outbox_clear(box);
}

static void note(struct pair *pair, bool of_server, const struct dtls_step *step) {
    switch (step->event) {
    case DTLS_EVENT_NONE:
        break;
    case DTLS_EVENT_ESTABLISHED:
        if (of_server) {
            assert_false(pair->server_up);
            pair->server_up = true;
            dtls_handshake_session(&pair->server_hs, &pair->server_session);
        } else {
            assert_false(pair->client_up);
            pair->client_up = true;
            dtls_handshake_session(&pair->client_hs, &pair->client_session);
        }
        break;
    case DTLS_EVENT_FAILED:
        assert_non_null(step->why);
        *(of_server ? &pair->server_failed : &pair->client_failed) = true;
        *(of_server ? &pair->server_why : &pair->client_why) = step->why;
        break;
    case DTLS_EVENT_NEED_PSK:
        assert_true(of_server);
        pair->needs_psk = true;
        break;
    }
}

static void to_server(struct pair *pair, struct span datagram, struct outbox *box) {
    struct dtls_sorted sorted;
    struct dtls_step step;
    dtls_sort(datagram, &sorted);
    if (sorted.is_hello &&
        !(pair->has_server && dtls_handshake_is_repeat(&pair->server_hs, datagram))) {
        const char *why = NULL;
        enum dtls_hello verdict = dtls_server_hello(pair->server, &pair->peer, datagram, box, &why);
        if (verdict == DTLS_HELLO_ACCEPT && !pair->has_server) {
            uint8_t entropy[DTLS_HANDSHAKE_ENTROPY];
            rng_fill(&pair->rng, entropy, sizeof entropy);
            int status = dtls_handshake_accept(&pair->server_hs, pair->server, datagram, cid,
                                               entropy, pair->now, box, &step);
            pair->has_server = true;
            assert_true(status == SW_OK || step.event == DTLS_EVENT_FAILED);
            note(pair, true, &step);
        }
        return;
    }
    if (pair->has_server && (sorted.kind == DTLS_KIND_HANDSHAKE || sorted.kind == DTLS_KIND_CID ||
                             sorted.kind == DTLS_KIND_PLAIN)) {
        dtls_handshake_input(&pair->server_hs, pair->server, datagram, pair->now, box, &step);
        note(pair, true, &step);
        if (pair->needs_psk && pair->psk.data != NULL) {
            pair->needs_psk = false;
            dtls_handshake_psk(&pair->server_hs, pair->server, pair->psk, pair->now, box, &step);
            note(pair, true, &step);
        }
    }
}

bool pair_deliver(struct pair *pair) {
    if (pair->queued == 0) {
        return false;
    }
    size_t index = 0;
    if (rng_below(&pair->rng, 100) < pair->disorder) {
        index = rng_below(&pair->rng, pair->queued);
    }
    struct pair_datagram datagram = pair->queue[index];
    memmove(&pair->queue[index], &pair->queue[index + 1],
            (pair->queued - index - 1) * sizeof pair->queue[0]);
    pair->queued--;
    pair->delivered++;
    uint8_t data[8192];
    struct outbox box;
    outbox_init(&box, data, sizeof data);
    /* Exactly sized, so that a sanitizer sees every byte read past the end. */
    uint8_t *exact = test_malloc(datagram.len);
    memcpy(exact, datagram.bytes, datagram.len);
    struct span bytes = span_of(exact, datagram.len);
    if (datagram.to_server) {
        to_server(pair, bytes, &box);
    } else {
        struct dtls_step step;
        dtls_handshake_input(&pair->client_hs, pair->client, bytes, pair->now, &box, &step);
        note(pair, false, &step);
    }
    test_free(exact);
    transport(pair, !datagram.to_server, &box);
    return true;
}

bool pair_tick(struct pair *pair) {
    mono_time server = dtls_handshake_deadline(&pair->server_hs);
    mono_time client = dtls_handshake_deadline(&pair->client_hs);
    mono_time next = mono_earlier(server, client);
    if (next.us == MONO_NEVER.us) {
        return false;
    }
    assert_true(next.us > pair->now.us);
    pair->now = next;
    uint8_t data[8192];
    struct outbox box;
    struct dtls_step step;
    outbox_init(&box, data, sizeof data);
    dtls_handshake_timer(&pair->server_hs, pair->server, pair->now, &box, &step);
    note(pair, true, &step);
    transport(pair, false, &box);
    dtls_handshake_timer(&pair->client_hs, pair->client, pair->now, &box, &step);
    note(pair, false, &step);
    transport(pair, true, &box);
    return true;
}

void pair_start(struct pair *pair) {
    uint8_t entropy[DTLS_HANDSHAKE_ENTROPY], data[4096];
    struct outbox box;
    rng_fill(&pair->rng, entropy, sizeof entropy);
    outbox_init(&box, data, sizeof data);
    assert_int_equal(
        dtls_handshake_connect(&pair->client_hs, pair->client, entropy, pair->now, &box), SW_OK);
    transport(pair, true, &box);
}

void pair_run(struct pair *pair, unsigned steps) {
    for (unsigned i = 0; i < steps; i++) {
        bool server_over = pair->server_up || pair->server_failed;
        bool client_over = pair->client_up || pair->client_failed;
        if (server_over && client_over && pair->queued == 0) {
            return;
        }
        if (!pair_deliver(pair) && !pair_tick(pair)) {
            return;
        }
    }
}

void pair_load_pki(struct pair_pki *pki, struct pair_setup *setup, const char *client) {
    char key_name[64];
    pki->trust =
        crypto_trust_from_pem(pki_load("authority", pki->authority, sizeof pki->authority));
    assert_non_null(pki->trust);
    setup->server_key = pki_load("server.key", pki->server_key, sizeof pki->server_key);
    setup->server.certificates = pki_load("server", pki->server, sizeof pki->server);
    setup->client.certificates = pki_load(client, pki->client, sizeof pki->client);
    (void)snprintf(key_name, sizeof key_name, "%s.key", client);
    setup->client_key = pki_load(key_name, pki->client_key, sizeof pki->client_key);
    setup->server.trust = pki->trust;
    setup->client.trust = pki->trust;
}
