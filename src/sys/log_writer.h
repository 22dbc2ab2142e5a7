/* The thread that writes the log. Lines are gathered in memory meanwhile, because a write(2) for
 * each costs a door as much as everything else that it does for a small request, and because a disk
 * that stalls may hold up the log but nobody who writes to it. */
#ifndef SLIPWAY_SYS_LOG_WRITER_H
#define SLIPWAY_SYS_LOG_WRITER_H

#include "slipway/util/error.h"

#include <stdbool.h>
#include <stddef.h>

/* Takes a whole line, to be written to `descriptor`: soon, or at once if it is pressing. false: no
 * thread is running, the caller writes it. Without room the line is counted and dropped. Any
 * thread; never waits for a write. */
bool log_writer_take(int descriptor, const char *line, size_t len, bool is_pressing);

#endif
