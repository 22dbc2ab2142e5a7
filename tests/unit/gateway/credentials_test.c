/* Standard clients at the gateway: pre-shared keys from the store, certificates, raw keys without
 * connection ids; and that each may speak for its own device only. */
#include "pki.h"
#include "rig.h"

#include "slipway/app/device.h"
#include "slipway/app/fleet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PSK_ONE   "sixteen or more bytes"
#define PSK_OTHER "another secret of them"

static struct rig rig;
static char chain[4096], authority[4096];
static struct crypto_trust *trust;
static struct crypto_key *chain_key;

static struct crypto_key *load_key(const char *name) {
    char pem[2048];
    struct crypto_key *key = crypto_key_from_pem(pki_load(name, pem, sizeof pem));
    assert_non_null(key);
    return key;
}

static int setup(void **state) {
    (void)state;
    trust = crypto_trust_from_pem(pki_load("authority", authority, sizeof authority));
    chain_key = load_key("server.key");
    const struct gateway_config config = {.half_open_max = 8,
                                          .sessions_max = 64,
                                          .active_max = 64,
                                          .accepts_psk = true,
                                          .certificates = pki_load("server", chain, sizeof chain),
                                          .certificate_key = chain_key,
                                          .trust = trust};
    rig_open(&rig, &config);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    rig_close(&rig);
    crypto_key_free(chain_key);
    crypto_trust_free(trust);
    return 0;
}

#define COUNTER(name) (gateway_counters(rig.gw)->name)

struct act {
    struct device_id id;
    struct span psk;
};

static int run_import(struct app_tx *tx, void *arg) {
    const struct act *act = arg;
    char text[DEVICE_ID_DIGITS + 1];
    struct app_import_result result;
    device_id_text(&act->id, text);
    struct span one = span_text(text);
    int code = app_device_import(tx, PRODUCT_ID_FIRST, &one, 1, &result);
    if (code == SW_OK) {
        app_import_result_free(&result);
    }
    return code;
}

static int run_psk(struct app_tx *tx, void *arg) {
    const struct act *act = arg;
    return act->psk.len > 0 ? app_device_psk_set(tx, PRODUCT_ID_FIRST, &act->id, act->psk)
                            : app_device_psk_remove(tx, PRODUCT_ID_FIRST, &act->id);
}

static void set_psk(const struct peer *client, const char *psk) {
    struct act act = {.id = client->id, .psk = span_text(psk)};
    assert_int_equal(app_execute(rig.app, run_import, &act, NULL), SW_OK);
    assert_int_equal(app_execute(rig.app, run_psk, &act, NULL), SW_OK);
}

static char identity_text[64];

static void open_psk(struct peer *client, unsigned number, const char *identity, const char *psk) {
    const struct dtls_endpoint_config config = {.psk_identity = span_text(identity),
                                                .psk_key = span_text(psk)};
    peer_open_as(client, number, &config);
}

/* As device `number` would, by its own id. */
static void open_psk_device(struct peer *client, unsigned number, const char *psk) {
    (void)snprintf(identity_text, sizeof identity_text, "e0e0e0e0e0e0e0e0e0e0%04x", number);
    open_psk(client, number, identity_text, psk);
}

static void connect_late(struct peer *client) {
    peer_begin(client, &rig);
    peer_go(client, &rig);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    peer_go(client, &rig);
}

static bool says_hello(struct peer *client, uint16_t id, const struct device_id *device) {
    peer_hello(client, &rig, id, device);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    return peer_is_acked(client, &rig, id);
}

static bool is_served(const struct device_id *id) {
    const struct seat *seat = rig_seat(&rig, id);
    return seat != NULL && seat->is_present;
}

static void a_psk_client_is_served_when_the_store_has_answered(void **state) {
    (void)state;
    struct peer client;
    open_psk_device(&client, 1, PSK_ONE);
    set_psk(&client, PSK_ONE);
    peer_begin(&client, &rig);
    peer_go(&client, &rig);
    /* Nothing is said until the key was looked up. */
    assert_false(client.is_established);
    assert_int_equal(COUNTER(handshakes_done), 0);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    peer_go(&client, &rig);
    assert_true(client.is_established);
    assert_true(says_hello(&client, 1, &client.id));
    assert_true(is_served(&client.id));
    peer_close(&client);
}

