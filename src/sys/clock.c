/* Two clocks, read here and nowhere else, so that everything above can be run in virtual time. */
#include "slipway/sys/clock.h"

#include "slipway/util/check.h"

#include <stdio.h>
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
    (void)snprintf(out, WALL_TEXT_BYTES, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
                   (unsigned)(parts.tm_year + 1900) % 10000U, (unsigned)(parts.tm_mon + 1) % 100U,
                   (unsigned)parts.tm_mday % 100U, (unsigned)parts.tm_hour % 100U,
                   (unsigned)parts.tm_min % 100U, (unsigned)parts.tm_sec % 100U,
                   (unsigned)rest % 1000U);
}
