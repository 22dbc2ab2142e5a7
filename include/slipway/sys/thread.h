/* A thread that is started once and joined once. */
#ifndef SLIPWAY_SYS_THREAD_H
#define SLIPWAY_SYS_THREAD_H

#include "slipway/util/error.h"

#include <pthread.h>
#include <stdbool.h>

struct thread {
    pthread_t handle;
    bool started;
    void (*run)(void *arg);
    void *arg;
};

/* Runs run(arg) on a new thread whose signals are all blocked, so that they reach the thread that
 * waits for them. name: at most 15 characters, for the process list. SW_E_MEMORY or SW_E_IO. */
int thread_start(struct thread *thread, const char *name, void (*run)(void *arg), void *arg,
                 struct fault *fault) SW_NODISCARD;
/* Waits for its end; does nothing when it was never started. */
void thread_join(struct thread *thread);

/* How many processors this process may run on; at least 1. */
unsigned thread_processors(void);

#endif
