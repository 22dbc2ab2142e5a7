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

/* By hand: every line of the log has a time, and every device in a list has one. */
void wall_text(wall_time t, char out[WALL_TEXT_BYTES]) {
    int64_t seconds = t.ms / 1000;
    int64_t rest = t.ms % 1000;
    if (rest < 0) {
        rest += 1000;
        seconds--;
    }
    time_t when = (time_t)seconds;
    struct tm parts = {0};
    SW_CHECK(gmtime_r(&when, &parts) != NULL);
    memcpy(out, "0000-00-00T00:00:00.000Z", WALL_TEXT_BYTES);
    put_digits(out, 4, (unsigned)(parts.tm_year + 1900));
    put_digits(out + 5, 2, (unsigned)(parts.tm_mon + 1));
    put_digits(out + 8, 2, (unsigned)parts.tm_mday);
    put_digits(out + 11, 2, (unsigned)parts.tm_hour);
    put_digits(out + 14, 2, (unsigned)parts.tm_min);
    put_digits(out + 17, 2, (unsigned)parts.tm_sec);
    put_digits(out + 20, 3, (unsigned)rest);
}
