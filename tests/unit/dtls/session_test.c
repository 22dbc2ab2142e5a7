#include "dtls/record.h"
#include "dtls/window.h"
#include "slipway/util/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct dtls_crypto *crypto;

static int set_up(void **state) {
    (void)state;
    crypto = dtls_crypto_new();
    return crypto == NULL;
}

static int tear_down(void **state) {
    (void)state;
    dtls_crypto_free(crypto);
    return 0;
}

static struct dtls_session session_of(uint16_t suite, enum dtls_cid_form form, uint8_t cid_len) {
    struct dtls_session session = {.suite = suite,
                                   .epoch = 1,
                                   .is_server = 1,
                                   .key_in = {1},
                                   .key_out = {2},
                                   .salt_in = {3},
                                   .salt_out = {4},
                                   .cid_form = (uint8_t)form,
                                   .cid_in = {1, 2, 3, 4, 5, 6, 7, 8},
                                   .cid_in_len = cid_len,
                                   .cid_out_len = cid_len,
                                   .cid_out = {1, 2, 3, 4, 5, 6, 7, 8},
                                   .seq_in_limit = DTLS_SEQUENCE_MAX,
                                   .seq_out_limit = DTLS_SEQUENCE_MAX};
    return session;
}

static struct dtls_session peer_of(const struct dtls_session *session) {
    struct dtls_session peer = *session;
    memcpy(peer.key_in, session->key_out, 16);
    memcpy(peer.key_out, session->key_in, 16);
    memcpy(peer.salt_in, session->salt_out, 4);
    memcpy(peer.salt_out, session->salt_in, 4);
    return peer;
}

/* The window against a memory of everything that was seen. */
static void the_window_agrees_with_a_perfect_memory(void **state) {
    (void)state;
    enum { NUMBERS = 700 };
    for (unsigned seed = 0; seed < 300; seed++) {
        struct dtls_session session = {0};
        bool seen[NUMBERS] = {false};
        struct rng rng;
        rng_seed(&rng, seed);
        uint64_t top = 0;
        for (unsigned i = 0; i < 400; i++) {
            uint64_t low = top > 90 ? top - 90 : 0;
            uint64_t sequence = low + rng_below(&rng, seed % 2 == 0 ? 100 : 180);
            if (sequence >= NUMBERS) {
                continue;
            }
            bool fresh = sequence >= top || (top - 1 - sequence < 64 && !seen[sequence]);
            assert_int_equal(window_is_new(&session, sequence), fresh);
            if (fresh) {
                window_mark(&session, sequence);
                seen[sequence] = true;
                top = sequence >= top ? sequence + 1 : top;
                assert_false(window_is_new(&session, sequence));
            }
            assert_int_equal(session.seq_in_top, top);
        }
    }
}

/* From every distance, jump by every distance, then ask about every number near the edges. */
static void the_window_is_right_at_its_edges(void **state) {
    (void)state;
    for (uint64_t start = 0; start < 130; start++) {
        for (uint64_t jump = 1; jump < 130; jump++) {
            struct dtls_session session = {0};
            window_mark(&session, start);
            window_mark(&session, start + jump);
            assert_int_equal(session.seq_in_top, start + jump + 1);
            for (uint64_t asked = 0; asked < start + jump + 3; asked++) {
                bool too_old = asked + 64 <= start + jump;
                bool was_seen = asked == start || asked == start + jump;
                assert_int_equal(window_is_new(&session, asked), !too_old && !was_seen);
            }
        }
    }
    struct dtls_session session = {.seq_in_top = DTLS_SEQUENCE_MAX - 1, .seq_in_window = 1};
    assert_true(window_is_new(&session, DTLS_SEQUENCE_MAX));
    window_mark(&session, DTLS_SEQUENCE_MAX);
    assert_false(window_is_new(&session, DTLS_SEQUENCE_MAX));
    assert_true(window_is_new(&session, DTLS_SEQUENCE_MAX - 1));
    assert_false(window_is_new(&session, DTLS_SEQUENCE_MAX - 2));
}

static const uint16_t all_suites[] = {0xC0AE, 0xC0AC, 0xC02B, 0xC0A8,
                                      0xC0A4, 0x00A8, 0xD001, 0xD003};