/* The whole of what the client sees: how many datagrams of what lengths, and the alert. */
static const char *psk_fails(unsigned number, const char *identity, const char *psk,
                             size_t *datagrams, size_t *bytes) {
    struct peer client;
    open_psk(&client, number, identity, psk);
    rig_forget(&rig);
    connect_late(&client);
    assert_false(client.is_established);
    *datagrams = rig.sent_count;
    *bytes = 0;
    for (size_t n = 0; n < rig.sent_count; n++) {
        *bytes += rig.sent[n].len;
    }
    const char *why = client.why;
    peer_close(&client);
    return why;
}

static void an_unknown_psk_identity_looks_like_a_wrong_key(void **state) {
    (void)state;
    struct peer client;
    open_psk_device(&client, 1, PSK_ONE);
    set_psk(&client, PSK_ONE);
    peer_close(&client);
    static const char *const identities[] = {"e0e0e0e0e0e0e0e0e0e00001", /* the one that is known */
                                             "e0e0e0e0e0e0e0e0e0e00099", "no device at all", "",
                                             "e0e0e0e0e0e0e0e0e0e00001extra"};
    size_t datagrams[2], bytes[2];
    uint64_t jobs = COUNTER(jobs_submitted);
    for (size_t n = 0; n < sizeof identities / sizeof identities[0]; n++) {
        const char *why = psk_fails((unsigned)(10 + n), identities[n], PSK_OTHER, &datagrams[n > 0],
                                    &bytes[n > 0]);
        assert_string_equal(why, "peer's alert: decrypt_error");
        assert_int_equal(datagrams[n > 0], datagrams[0]);
        assert_int_equal(bytes[n > 0], bytes[0]);
        /* The store was asked for each of them. */
        assert_int_equal(COUNTER(jobs_submitted), jobs + n + 1);
    }
    assert_int_equal(COUNTER(handshakes_failed), sizeof identities / sizeof identities[0]);
    assert_string_equal(rig.unmet_why, "the PSKs differ");
}

static void an_answer_for_a_handshake_that_gave_way_is_dropped(void **state) {
    (void)state;
    struct peer client, other;
    open_psk_device(&client, 1, PSK_ONE);
    set_psk(&client, PSK_ONE);
    peer_begin(&client, &rig);
    peer_go(&client, &rig);
    /* Another client gets its place before the answer is there. */
    peer_open(&other, &rig, 2);
    other.address = client.address;
    peer_begin(&other, &rig);
    assert_int_equal(rig_sizes(&rig).half_open, 1);
    rig_pump(&rig, STORE_TROUBLE_NONE);
    peer_go(&client, &rig);
    assert_false(client.is_established);
    peer_close(&client);
    peer_close(&other);
}

static void a_device_speaks_for_nobody_but_itself(void **state) {
    (void)state;
    struct peer client, victim;
    open_psk_device(&client, 1, PSK_ONE);
    set_psk(&client, PSK_ONE);
    peer_open(&victim, &rig, 2);
    peer_connect(&victim, &rig);
    assert_true(says_hello(&victim, 1, &victim.id));
    connect_late(&client);
    assert_true(says_hello(&client, 1, &victim.id)); /* acknowledged, so that it stays quiet */
    assert_int_equal(COUNTER(quarantined), 1);
    assert_int_equal(COUNTER(sessions_replaced), 0);
    /* Nor for a device that nobody knows: the product would have taken it. */
    struct device_id unknown = client.id;
    unknown.b[11] = 77;
    assert_false(
        says_hello(&client, 2, &unknown)); /* a session keeps the name that it began with */
    client.address.port++;
    connect_late(&client);
    assert_true(says_hello(&client, 2, &unknown));
    assert_false(is_served(&unknown));
    assert_int_equal(COUNTER(quarantined), 2);
    client.address.port++;
    connect_late(&client);
    assert_true(says_hello(&client, 3, &client.id));
    assert_true(is_served(&client.id));
    peer_close(&client);
    peer_close(&victim);
}

static void a_strangers_raw_key_is_not_bound_to_a_device_with_a_psk(void **state) {
    (void)state;
    struct peer client, stranger;
    open_psk_device(&client, 1, PSK_ONE);
    set_psk(&client, PSK_ONE);
    peer_open(&stranger, &rig, 9);
    peer_connect(&stranger, &rig);
    assert_true(says_hello(&stranger, 1, &client.id));
    assert_false(is_served(&client.id));
    assert_int_equal(COUNTER(quarantined), 1);
    peer_close(&client);
    peer_close(&stranger);
}

