/* The thread that writes the log. Lines are gathered in memory meanwhile: a write(2) for each is an
 * eighth of the time that a small request takes, and a disk that stalls may hold up the log but
 * nobody who has something to say. */
#ifndef SLIPWAY_SYS_LOG_WRITER_H
#define SLIPWAY_SYS_LOG_WRITER_H

#include "slipway/sys/log.h"

/* Takes a whole line, to be written to `descriptor`: soon, or at once if it is pressing. false: no
 * thread is running, the caller writes it. Without room the line is counted and dropped. Any
 * thread; never waits for a write. */
bool log_writer_take(int descriptor, const char *line, size_t len, bool is_pressing);

/* log.c: the end of a line that is on, not yet written. */
void log_finish(struct log_line *line);

#endif
