/* Handshakes of foreign clients, recorded once (tests/data/dtls/foreign), played again: as they
 * were, where every answer must be the recorded one to the byte; and with each single byte of each
 * of the client's datagrams changed, where what must follow is told exactly, byte for byte, by
 * expected_of below. After a changed datagram the client repeats what it had recorded, as clients
 * do that were not answered, and at last begins anew. Whatever happens, nothing may be established
 * but the very session of the recording. */
#include "replay.h"

#include "dtls/message.h"
#include "dtls/reassembly.h"
#include "dtls/record.h"
#include "recording.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* The client's datagrams: a hello, the same with the cookie, its flight, its first word. */
enum { HELLO, HELLO_WITH_COOKIE, FLIGHT, WORD, DATAGRAMS };

enum outcome {
    UNNOTICED,  /* the byte is one that nothing covers, or nothing was kept of it: all goes on */
    REPEATED,   /* dropped without a word: what the client repeats is taken as if it came first */
    TOLD,       /* a fatal alert, and the handshake is over */
    TOLD_LATER, /* the same, when the repetition shows the contradiction */
    STALLED     /* the handshake waits for what will not come, until its time is over */
};

static const char *const outcome_names[] = {"unnoticed", "repeated", "told", "told later"};

static struct replay replay;
static struct recording recording;
static const struct line *sent[DATAGRAMS];
static struct dtls_session established; /* as it was recorded */
static char name[CERTIFICATE_NAME_MAX + 1];
static struct p256_point peer;
static bool is_psk;
static uint8_t room[16384];
static unsigned outcomes[4];

static struct outbox give(struct span datagram) {
    struct outbox out;
    outbox_init(&out, room, sizeof room);
    replay_take(&replay, datagram, &out);
    return out;
}

static struct outbox give_recorded(size_t which) {
    return give(span_of(sent[which]->bytes, sent[which]->len));
}

/* What is established is what was recorded: same keys, same peer. */
static void check_session(void) {
    assert_true(replay.is_established);
    assert_memory_equal(replay.session.key_in, established.key_in, sizeof established.key_in);
    assert_memory_equal(replay.session.key_out, established.key_out, sizeof established.key_out);
    assert_memory_equal(replay.session.salt_in, established.salt_in, sizeof established.salt_in);
    assert_memory_equal(replay.session.salt_out, established.salt_out, sizeof established.salt_out);
    assert_memory_equal(replay.session.cid_in, established.cid_in, sizeof established.cid_in);
    assert_int_equal(replay.session.cid_in_len, established.cid_in_len);
    assert_int_equal(replay.session.cid_out_len, established.cid_out_len);
    assert_int_equal(replay.session.cid_form, established.cid_form);
    assert_int_equal(replay.session.suite, established.suite);
    assert_string_equal(replay.name, name);
    assert_memory_equal(&replay.peer, &peer, sizeof peer);
}

/* The whole of it, unchanged; every answer is the recorded one. */
static void play_recorded(void) {
    struct outbox out = {.count = 0};
    size_t answers = 0, given = 0;
    for (size_t i = 0; i < recording.count; i++) {
        const struct line *line = &recording.lines[i];
        if (line->kind == LINE_FROM_DEVICE) {
            assert_int_equal(answers, out.count);
            assert_true(given < DATAGRAMS);
            sent[given] = line;
            out = give_recorded(given++);
            answers = 0;
        } else if (line->kind == LINE_TO_DEVICE) {
            assert_true(answers < out.count);
            struct span answer = outbox_datagram(&out, answers++);
            if (!span_equal(answer, span_of(line->bytes, line->len))) {
                fail_msg("another answer than was recorded; if libcrypto or the server is meant to "
                         "give one, record anew (tests/data/dtls/foreign/make)");
            }
        }
    }
    assert_int_equal(answers, out.count);
    assert_int_equal(given, DATAGRAMS);
    assert_true(replay.is_established);
    assert_memory_equal(replay.heard, REPLAY_WORD, strlen(REPLAY_WORD));
}

