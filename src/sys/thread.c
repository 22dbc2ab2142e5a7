#include "slipway/sys/thread.h"

#include "slipway/util/check.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

static void *thread_main(void *arg) {
    struct thread *thread = (struct thread *)arg;
    thread->run(thread->arg);
    return NULL;
}

int thread_start(struct thread *thread, const char *name, void (*run)(void *arg), void *arg,
                 struct fault *fault) {
    thread->run = run;
    thread->arg = arg;
    thread->started = false;

    /* The new thread inherits the mask: signals stay with the thread that asked for them. */
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    SW_CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    int problem = pthread_create(&thread->handle, NULL, thread_main, thread);
    SW_CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    if (problem != 0) {
        return fault_set(fault, problem == EAGAIN ? SW_E_MEMORY : SW_E_IO,
                         "cannot start the thread %s: %s", name, strerrordesc_np(problem));
    }
    thread->started = true;
    (void)pthread_setname_np(thread->handle, name);
    return SW_OK;
}

void thread_join(struct thread *thread) {
    if (thread->started) {
        SW_CHECK(pthread_join(thread->handle, NULL) == 0);
        thread->started = false;
    }
}

unsigned thread_processors(void) {
    cpu_set_t set;
    /* The kernel refuses when it has more than fit into a set. */
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : CPU_SETSIZE;
}
