/* One thread writes. Jobs that arrive while a commit waits for the disk share the next one, so the
 * cost of durability is paid by groups, and a lone job still commits at once. Inside of a group a
 * failing job undoes only itself: runs of jobs that may be repeated share a savepoint, and go one
 * by one when it had to be used. */
#include "slipway/store/writer.h"

#include "slipway/sys/thread.h"
#include "slipway/util/check.h"

#include "store/internal.h"

#include <stdlib.h>

#define RUN_MAX 64U /* jobs that are repeated one by one if one of them fails */

struct store_writer {
    struct store *store;
    struct mailbox queue;
    struct thread thread;
    size_t group_max;
};

static void tell(const struct store *store, void (*hook)(void *ctx)) {
    if (hook != NULL) {
        hook(store->hooks.ctx);
    }
}

/* Of a savepoint: some errors (a full disk) have ended the whole transaction already, which is
 * looked at when it is to be committed. */
static int savepoint(struct store *store, enum stmt_name name, struct fault *fault) {
    return stmt_do(store, stmt(store, name, fault), fault);
}

static void call_job(struct store *store, struct store_job *job) {
    job->fault = (struct fault){.code = SW_OK};
    job->code = job->run(job, store, &job->fault);
    SW_CHECK(job->code <= SW_OK);
    if (job->code != SW_OK && job->fault.code == SW_OK) {
        job->fault.code = job->code;
    }
}

