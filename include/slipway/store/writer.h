/* Jobs that change the store, and the thread that commits them in groups: one fdatasync for many
 * jobs. A failing job undoes only itself. */
#ifndef SLIPWAY_STORE_WRITER_H
#define SLIPWAY_STORE_WRITER_H

#include "slipway/store/store.h"
#include "slipway/sys/mailbox.h"

/* Embedded by the caller, who keeps it alive until done. */
struct store_job {
    struct mail mail; /* the queue's */
    /* On the writer thread, inside a transaction. SW_OK keeps what it did; any error undoes it. */
    int (*run)(struct store_job *job, struct store *store, struct fault *fault);
    /* On the writer thread, once, after the group is durable (code SW_OK or what run returned), or
     * after it could not be made so (SW_E_IO, SW_E_BUSY). May free the job. fault is valid during
     * the call; its code is SW_OK when nothing went wrong. Must not block. */
    void (*done)(struct store_job *job, int code, const struct fault *fault);
    /* run may be called again after everything that it did to the store was undone: because another
     * job failed with which it shared a savepoint. */
    bool is_repeatable;
    int code; /* the writer's */
    struct fault fault;
};

struct store_writer;

/* Takes the writer connection: it is the new thread's until store_writer_stop returns. At most
 * queue_max jobs wait; group_max of them share a commit (0 = 256). */
int store_writer_start(struct store_writer **out, struct store *store, size_t queue_max,
                       size_t group_max, struct fault *fault) SW_NODISCARD;
/* Any thread. SW_E_FULL or SW_E_STATE (stopping): not taken, done will not be called. */
int store_writer_submit(struct store_writer *writer, struct store_job *job) SW_NODISCARD;
/* Runs what is queued, then ends the thread. Accepts NULL. */
void store_writer_stop(struct store_writer *writer);

/* The same on the caller's thread: a list of jobs linked by mail.next as one group. What a crash or
 * a failing disk does to a group can be asked for: simulations and tests do. */
enum store_trouble {
    STORE_TROUBLE_NONE,
    STORE_TROUBLE_COMMIT_FAILS, /* rolled back, every done gets SW_E_IO */
    STORE_TROUBLE_CRASH_BEFORE, /* rolled back, done is not called: the process is gone */
    STORE_TROUBLE_CRASH_AFTER   /* durable, done is not called */
};
void store_run_group(struct store *store, struct store_job *jobs, enum store_trouble trouble);
/* One job, without its done: returns its code. fault may be NULL. */
int store_run(struct store *store, struct store_job *job, struct fault *fault) SW_NODISCARD;

#endif
