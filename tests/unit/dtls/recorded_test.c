/* Everything that a real device and its server once said to each other, opened, verified and
 * sealed again byte for byte with our code. */
#include "dtls/machine.h"
#include "recording.h"
#include "slipway/crypto/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct replay {
    struct recording recording;
    struct dtls_crypto *crypto;
    struct p256_point server_key;
    struct machine machine; /* as the server's */
    struct dtls_session server, device;
    uint8_t master[MASTER_BYTES];
    size_t from, to; /* lines of the present handshake */
    unsigned opened, sealed, finished, signatures, moved, compared;
    uint8_t plain[DTLS_RECORD_MAX];
    uint8_t received[DTLS_RECORD_MAX]; /* last application data from the device */
    size_t received_len;
};

static struct replay replay;

static struct span key_line(const char *name) {
    for (size_t i = replay.from; i < replay.to; i++) {
        const struct line *line = &replay.recording.lines[i];
        if (line->kind == LINE_KEY && strcmp(line->name, name) == 0) {
            return span_of(line->bytes, line->len);
        }
    }
    fail_msg("no %s", name);
    return span_of(NULL, 0);
}

static void expect_bytes(const void *got, const char *name) {
    struct span want = key_line(name);
    assert_memory_equal(got, want.data, want.len);
}

/* The recorded master secret takes the place of ECDH; keys_derive's second half is checked. */
static void derive(void) {
    struct machine *m = &replay.machine;
    struct span master = key_line("master");
    uint8_t block[40];
    assert_int_equal(master.len, MASTER_BYTES);
    hmac_key_init(&m->master, master);
    prf_sha256(&m->master, "key expansion", span_of(m->server_random, RANDOM_BYTES),
               span_of(m->client_random, RANDOM_BYTES), block, sizeof block);
    expect_bytes(block, "client_write_key");
    expect_bytes(block + 16, "server_write_key");
    expect_bytes(block + 32, "client_write_iv");
    expect_bytes(block + 36, "server_write_iv");
    expect_bytes(m->client_random, "client_random");
    expect_bytes(m->server_random, "server_random");
    struct dtls_session *s = &replay.server;
    struct dtls_session *d = &replay.device;
    *s = (struct dtls_session){.is_server = 1,
                               .suite = 0xC0AE,
                               .epoch = 1,
                               .cid_form = DTLS_CID_DRAFT05,
                               .cid_in_len = 8,
                               .cid_in = {1, 2, 3, 4, 5, 6, 7, 8},
                               .seq_in_limit = DTLS_SEQUENCE_MAX,
                               .seq_out_limit = DTLS_SEQUENCE_MAX};
    memcpy(s->key_in, block, 16);
    memcpy(s->key_out, block + 16, 16);
    memcpy(s->salt_in, block + 32, 4);
    memcpy(s->salt_out, block + 36, 4);
    *d = *s;
    d->is_server = 0;
    d->cid_in_len = 0;
    d->cid_out_len = 8;
    memcpy(d->cid_out, s->cid_in, 8);
    memcpy(d->key_in, s->key_out, 16);
    memcpy(d->key_out, s->key_in, 16);
    memcpy(d->salt_in, s->salt_out, 4);
    memcpy(d->salt_out, s->salt_in, 4);
}

static struct sha256 transcript_now(void) {
    struct sha256_state state = replay.machine.transcript;
    struct sha256 digest;
    sha256_final(&state, &digest);
    return digest;
}

static void check_server_key_exchange(struct span body) {
    struct reader r = reader_of(body);
    struct sha256 digest;
    (void)reader_bytes(&r, 4 + P256_POINT_BYTES);
    keys_exchange_digest(&replay.machine, span_of(body.data, r.at), &digest);
    struct span signature = signature_read(&r);
    assert_int_equal(reader_end(&r), SW_OK);
    assert_int_equal(crypto_verify(replay.crypto->worker, &replay.server_key, &digest, signature),
                     SW_OK);
    replay.signatures++;
}

static void check_certificate_verify(struct span body) {
    struct reader r = reader_of(body);
    struct sha256 digest = transcript_now();
    struct span signature = signature_read(&r);
    assert_int_equal(reader_end(&r), SW_OK);
    assert_int_equal(
        crypto_verify(replay.crypto->worker, &replay.machine.peer_key, &digest, signature), SW_OK);
    replay.signatures++;
}

static void check_finished(bool of_server, struct span body) {
    uint8_t want[FINISHED_BYTES];
    struct sha256 digest = transcript_now();
    keys_finished(&replay.machine, of_server, &digest, want);
    assert_int_equal(body.len, FINISHED_BYTES);
    assert_memory_equal(body.data, want, FINISHED_BYTES);
    replay.finished++;
}

