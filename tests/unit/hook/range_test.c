/* Where webhooks may not go, whatever the spelling. */
#include "hook/range.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool has(const char *list, const char *address) {
    struct ranges ranges;
    struct fault fault;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at;
    memset(&at, 0, sizeof at);
    assert_int_equal(ranges_parse(list, &ranges, &fault), SW_OK);
    if (inet_pton(AF_INET, address, &at.v4.sin_addr) == 1) {
        at.any.sa_family = AF_INET;
    } else {
        assert_int_equal(inet_pton(AF_INET6, address, &at.v6.sin6_addr), 1);
        at.any.sa_family = AF_INET6;
    }
    return ranges_have(&ranges, &at.any);
}

static void ranges_have_what_is_in_them(void **state) {
    (void)state;
    assert_true(has("10.0.0.0/8", "10.255.0.1"));
    assert_false(has("10.0.0.0/8", "11.0.0.1"));
    assert_true(has("10.0.0.0/8", "::ffff:10.1.2.3"));
    assert_true(has("::ffff:10.0.0.0/104", "10.1.2.3"));
    assert_true(has("172.16.0.0/12", "172.31.255.255"));
    assert_false(has("172.16.0.0/12", "172.32.0.0"));
    assert_true(has(" 192.0.2.7,fe80::/10 ", "192.0.2.7"));
    assert_false(has("192.0.2.7", "192.0.2.6"));
    assert_true(has("192.0.2.7,fe80::/10", "febf::1"));
    assert_false(has("192.0.2.7,fe80::/10", "fec0::1"));
    assert_true(has("0.0.0.0/0", "8.8.8.8"));
    assert_false(has("0.0.0.0/0", "2001:db8::1"));
    assert_true(has("::/0", "8.8.8.8"));
    assert_true(has("::1", "::1"));
    assert_false(has("", "::1"));
}

static void others_are_in_none(void **state) {
    (void)state;
    struct ranges ranges;
    struct fault fault;
    const struct sockaddr local = {.sa_family = AF_UNIX};
    assert_int_equal(ranges_parse("::/0", &ranges, &fault), SW_OK);
    assert_false(ranges_have(&ranges, &local));
}

static void what_is_no_range_is_named(void **state) {
    (void)state;
    static const char *const bad[] = {"10.0.0.0/33",     "10.0.0.0/",   "10.0.0/8",   "x",
                                      "fe80::/129",      "fe80::/-1",   "1.2.3.4/8x", "localhost",
                                      "1.2.3.4;5.6.7.8", "10.0.0.0/ 8", "/8"};
    struct ranges ranges;
    struct fault fault;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (ranges_parse(bad[i], &ranges, &fault) != SW_E_INPUT) {
            fail_msg("%s is taken", bad[i]);
        }
    }
    char many[(RANGES_MAX + 1) * 4 + 1];
    for (size_t i = 0; i <= RANGES_MAX; i++) {
        (void)snprintf(many + i * 4, sizeof many - i * 4, "::1,");
    }
    assert_int_equal(ranges_parse(many, &ranges, &fault), SW_E_FULL);
    assert_int_equal(ranges_parse(NULL, &ranges, &fault), SW_OK);
    assert_int_equal(ranges.count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_have_what_is_in_them),
        cmocka_unit_test(others_are_in_none),
        cmocka_unit_test(what_is_no_range_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
