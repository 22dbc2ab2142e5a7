/* Handshakes of standard clients by each kind of credential. */
#include "dtls/machine.h"
#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NOON INT64_C(1800000000000) /* in 2027 */

static const uint16_t psk_suites[] = {0xC0A8, 0xC0A4, 0x00A8, 0xD001, 0xD003};

static void run_psk(struct pair *pair, uint16_t suite, struct span server_psk) {
    struct pair_setup setup = {.client = {.psk_identity = span_text("sensor 12"),
                                          .psk_key = span_text("a shared secret"),
                                          .cid_form = DTLS_CID_RFC9146},
                               .server = {.accepts_psk = true},
                               .keyless_client = true};
    setup.client.only_suite = suite;
    pair_open(pair, &setup, 1);
    pair->psk = server_psk;
    pair_start(pair);
    pair_run(pair, 100);
}

static void expect_same_keys(const struct pair *pair) {
    if (!pair->server_up || !pair->client_up) {
        fail_msg("server: %s, client: %s", pair->server_why == NULL ? "waits" : pair->server_why,
                 pair->client_why == NULL ? "waits" : pair->client_why);
    }
    assert_memory_equal(pair->server_session.key_in, pair->client_session.key_out, 16);
    assert_memory_equal(pair->server_session.key_out, pair->client_session.key_in, 16);
}

static void psk_clients_connect_with_each_suite(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof psk_suites / sizeof psk_suites[0]; i++) {
        struct pair pair;
        struct dtls_identity identity;
        run_psk(&pair, psk_suites[i], span_text("a shared secret"));
        expect_same_keys(&pair);
        assert_int_equal(pair.server_session.suite, psk_suites[i]);
        assert_null(dtls_handshake_peer(&pair.server_hs));
        dtls_handshake_identity(&pair.server_hs, &identity);
        assert_int_equal(identity.proof, DTLS_PROOF_PSK);
        assert_true(span_is_text(identity.name, "sensor 12"));
        assert_false(identity.is_resumed);
        pair_close(&pair);
    }
}

static void a_wrong_key_and_an_unknown_identity_look_alike(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof psk_suites / sizeof psk_suites[0]; i++) {
        struct pair wrong, unknown;
        run_psk(&wrong, psk_suites[i], span_text("another secret"));
        run_psk(&unknown, psk_suites[i], span_of("", 0));
        assert_false(wrong.server_up || unknown.server_up || wrong.client_up || unknown.client_up);
        assert_int_equal(wrong.server_sent, unknown.server_sent);
        assert_true(wrong.client_failed && unknown.client_failed);
        assert_string_equal(wrong.client_why, "peer's alert: decrypt_error");
        assert_string_equal(unknown.client_why, "peer's alert: decrypt_error");
        pair_close(&wrong);
        pair_close(&unknown);
    }
}

static void the_key_may_come_later(void **state) {
    (void)state;
    struct pair pair;
    run_psk(&pair, 0xD003, span_of(NULL, 0));
    assert_true(pair.server_failed); /* nobody answered: the lookup has a deadline */
    pair_close(&pair);
    struct pair_setup setup = {
        .client = {.psk_identity = span_text("x"), .psk_key = span_text("y")},
        .server = {.accepts_psk = true},
        .keyless_client = true};
    pair_open(&pair, &setup, 1);
    pair_start(&pair);
    while (!pair.needs_psk) {
        assert_true(pair_deliver(&pair));
    }
    while (pair_deliver(&pair)) {
    }
    uint8_t data[4096];
    struct outbox box;
    struct dtls_step step;
    outbox_init(&box, data, sizeof data);
    pair.now = mono_add_ms(pair.now, 400);
    /* ChangeCipherSpec and Finished came in the meantime and were kept. */
    dtls_handshake_psk(&pair.server_hs, pair.server, span_text("y"), pair.now, &box, &step);
    assert_int_equal(step.event, DTLS_EVENT_ESTABLISHED);
    assert_int_equal(box.count, 1);
    dtls_handshake_psk(&pair.server_hs, pair.server, span_text("y"), pair.now, &box, &step);
    assert_int_equal(step.event, DTLS_EVENT_NONE); /* answered twice */
    pair_close(&pair);
}

/* ClientKeyExchange arrives; what came behind it in the same datagram does not. */
static void cut_after_first_record(struct pair *pair, struct pair_datagram *datagram) {
    (void)pair;
    if (datagram->to_server) {
        datagram->len = 13 + (size_t)(datagram->bytes[11] << 8 | datagram->bytes[12]);
    }
}