/* A lone job needs no savepoint: the transaction is its own. */
static void run_job(struct store *store, struct store_job *job, bool is_alone) {
    job->fault = (struct fault){.code = SW_OK};
    job->code = is_alone ? SW_OK : savepoint(store, STMT_JOB_BEGIN, &job->fault);
    if (job->code != SW_OK) {
        return;
    }
    tell(store, store->hooks.job_begin);
    call_job(store, job);
    if (job->code != SW_OK) {
        tell(store, store->hooks.job_undone);
        if (is_alone) {
            (void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
        } else {
            (void)savepoint(store, STMT_JOB_UNDO, NULL);
        }
    }
    if (!is_alone) {
        (void)savepoint(store, STMT_JOB_END, NULL);
    }
}

static struct store_job *next_of(const struct store_job *job) {
    return (struct store_job *)job->mail.next;
}

/* Where the jobs that may share a savepoint with this one end: the copies of pages that each
 * savepoint makes cost as much as the jobs themselves, and hardly any job fails. */
static struct store_job *end_of_run(struct store_job *job) {
    struct store_job *end = next_of(job);
    for (unsigned n = 1; job->is_repeatable && end != NULL && end->is_repeatable && n < RUN_MAX;
         n++) {
        end = next_of(end);
    }
    return end;
}

/* False: one of them failed, and nothing of any of them is left. */
static bool run_together(struct store *store, struct store_job *jobs, const struct store_job *end,
                         struct fault *fault) {
    bool is_fine = savepoint(store, STMT_JOB_BEGIN, fault) == SW_OK;
    tell(store, store->hooks.job_begin);
    for (struct store_job *job = jobs; is_fine && job != end; job = next_of(job)) {
        call_job(store, job);
        is_fine = job->code == SW_OK;
        *fault = job->fault;
    }
    if (!is_fine) {
        tell(store, store->hooks.job_undone);
        (void)savepoint(store, STMT_JOB_UNDO, NULL);
    }
    (void)savepoint(store, STMT_JOB_END, NULL);
    return is_fine;
}

static bool is_in_transaction(const struct store *store) {
    return sqlite3_get_autocommit(store->db) == 0;
}

/* Ends early, with the transaction, when one job's trouble was the whole group's: fault has it. */
static void run_jobs(struct store *store, struct store_job *jobs, struct fault *fault) {
    bool is_alone = next_of(jobs) == NULL;
    struct store_job *job = jobs;
    while (job != NULL && is_in_transaction(store)) {
        struct store_job *end = end_of_run(job);
        if (end != next_of(job) && run_together(store, job, end, fault)) {
            job = end;
        }
        for (; job != end && is_in_transaction(store); job = next_of(job)) {
            run_job(store, job, is_alone);
            *fault = job->fault;
        }
    }
}

/* One transaction around the list. SW_OK when it is durable. */
static int run_list(struct store *store, struct store_job *jobs, bool commit_fails,
                    struct fault *fault) {
    int code = store_exec(store, "BEGIN IMMEDIATE", fault);
    if (code != SW_OK) {
        return code;
    }
    run_jobs(store, jobs, fault);
    if (next_of(jobs) == NULL && jobs->code != SW_OK) {
        return SW_OK; /* nothing is left to commit: the job's own code says why */
    }
    if (!is_in_transaction(store)) {
        code = fault->code != SW_OK
                   ? fault->code
                   : fault_set(fault, SW_E_IO, "the database rolled the transaction back");
    } else if (commit_fails) {
        code = fault_set(fault, SW_E_IO, "the commit failed");
    } else {
        code = store_exec(store, "COMMIT", fault);
    }
    if (code != SW_OK && is_in_transaction(store)) {
        (void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    }
    return code;
}

void store_run_group(struct store *store, struct store_job *jobs, enum store_trouble trouble) {
    if (jobs == NULL) {
        return;
    }
    bool undo = trouble == STORE_TROUBLE_COMMIT_FAILS || trouble == STORE_TROUBLE_CRASH_BEFORE;
    struct fault fault = {.code = SW_OK};
    int code = run_list(store, jobs, undo, &fault);
    if (code == SW_OK && store->hooks.committed != NULL) {
        store->hooks.committed(store->hooks.ctx);
    } else if (code != SW_OK && store->hooks.lost != NULL) {
        store->hooks.lost(store->hooks.ctx);
    }
    if (trouble == STORE_TROUBLE_CRASH_BEFORE || trouble == STORE_TROUBLE_CRASH_AFTER) {
        return;
    }
    while (jobs != NULL) {
        struct store_job *job = jobs;
        jobs = (struct store_job *)job->mail.next; /* done may free it */
        job->mail.next = NULL;
        if (code != SW_OK) {
            job->code = code;
            job->fault = fault;
        }
        if (job->done != NULL) {
            job->done(job, job->code, &job->fault);
        }
    }
    store_checkpoint(store);
}

int store_run(struct store *store, struct store_job *job, struct fault *fault) {
    void (*done)(struct store_job *, int, const struct fault *) = job->done;
    job->done = NULL;
    job->mail.next = NULL;
    store_run_group(store, job, STORE_TROUBLE_NONE);
    job->done = done;
    if (fault != NULL && job->code != SW_OK) {
        *fault = job->fault;
    }
    return job->code;
}

static void writer_main(void *arg) {
    struct store_writer *writer = (struct store_writer *)arg;
    int64_t wait_ms = 0;
    for (;;) {
        struct mail *list = mailbox_wait(&writer->queue, writer->group_max, wait_ms);
        if (list != NULL) {
            store_run_group(writer->store, (struct store_job *)list, STORE_TROUBLE_NONE);
            wait_ms = STORE_IDLE_MS;
        } else if (mailbox_is_closed(&writer->queue)) {
            return; /* and everything is committed */
        } else {
            wait_ms = store_idle(writer->store);
        }
    }
}

int store_writer_start(struct store_writer **out, struct store *store, size_t queue_max,
                       size_t group_max, struct fault *fault) {
    SW_CHECK(!store->is_reader);
    *out = NULL;
    struct store_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL) {
        return fault_set(fault, SW_E_MEMORY, "out of memory for the store's writer");
    }
    writer->store = store;
    writer->group_max = group_max > 0 ? group_max : 256;
    mailbox_init(&writer->queue, queue_max, NULL, NULL);
    int code = thread_start(&writer->thread, "store", writer_main, writer, fault);
    if (code != SW_OK) {
        mailbox_destroy(&writer->queue);
        free(writer);
        return code;
    }
    *out = writer;
    return SW_OK;
}

int store_writer_submit(struct store_writer *writer, struct store_job *job) {
    return mailbox_post(&writer->queue, &job->mail);
}

void store_writer_stop(struct store_writer *writer) {
    if (writer == NULL) {
        return;
    }
    mailbox_close(&writer->queue);
    thread_join(&writer->thread);
    mailbox_destroy(&writer->queue);
    free(writer);
}
