/* One line for each outcome, to standard error: key=value or JSON. Only the doors (http, gateway,
 * daemon, the writer thread) log; everything below returns reasons. Values are escaped and cut, so
 * that no peer can forge or flood a line. Never give it a token, key or password. Any thread. */
#ifndef SLIPWAY_SYS_LOG_H
#define SLIPWAY_SYS_LOG_H

#include "slipway/util/error.h"
#include "slipway/util/span.h"
#include "slipway/util/time.h"

enum log_level {
    LOG_BROKEN,  /* our bug, or data lost */
    LOG_UNUSUAL, /* legal but unexpected: worth a look */
    LOG_INFO,
    LOG_DEBUG
};

struct log_setup {
    enum log_level level; /* this one and the more important ones are written */
    bool json;
    int descriptor; /* usually 2 */
};
/* Before the first other thread starts, or at a reload. The default is INFO, key=value, 2. */
void log_configure(const struct log_setup *setup);
bool log_is_on(enum log_level level);
/* "broken", "unusual", "info" or "debug"; false if it is none of them. */
bool log_level_parse(const char *text, enum log_level *out);

/* From now on a thread of its own writes the lines, many with one write: unusual and worse ones at
 * once, others after LOG_GATHER_MS at the latest. Nobody who logs waits for the disk any more: what
 * there is no room for while it stalls is dropped, and how many lines that were is said afterwards.
 * A process that is killed loses what was gathered. Before the first line of another thread. */
int log_start(struct fault *fault) SW_NODISCARD;
/* Writes what was gathered and ends the thread; lines after it are writes of their own again, as
 * they were before the start. Does nothing without a start. */
void log_stop(void);
#define LOG_GATHER_MS 50

#define LOG_LINE_BYTES 1024

/* A line in the making: begin, any number of fields, end. What does not fit is cut. */
struct log_line {
    enum log_level level;
    bool is_on;
    bool json;
    size_t used;
    char text[LOG_LINE_BYTES];
};
/* event: a static word such as "update_failed". */
void log_begin(struct log_line *line, enum log_level level, const char *event);
void log_text(struct log_line *line, const char *key, const char *value); /* NULL: left out */
void log_span(struct log_line *line, const char *key, struct span value); /* hostile text */
void log_int(struct log_line *line, const char *key, int64_t value);
void log_end(struct log_line *line);

/* The two shortest lines: an event with a sentence, and one with what went wrong. */
void log_note(enum log_level level, const char *event, const char *text);
void log_fault(enum log_level level, const char *event, const struct fault *fault);

/* A token bucket for each source (hash of an address, id, ...), for lines that a peer can cause.
 * One owner thread. Sources share a slot when there are more than LOG_SOURCES: then they share the
 * allowance, which is the safe side. */
#define LOG_SOURCES   256
#define LOG_BURST     10   /* lines */
#define LOG_REFILL_MS 6000 /* one more line */
struct log_limiter {
    struct {
        uint64_t source;
        mono_time refilled;
        uint32_t tokens;
        uint32_t suppressed;
    } slots[LOG_SOURCES];
};
void log_limiter_init(struct log_limiter *limiter);
/* Whether a line about this source may be written now; *suppressed says how many were not since
 * the last one that was. */
bool log_allowed(struct log_limiter *limiter, uint64_t source, mono_time now, uint32_t *suppressed);

#endif
