#include "dtls/machine.h"
#include "pair.h"
#include "slipway/crypto/secret.h"
#include "slipway/util/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void the_state_table_is_sound(void **state) {
    (void)state;
    const char *wrong = fsm_audit(&handshake_fsm, FSM_NEXT(STATE_IDLE));
    if (wrong != NULL) {
        fail_msg("%s", wrong);
    }
}

static bool is_allowed(bool is_server, enum state state, uint8_t type, bool is_protected) {
    const struct message_rule *rules = is_server ? server_rules : client_rules;
    size_t count = is_server ? server_rule_count : client_rule_count;
    for (size_t i = 0; i < count; i++) {
        if (rules[i].state == state && rules[i].type == type &&
            rules[i].is_protected == is_protected) {
            return true;
        }
    }
    return false;
}

/* Every message in every state: what no rule allows ends the handshake with unexpected_message, or
 * is not even looked at where only protected words count. */
static void each_state_takes_its_own_messages_alone(void **state) {
    (void)state;
    unsigned refused = 0;
    for (unsigned is_server = 0; is_server < 2; is_server++) {
        struct pair pair;
        pair_open(&pair, &pair_setup_device, 1);
        pair_start(&pair);
        while (!pair.has_server) {
            assert_true(pair_deliver(&pair));
        }
        struct dtls_handshake *hs = is_server ? &pair.server_hs : &pair.client_hs;
        struct dtls_endpoint *endpoint = is_server ? pair.server : pair.client;
        static struct dtls_handshake saved;
        saved = *hs;
        for (unsigned in = STATE_PEER_CERTIFICATE; in < STATE_ESTABLISHED; in++) {
            for (unsigned type = 0; type < 256; type++) {
                if (is_allowed(is_server == 1, (enum state)in, (uint8_t)type, false)) {
                    continue;
                }
                *hs = saved;
                struct machine *m = (struct machine *)(void *)hs->opaque;
                m->state = (enum state)in;
                uint8_t datagram[100], data[2000];
                struct outbox box;
                struct dtls_step step;
                struct writer w = writer_of(datagram, sizeof datagram);
                uint8_t header[MESSAGE_HEADER_BYTES];
                message_header(header, (uint8_t)type, m->in.next, 0);
                record_header(&w, DTLS_HANDSHAKE, DTLS_VERSION_12, 9, sizeof header);
                writer_bytes(&w, span_of(header, sizeof header));
                outbox_init(&box, data, sizeof data);
                dtls_handshake_input(hs, endpoint, writer_span(&w), pair.now, &box, &step);
                bool is_ignored = is_server == 0 && type == MESSAGE_HELLO_REQUEST;
                if (in == STATE_PEER_FINISHED || in == STATE_LOOKUP || is_ignored) {
                    assert_int_equal(step.event, DTLS_EVENT_NONE);
                    assert_int_equal(m->state, in);
                } else {
                    assert_int_equal(step.event, DTLS_EVENT_FAILED);
                    assert_int_equal(m->state, STATE_FAILED);
                    assert_int_equal(box.count, 1);
                    assert_int_equal(outbox_datagram(&box, 0).data[14], ALERT_UNEXPECTED_MESSAGE);
                    refused++;
                }
            }
        }
        *hs = saved;
        pair_close(&pair);
    }
    assert_true(refused > 4000);
}

