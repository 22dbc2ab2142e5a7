/* The two clocks, as types that cannot be mixed. Pure code never reads either: `now` is handed in;
 * sys/clock.h is the only reader. */
#ifndef SLIPWAY_UTIL_TIME_H
#define SLIPWAY_UTIL_TIME_H

#include <stdbool.h>
#include <stdint.h>

/* Microseconds since an arbitrary start; never goes back; does not survive the process. */
typedef struct {
    int64_t us;
} mono_time;

/* Milliseconds since 1970-01-01T00:00:00Z. */
typedef struct {
    int64_t ms;
} wall_time;

#define MONO_NEVER ((mono_time){.us = INT64_MAX})

static inline mono_time mono_add_ms(mono_time t, int64_t ms) {
    return t.us == INT64_MAX ? t : (mono_time){.us = t.us + ms * 1000};
}

static inline mono_time mono_add_us(mono_time t, int64_t us) {
    return t.us == INT64_MAX ? t : (mono_time){.us = t.us + us};
}

static inline int64_t mono_since_us(mono_time from, mono_time to) {
    return to.us - from.us;
}

static inline bool mono_reached(mono_time now, mono_time deadline) {
    return now.us >= deadline.us;
}

static inline mono_time mono_earlier(mono_time a, mono_time b) {
    return a.us <= b.us ? a : b;
}

#endif