static void when_the_key_is_there_the_peer_is_waited_for_anew(void **state) {
    (void)state;
    struct pair pair;
    struct pair_setup setup = {
        .client = {.psk_identity = span_text("x"), .psk_key = span_text("y")},
        .server = {.accepts_psk = true},
        .keyless_client = true};
    pair_open(&pair, &setup, 1);
    pair.tamper = cut_after_first_record;
    pair_start(&pair);
    while (!pair.needs_psk) {
        assert_true(pair_deliver(&pair));
    }
    uint8_t data[4096];
    struct outbox box;
    struct dtls_step step;
    outbox_init(&box, data, sizeof data);
    dtls_handshake_psk(&pair.server_hs, pair.server, span_text("y"), pair.now, &box, &step);
    assert_int_equal(step.event, DTLS_EVENT_NONE);
    mono_time deadline = dtls_handshake_deadline(&pair.server_hs);
    assert_int_equal(mono_since_us(pair.now, deadline), 1000000);
    pair_close(&pair);
}

static void run_x509(struct pair *pair, const struct pair_setup *setup, int64_t wall_ms) {
    pair_open(pair, setup, 3);
    dtls_endpoint_tell_time(pair->server, (wall_time){.ms = wall_ms});
    dtls_endpoint_tell_time(pair->client, (wall_time){.ms = wall_ms});
    pair_start(pair);
    pair_run(pair, 200);
}

static void certificates_prove_both_sides(void **state) {
    (void)state;
    struct pair_pki pki;
    struct pair pair;
    struct pair_setup setup = {.client = {.server_name = "localhost"}};
    struct dtls_identity identity;
    pair_load_pki(&pki, &setup, "client");
    for (size_t mtu = 508; mtu <= 1400; mtu += 892) {
        setup.server.mtu = mtu;
        setup.client.mtu = mtu;
        run_x509(&pair, &setup, NOON);
        expect_same_keys(&pair);
        assert_null(dtls_handshake_peer(&pair.server_hs));
        dtls_handshake_identity(&pair.server_hs, &identity);
        assert_int_equal(identity.proof, DTLS_PROOF_CERTIFICATE);
        assert_true(span_is_text(identity.name, "device-0001"));
        dtls_handshake_identity(&pair.client_hs, &identity);
        assert_true(span_is_text(identity.name, "localhost")); /* the SAN before the CN */
        pair_close(&pair);
    }
    crypto_trust_free(pki.trust);
}

static void certificates_without_standing_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *client, *server_name, *server_why, *client_why;
        int64_t wall_ms;
    } cases[] = {
        {"unknown", NULL, "no authority behind the peer's certificate", "peer's alert: unknown_ca",
         NOON},
        {"client", "elsewhere", "peer's alert: unsupported_certificate",
         "the peer's certificate is for another use, name or curve", NOON},
        {"client", NULL, "peer's alert: certificate_expired",
         "the peer's certificate is out of date", 0},
        {"client", NULL, "peer's alert: certificate_expired",
         "the peer's certificate is out of date", INT64_C(9000000000000)},
        {"server", NULL, "the peer's certificate is for another use, name or curve",
         "peer's alert: unsupported_certificate", NOON},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pair_pki pki;
        struct pair pair;
        struct pair_setup setup = {.client = {.server_name = cases[i].server_name}};
        pair_load_pki(&pki, &setup, cases[i].client);
        run_x509(&pair, &setup, cases[i].wall_ms);
        assert_false(pair.server_up || pair.client_up);
        assert_string_equal(pair.server_why, cases[i].server_why);
        assert_string_equal(pair.client_why, cases[i].client_why);
        pair_close(&pair);
        crypto_trust_free(pki.trust);
    }
}

static void a_client_without_a_certificate_is_refused(void **state) {
    (void)state;
    struct pair_pki pki;
    struct pair pair;
    struct pair_setup setup = {0};
    pair_load_pki(&pki, &setup, "client");
    setup.client.certificates = span_of(NULL, 0);
    run_x509(&pair, &setup, NOON);
    assert_string_equal(pair.server_why, "the peer shows no certificate");
    pair_close(&pair);
    crypto_trust_free(pki.trust);
}

static void the_key_must_be_the_certificates(void **state) {
    (void)state;
    struct pair_pki pki;
    struct pair pair;
    struct pair_setup setup = {0};
    pair_load_pki(&pki, &setup, "client");
    setup.client_key = span_of(NULL, 0); /* a fresh one */
    run_x509(&pair, &setup, NOON);
    assert_string_equal(pair.server_why, "the peer's signature does not verify");
    pair_close(&pair);
    crypto_trust_free(pki.trust);
}

