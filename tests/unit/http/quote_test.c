/* Part heads get their quotes however the body is cut; everything else passes byte for byte. */
#include "http/request/quote.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct page {
    char text[8192];
    size_t len;
};

static bool keep(void *arg, const char *bytes, size_t len) {
    struct page *page = arg;
    assert_true(page->len + len <= sizeof page->text);
    memcpy(page->text + page->len, bytes, len);
    page->len += len;
    return true;
}

/* In pieces of `step` bytes. */
static void check(const char *type, const char *from, size_t len, const char *to, size_t to_len) {
    for (size_t step = 1; step <= len; step++) {
        struct page page = {.len = 0};
        struct quote quote;
        quote_init(&quote, type, keep, &page);
        for (size_t at = 0; at < len; at += step) {
            assert_true(quote_append(&quote, from + at, len - at < step ? len - at : step));
        }
        assert_true(quote_end(&quote));
        assert_int_equal(page.len, to_len);
        assert_memory_equal(page.text, to, to_len);
    }
}

static void check_text(const char *type, const char *from, const char *to) {
    check(type, from, strlen(from), to, strlen(to));
}

#define TYPE "multipart/form-data; boundary=\"ab\""
#define HEAD "Content-Disposition: form-data"

static void bare_names_get_quotes(void **state) {
    (void)state;
    check_text(
        TYPE,
        "--ab\r\n" HEAD "; name=version\r\n\r\n1\r\n--ab\r\ncontent-disposition:form-data;"
        "name=file; FileName=a.bin; filename*=utf-8''a.bin\r\nX: ; name=y\r\n\r\nz\r\n--ab--\r\n",
        "--ab\r\n" HEAD "; name=\"version\"\r\n\r\n1\r\n--ab\r\ncontent-disposition:form-data;"
        "name=\"file\"; FileName=\"a.bin\"; filename*=utf-8''a.bin\r\nX: ; name=y\r\n\r\nz\r\n"
        "--ab--\r\n");
}

static void all_else_passes(void **state) {
    (void)state;
    static const char *const bodies[] = {
        "--ab\r\n" HEAD "; name=\"a; name=b\"; filename=\"x\"\r\n\r\n\n--a\n--abc\r\n\r\n" HEAD
        "; name=\"c\"\r\n\r\n\r\n--ab--",
        "--ab\r\n" HEAD "; name=\"v\"\r\n\r\n" HEAD "; name=inside\r\n--ax\r\n" HEAD
        "; name=inside\r\n--ab--\r\n",
        "--ab\r\n" HEAD "; name=",
        "",
        "\n",
        "--",
        "--ab",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        check_text(TYPE, bodies[i], bodies[i]);
    }
    const char *bare = "--ab\r\n" HEAD "; name=v\r\n\r\n1\r\n--ab--\r\n";
    check_text("multipart/form-data", bare, bare);
    check_text("multipart/form-data; boundary=\"\"", bare, bare);
    char type[200] = "multipart/form-data; boundary=";
    memset(type + strlen(type), 'b', QUOTE_BOUNDARY_MAX + 1);
    check_text(type, bare, bare);
}

static void bytes_and_long_lines_pass(void **state) {
    (void)state;
    char body[3000] = "--ab\r\n" HEAD "; name=";
    size_t len = strlen(body);
    memset(body + len, 'n', QUOTE_LINE_MAX);
    len += QUOTE_LINE_MAX;
    static const uint8_t middle[] = {'\r', '\n', '\r', '\n'};
    memcpy(body + len, middle, sizeof middle);
    len += sizeof middle;
    for (size_t i = 0; i < 1024; i++) {
        body[len++] = (char)(uint8_t)(i * 7);
    }
    check(TYPE, body, len, body, len);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(bare_names_get_quotes),
                                       cmocka_unit_test(all_else_passes),
                                       cmocka_unit_test(bytes_and_long_lines_pass)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
