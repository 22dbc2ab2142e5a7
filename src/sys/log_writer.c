/* Two buffers: lines go into one while the other is written. */
#include "sys/log_writer.h"

#include "slipway/sys/thread.h"
#include "slipway/util/check.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES (64 * 1024)        /* small enough to stay in the caches */
#define ENOUGH_BYTES (BUFFER_BYTES / 2) /* are written without waiting for more */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct thread thread;
    atomic_bool is_running; /* changed with the lock held */
    bool is_ending;
    bool is_pressed; /* what is there is to be written now */
    int descriptor;
    size_t at; /* of the buffer that is being filled */
    size_t used;
    uint64_t dropped; /* lines, since it was last said */
    char buffers[2][BUFFER_BYTES];
} writer = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void lock(void) {
    SW_CHECK(pthread_mutex_lock(&writer.lock) == 0);
}

static void unlock(void) {
    SW_CHECK(pthread_mutex_unlock(&writer.lock) == 0);
}

bool log_writer_take(int descriptor, const char *line, size_t len, bool is_pressing) {
    if (!atomic_load_explicit(&writer.is_running, memory_order_relaxed)) {
        return false;
    }
    lock();
    bool is_running = atomic_load_explicit(&writer.is_running, memory_order_relaxed);
    if (is_running && len > BUFFER_BYTES - writer.used) {
        writer.dropped++;
    } else if (is_running) {
        bool was_idle = writer.used == 0;
        memcpy(writer.buffers[writer.at] + writer.used, line, len);
        writer.used += len;
        writer.descriptor = descriptor;
        bool is_due = !writer.is_pressed && (is_pressing || writer.used >= ENOUGH_BYTES);
        writer.is_pressed = writer.is_pressed || is_due;
        if (was_idle || is_due) {
            SW_CHECK(pthread_cond_signal(&writer.filled) == 0);
        }
    }
    unlock();
    return is_running;
}

/* With the lock held: until there is something to write, and enough of it or for long enough. */
static void gather(void) {
    while (writer.used == 0 && !writer.is_ending) {
        SW_CHECK(pthread_cond_wait(&writer.filled, &writer.lock) == 0);
    }
    struct timespec until;
    SW_CHECK(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    int64_t ns = until.tv_nsec + (int64_t)LOG_GATHER_MS * 1000000;
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    int problem = 0;
    while (!writer.is_pressed && !writer.is_ending && problem == 0) {
        problem = pthread_cond_timedwait(&writer.filled, &writer.lock, &until);
        SW_CHECK(problem == 0 || problem == ETIMEDOUT);
    }
}

/* A terminal or pipe may have been made non-blocking by whoever else has it. */
static bool can_write_soon(int descriptor) {
    struct pollfd ready = {.fd = descriptor, .events = POLLOUT};
    return poll(&ready, 1, 1000) == 1;
}

static void write_all(int descriptor, const char *bytes, size_t len) {
    while (len > 0) {
        ssize_t written = write(descriptor, bytes, len);
        if (written < 0 && errno == EAGAIN && can_write_soon(descriptor)) {
            continue;
        }
        if (written <= 0) {
            return; /* there is no place left to report a failure to report */
        }
        bytes += written;
        len -= (size_t)written;
    }
}

/* Past the buffers, which may be full again. */
static void say_dropped(int descriptor, uint64_t lines) {
    struct log_line line;
    log_begin(&line, LOG_UNUSUAL, "log_dropped");
    log_int(&line, "lines", (int64_t)lines);
    if (line.is_on) {
        log_finish(&line);
        write_all(descriptor, line.text, line.used);
    }
}

static void run(void *arg) {
    (void)arg;
    lock();
    for (;;) {
        gather();
        if (writer.used == 0) {
            break;
        }
        const char *bytes = writer.buffers[writer.at];
        size_t len = writer.used;
        int descriptor = writer.descriptor;
        writer.at = 1 - writer.at;
        writer.used = 0;
        writer.is_pressed = false;
        uint64_t dropped = writer.dropped;
        writer.dropped = 0;
        unlock();
        write_all(descriptor, bytes, len);
        if (dropped > 0) {
            say_dropped(descriptor, dropped);
        }
        lock();
    }
    /* Whoever finds it ended writes for himself. */
    atomic_store(&writer.is_running, false);
    unlock();
}

int log_start(struct fault *fault) {
    pthread_condattr_t attributes;
    SW_CHECK(pthread_condattr_init(&attributes) == 0);
    SW_CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    SW_CHECK(pthread_cond_init(&writer.filled, &attributes) == 0);
    SW_CHECK(pthread_condattr_destroy(&attributes) == 0);
    writer.is_ending = false;
    atomic_store(&writer.is_running, true);
    int code = thread_start(&writer.thread, "log", run, NULL, fault);
    if (code != SW_OK) {
        atomic_store(&writer.is_running, false);
    }
    return code;
}

void log_stop(void) {
    if (!writer.thread.started) {
        return;
    }
    lock();
    writer.is_ending = true;
    SW_CHECK(pthread_cond_signal(&writer.filled) == 0);
    unlock();
    thread_join(&writer.thread);
    SW_CHECK(pthread_cond_destroy(&writer.filled) == 0);
}