static void a_psk_that_is_replaced_or_removed_ends_its_sessions(void **state) {
    (void)state;
    struct peer client;
    struct act act;
    open_psk_device(&client, 1, PSK_ONE);
    set_psk(&client, PSK_ONE);
    connect_late(&client);
    assert_true(says_hello(&client, 1, &client.id));
    act = (struct act){.id = client.id, .psk = span_text(PSK_OTHER)};
    assert_int_equal(app_execute(rig.app, run_psk, &act, NULL), SW_OK);
    /* The notice is the loop's to pass on. */
    const struct app_notice forget = {.kind = APP_NOTICE_FORGET, .device = client.id};
    gateway_notice(rig.gw, &forget, rig.now, (wall_time){.ms = 1});
    assert_int_equal(rig_sizes(&rig).sessions, 0);
    connect_late(&client);
    assert_false(client.is_established);
    peer_close(&client);
    open_psk_device(&client, 1, PSK_OTHER);
    connect_late(&client);
    assert_true(client.is_established);
    /* Removed between the handshake and the Hello: not the device's any more. */
    act.psk = span_of(NULL, 0);
    assert_int_equal(app_execute(rig.app, run_psk, &act, NULL), SW_OK);
    assert_true(says_hello(&client, 1, &client.id));
    assert_false(is_served(&client.id));
    peer_close(&client);
}

static void a_session_without_ids_survives_a_crash(void **state) {
    (void)state;
    struct peer client;
    open_psk_device(&client, 1, PSK_ONE);
    set_psk(&client, PSK_ONE);
    connect_late(&client);
    assert_int_equal(client.session.cid_out_len, 0);
    assert_true(says_hello(&client, 1, &client.id));
    for (uint16_t n = 0; n < 8; n++) {
        rig_pass(&rig, 60000);
        const uint8_t ping[4] = {0x40, 0, 0x30, (uint8_t)n};
        peer_say(&client, &rig, span_of(ping, sizeof ping));
        rig_pump(&rig, STORE_TROUBLE_NONE);
        assert_true(peer_is_acked(&client, &rig, (uint16_t)(0x3000 + n)));
    }
    rig_crash(&rig);
    assert_int_equal(COUNTER(sessions_restored), 1);
    /* Its next words lie below what may have been accepted; then it is heard. */
    bool is_heard = false;
    for (uint16_t n = 0; n < 600 && !is_heard; n++) {
        const uint8_t ping[4] = {0x40, 0, (uint8_t)(0x40 + (n >> 8)), (uint8_t)n};
        peer_say(&client, &rig, span_of(ping, sizeof ping));
        rig_pump(&rig, STORE_TROUBLE_NONE);
        is_heard = peer_is_acked(&client, &rig, (uint16_t)(0x4000 + n));
    }
    assert_true(is_heard);
    assert_true(is_served(&client.id));
    /* A record of another address is not its own: nothing else names the session. */
    uint64_t unknown = COUNTER(dropped_unknown);
    client.address.port++;
    peer_say(&client, &rig, span_of("\x40\x00\x50\x00", 4));
    assert_int_equal(COUNTER(dropped_unknown), unknown + 1);
    peer_close(&client);
}

/* The record as 3.0 sends it while it moves: another first byte, its id and 0C behind. */
static void say_moved_30(struct peer *client, struct span message) {
    uint8_t record[1400];
    struct writer w = writer_of(record, sizeof record);
    assert_int_equal(dtls_seal(dtls_endpoint_crypto(client->endpoint), &client->session,
                               DTLS_APPLICATION_DATA, message, &w),
                     SW_OK);
    record[0] = 254;
    writer_bytes(&w, span_of(client->id.b, DEVICE_ID_BYTES));
    writer_u8(&w, DEVICE_ID_BYTES);
    peer_datagram(client, &rig, writer_span(&w));
}