static void expect_talk(struct pair *pair) {
    uint8_t record[1500], plain[DTLS_RECORD_MAX];
    struct dtls_opened opened;
    for (unsigned i = 0; i < 3; i++) {
        struct writer w = writer_of(record, sizeof record);
        assert_int_equal(dtls_seal(dtls_endpoint_crypto(pair->client), &pair->client_session,
                                   DTLS_APPLICATION_DATA, span_text("up"), &w),
                         SW_OK);
        assert_int_equal(dtls_open(dtls_endpoint_crypto(pair->server), &pair->server_session,
                                   writer_span(&w), plain, sizeof plain, &opened),
                         SW_OK);
        assert_true(span_is_text(opened.content, "up"));
        w = writer_of(record, sizeof record);
        assert_int_equal(dtls_seal(dtls_endpoint_crypto(pair->server), &pair->server_session,
                                   DTLS_APPLICATION_DATA, span_text("down"), &w),
                         SW_OK);
        assert_int_equal(dtls_open(dtls_endpoint_crypto(pair->client), &pair->client_session,
                                   writer_span(&w), plain, sizeof plain, &opened),
                         SW_OK);
        assert_true(span_is_text(opened.content, "down"));
    }
}

static void expect_established(struct pair *pair) {
    if (!pair->server_up || !pair->client_up) {
        fail_msg("server: %s, client: %s", pair->server_why == NULL ? "waits" : pair->server_why,
                 pair->client_why == NULL ? "waits" : pair->client_why);
    }
    assert_memory_equal(pair->server_session.key_in, pair->client_session.key_out, 16);
    assert_memory_equal(pair->server_session.key_out, pair->client_session.key_in, 16);
    assert_memory_equal(dtls_handshake_peer(&pair->server_hs)->b,
                        crypto_key_point(pair->client_key)->b, P256_POINT_BYTES);
    assert_memory_equal(dtls_handshake_peer(&pair->client_hs)->b,
                        crypto_key_point(pair->server_key)->b, P256_POINT_BYTES);
    expect_talk(pair);
}

static void a_device_connects_in_three_round_trips(void **state) {
    (void)state;
    struct pair pair;
    pair_open(&pair, &pair_setup_device, 1);
    pair_start(&pair);
    pair_run(&pair, 100);
    expect_established(&pair);
    assert_int_equal(pair.client_sent, 3); /* each flight is one datagram */
    assert_int_equal(pair.server_sent, 3);
    assert_int_equal(pair.server_session.suite, 0xC0AE);
    assert_int_equal(pair.server_session.cid_form, DTLS_CID_DRAFT05);
    assert_int_equal(pair.server_session.cid_in_len, 8);
    assert_int_equal(pair.server_session.cid_out_len, 0);
    assert_int_equal(pair.client_session.cid_out_len, 8);
    assert_int_equal(pair.client_session.cid_in_len, 0);
    assert_int_equal(pair.server_session.seq_in_limit, DTLS_SEQUENCE_MAX);
    assert_false(pair_tick(&pair)); /* nothing is due any more */
    pair_close(&pair);
}

/* Like 3.1 and later, but for the connection id. */
static void device_os_3_0_connects_without_ids(void **state) {
    (void)state;
    struct pair pair;
    struct pair_setup setup = {.client = {.is_device_os_30 = true}};
    struct dtls_identity identity;
    pair_open(&pair, &setup, 1);
    pair_start(&pair);
    pair_run(&pair, 100);
    expect_established(&pair);
    assert_int_equal(pair.server_sent, 3);
    assert_int_equal(pair.server_session.suite, 0xC0AE);
    assert_int_equal(pair.server_session.cid_form, DTLS_CID_NONE);
    assert_int_equal(pair.server_session.cid_in_len, 0);
    dtls_handshake_identity(&pair.server_hs, &identity);
    assert_true(identity.is_device_os);
    assert_int_equal(identity.proof, DTLS_PROOF_RAW_KEY);
    pair_close(&pair);
}

static void standard_raw_key_clients_connect(void **state) {
    (void)state;
    static const uint8_t forms[] = {DTLS_CID_NONE, DTLS_CID_RFC9146};
    for (size_t i = 0; i < 2; i++) {
        struct pair pair;
        struct pair_setup setup = {.client = {.cid_form = forms[i]}};
        pair_open(&pair, &setup, 2);
        pair_start(&pair);
        pair_run(&pair, 100);
        expect_established(&pair);
        assert_int_equal(pair.server_session.suite, 0xC02B);
        assert_int_equal(pair.server_session.cid_form, forms[i]);
        struct dtls_identity identity;
        dtls_handshake_identity(&pair.server_hs, &identity);
        assert_false(identity.is_device_os);
        pair_close(&pair);
    }
}