/* Where in a datagram a byte is. */
struct place {
    struct record record;
    size_t at;      /* of the record's header, or of its content */
    bool is_header; /* the record's */
};

static struct place place_of(const struct line *line, size_t at) {
    struct place place = {.at = at};
    size_t start = 0;
    do {
        start += place.record.consumed;
        assert_int_equal(record_parse(span_of(line->bytes + start, line->len - start),
                                      DTLS_CID_BYTES, &place.record),
                         SW_OK);
    } while (at >= start + place.record.consumed);
    size_t header = place.record.consumed - place.record.fragment.len;
    place.is_header = at - start < header;
    place.at = place.is_header ? at - start : at - start - header;
    return place;
}

/* RFC 6347 section 4.1: nothing authenticates these of a record of epoch 0. The two highest bytes
 * of a hello's number are looked at: its answers are numbered on from it. */
static bool is_uncovered(const struct place *place, size_t which) {
    size_t first = which == HELLO_WITH_COOKIE ? 7 : 5;
    return place->is_header && place->record.epoch == 0 &&
           (place->at == 2 || (place->at >= first && place->at <= 10));
}

/* The length that a message says it has: of what is longer than it the rest is waited for, until
 * the whole comes; what can never be held is refused. */
static enum outcome expected_of_length(const struct place *place, uint8_t mask) {
    const uint8_t *header = place->record.fragment.data;
    size_t len = (size_t)header[1] << 16 | (size_t)header[2] << 8 | header[3];
    size_t changed = len ^ (size_t)mask << (8 * (3 - place->at));
    return changed + (changed + 7) / 8 > REASSEMBLY_BYTES ? TOLD : REPEATED;
}

/* A message that claims a place further on is held for it, and contradicts what belongs there. */
static enum outcome expected_of_number(const struct place *place, uint8_t mask) {
    const uint8_t *header = place->record.fragment.data;
    unsigned seq = (unsigned)header[4] << 8 | header[5];
    unsigned changed = seq ^ (unsigned)mask << (8 * (5 - place->at));
    bool is_last = header[0] == MESSAGE_CERTIFICATE_VERIFY || is_psk;
    return changed > seq && changed - seq < REASSEMBLY_SLOTS && !is_last ? TOLD_LATER : REPEATED;
}

static enum outcome expected_of_message(const struct place *place, uint8_t mask) {
    if (place->at == 0 || place->at >= MESSAGE_HEADER_BYTES) {
        return TOLD; /* another message, or another content: its own alert */
    }
    if (place->at <= 3) {
        return expected_of_length(place, mask);
    }
    /* Of a fragment that does not fit its message nothing is kept. */
    return place->at <= 5 ? expected_of_number(place, mask) : REPEATED;
}

static enum outcome expected_of(size_t which, const struct place *place, uint8_t mask) {
    switch (which) {
    case HELLO:
        return UNNOTICED; /* the server keeps nothing of it; what it said is said again */
    case HELLO_WITH_COOKIE:
        /* The cookie is over all that the hello says, not over its number as a message: one that
         * calls itself the first is answered as such, and the repetition is then out of turn. */
        if (!place->is_header && place->at == 5 && mask == 0x01) {
            return TOLD_LATER;
        }
        return is_uncovered(place, which) ? UNNOTICED : REPEATED;
    case FLIGHT:
        if (is_uncovered(place, which)) {
            return UNNOTICED;
        }
        if (place->record.epoch == 0 && place->record.type == DTLS_HANDSHAKE && !place->is_header) {
            return expected_of_message(place, mask);
        }
        /* Finished. RFC 4279 section 2: that it does not open is how a wrong PSK shows. */
        if (is_psk && place->record.epoch == 1 &&
            (!place->is_header || (place->at >= 5 && place->at <= 10))) {
            return TOLD;
        }
        return REPEATED;
    default:
        return UNNOTICED;
    }
}