static void device_os_3_0_is_found_by_address_and_by_its_trailer(void **state) {
    (void)state;
    struct peer client;
    struct crypto_key *key = crypto_key_generate();
    const struct dtls_endpoint_config config = {
        .key = key, .pinned = crypto_key_point(rig.key), .is_device_os_30 = true};
    peer_open_as(&client, 1, &config);
    client.key = key;
    peer_connect(&client, &rig);
    assert_true(says_hello(&client, 1, &client.id));
    assert_true(is_served(&client.id));
    peer_say(&client, &rig, span_of("\x40\x00\x11\x11", 4));
    assert_true(peer_is_acked(&client, &rig, 0x1111));
    client.address.port++;
    peer_say(&client, &rig, span_of("\x40\x00\x11\x12", 4));
    assert_int_equal(COUNTER(dropped_unknown), 1);
    say_moved_30(&client, span_of("\x40\x00\x11\x13", 4));
    assert_true(peer_is_acked(&client, &rig, 0x1113));
    peer_say(&client, &rig, span_of("\x40\x00\x11\x14", 4)); /* the new address is its own now */
    assert_true(peer_is_acked(&client, &rig, 0x1114));
    /* After a crash the trailer finds it as well. */
    rig_crash(&rig);
    client.address.port++;
    bool is_heard = false;
    for (uint16_t n = 0; n < 600 && !is_heard; n++) {
        const uint8_t ping[4] = {0x40, 0, (uint8_t)(0x40 + (n >> 8)), (uint8_t)n};
        say_moved_30(&client, span_of(ping, sizeof ping));
        rig_pump(&rig, STORE_TROUBLE_NONE);
        is_heard = peer_is_acked(&client, &rig, (uint16_t)(0x4000 + n));
    }
    assert_true(is_heard);
    assert_true(is_served(&client.id));
    peer_close(&client);
}

static struct span client_pem;
static char client_chain[4096];
static struct crypto_key *client_key;

static void open_certified(struct peer *client, unsigned number, const char *name) {
    char key_name[64];
    (void)snprintf(key_name, sizeof key_name, "%s.key", name);
    client_key = load_key(key_name);
    client_pem = pki_load(name, client_chain, sizeof client_chain);
    const struct dtls_endpoint_config config = {
        .key = client_key, .certificates = client_pem, .trust = trust, .server_name = "localhost"};
    peer_open_as(client, number, &config);
    client->key = client_key;
    dtls_endpoint_tell_time(client->endpoint, (wall_time){.ms = 1800000000000});
}

/* RFC 5246 section 7.3: a session id stands for the first handshake's proof. */
static void a_resumed_handshake_is_the_same_device(void **state) {
    (void)state;
    for (unsigned way = 0; way < 2; way++) {
        struct peer client;
        struct crypto_key *key = crypto_key_generate();
        struct dtls_endpoint_config config = {.key = key, .pinned = crypto_key_point(rig.key)};
        struct dtls_resumable resumable;
        if (way == 0) {
            peer_open_as(&client, 5, &config);
            client.key = key;
        } else {
            crypto_key_free(key);
            open_certified(&client, 1, "device");
            config = (struct dtls_endpoint_config){.key = client_key,
                                                   .certificates = client_pem,
                                                   .trust = trust,
                                                   .server_name = "localhost"};
        }
        peer_connect(&client, &rig);
        assert_true(says_hello(&client, 1, &client.id));
        assert_true(is_served(&client.id));
        dtls_handshake_resumable(&client.hs, &resumable);
        assert_int_equal(resumable.id_len, 32);
        dtls_handshake_close(&client.hs);
        dtls_endpoint_free(client.endpoint);
        config.resume = &resumable;
        client.endpoint = dtls_endpoint_new(&config);
        client.address.port += 7;
        peer_connect(&client, &rig);
        struct dtls_identity identity;
        dtls_handshake_identity(&client.hs, &identity);
        assert_true(identity.is_resumed);
        assert_true(says_hello(&client, 2, &client.id));
        assert_true(is_served(&client.id));
        assert_int_equal(COUNTER(sessions_replaced), way + 1);
        assert_int_equal(COUNTER(quarantined), 0);
        peer_close(&client);
    }
    /* A PSK may be taken back at any time: its clients get no id. */
    struct peer client;
    struct dtls_resumable resumable;
    open_psk_device(&client, 9, PSK_ONE);
    set_psk(&client, PSK_ONE);
    connect_late(&client);
    dtls_handshake_resumable(&client.hs, &resumable);
    assert_int_equal(resumable.id_len, 0);
    peer_close(&client);
}

