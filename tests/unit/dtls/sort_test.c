#include "slipway/dtls/session.h"
#include "slipway/util/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static uint8_t bytes[256];

static struct dtls_sorted sort(const char *hex) {
    struct dtls_sorted sorted;
    size_t len = strlen(hex) / 2;
    assert_int_equal(hex_decode(hex, strlen(hex), bytes, len), SW_OK);
    dtls_sort(span_of(bytes, len), &sorted);
    return sorted;
}

static void kinds_are_told_by_the_header(void **state) {
    (void)state;
    struct dtls_sorted s = sort("16fefd000000000000000000000100000000000000000000");
    assert_int_equal(s.kind, DTLS_KIND_HANDSHAKE);
    assert_false(s.is_hello); /* cut before the message's header ends */
    s = sort("16fefd00000000000000000000010000000000000000000000");
    assert_true(s.is_hello);
    s = sort("16feff00000000000000000000010000000000000000000000");
    assert_true(s.is_hello); /* the first hello may say 1.0 outside */
    s = sort("16fefd000000000000000000000b0000000000000000000000");
    assert_int_equal(s.kind, DTLS_KIND_HANDSHAKE);
    assert_false(s.is_hello);
    s = sort("14fefd0000000000000005000101");
    assert_int_equal(s.kind, DTLS_KIND_HANDSHAKE);
    s = sort("15fefd00000000000000050002022a");
    assert_int_equal(s.kind, DTLS_KIND_HANDSHAKE);
    s = sort("17fefd0001000000000001001400010000000000");
    assert_int_equal(s.kind, DTLS_KIND_PLAIN);
    s = sort("16fefd0001000000000001001400010000000000");
    assert_int_equal(s.kind, DTLS_KIND_PLAIN);
    s = sort("19fefd00010000000000010102030405060708004000");
    assert_int_equal(s.kind, DTLS_KIND_CID);
    assert_false(s.is_moved);
    assert_int_equal(s.cid.len, 8);
    assert_memory_equal(s.cid.data, "\1\2\3\4\5\6\7\10", 8);
    s = sort("fdfefd00010000000000010102030405060708004000");
    assert_int_equal(s.kind, DTLS_KIND_CID);
    assert_true(s.is_moved);
}

static void a_cookie_is_seen_where_it_is(void **state) {
    (void)state;
    /* Two headers and the version, then the random, a session id, a cookie. */
    static const char begin[] = "16fefd00000000000000000040"
                                "010000340000000000000034fefd"
                                "00000000000000000000000000000000"
                                "00000000000000000000000000000000";
    static const struct {
        const char *rest;
        bool has_cookie;
    } cases[] = {{"", false},       {"00", false},       {"0000", false},    {"0001aa", true},
                 {"02bbbb", false}, {"02bbbb00", false}, {"02bbbb01", true}, {"02bb", false},
                 {"ff", false},     {"0014", true}};
    for (size_t n = 0; n < sizeof cases / sizeof cases[0]; n++) {
        char hex[256];
        (void)snprintf(hex, sizeof hex, "%s%s", begin, cases[n].rest);
        struct dtls_sorted s = sort(hex);
        assert_true(s.is_hello);
        assert_int_equal(s.has_cookie, cases[n].has_cookie);
    }
}

static void noise_is_noise(void **state) {
    (void)state;
    static const char *const noise[] = {
        "",
        "00",
        "17",
        "16fefd00000000000000000000", /* type 23 of epoch 0 below, and short ones */
        "17fefd00000000000000000000010000",
        "16fcfd000000000000000000000100",
        "13fefd000000000000000000000100",
        "18fefd000000000000000000000100",
        "19feff00010000000000010102030405060708004000",
        "19fefd00000000000000010102030405060708004000",
        "19fefd000100000000000101020304050607",
        "16fefd0002000000000000000001000000",
        "fffefd0001000000000001001400010000000000",
        "48656c6c6f2c20776f726c6420696e20617363696920746578742e2e2e",
    };
    for (size_t i = 0; i < sizeof noise / sizeof noise[0]; i++) {
        struct dtls_sorted s = sort(noise[i]);
        if (i == 3) {
            assert_int_equal(s.kind, DTLS_KIND_HANDSHAKE);
            assert_false(s.is_hello);
        } else {
            assert_int_equal(s.kind, DTLS_KIND_NOISE);
        }
    }
}

static void probes_are_echoed_only_when_they_are_ones(void **state) {
    (void)state;
    /* type version epoch interface time sequence length payload */
    assert_int_equal(sort("fcfefd800000040000100000010002abcd").kind, DTLS_KIND_PROBE);
    assert_int_equal(sort("fcfefd800000040000100000010003abcd").kind, DTLS_KIND_NOISE);
    assert_int_equal(sort("fcfefd800000040000100000010001abcd").kind, DTLS_KIND_NOISE);
    assert_int_equal(sort("fcfefd7fff00040000100000010002abcd").kind, DTLS_KIND_NOISE);
    assert_int_equal(sort("fcfeff800000040000100000010002abcd").kind, DTLS_KIND_NOISE);
    assert_int_equal(sort("fcfefd800000040000100000010000").kind, DTLS_KIND_NOISE);
    static uint8_t longest[15 + 512] = {0xfc, 0xfe, 0xfd, 0x80};
    struct dtls_sorted s;
    longest[13] = 511 >> 8;
    longest[14] = 511 & 255;
    dtls_sort(span_of(longest, 15 + 511), &s);
    assert_int_equal(s.kind, DTLS_KIND_PROBE);
    longest[13] = 512 >> 8;
    longest[14] = 0;
    dtls_sort(span_of(longest, 15 + 512), &s);
    assert_int_equal(s.kind, DTLS_KIND_NOISE);
}

/* No datagram of up to 64 bytes makes it read past its end (sanitizers watch). */
static void every_length_is_safe(void **state) {
    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        for (size_t len = 0; len <= 64; len++) {
            for (unsigned epoch = 0; epoch < 2; epoch++) {
                uint8_t *exact = test_calloc(1, len + (len == 0));
                static const uint8_t head[] = {0, 0xfe, 0xfd, 0, 0};
                memcpy(exact, head, len < sizeof head ? len : sizeof head);
                if (len > 4) {
                    exact[0] = (uint8_t)type;
                    exact[4] = (uint8_t)epoch;
                    exact[len - 1] = 12;
                }
                struct dtls_sorted s;
                dtls_sort(span_of(exact, len), &s);
                assert_true(len > 1 || s.kind == DTLS_KIND_NOISE);
                test_free(exact);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_are_told_by_the_header),
        cmocka_unit_test(a_cookie_is_seen_where_it_is),
        cmocka_unit_test(noise_is_noise),
        cmocka_unit_test(probes_are_echoed_only_when_they_are_ones),
        cmocka_unit_test(every_length_is_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
