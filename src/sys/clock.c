/* Two clocks, read here and nowhere else, so that everything above can be run in virtual time. */
#include "slipway/sys/clock.h"

#include "slipway/util/check.h"

#include <string.h>
#include <time.h>

mono_time mono_now(void) {
    struct timespec now;
    SW_CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (mono_time){.us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000};
}

wall_time wall_now(void) {
    struct timespec now;
    SW_CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return (wall_time){.ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000};
}

static void put_digits(char *out, size_t count, unsigned value) {
    while (count > 0) {
        out[--count] = (char)('0' + value % 10);
        value /= 10;
    }
}

enum { DAYS_400_YEARS = 146097, DAYS_100_YEARS = 36524, DAYS_4_YEARS = 1461, DAYS_YEAR = 365 };

/* The date of a day counted from the first of March of the year 0: years that begin in March have
 * their leap day at their end, where it moves nothing. */
static void put_date(int64_t day, char *out) {
    int64_t era = day / DAYS_400_YEARS;
    unsigned rest = (unsigned)(day % DAYS_400_YEARS);
    unsigned centuries = rest / DAYS_100_YEARS;
    centuries -= centuries / 4; /* the last day of 400 years is no fifth century */
    rest -= centuries * DAYS_100_YEARS;
    unsigned fours = rest / DAYS_4_YEARS;
    rest -= fours * DAYS_4_YEARS;
    unsigned years = rest / DAYS_YEAR;
    years -= years / 4;
    rest -= years * DAYS_YEAR;
    unsigned month = (5 * rest + 2) / 153; /* from March on, five months have 153 days */
    bool is_next_year = month >= 10;
    unsigned year = (unsigned)era * 400 + centuries * 100 + fours * 4 + years + is_next_year;
    put_digits(out, 4, year);
    put_digits(out + 5, 2, is_next_year ? month - 9 : month + 3);
    put_digits(out + 8, 2, rest - (153 * month + 2) / 5 + 1);
}

/* By hand: every line of the log has a time, and every device in a list has one. */
void wall_text(wall_time t, char out[WALL_TEXT_BYTES]) {
    enum { DAY_MS = 24 * 3600 * 1000, DAYS_TO_1970 = 719468 };
    int64_t day = t.ms / DAY_MS;
    int64_t rest = t.ms % DAY_MS;
    if (rest < 0) {
        rest += DAY_MS;
        day--;
    }
    unsigned ms = (unsigned)rest;
    memcpy(out, "0000-00-00T00:00:00.000Z", WALL_TEXT_BYTES);
    day += DAYS_TO_1970;
    put_date(day > 0 ? day : 0, out);
    put_digits(out + 11, 2, ms / 3600000);
    put_digits(out + 14, 2, ms / 60000 % 60);
    put_digits(out + 17, 2, ms / 1000 % 60);
    put_digits(out + 20, 3, ms % 1000);
}