/* What the settings do not take any more is not restored either. */
static void proofs_that_are_not_taken_any_more_are_forgotten(void **state) {
    (void)state;
    struct peer certified, psk;
    open_certified(&certified, 1, "device");
    peer_connect(&certified, &rig);
    assert_true(says_hello(&certified, 1, &certified.id));
    open_psk_device(&psk, 9, PSK_ONE);
    set_psk(&psk, PSK_ONE);
    connect_late(&psk);
    assert_true(says_hello(&psk, 1, &psk.id));
    rig_crash(&rig);
    assert_int_equal(rig_sizes(&rig).sessions, 2);
    rig.config.trust = NULL;
    rig_crash(&rig);
    assert_int_equal(rig_sizes(&rig).sessions, 1);
    rig.config.accepts_psk = false;
    rig_crash(&rig);
    assert_int_equal(rig_sizes(&rig).sessions, 0);
    rig.config.trust = trust;
    rig.config.accepts_psk = true;
    rig_crash(&rig);
    assert_int_equal(rig_sizes(&rig).sessions, 0); /* their rows are gone */
    peer_close(&certified);
    peer_close(&psk);
}

static void certificates_name_their_device(void **state) {
    (void)state;
    static const char *const names[] = {"device", "device2"}; /* by CN; by SAN, with a domain */
    for (unsigned n = 1; n <= 2; n++) {
        struct peer client;
        open_certified(&client, n, names[n - 1]);
        peer_connect(&client, &rig);
        assert_true(says_hello(&client, 1, &client.id));
        assert_true(is_served(&client.id));
        /* The device shows certificates: a key that a stranger brings is not bound to it. */
        struct peer stranger;
        peer_open(&stranger, &rig, 20 + n);
        peer_connect(&stranger, &rig);
        uint64_t refused = COUNTER(quarantined);
        assert_true(says_hello(&stranger, 1, &client.id));
        assert_int_equal(COUNTER(quarantined), refused + 1);
        peer_close(&stranger);
        peer_close(&client);
    }
}

static void a_certificate_that_names_no_device_is_refused(void **state) {
    (void)state;
    struct peer client;
    uint8_t message[1400];
    struct dtls_opened opened;
    open_certified(&client, 1, "client"); /* CN device-0001 */
    peer_begin(&client, &rig);
    peer_go(&client, &rig);
    assert_int_equal(COUNTER(handshakes_failed), 1);
    assert_string_equal(rig.unmet_why, "the certificate names no device");
    assert_int_equal(rig_sizes(&rig).sessions, 0);
    const struct rig_sent *last = &rig.sent[rig.sent_count - 1];
    assert_int_equal(dtls_open(dtls_endpoint_crypto(client.endpoint), &client.session,
                               span_of(last->bytes, last->len), message, sizeof message, &opened),
                     SW_OK);
    assert_int_equal(opened.type, DTLS_ALERT);
    assert_memory_equal(opened.content.data, "\x02\x31", 2); /* fatal, access_denied */
    peer_close(&client);
}

static void the_name_is_a_device_id_alone_or_before_a_dot(void **state) {
    (void)state;
    struct device_id id;
    assert_int_equal(app_proof_device(span_text("E00fce68aabbccddeeff0011"), &id), SW_OK);
    assert_int_equal(id.b[0], 0xe0);
    assert_int_equal(app_proof_device(span_text("e00fce68aabbccddeeff0011.x.example"), &id), SW_OK);
    static const char *const not_one[] = {"",
                                          ".",
                                          ".e00fce68aabbccddeeff0011",
                                          "e00fce68aabbccddeeff001",
                                          "e00fce68aabbccddeeff00112",
                                          "x.e00fce68aabbccddeeff0011",
                                          "e00fce68aabbccddeeff001g"};
    for (size_t n = 0; n < sizeof not_one / sizeof not_one[0]; n++) {
        assert_int_equal(app_proof_device(span_text(not_one[n]), &id), SW_E_INPUT);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_psk_client_is_served_when_the_store_has_answered),
        TEST(an_unknown_psk_identity_looks_like_a_wrong_key),
        TEST(an_answer_for_a_handshake_that_gave_way_is_dropped),
        TEST(a_device_speaks_for_nobody_but_itself),
        TEST(a_strangers_raw_key_is_not_bound_to_a_device_with_a_psk),
        TEST(a_psk_that_is_replaced_or_removed_ends_its_sessions),
        TEST(a_session_without_ids_survives_a_crash),
        TEST(device_os_3_0_is_found_by_address_and_by_its_trailer),
        TEST(a_resumed_handshake_is_the_same_device),
        TEST(proofs_that_are_not_taken_any_more_are_forgotten),
        TEST(certificates_name_their_device),
        TEST(a_certificate_that_names_no_device_is_refused),
        cmocka_unit_test(the_name_is_a_device_id_alone_or_before_a_dot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