static void every_form_opens_what_it_sealed(void **state) {
    (void)state;
    static const struct {
        enum dtls_cid_form form;
        uint8_t cid_len;
    } forms[] = {{DTLS_CID_NONE, 0}, {DTLS_CID_DRAFT05, 8}, {DTLS_CID_RFC9146, 8}};
    uint8_t content[DTLS_RECORD_MAX], record[1600], plain[DTLS_RECORD_MAX];
    memset(content, 0x5a, sizeof content);
    for (size_t suite = 0; suite < 8; suite++) {
        for (size_t form = 0; form < 3; form++) {
            struct dtls_session a =
                session_of(all_suites[suite], forms[form].form, forms[form].cid_len);
            struct dtls_session b = peer_of(&a);
            for (size_t len = 0; len <= DTLS_RECORD_MAX - 64; len = len < 40 ? len + 1 : len + 97) {
                struct writer w = writer_of(record, sizeof record);
                uint8_t type = (uint8_t)(21 + len % 3);
                assert_int_equal(dtls_seal(crypto, &a, type, span_of(content, len), &w), SW_OK);
                assert_true(w.at <= len + dtls_overhead(&a));
                struct dtls_opened opened;
                assert_int_equal(
                    dtls_open(crypto, &b, writer_span(&w), plain, sizeof plain, &opened), SW_OK);
                assert_int_equal(opened.type, type);
                assert_true(span_equal(opened.content, span_of(content, len)));
                assert_int_equal(opened.consumed, w.at);
                assert_int_equal(record[0], forms[form].cid_len > 0 ? DTLS_CID : type);
            }
        }
    }
}

static void sealing_says_when_it_cannot(void **state) {
    (void)state;
    struct dtls_session a = session_of(0xC0AE, DTLS_CID_NONE, 0);
    uint8_t record[100], long_content[DTLS_RECORD_MAX] = {0};
    struct writer w = writer_of(record, sizeof record);
    a.seq_out_limit = 2;
    assert_int_equal(dtls_seal(crypto, &a, 23, span_text("one"), &w), SW_OK);
    size_t one = w.at;
    assert_int_equal(dtls_seal(crypto, &a, 23, span_text("two"), &w), SW_OK);
    assert_int_equal(w.at, 2 * one); /* appended */
    assert_int_equal(dtls_seal(crypto, &a, 23, span_text("three"), &w), SW_E_LIMIT);
    assert_int_equal(w.at, 2 * one);
    a.seq_out_limit = 3;
    assert_int_equal(dtls_seal(crypto, &a, 23, span_of(long_content, 40), &w), SW_E_FULL);
    assert_int_equal(w.at, 2 * one);
    assert_int_equal(a.seq_out, 2);
    assert_int_equal(dtls_seal(crypto, &a, 23, span_of(long_content, DTLS_RECORD_MAX - 63), &w),
                     SW_E_RANGE);
    w = writer_of(record, one + 2);
    assert_int_equal(dtls_seal(crypto, &a, 23, span_text("three"), &w), SW_OK);
    assert_int_equal(w.at, one + 2);
    a.seq_out = DTLS_SEQUENCE_MAX;
    a.seq_out_limit = UINT64_MAX;
    w = writer_of(record, sizeof record);
    assert_int_equal(dtls_seal(crypto, &a, 23, span_text("x"), &w), SW_E_LIMIT);
}

static void opening_waits_for_a_reserve(void **state) {
    (void)state;
    struct dtls_session a = session_of(0xC0AE, DTLS_CID_DRAFT05, 8);
    struct dtls_session b = peer_of(&a);
    uint8_t record[200], plain[DTLS_RECORD_MAX];
    struct dtls_opened opened;
    struct writer w = writer_of(record, sizeof record);
    a.seq_out = 7;
    b.seq_in_limit = 7;
    assert_int_equal(dtls_seal(crypto, &a, 23, span_text("late"), &w), SW_OK);
    struct dtls_session before = b;
    assert_int_equal(dtls_open(crypto, &b, writer_span(&w), plain, sizeof plain, &opened),
                     SW_E_LIMIT);
    assert_memory_equal(&b, &before, sizeof b);
    record[w.at - 1] ^= 1; /* not authentic: no reason to reserve anything */
    assert_int_equal(dtls_open(crypto, &b, writer_span(&w), plain, sizeof plain, &opened),
                     SW_E_AUTH);
    record[w.at - 1] ^= 1;
    b.seq_in_limit = 8;
    assert_int_equal(dtls_open(crypto, &b, writer_span(&w), plain, sizeof plain, &opened), SW_OK);
    assert_true(opened.is_newest);
    assert_int_equal(dtls_open(crypto, &b, writer_span(&w), plain, sizeof plain, &opened),
                     SW_E_REPLAY);
    a.seq_out = 3;
    w = writer_of(record, sizeof record);
    assert_int_equal(dtls_seal(crypto, &a, 23, span_text("older"), &w), SW_OK);
    assert_int_equal(dtls_open(crypto, &b, writer_span(&w), plain, sizeof plain, &opened), SW_OK);
    assert_false(opened.is_newest);
}

