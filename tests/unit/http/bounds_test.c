/* What keeps one client from hurting the others: spool, limits by address, deadlines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/request/limits.h"
#include "http/request/spool.h"
#include "http/request/watch.h"

static void spool_keeps_what_it_was_given(void **state) {
    (void)state;
    const size_t len_all = 3 * SPOOL_MEMORY_BYTES;
    static const size_t steps[] = {1, 1000, SPOOL_MEMORY_BYTES, SPOOL_MEMORY_BYTES + 1};
    uint8_t *bytes = malloc(len_all);
    assert_non_null(bytes);
    for (size_t i = 0; i < len_all; i++) {
        bytes[i] = (uint8_t)(i * 7 + (i >> 8));
    }
    for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++) {
        struct spool spool;
        spool_init(&spool, len_all);
        for (size_t at = 0; at < len_all;) {
            size_t len = steps[s] < len_all - at ? steps[s] : len_all - at;
            assert_int_equal(spool_append(&spool, bytes + at, len), SW_OK);
            at += len;
        }
        assert_true(spool.fd >= 0);
        assert_null(spool.memory);
        struct span all = {0};
        assert_int_equal(spool_read(&spool, &all), SW_OK);
        assert_true(span_equal(all, span_of(bytes, len_all)));
        spool_close(&spool);
    }
    free(bytes);
}

static void spool_stays_in_memory_while_small(void **state) {
    (void)state;
    struct spool spool;
    spool_init(&spool, 1 << 20);
    struct span all = {0};
    assert_int_equal(spool_read(&spool, &all), SW_OK);
    assert_int_equal(all.len, 0);
    assert_int_equal(spool_append(&spool, "abc", 3), SW_OK);
    assert_int_equal(spool_append(&spool, "", 0), SW_OK);
    assert_int_equal(spool.fd, -1);
    assert_int_equal(spool_read(&spool, &all), SW_OK);
    assert_true(span_is_text(all, "abc"));
    spool_close(&spool);
}

static void spool_refuses_the_first_byte_too_many(void **state) {
    (void)state;
    struct spool spool;
    spool_init(&spool, 4);
    assert_int_equal(spool_append(&spool, "abcd", 4), SW_OK);
    assert_int_equal(spool_append(&spool, "e", 1), SW_E_FULL);
    assert_int_equal(spool.len, 4);
    assert_int_equal(spool_append(&spool, "e", SIZE_MAX), SW_E_FULL);
    spool_close(&spool);
}

static void addresses_have_an_allowance_for_each_window(void **state) {
    (void)state;
    struct limits limits;
    assert_int_equal(limits_init(&limits, 3, 42), SW_OK);
    static const char one[] = "192.0.2.1", two[] = "192.0.2.2";
    mono_time now = {.us = 1000};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(limits_take(&limits, one, now), 0);
    }
    unsigned wait_s = limits_take(&limits, one, now);
    assert_true(wait_s > 0 && wait_s <= LIMITS_WINDOW_MS / 1000);
    assert_int_equal(limits_take(&limits, two, now), 0);
    now = mono_add_ms(now, LIMITS_WINDOW_MS);
    assert_int_equal(limits_take(&limits, one, now), 0);
    /* Who has one IPv6 address has all of its network, and may not ask from each in turn. */
    for (unsigned i = 0; i < 4; i++) {
        char address[40];
        (void)snprintf(address, sizeof address, "2001:db8:0:1::%x", i);
        assert_int_equal(limits_take(&limits, address, now) == 0, i < 3);
    }
    assert_int_equal(limits_take(&limits, "2001:db8:0:2::1", now), 0);
    for (unsigned i = 0; i < 4; i++) {
        char address[40];
        (void)snprintf(address, sizeof address, "::ffff:198.51.100.%u", i);
        assert_int_equal(limits_take(&limits, address, now), 0);
    }
    limits_close(&limits);
    assert_int_equal(limits_init(&limits, 0, 42), SW_OK);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(limits_take(&limits, one, now), 0);
    }
    limits_close(&limits);
}

static bool is_shut(int fd) {
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void connections_are_known_and_shut_down_when_late(void **state) {
    (void)state;
    struct watch watch = {0};
    assert_int_equal(watch_init(&watch, 2), SW_OK);
    int a[2], b[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, b), 0);
    const struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000205)};
    const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    mono_time now = {.us = 5000000};
    struct watch_slot *first =
        watch_add(&watch, a[0], (const struct sockaddr *)&v4, mono_add_ms(now, 100));
    struct watch_slot *second = watch_add(&watch, b[0], (const struct sockaddr *)&v6, MONO_NEVER);
    assert_non_null(first);
    assert_non_null(second);
    assert_string_equal(watch_address(&watch, first), "192.0.2.5");
    assert_string_equal(watch_address(&watch, second), "::1");
    assert_int_equal(watch_sweep(&watch, now), 0);
    now = mono_add_ms(now, 100);
    assert_int_equal(watch_sweep(&watch, now), 1);
    assert_true(is_shut(a[1]));
    assert_false(is_shut(b[1]));
    assert_int_equal(watch_sweep(&watch, now), 0);
    /* With every slot taken, whose deadline is next makes room. */
    watch_set(second, mono_add_ms(now, 100));
    assert_null(watch_add(&watch, 99, NULL, now));
    assert_true(is_shut(b[1]));
    assert_int_equal(watch_sweep(&watch, mono_add_ms(now, 100)), 0);
    watch_remove(&watch, first);
    assert_string_equal(watch_address(&watch, watch_add(&watch, 99, NULL, MONO_NEVER)), "");
    assert_string_equal(watch_address(&watch, NULL), "");
    watch_remove(&watch, NULL);
    watch_set(NULL, now);
    for (int i = 0; i < 2; i++) {
        (void)close(a[i]);
        (void)close(b[i]);
    }
    watch_close(&watch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spool_keeps_what_it_was_given),
        cmocka_unit_test(spool_stays_in_memory_while_small),
        cmocka_unit_test(spool_refuses_the_first_byte_too_many),
        cmocka_unit_test(addresses_have_an_allowance_for_each_window),
        cmocka_unit_test(connections_are_known_and_shut_down_when_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