/* The description of a fatal alert that is all of the answer; else -1. */
static int alert_of(const struct outbox *out) {
    struct span answer = out->count == 1 ? outbox_datagram(out, 0) : span_of(NULL, 0);
    bool is_fatal = answer.len == RECORD_HEADER_BYTES + ALERT_BYTES &&
                    answer.data[0] == DTLS_ALERT && answer.data[RECORD_HEADER_BYTES] == ALERT_FATAL;
    return is_fatal ? answer.data[RECORD_HEADER_BYTES + 1] : -1;
}

/* RFC 5246 section 7.2.2: which alert it may be that what was changed in the flight is told with.
 */
static bool is_fitting(const struct place *place, int alert) {
    if (place->record.epoch == 1) {
        return alert == ALERT_DECRYPT_ERROR;
    }
    if (place->at < MESSAGE_HEADER_BYTES) {
        return alert == (place->at == 0 ? ALERT_UNEXPECTED_MESSAGE : ALERT_ILLEGAL_PARAMETER);
    }
    switch (place->record.fragment.data[0]) {
    case MESSAGE_CERTIFICATE: /* if it is another key, or one that is not needed: CertificateVerify
                               */
        return alert == ALERT_DECODE_ERROR || alert == ALERT_BAD_CERTIFICATE ||
               alert == ALERT_UNSUPPORTED_CERTIFICATE || alert == ALERT_CERTIFICATE_EXPIRED ||
               alert == ALERT_UNKNOWN_CA || alert == ALERT_DECRYPT_ERROR;
    case MESSAGE_CLIENT_KEY_EXCHANGE: /* of a PSK's identity RFC 4279 section 2 */
        return alert == ALERT_DECODE_ERROR ||
               alert == (is_psk ? ALERT_DECRYPT_ERROR : ALERT_ILLEGAL_PARAMETER);
    default:
        return alert == ALERT_DECODE_ERROR || alert == ALERT_DECRYPT_ERROR;
    }
}

static bool is_cookie(const struct outbox *out) {
    return out->count == 1 &&
           outbox_datagram(out, 0).data[RECORD_HEADER_BYTES] == MESSAGE_HELLO_VERIFY_REQUEST;
}

/* To what was changed there is no answer but these. */
static void check_answer(size_t which, const struct place *place, const struct outbox *out,
                         enum outcome expected) {
    size_t spent = 0;
    int alert = alert_of(out);
    for (size_t i = 0; i < out->count; i++) {
        spent += outbox_datagram(out, i).len;
    }
    if (which == HELLO) {
        assert_true(out->count == 0 || is_cookie(out) || alert >= 0);
        assert_true(spent < sent[which]->len);
    } else if (which == HELLO_WITH_COOKIE && expected == REPEATED) {
        assert_true(out->count == 0 || is_cookie(out) || alert >= 0);
        assert_true(spent < sent[which]->len);
        assert_false(replay.is_running);
    } else if (which == FLIGHT) {
        assert_true((expected == TOLD) == (alert >= 0));
        assert_true(alert < 0 || is_fitting(place, alert));
        assert_true((expected == TOLD) == (replay.why != NULL));
        assert_true(expected == TOLD || expected == UNNOTICED || out->count == 0);
    } else if (which == WORD) {
        assert_int_equal(out->count, 0);
    }
}

/* The client's side of what came before and after; it has nothing to say before it is answered. */
static void play_on(size_t from) {
    for (size_t i = from; i < DATAGRAMS; i++) {
        if (i != WORD || replay.is_established) {
            (void)give_recorded(i);
        }
    }
}

static enum outcome play_changed(size_t which, size_t at, uint8_t mask, enum outcome expected) {
    struct place place = place_of(sent[which], at);
    uint8_t changed[sizeof sent[0]->bytes];
    replay_forget(&replay);
    for (size_t i = 0; i < which; i++) {
        (void)give_recorded(i);
    }
    memcpy(changed, sent[which]->bytes, sent[which]->len);
    changed[at] ^= mask;
    struct outbox out = give(span_of(changed, sent[which]->len));
    check_answer(which, &place, &out, expected);
    if (which == FLIGHT && replay.why != NULL) {
        return TOLD;
    }
    if (which == WORD) {
        assert_string_equal(replay.heard, ""); /* not a byte of it */
        check_session();
    }
    play_on(which == WORD ? (size_t)WORD : which + 1);
    if (replay.is_established) {
        return UNNOTICED;
    }
    replay.now = mono_add_ms(replay.now, 1500);
    play_on(which);
    if (replay.is_established) {
        return REPEATED;
    }
    assert_false(replay.is_running); /* nothing is left to wait for what will not come */
    return TOLD_LATER;
}