static void check_hello(struct span body) {
    struct client_hello hello;
    const char *why = NULL;
    assert_int_equal(client_hello_parse(body, &hello, &why), SW_OK);
    assert_true(hello.client_raw && !hello.client_x509 && hello.server_raw && hello.has_p256);
    assert_non_null(hello.cid_draft.data);
    assert_int_equal(hello.cid_draft.len, 0);
    assert_null(hello.cid.data);
    assert_true(hello.has_renegotiation);
    assert_false(hello.has_extended_master);
    memcpy(replay.machine.client_random, hello.random.data, RANDOM_BYTES);
    sha256_init(&replay.machine.transcript);
}

static void check_server_hello(struct span body) {
    struct server_hello hello;
    const char *why = NULL;
    assert_int_equal(server_hello_parse(body, &hello, &why), SW_OK);
    assert_int_equal(hello.suite, 0xC0AE);
    assert_int_equal(hello.cid_form, DTLS_CID_DRAFT05);
    assert_int_equal(hello.cid.len, 8);
    memcpy(replay.machine.server_random, hello.random.data, RANDOM_BYTES);
    derive();
}

static void take_messages(bool from_server, struct span content) {
    struct reader r = reader_of(content);
    while (reader_left(&r) > 0) {
        struct fragment f;
        assert_true(fragment_read(&r, &f));
        assert_int_equal(f.bytes.len, f.message_len);
        switch (f.type) {
        case MESSAGE_CLIENT_HELLO:
            check_hello(f.bytes);
            break;
        case MESSAGE_SERVER_HELLO:
            check_server_hello(f.bytes);
            break;
        case MESSAGE_SERVER_KEY_EXCHANGE:
            check_server_key_exchange(f.bytes);
            break;
        case MESSAGE_CERTIFICATE:
            assert_int_equal(raw_certificate_parse(f.bytes, &replay.machine.peer_key), SW_OK);
            break;
        case MESSAGE_CERTIFICATE_VERIFY:
            check_certificate_verify(f.bytes);
            break;
        case MESSAGE_FINISHED:
            check_finished(from_server, f.bytes);
            break;
        default:
            break;
        }
        if (f.type != MESSAGE_HELLO_VERIFY_REQUEST) {
            uint8_t header[MESSAGE_HEADER_BYTES];
            message_header(header, f.type, f.message_seq, f.message_len);
            sha256_update(&replay.machine.transcript, span_of(header, sizeof header));
            sha256_update(&replay.machine.transcript, f.bytes);
        }
    }
}

/* Opens a protected record as its receiver, then seals it as its sender did. */
static void take_protected(bool from_server, struct span whole) {
    struct dtls_session *receiver = from_server ? &replay.device : &replay.server;
    struct dtls_session *sender = from_server ? &replay.server : &replay.device;
    struct dtls_opened opened;
    assert_int_equal(
        dtls_open(replay.crypto, receiver, whole, replay.plain, sizeof replay.plain, &opened),
        SW_OK);
    assert_int_equal(opened.consumed, whole.len);
    assert_true(opened.is_newest);
    replay.opened++;
    uint8_t type = opened.type;
    struct span content = opened.content;
    uint8_t again[1500];
    struct writer w = writer_of(again, sizeof again);
    sender->seq_out = opened.sequence;
    int status = whole.data[0] == DTLS_CID_MOVED
                     ? dtls_seal_moved(replay.crypto, sender, opened.type, opened.content, &w)
                     : dtls_seal(replay.crypto, sender, opened.type, opened.content, &w);
    assert_int_equal(status, SW_OK);
    assert_int_equal(w.at, whole.len);
    assert_memory_equal(again, whole.data, whole.len);
    replay.sealed++;
    replay.moved += whole.data[0] == DTLS_CID_MOVED;
    assert_int_equal(dtls_open(replay.crypto, receiver, whole, again, sizeof again, &opened),
                     SW_E_REPLAY);
    if (type == DTLS_HANDSHAKE) {
        take_messages(from_server, content);
    } else if (!from_server) {
        memcpy(replay.received, content.data, content.len);
        replay.received_len = content.len;
    }
}

static void take_datagram(bool from_server, struct span datagram) {
    size_t at = 0;
    while (at < datagram.len) {
        struct record record;
        struct span rest = span_of(datagram.data + at, datagram.len - at);
        assert_int_equal(record_parse(rest, 8, &record), SW_OK);
        if (record.epoch == 1) {
            take_protected(from_server, span_of(rest.data, record.consumed));
        } else if (record.type == DTLS_HANDSHAKE) {
            take_messages(from_server, record.fragment);
        }
        at += record.consumed;
    }
}