static void records_of_another_form_are_not_ours(void **state) {
    (void)state;
    struct dtls_session with = session_of(0xC0AE, DTLS_CID_DRAFT05, 8);
    struct dtls_session without = session_of(0xC0AE, DTLS_CID_NONE, 0);
    struct dtls_session standard = session_of(0xC0AE, DTLS_CID_RFC9146, 8);
    struct dtls_session with_peer = peer_of(&with), without_peer = peer_of(&without);
    struct dtls_session standard_peer = peer_of(&standard);
    uint8_t record[200], plain[DTLS_RECORD_MAX];
    struct dtls_opened opened;
    struct writer w = writer_of(record, sizeof record);
    assert_int_equal(dtls_seal(crypto, &without, 23, span_text("plain"), &w), SW_OK);
    struct span in = writer_span(&w);
    assert_int_equal(dtls_open(crypto, &with_peer, in, plain, sizeof plain, &opened), SW_E_INPUT);
    record[3] = 0;
    record[4] = 2;
    assert_int_equal(dtls_open(crypto, &without_peer, in, plain, sizeof plain, &opened),
                     SW_E_INPUT);
    record[4] = 1;
    record[2] = 0xff;
    assert_int_equal(dtls_open(crypto, &without_peer, in, plain, sizeof plain, &opened),
                     SW_E_INPUT);
    record[2] = 0xfd;
    for (size_t cut = 0; cut < in.len; cut++) {
        assert_int_equal(
            dtls_open(crypto, &without_peer, span_of(record, cut), plain, sizeof plain, &opened),
            SW_E_INPUT);
        assert_int_equal(opened.consumed, cut);
    }
    assert_int_equal(dtls_open(crypto, &without_peer, in, plain, 4, &opened), SW_E_INPUT);
    assert_int_equal(dtls_open(crypto, &without_peer, in, plain, sizeof plain, &opened), SW_OK);
    w = writer_of(record, sizeof record);
    assert_int_equal(dtls_seal(crypto, &with, 23, span_text("cid"), &w), SW_OK);
    in = writer_span(&w);
    /* The two drafts of connection ids look alike and authenticate different bytes. */
    assert_int_equal(dtls_open(crypto, &standard_peer, in, plain, sizeof plain, &opened),
                     SW_E_AUTH);
    assert_int_equal(dtls_open(crypto, &without_peer, in, plain, sizeof plain, &opened),
                     SW_E_INPUT);
    record[11] ^= 1; /* somebody else's id */
    assert_int_equal(dtls_open(crypto, &with_peer, in, plain, sizeof plain, &opened), SW_E_INPUT);
    record[11] ^= 1;
    record[0] = DTLS_CID_MOVED; /* authenticated as 25 */
    assert_int_equal(dtls_open(crypto, &with_peer, in, plain, sizeof plain, &opened), SW_OK);
}

static void moved_sessions_of_device_os_3_0_open(void **state) {
    (void)state;
    struct dtls_session a = session_of(0xC0AE, DTLS_CID_NONE, 0);
    struct dtls_session b = peer_of(&a);
    uint8_t record[200], plain[DTLS_RECORD_MAX];
    struct dtls_opened opened;
    struct dtls_sorted sorted;
    struct writer w = writer_of(record, sizeof record);
    assert_int_equal(dtls_seal(crypto, &a, 23, span_text("moved"), &w), SW_OK);
    writer_bytes(&w, span_text("twelve bytes"));
    writer_u8(&w, 12);
    record[0] = 254;
    dtls_sort(writer_span(&w), &sorted);
    assert_int_equal(sorted.kind, DTLS_KIND_MOVED_30);
    assert_true(span_is_text(sorted.device, "twelve bytes"));
    assert_int_equal(dtls_open(crypto, &b, writer_span(&w), plain, sizeof plain, &opened), SW_OK);
    assert_int_equal(opened.type, DTLS_APPLICATION_DATA);
    assert_true(span_is_text(opened.content, "moved"));
    assert_int_equal(opened.consumed, w.at);
}

