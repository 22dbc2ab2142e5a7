/* One thread writes. Jobs that arrive while a commit waits for the disk share the next one, so the
 * cost of durability is paid by groups, and a lone job still commits at once. */
#include "slipway/store/writer.h"

#include "slipway/sys/thread.h"
#include "slipway/util/check.h"

#include "store/internal.h"

#include <stdlib.h>

struct store_writer {
    struct store *store;
    struct mailbox queue;
    struct thread thread;
    size_t group_max;
};

/* A lone job needs no savepoint: the transaction is its own. */
static void run_job(struct store *store, struct store_job *job, bool is_alone) {
    job->fault = (struct fault){.code = SW_OK};
    job->code = is_alone ? SW_OK : store_exec(store, "SAVEPOINT job", &job->fault);
    if (job->code != SW_OK) {
        return;
    }
    if (store->hooks.job_begin != NULL) {
        store->hooks.job_begin(store->hooks.ctx);
    }
    job->code = job->run(job, store, &job->fault);
    SW_CHECK(job->code <= SW_OK);
    if (job->code != SW_OK) {
        if (job->fault.code == SW_OK) {
            job->fault.code = job->code;
        }
        if (store->hooks.job_undone != NULL) {
            store->hooks.job_undone(store->hooks.ctx);
        }
        /* Some errors (a full disk) have rolled the whole transaction back already. */
        (void)sqlite3_exec(store->db, is_alone ? "ROLLBACK" : "ROLLBACK TO job", NULL, NULL, NULL);
    }
    if (!is_alone) {
        (void)sqlite3_exec(store->db, "RELEASE job", NULL, NULL, NULL);
    }
}

/* One transaction around the list. SW_OK when it is durable. */
static int run_list(struct store *store, struct store_job *jobs, bool commit_fails,
                    struct fault *fault) {
    int code = store_exec(store, "BEGIN IMMEDIATE", fault);
    if (code != SW_OK) {
        return code;
    }
    bool is_alone = jobs->mail.next == NULL;
    for (struct store_job *job = jobs; job != NULL && !sqlite3_get_autocommit(store->db);
         job = (struct store_job *)job->mail.next) {
        run_job(store, job, is_alone);
        if (sqlite3_get_autocommit(store->db)) {
            *fault = job->fault; /* this one's trouble was the whole group's */
        }
    }
    if (is_alone && jobs->code != SW_OK) {
        return SW_OK; /* nothing is left to commit: the job's own code says why */
    }
    if (sqlite3_get_autocommit(store->db)) {
        code = fault->code != SW_OK
                   ? fault->code
                   : fault_set(fault, SW_E_IO, "the database rolled the transaction back");
    } else if (commit_fails) {
        code = fault_set(fault, SW_E_IO, "the commit failed");
    } else {
        code = store_exec(store, "COMMIT", fault);
    }
    if (code != SW_OK && !sqlite3_get_autocommit(store->db)) {
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
    for (;;) {
        struct mail *list = mailbox_wait(&writer->queue, writer->group_max, -1);
        if (list == NULL) {
            return; /* closed, and everything is committed */
        }
        store_run_group(writer->store, (struct store_job *)list, STORE_TROUBLE_NONE);
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