static void small_datagrams_carry_fragments(void **state) {
    (void)state;
    struct pair pair;
    struct pair_setup setup = pair_setup_device;
    setup.client.mtu = 508;
    setup.server.mtu = 508;
    pair_open(&pair, &setup, 3);
    pair_start(&pair);
    pair_run(&pair, 100);
    expect_established(&pair);
    pair_close(&pair);
}

/* Every message cut into pieces of `piece` bytes, each in a record and datagram of its own, sent
 * backwards: what a hostile but honest network may do to us. */
static void cut(struct pair *pair, bool to_server, struct span datagram, size_t piece) {
    uint8_t pieces[256][160];
    size_t lens[256], count = 0;
    uint64_t sequence = 1000 + pair->delivered * 1000;
    struct reader r = reader_of(datagram);
    while (reader_left(&r) > 0) {
        struct record record;
        struct span rest = span_of(datagram.data + r.at, reader_left(&r));
        assert_int_equal(record_parse(rest, to_server ? DTLS_CID_BYTES : 0, &record), SW_OK);
        (void)reader_bytes(&r, record.consumed);
        struct reader in = reader_of(record.fragment);
        struct fragment whole;
        if (record.type != DTLS_HANDSHAKE || record.epoch != 0) {
            memcpy(pieces[count], rest.data, record.consumed);
            lens[count++] = record.consumed;
            continue;
        }
        assert_true(fragment_read(&in, &whole));
        size_t offset = 0;
        do {
            size_t len = whole.message_len - offset < piece ? whole.message_len - offset : piece;
            struct writer w = writer_of(pieces[count], sizeof pieces[count]);
            record_header(&w, DTLS_HANDSHAKE, DTLS_VERSION_12, sequence++, 12 + len);
            writer_u8(&w, whole.type);
            writer_u24(&w, whole.message_len);
            writer_u16(&w, whole.message_seq);
            writer_u24(&w, (uint32_t)offset);
            writer_u24(&w, (uint32_t)len);
            writer_bytes(&w, span_of(whole.bytes.data + offset, len));
            assert_int_equal(writer_status(&w), SW_OK);
            lens[count++] = w.at;
            offset += len;
        } while (offset < whole.message_len);
    }
    for (size_t i = count; i > 0; i--) {
        pair_push(pair, to_server, pieces[i - 1], lens[i - 1]);
    }
}

static void fragments_in_reverse_order_are_put_together(void **state) {
    (void)state;
    static const size_t sizes[] = {7, 30, 33, 90, 100};
    for (size_t i = 0; i < SW_COUNT(sizes); i++) {
        struct pair pair;
        pair_open(&pair, &pair_setup_device, 4);
        pair_start(&pair);
        for (unsigned step = 0; step < 1000 && !(pair.server_up && pair.client_up); step++) {
            if (pair.queued == 1 && pair.queue[0].len > 200) {
                struct pair_datagram datagram = pair.queue[0];
                pair.queued = 0;
                cut(&pair, datagram.to_server, span_of(datagram.bytes, datagram.len), sizes[i]);
            }
            assert_true(pair_deliver(&pair));
        }
        expect_established(&pair);
        pair_close(&pair);
    }
}

static void a_spoilt_network_only_delays(void **state) {
    (void)state;
    unsigned established = 0, tries = 60;
    for (unsigned seed = 0; seed < tries; seed++) {
        struct pair pair;
        struct pair_setup setup = pair_setup_device;
        setup.server.mtu = seed % 2 == 0 ? 508 : 0;
        setup.client.mtu = seed % 3 == 0 ? 508 : 0;
        pair_open(&pair, &setup, seed);
        pair.loss = seed % 4 * 10;
        pair.duplication = 30;
        pair.disorder = 50;
        pair_start(&pair);
        pair_run(&pair, 2000);
        /* A client may be up while the server's last words are lost; the other way round it
         * repeats. */
        if (pair.client_up) {
            assert_true(pair.server_up);
            expect_established(&pair);
            established++;
        } else {
            assert_true(pair.client_failed);
        }
        if (pair.loss == 0) {
            assert_true(pair.client_up);
        }
        pair_close(&pair);
    }
    assert_true(established > tries * 8 / 10);
}