/* Sends `content` from `from` to `to`, and says what `to` answers by itself. */
static int answer_to(struct dtls_session *from, struct dtls_session *to, uint8_t type,
                     struct span content, uint8_t alert[2]) {
    uint8_t record[200], plain[DTLS_RECORD_MAX];
    struct dtls_opened opened;
    struct writer w = writer_of(record, sizeof record);
    assert_int_equal(dtls_seal(crypto, from, type, content, &w), SW_OK);
    size_t asked = w.at;
    assert_int_equal(dtls_open(crypto, to, writer_span(&w), plain, sizeof plain, &opened), SW_OK);
    w = writer_of(record, sizeof record);
    int status = dtls_seal_answer(crypto, to, &opened, &w);
    if (status == SW_OK) {
        assert_true(w.at <= asked);
        assert_int_equal(dtls_open(crypto, from, writer_span(&w), plain, sizeof plain, &opened),
                         SW_OK);
        assert_int_equal(opened.type, DTLS_ALERT);
        assert_int_equal(opened.content.len, 2);
        memcpy(alert, opened.content.data, 2);
    }
    return status;
}

static void no_side_renegotiates_and_both_say_goodbye(void **state) {
    (void)state;
    struct dtls_session server = session_of(0xC0AE, DTLS_CID_RFC9146, 8);
    struct dtls_session client = peer_of(&server);
    client.is_server = 0;
    const uint8_t hello[60] = {1}, request[12] = {0};
    uint8_t alert[2] = {0};
    assert_int_equal(answer_to(&client, &server, 22, span_of(hello, sizeof hello), alert), SW_OK);
    assert_memory_equal(alert, "\x01\x64", 2);
    assert_int_equal(answer_to(&server, &client, 22, span_of(request, sizeof request), alert),
                     SW_OK);
    assert_memory_equal(alert, "\x01\x64", 2);
    /* Each only to what the other may ask. */
    assert_int_equal(answer_to(&server, &client, 22, span_of(hello, sizeof hello), alert),
                     SW_E_NOT_FOUND);
    assert_int_equal(answer_to(&client, &server, 22, span_of(request, sizeof request), alert),
                     SW_E_NOT_FOUND);
    /* The same bytes as application data mean nothing. */
    assert_int_equal(answer_to(&client, &server, 23, span_of(hello, sizeof hello), alert),
                     SW_E_NOT_FOUND);
    for (unsigned way = 0; way < 2; way++) {
        struct dtls_session *from = way == 0 ? &client : &server;
        struct dtls_session *to = way == 0 ? &server : &client;
        assert_int_equal(answer_to(from, to, 21, span_of("\x02\x28", 2), alert), SW_E_NOT_FOUND);
        assert_int_equal(answer_to(from, to, 21, span_of("\x01\x00", 2), alert), SW_OK);
        assert_memory_equal(alert, "\x01\x00", 2);
    }
}

static void padding_hides_nothing_that_is_not_there(void **state) {
    (void)state;
    /* An inner plaintext of zeroes alone has no type (RFC 9146 section 4). */
    struct dtls_session a = session_of(0xC0AE, DTLS_CID_DRAFT05, 8);
    struct dtls_session b = peer_of(&a);
    uint8_t record[200], plain[DTLS_RECORD_MAX];
    struct dtls_opened opened;
    struct writer w = writer_of(record, sizeof record);
    assert_int_equal(dtls_seal(crypto, &a, 0, span_of(NULL, 0), &w), SW_OK);
    assert_int_equal(dtls_open(crypto, &b, writer_span(&w), plain, sizeof plain, &opened),
                     SW_E_INPUT);
    assert_int_equal(dtls_open(crypto, &b, writer_span(&w), plain, sizeof plain, &opened),
                     SW_E_REPLAY); /* it was authentic, so it is spent */
}

