#include "slipway/util/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_words_and_numbers(void **state) {
    (void)state;
    char out[64];
    struct text text = text_of(out, sizeof out);
    assert_string_equal(out, "");
    text_add(&text, "from ");
    text_add_number(&text, INT64_MIN);
    text_add(&text, " to ");
    text_add_number(&text, INT64_MAX);
    assert_string_equal(out, "from -9223372036854775808 to 9223372036854775807");
}

static void test_cut_at_every_size(void **state) {
    (void)state;
    for (size_t cap = 1; cap <= 12; cap++) {
        char out[16];
        memset(out, 'x', sizeof out);
        struct text text = text_of(out, cap);
        text_add(&text, "version ");
        text_add_number(&text, 305);
        assert_int_equal(strlen(out), cap - 1 < 11 ? cap - 1 : 11);
        assert_int_equal(strncmp(out, "version 305", cap - 1), 0);
        assert_int_equal(out[cap], 'x');
    }
}

static void test_integers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"0", 0},
                {"-0", 0},
                {"+7", 7},
                {"-12", -12},
                {"0009", 9},
                {"9223372036854775807", INT64_MAX},
                {"-9223372036854775808", INT64_MIN}};
    static const char *const bad[] = {"",
                                      "-",
                                      "+",
                                      " 1",
                                      "1 ",
                                      "1.0",
                                      "0x1",
                                      "--1",
                                      "1e3",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int64_t value = -1;
        assert_true(text_integer(good[i].text, &value));
        assert_true(value == good[i].value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t value = -1;
        assert_false(text_integer(bad[i], &value));
        assert_true(value == -1);
    }
}

static void plain_text_needs_no_escapes(void **state) {
    (void)state;
    char text[40];
    for (size_t len = 0; len < 20; len++) {
        memset(text, 'a', sizeof text);
        assert_true(text_is_plain(text, len));
        for (size_t at = 0; at < 20; at++) {
            for (int c = 0; c < 256; c++) {
                text[at] = (char)c;
                bool is_special = c < ' ' || c >= 0x7F || c == '"' || c == '\\';
                assert_int_equal(text_is_plain(text, len), at >= len || !is_special);
            }
            text[at] = 'a';
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text_needs_no_escapes),
        cmocka_unit_test(test_words_and_numbers),
        cmocka_unit_test(test_cut_at_every_size),
        cmocka_unit_test(test_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