static void lose_server_finished(struct pair *pair, struct pair_datagram *datagram) {
    if (!datagram->to_server && datagram->bytes[0] == DTLS_CHANGE_CIPHER_SPEC &&
        pair->tamper_at-- > 0) {
        datagram->bytes[0] = 99;
    }
}

static void the_last_flight_is_repeated_when_the_peer_repeats_its_own(void **state) {
    (void)state;
    struct pair pair;
    pair_open(&pair, &pair_setup_device, 5);
    pair.tamper = lose_server_finished;
    pair.tamper_at = 2;
    pair_start(&pair);
    pair_run(&pair, 100);
    expect_established(&pair);
    assert_int_equal(pair.server_sent, 5); /* hello verify, flight, and three times the last */
    pair_close(&pair);
}

static void a_silent_peer_is_given_up(void **state) {
    (void)state;
    struct pair pair;
    pair_open(&pair, &pair_setup_device, 6);
    pair.loss = 100;
    int64_t start = pair.now.us;
    pair_start(&pair);
    pair_run(&pair, 100);
    assert_true(pair.client_failed);
    assert_int_equal(pair.client_sent, 4);
    assert_int_equal(pair.now.us - start, 45 * 1000000); /* 3 + 6 + 12 + 24 s, as devices do */
    pair_close(&pair);
    pair_open(&pair, &pair_setup_device, 6);
    pair_start(&pair);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(pair_deliver(&pair));
    }
    assert_true(pair.has_server);
    pair.queued = 0;
    pair.loss = 100;
    start = pair.now.us;
    pair.server_sent = 0;
    pair_run(&pair, 100);
    assert_true(pair.server_failed);
    assert_int_equal(pair.server_sent, 5);
    assert_int_equal(pair.now.us - start, 63 * 1000000); /* 1 + 2 + ... + 32 s */
    pair_close(&pair);
}

static void another_server_key_is_refused(void **state) {
    (void)state;
    static const uint8_t forms[] = {DTLS_CID_DRAFT05, DTLS_CID_NONE};
    for (size_t i = 0; i < 2; i++) {
        struct pair pair;
        struct pair_setup setup = {.client = {.cid_form = forms[i]}, .wrong_pin = true};
        pair_open(&pair, &setup, 7);
        pair_start(&pair);
        pair_run(&pair, 100);
        assert_true(pair.client_failed);
        assert_true(pair.server_failed);
        assert_string_equal(pair.server_why, forms[i] == DTLS_CID_DRAFT05
                                                 ? "peer's alert: decrypt_error"
                                                 : "peer's alert: bad_certificate");
        pair_close(&pair);
    }
}

/* As a device does: a server that shows a certificate in the Device OS profile is not its server.
 */
static void insert_certificate(struct pair *pair, struct pair_datagram *datagram) {
    if (datagram->to_server || datagram->len < 200) {
        return;
    }
    struct record hello;
    assert_int_equal(record_parse(span_of(datagram->bytes, datagram->len), 0, &hello), SW_OK);
    uint8_t body[200];
    struct writer w = writer_of(body, sizeof body);
    raw_certificate_write(crypto_key_point(pair->server_key), &w);
    uint8_t header[MESSAGE_HEADER_BYTES];
    message_header(header, MESSAGE_CERTIFICATE, 2, w.at);
    struct writer out = writer_of(datagram->bytes + hello.consumed, 1000);
    record_header(&out, DTLS_HANDSHAKE, DTLS_VERSION_12, 77, sizeof header + w.at);
    writer_bytes(&out, span_of(header, sizeof header));
    writer_bytes(&out, writer_span(&w));
    datagram->len = hello.consumed + out.at;
}

