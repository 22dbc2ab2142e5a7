/* The only reader of the clocks. Any thread. Pure code gets its `now` from a caller of these. */
#ifndef SLIPWAY_SYS_CLOCK_H
#define SLIPWAY_SYS_CLOCK_H

#include "slipway/util/time.h"

mono_time mono_now(void);
wall_time wall_now(void);

/* "2026-01-31T23:59:59.123Z" and a NUL: ISO 8601, UTC, milliseconds. Years 0 to 9999. */
#define WALL_TEXT_BYTES 25
void wall_text(wall_time t, char out[WALL_TEXT_BYTES]);

#endif