static void change_everything(void) {
    static const uint8_t masks[] = {0x01, 0x80, 0xff};
    for (size_t which = 0; which < DATAGRAMS; which++) {
        for (size_t at = 0; at < sent[which]->len; at++) {
            struct place place = place_of(sent[which], at);
            for (size_t i = 0; i < sizeof masks; i++) {
                enum outcome expected = expected_of(which, &place, masks[i]);
                enum outcome outcome = play_changed(which, at, masks[i], expected);
                if (outcome != expected) {
                    fail_msg("datagram %zu byte %zu ^ %02x: %s, not %s (%s)", which, at, masks[i],
                             outcome_names[outcome], outcome_names[expected],
                             replay.why == NULL ? "no reason" : replay.why);
                }
                outcomes[outcome]++;
                if (!replay.is_established) {
                    play_on(HELLO);
                }
                check_session();
                assert_memory_equal(replay.heard, REPLAY_WORD, strlen(REPLAY_WORD));
            }
        }
    }
}

static void play(const char *client, enum dtls_proof proof, const char *who, uint16_t suite) {
    char path[64];
    (void)snprintf(path, sizeof path, "foreign/%s.log", client);
    recording_load(&recording, path);
    replay_forget(&replay);
    play_recorded();
    assert_int_equal(replay.proof, proof);
    assert_string_equal(replay.name, who);
    assert_int_equal(replay.session.suite, suite);
    established = replay.session;
    memcpy(name, replay.name, sizeof name);
    peer = replay.peer;
    is_psk = proof == DTLS_PROOF_PSK;
    memset(outcomes, 0, sizeof outcomes);
    change_everything();
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++) {
        print_message("%s%u %s", i == 0 ? "" : ", ", outcomes[i], outcome_names[i]);
    }
    print_message("\n");
}

static void openssl_with_a_psk(void **state) {
    (void)state;
    play("openssl-psk", DTLS_PROOF_PSK, REPLAY_IDENTITY, 0xC0A8);
}

static void openssl_with_a_certificate(void **state) {
    (void)state;
    play("openssl-x509", DTLS_PROOF_CERTIFICATE, "device-0001", 0xC02B);
}

static void gnutls_with_a_psk(void **state) {
    (void)state;
    play("gnutls-psk", DTLS_PROOF_PSK, REPLAY_IDENTITY, 0x00A8);
}

static void gnutls_with_a_raw_key(void **state) {
    (void)state;
    play("gnutls-raw", DTLS_PROOF_RAW_KEY, "", 0xC0AE);
}

static void gnutls_with_a_certificate(void **state) {
    (void)state;
    play("gnutls-x509", DTLS_PROOF_CERTIFICATE, "device-0001", 0xC0AE);
}

/* Ours, in the form of Device OS, whose own recordings do not tell the server's ephemeral keys. */
static void a_device(void **state) {
    (void)state;
    play("device", DTLS_PROOF_RAW_KEY, "", 0xC0AE);
    assert_int_equal(established.cid_form, DTLS_CID_DRAFT05);
}

static int set_up(void **state) {
    (void)state;
    replay_open(&replay, TEST_DATA "/dtls/pki");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    replay_close(&replay);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_with_a_psk),        cmocka_unit_test(openssl_with_a_certificate),
        cmocka_unit_test(gnutls_with_a_psk),         cmocka_unit_test(gnutls_with_a_raw_key),
        cmocka_unit_test(gnutls_with_a_certificate), cmocka_unit_test(a_device),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