/* Puts a bad point into the last 65 bytes of a message, or where its key share begins. */
struct bad_point {
    uint8_t message;
    size_t at; /* in its body; 0 = at the end */
    uint8_t point[P256_POINT_BYTES];
    bool was_put;
};

static void put_point(struct pair *pair, struct pair_datagram *datagram) {
    struct bad_point *bad = pair->tamper_context;
    size_t start = 0;
    struct record record;
    while (start < datagram->len && datagram->bytes[start] == DTLS_HANDSHAKE &&
           record_parse(span_of(datagram->bytes + start, datagram->len - start), 0, &record) ==
               SW_OK &&
           record.epoch == 0) {
        uint8_t *message = datagram->bytes + start + RECORD_HEADER_BYTES;
        size_t body_len = record.fragment.len - MESSAGE_HEADER_BYTES;
        if (message[0] == bad->message) {
            size_t at = bad->at != 0 ? bad->at : body_len - P256_POINT_BYTES;
            assert_int_equal(message[MESSAGE_HEADER_BYTES + at], 4);
            memcpy(message + MESSAGE_HEADER_BYTES + at, bad->point, P256_POINT_BYTES);
            bad->was_put = true;
        }
        start += record.consumed;
    }
}

static void run_bad_point(const struct pair_setup *setup, struct bad_point *bad,
                          struct pair *pair) {
    pair_open(pair, setup, 5);
    pair->psk = setup->client.psk_key;
    pair->tamper = put_point;
    pair->tamper_context = bad;
    pair_start(pair);
    pair_run(pair, 100);
    assert_true(bad->was_put);
    assert_false(pair->server_up || pair->client_up);
}

/* RFC 8422 section 5.11. P-256 has no small subgroup; points of small order lie on other curves, as
 * every (x, 0) does, and are refused as those. */
static void points_off_the_curve_end_the_handshake(void **state) {
    (void)state;
    struct bad_point bads[5] = {0};
    memset(bads[1].point + 1, 0xff, 64); /* beyond the field */
    bads[2].point[32] = 1;               /* (1, 0): order 2 */
    for (size_t i = 0; i < 3; i++) {
        bads[i].point[0] = 4;
    }
    struct crypto_key *key = crypto_key_generate();
    memcpy(bads[3].point, crypto_key_point(key)->b, P256_POINT_BYTES);
    bads[3].point[64] ^= 1;
    memcpy(bads[4].point, crypto_key_point(key)->b, P256_POINT_BYTES);
    bads[4].point[0] = (uint8_t)(6 + (bads[4].point[64] & 1)); /* on it, in the hybrid form */
    crypto_key_free(key);
    struct pair_setup psk = {.client = {.psk_identity = span_text("sensor"),
                                        .psk_key = span_text("a shared secret"),
                                        .only_suite = 0xD001},
                             .server = {.accepts_psk = true},
                             .keyless_client = true};
    for (size_t i = 0; i < 5; i++) {
        struct pair pair;
        bads[i].message = MESSAGE_CLIENT_KEY_EXCHANGE;
        bads[i].at = 0;
        run_bad_point(&pair_setup_device, &bads[i], &pair);
        assert_string_equal(pair.server_why, "key share is not on the curve");
        assert_string_equal(pair.client_why, "peer's alert: illegal_parameter");
        pair_close(&pair);
        bads[i].message = MESSAGE_CERTIFICATE;
        run_bad_point(&pair_setup_device, &bads[i], &pair);
        assert_string_equal(pair.client_why, "peer's alert: bad_certificate");
        pair_close(&pair);
        /* No signature covers the server's share here: the client sees it first. */
        bads[i].message = MESSAGE_SERVER_KEY_EXCHANGE;
        run_bad_point(&psk, &bads[i], &pair);
        assert_string_equal(pair.client_why, "key share is not on the curve");
        assert_string_equal(pair.server_why, "peer's alert: illegal_parameter");
        pair_close(&pair);
    }
}

