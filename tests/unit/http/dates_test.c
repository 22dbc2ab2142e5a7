/* Times that clients name: what is one, which one it is, and what is none. */
#include "http/request/dates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void times_are_read(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"1970-01-01", 0},
                {"1970-01-01T00:00Z", 0},
                {"1970-01-01T00:00:00", 0},
                {"1970-01-01T00:00:01.5Z", 1500},
                {"1970-01-01T00:00:01.123456789Z", 1123},
                {"1970-01-01T02:00:00+02:00", 0},
                {"1970-01-01T02:00:00 02:00", 0},
                {"1969-12-31T22:30:00-0130", 0},
                {"2024-02-29T00:00:00Z", 1709164800000},
                {"2017-12-18T12:37:07.318Z", 1513600627318},
                {"0001-01-01", -62135596800000},
                {"9999-12-31T23:59:59.999Z", 253402300799999}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int64_t ms = -1;
        if (!date_parse(good[i].text, &ms) || ms != good[i].ms) {
            fail_msg("%s: %lld", good[i].text, (long long)ms);
        }
    }
}

static void what_is_no_time_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "now",
                                      "2026",
                                      "2026-1-1",
                                      "2026-00-01",
                                      "2026-13-01",
                                      "2026-01-00",
                                      "2026-02-29",
                                      "2026-04-31",
                                      "2026-01-01 ",
                                      "2026-01-01Z",
                                      "2026-01-01T",
                                      "2026-01-01T24:00",
                                      "2026-01-01T00:60",
                                      "2026-01-01T00:00:61",
                                      "2026-01-01T00:00:00.",
                                      "2026-01-01T00:00:00+",
                                      "2026-01-01T00:00:00+24:00",
                                      "2026-01-01T00:00:00+01:60",
                                      "2026-01-01T00:00:00ZZ",
                                      "-026-01-01",
                                      "2026-01-01T00:00:00Z\n",
                                      "1700000000",
                                      "99999-01-01"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t ms = 0;
        if (date_parse(bad[i], &ms)) {
            fail_msg("%s: %lld", bad[i], (long long)ms);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(what_is_no_time_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