static void sessions_survive_storage(void **state) {
    (void)state;
    struct dtls_session session = session_of(0xC02B, DTLS_CID_RFC9146, 8);
    session.cid_out_len = 16;
    session.seq_out = 77;
    session.seq_in_top = 5;
    session.seq_in_window = 0x8000000000000011;
    uint8_t stored[DTLS_SESSION_STORED_MAX];
    struct writer w = writer_of(stored, sizeof stored);
    assert_int_equal(dtls_session_encode(&session, &w), SW_OK);
    struct dtls_session back;
    assert_int_equal(dtls_session_decode(writer_span(&w), &back), SW_OK);
    assert_memory_equal(&back, &session, sizeof session);
    for (size_t cut = 0; cut < w.at; cut++) {
        assert_int_equal(dtls_session_decode(span_of(stored, cut), &back), SW_E_INPUT);
    }
    struct writer tight = writer_of(stored, w.at - 1);
    assert_int_equal(dtls_session_encode(&session, &tight), SW_E_FULL);
    w = writer_of(stored, sizeof stored);
    assert_int_equal(dtls_session_encode(&session, &w), SW_OK);
    writer_u8(&w, 0);
    assert_int_equal(dtls_session_decode(writer_span(&w), &back), SW_E_INPUT);
    stored[0] = 2;
    assert_int_equal(dtls_session_decode(writer_span(&w), &back), SW_E_VERSION);
    static const struct dtls_session none;
    assert_memory_equal(&back, &none, sizeof none);
}

static void limits_past_the_last_number_are_stored_as_the_last(void **state) {
    (void)state;
    struct dtls_session session = session_of(0xC0AE, DTLS_CID_NONE, 0), back;
    uint8_t stored[DTLS_SESSION_STORED_MAX];
    struct writer w = writer_of(stored, sizeof stored);
    session.seq_out_limit = DTLS_SEQUENCE_MAX + 65536;
    session.seq_in_limit = UINT64_MAX;
    assert_int_equal(dtls_session_encode(&session, &w), SW_OK);
    assert_int_equal(dtls_session_decode(writer_span(&w), &back), SW_OK);
    assert_int_equal(back.seq_out_limit, DTLS_SEQUENCE_MAX);
    assert_int_equal(back.seq_in_limit, DTLS_SEQUENCE_MAX);
}

static void stored_nonsense_is_refused(void **state) {
    (void)state;
    struct dtls_session wrong[6];
    for (size_t i = 0; i < 6; i++) {
        wrong[i] = session_of(0xC0AE, DTLS_CID_DRAFT05, 8);
    }
    wrong[0].suite = 0x1301;
    wrong[1].epoch = 2;
    wrong[2].cid_form = 53;
    wrong[3].cid_form = DTLS_CID_NONE;
    wrong[4].seq_out_limit = 5;
    wrong[4].seq_out = 6;
    wrong[5].seq_in_limit = 5;
    wrong[5].seq_in_top = 6;
    for (size_t i = 0; i < 6; i++) {
        uint8_t stored[DTLS_SESSION_STORED_MAX];
        struct writer w = writer_of(stored, sizeof stored);
        struct dtls_session back;
        assert_int_equal(dtls_session_encode(&wrong[i], &w), SW_OK);
        assert_int_equal(dtls_session_decode(writer_span(&w), &back), SW_E_RANGE);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_window_agrees_with_a_perfect_memory),
        cmocka_unit_test(the_window_is_right_at_its_edges),
        cmocka_unit_test(every_form_opens_what_it_sealed),
        cmocka_unit_test(sealing_says_when_it_cannot),
        cmocka_unit_test(opening_waits_for_a_reserve),
        cmocka_unit_test(records_of_another_form_are_not_ours),
        cmocka_unit_test(moved_sessions_of_device_os_3_0_open),
        cmocka_unit_test(no_side_renegotiates_and_both_say_goodbye),
        cmocka_unit_test(padding_hides_nothing_that_is_not_there),
        cmocka_unit_test(sessions_survive_storage),
        cmocka_unit_test(limits_past_the_last_number_are_stored_as_the_last),
        cmocka_unit_test(stored_nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