static void a_certificate_from_the_server_of_devices_is_unexpected(void **state) {
    (void)state;
    struct pair pair;
    pair_open(&pair, &pair_setup_device, 8);
    pair.tamper = insert_certificate;
    pair_start(&pair);
    pair_run(&pair, 100);
    assert_true(pair.client_failed);
    assert_string_equal(pair.client_why, "message out of its turn");
    assert_string_equal(pair.server_why, "peer's alert: unexpected_message");
    pair_close(&pair);
}

static void early_data_of_the_same_datagram_is_left_to_the_session(void **state) {
    (void)state;
    struct pair pair;
    pair_open(&pair, &pair_setup_device, 9);
    pair_start(&pair);
    while (!pair.server_up) {
        assert_true(pair_deliver(&pair));
    }
    /* The server's answer and its first application record in one datagram. */
    struct pair_datagram *last = &pair.queue[0];
    size_t finished_len = last->len;
    struct writer w = writer_of(last->bytes, sizeof last->bytes);
    w.at = last->len;
    assert_int_equal(dtls_seal(dtls_endpoint_crypto(pair.server), &pair.server_session,
                               DTLS_APPLICATION_DATA, span_text("hello"), &w),
                     SW_OK);
    uint8_t data[1000];
    struct outbox box;
    struct dtls_step step;
    outbox_init(&box, data, sizeof data);
    dtls_handshake_input(&pair.client_hs, pair.client, writer_span(&w), pair.now, &box, &step);
    assert_int_equal(step.event, DTLS_EVENT_ESTABLISHED);
    assert_int_equal(step.consumed, finished_len);
    dtls_handshake_session(&pair.client_hs, &pair.client_session);
    struct dtls_opened opened;
    uint8_t plain[DTLS_RECORD_MAX];
    assert_int_equal(dtls_open(dtls_endpoint_crypto(pair.client), &pair.client_session,
                               span_of(last->bytes + step.consumed, w.at - step.consumed), plain,
                               sizeof plain, &opened),
                     SW_OK);
    assert_true(span_is_text(opened.content, "hello"));
    pair_close(&pair);
}

static void a_closed_handshake_keeps_no_secret(void **state) {
    (void)state;
    struct pair pair;
    pair_open(&pair, &pair_setup_device, 10);
    pair_start(&pair);
    pair_run(&pair, 100);
    expect_established(&pair);
    dtls_handshake_close(&pair.server_hs);
    for (size_t i = 0; i < sizeof(struct machine); i++) {
        assert_int_equal(pair.server_hs.opaque[i], 0);
    }
    pair_close(&pair); /* closes it again: zeroes are fine */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_state_table_is_sound),
        cmocka_unit_test(each_state_takes_its_own_messages_alone),
        cmocka_unit_test(a_device_connects_in_three_round_trips),
        cmocka_unit_test(device_os_3_0_connects_without_ids),
        cmocka_unit_test(standard_raw_key_clients_connect),
        cmocka_unit_test(small_datagrams_carry_fragments),
        cmocka_unit_test(fragments_in_reverse_order_are_put_together),
        cmocka_unit_test(a_spoilt_network_only_delays),
        cmocka_unit_test(the_last_flight_is_repeated_when_the_peer_repeats_its_own),
        cmocka_unit_test(a_silent_peer_is_given_up),
        cmocka_unit_test(another_server_key_is_refused),
        cmocka_unit_test(points_off_the_curve_end_the_handshake),
        cmocka_unit_test(a_certificate_from_the_server_of_devices_is_unexpected),
        cmocka_unit_test(early_data_of_the_same_datagram_is_left_to_the_session),
        cmocka_unit_test(a_closed_handshake_keeps_no_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