static bool begins_handshake(const struct line *line) {
    static const uint8_t first[] = {22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0};
    return line->kind == LINE_FROM_DEVICE && memcmp(line->bytes, first, sizeof first) == 0;
}

static void replay_recording(const char *name) {
    recording_load(&replay.recording, name);
    replay.to = 0;
    while (!begins_handshake(&replay.recording.lines[replay.to])) {
        replay.to++;
    }
    while (replay.to < replay.recording.count) {
        replay.from = replay.to++;
        while (replay.to < replay.recording.count &&
               !begins_handshake(&replay.recording.lines[replay.to])) {
            replay.to++;
        }
        for (size_t i = replay.from; i < replay.to; i++) {
            const struct line *line = &replay.recording.lines[i];
            struct span bytes = span_of(line->bytes, line->len);
            if (line->kind == LINE_FROM_DEVICE || line->kind == LINE_TO_DEVICE) {
                take_datagram(line->kind == LINE_TO_DEVICE, bytes);
            } else if (line->kind == LINE_RECEIVED) { /* what the recorded server opened */
                assert_true(span_equal(span_of(replay.received, replay.received_len), bytes));
                replay.compared++;
            }
        }
    }
}

static int set_up(void **state) {
    (void)state;
    replay.crypto = dtls_crypto_new();
    return recording_load_hex("server_key.hex", replay.server_key.b, P256_POINT_BYTES) !=
           P256_POINT_BYTES;
}

static int tear_down(void **state) {
    (void)state;
    dtls_crypto_free(replay.crypto);
    return 0;
}

static void every_recorded_record_opens_and_seals_again(void **state) {
    (void)state;
    for (size_t i = 0; i < recording_count; i++) {
        replay_recording(recordings[i]);
    }
    assert_int_equal(replay.finished, 12);
    assert_int_equal(replay.signatures, 12);
    assert_int_equal(replay.moved, 3);
    assert_int_equal(replay.compared, 108);
    assert_true(replay.opened > 220);
    assert_int_equal(replay.opened, replay.sealed);
}

static void every_changed_byte_of_a_recorded_record_is_refused(void **state) {
    (void)state;
    unsigned tried = 0;
    replay_recording("resume-253.srv.log");
    for (size_t i = replay.from; i < replay.to; i++) {
        struct line line = replay.recording.lines[i];
        bool from_server = line.kind == LINE_TO_DEVICE;
        if ((!from_server && line.kind != LINE_FROM_DEVICE) || line.bytes[4] != 1) {
            continue;
        }
        for (size_t at = 0; at < line.len; at++) {
            struct dtls_session session = from_server ? replay.device : replay.server;
            struct dtls_opened opened;
            session.seq_in_top = 0;
            session.seq_in_window = 0;
            struct dtls_session before = session;
            line.bytes[at] ^= 0x04;
            int status = dtls_open(replay.crypto, &session, span_of(line.bytes, line.len),
                                   replay.plain, sizeof replay.plain, &opened);
            assert_true(status == SW_E_AUTH || status == SW_E_INPUT);
            assert_memory_equal(&session, &before, sizeof session);
            line.bytes[at] ^= 0x04;
            tried++;
        }
    }
    assert_true(tried > 3000);
}

static void the_recorded_first_hello_gets_a_cookie(void **state) {
    (void)state;
    struct crypto_key *key = crypto_key_generate();
    struct dtls_endpoint_config config = {.is_server = true, .key = key};
    struct dtls_endpoint *endpoint = dtls_endpoint_new(&config);
    uint8_t secret[DTLS_COOKIE_SECRET] = {5}, data[1500];
    struct address peer = {.port = 5684};
    struct outbox box;
    const char *why = NULL;
    dtls_endpoint_rotate_cookie(endpoint, secret);
    recording_load(&replay.recording, "handshake-hello.srv.log");
    const struct line *line = &replay.recording.lines[1];
    assert_true(begins_handshake(line));
    outbox_init(&box, data, sizeof data);
    assert_int_equal(
        dtls_server_hello(endpoint, &peer, span_of(line->bytes, line->len), &box, &why),
        DTLS_HELLO_REPLY);
    assert_int_equal(box.count, 1);
    struct span reply = outbox_datagram(&box, 0);
    /* Ours differs from the recorded one in the cookie alone. */
    const struct line *recorded = &replay.recording.lines[2];
    assert_int_equal(reply.len, recorded->len);
    assert_memory_equal(reply.data, recorded->bytes, reply.len - COOKIE_BYTES);
    dtls_endpoint_free(endpoint);
    crypto_key_free(key);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_recorded_record_opens_and_seals_again),
        cmocka_unit_test(every_changed_byte_of_a_recorded_record_is_refused),
        cmocka_unit_test(the_recorded_first_hello_gets_a_cookie),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