/* A full handshake, then another that resumes it through a network of the given loss. */
static void run_resumed(struct pair *pair, uint64_t seed, unsigned loss, int64_t later_s,
                        struct dtls_resumable *resumable) {
    struct pair_setup setup = {.client = {.cid_form = DTLS_CID_RFC9146},
                               .server = {.resumption_slots = 8}};
    pair_open(pair, &setup, seed);
    pair_start(pair);
    pair_run(pair, 100);
    expect_same_keys(pair);
    dtls_handshake_resumable(&pair->client_hs, resumable);
    assert_int_equal(resumable->id_len, 32);
    setup.client.resume = resumable;
    setup.client.key = pair->client_key;
    setup.client.pinned = crypto_key_point(pair->server_key);
    dtls_handshake_close(&pair->server_hs);
    dtls_handshake_close(&pair->client_hs);
    dtls_endpoint_free(pair->client);
    pair->client = dtls_endpoint_new(&setup.client);
    pair->has_server = pair->server_up = pair->client_up = false;
    pair->server_sent = pair->client_sent = 0;
    pair->now = mono_add_ms(pair->now, later_s * 1000);
    pair->loss = loss;
    pair_start(pair);
    pair_run(pair, 500);
}

static void a_session_is_resumed_in_one_round_trip_less(void **state) {
    (void)state;
    struct pair pair;
    struct dtls_resumable resumable;
    struct dtls_identity identity;
    run_resumed(&pair, 1, 0, 10, &resumable);
    expect_same_keys(&pair);
    assert_int_equal(pair.client_sent, 3);
    assert_int_equal(pair.server_sent, 2);
    dtls_handshake_identity(&pair.server_hs, &identity);
    assert_true(identity.is_resumed);
    assert_int_equal(identity.proof, DTLS_PROOF_RAW_KEY);
    assert_memory_equal(dtls_handshake_peer(&pair.server_hs)->b,
                        crypto_key_point(pair.client_key)->b, P256_POINT_BYTES);
    assert_memory_equal(dtls_handshake_peer(&pair.client_hs)->b,
                        crypto_key_point(pair.server_key)->b, P256_POINT_BYTES);
    assert_int_equal(pair.server_session.cid_form, DTLS_CID_RFC9146);
    pair_close(&pair);
}

static void resumption_survives_loss(void **state) {
    (void)state;
    unsigned resumed = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct pair pair;
        struct dtls_resumable resumable;
        run_resumed(&pair, seed, 25, 1, &resumable);
        /* Here the client speaks last: it may be up while the server waits for its repetition. */
        if (pair.server_up) {
            expect_same_keys(&pair);
            resumed++;
        }
        pair_close(&pair);
    }
    assert_true(resumed > 30);
}

static void old_and_unknown_sessions_get_a_full_handshake(void **state) {
    (void)state;
    struct pair pair;
    struct dtls_resumable resumable;
    struct dtls_identity identity;
    run_resumed(&pair, 1, 0, 25 * 3600, &resumable);
    expect_same_keys(&pair);
    dtls_handshake_identity(&pair.server_hs, &identity);
    assert_false(identity.is_resumed);
    pair_close(&pair);
}

static void forge_master(struct pair *pair, struct pair_datagram *datagram) {
    struct dtls_resumable *resumable = pair->tamper_context;
    (void)datagram;
    resumable->master.inner.opaque[0] ^= 1;
    pair->tamper = NULL;
}

static void an_id_without_its_secret_is_worth_nothing(void **state) {
    (void)state;
    struct pair pair;
    struct dtls_resumable resumable;
    run_resumed(&pair, 1, 0, 1, &resumable);
    expect_same_keys(&pair);
    dtls_handshake_close(&pair.server_hs);
    dtls_handshake_close(&pair.client_hs);
    pair.has_server = pair.server_up = pair.client_up = false;
    pair.tamper = forge_master;
    pair.tamper_context = &resumable;
    pair_start(&pair);
    pair_run(&pair, 200);
    assert_false(pair.server_up || pair.client_up);
    pair_close(&pair);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(psk_clients_connect_with_each_suite),
        cmocka_unit_test(a_wrong_key_and_an_unknown_identity_look_alike),
        cmocka_unit_test(the_key_may_come_later),
        cmocka_unit_test(when_the_key_is_there_the_peer_is_waited_for_anew),
        cmocka_unit_test(certificates_prove_both_sides),
        cmocka_unit_test(certificates_without_standing_are_refused),
        cmocka_unit_test(a_client_without_a_certificate_is_refused),
        cmocka_unit_test(the_key_must_be_the_certificates),
        cmocka_unit_test(a_session_is_resumed_in_one_round_trip_less),
        cmocka_unit_test(resumption_survives_loss),
        cmocka_unit_test(old_and_unknown_sessions_get_a_full_handshake),
        cmocka_unit_test(an_id_without_its_secret_is_worth_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
