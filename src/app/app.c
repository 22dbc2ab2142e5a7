/* What the daemon does, apart from how it is asked: each use case is a function on a transaction.
 * They know neither HTTP nor datagrams; the doors run them as jobs of the store's writer or, to
 * read, on connections of their own. What a job wants told to connected devices is collected here
 * and told only once the job is durable. */
#include "slipway/app/app.h"

#include "slipway/sys/clock.h"
#include "slipway/sys/entropy.h"
#include "slipway/util/check.h"

#include "app/internal.h"
#include "app/update/plan.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void set_default_u32(uint32_t *value, uint32_t otherwise) {
    *value = *value == 0 ? otherwise : *value;
}

static void set_default_ms(int64_t *value, int64_t otherwise) {
    *value = *value == 0 ? otherwise : *value;
}

static void set_defaults(struct app_options *options) {
    set_default_u32(&options->queue_max, 4096);
    set_default_u32(&options->attempts_max, 3);
    set_default_ms(&options->retry_ms, 60000);
    set_default_ms(&options->reboot_timeout_ms, 1800000);
    set_default_u32(&options->quarantine_max, 10000);
    set_default_u32(&options->failed_logins_max, 10);
    set_default_ms(&options->lockout_ms, 1800000);
    set_default_ms(&options->events_age_ms, INT64_C(30) * 24 * 3600 * 1000);
    set_default_ms(&options->updates_age_ms, INT64_C(365) * 24 * 3600 * 1000);
    set_default_u32(&options->updates_keep, 5);
    set_default_u32(&options->calls_max, 100000);
    set_default_ms(&options->vitals_age_ms, INT64_C(30) * 24 * 3600 * 1000);
    set_default_u32(&options->vitals_device_max, 720);
    set_default_u32(&options->hook_queue_max, 1000);
    set_default_u32(&options->hook_attempts_max, 6);
    set_default_ms(&options->hook_retry_ms, 5000);
    set_default_ms(&options->hook_disable_ms, INT64_C(3) * 24 * 3600 * 1000);
    if (options->events_max == 0) {
        options->events_max = 1000000;
    }
    if (options->updates_max == 0) {
        options->updates_max = 1000000;
    }
    if (options->vitals_max == 0) {
        options->vitals_max = 1000000;
    }
}

/* --- what is told after a commit --- */

static void on_job_begin(void *ctx) {
    struct app *app = (struct app *)ctx;
    app->notice_mark = app->notice_count;
    app->event_mark = app->event_id;
}

static void on_job_undone(void *ctx) {
    struct app *app = (struct app *)ctx;
    app->notice_count = app->notice_mark;
    app->event_id = app->event_mark;
}

static void on_lost(void *ctx) {
    struct app *app = (struct app *)ctx;
    app->notice_count = 0;
    app->event_id = 0;
}

static void on_committed(void *ctx) {
    struct app *app = (struct app *)ctx;
    /* Before anybody hears of it: whoever reads after an answer reads what the answer is about. */
    (void)atomic_fetch_add(&app->commits, 1);
    if (app->options.notice != NULL) {
        for (size_t i = 0; i < app->notice_count; i++) {
            app->options.notice(app->options.notice_arg, &app->notices[i]);
        }
        if (app->event_id != 0) {
            struct app_notice events = {.kind = APP_NOTICE_EVENTS, .event_id = app->event_id};
            app->options.notice(app->options.notice_arg, &events);
        }
    }
    on_lost(ctx);
}

int app_tell(struct app_tx *tx, const struct app_notice *notice) {
    struct app *app = tx->app;
    if (app->notice_count == app->notice_cap) {
        size_t cap = app->notice_cap == 0 ? 64 : app->notice_cap * 2;
        struct app_notice *larger = reallocarray(app->notices, cap, sizeof *larger);
        if (larger == NULL) {
            return fault_set(tx->fault, SW_E_MEMORY, "out of memory for notices");
        }
        app->notices = larger;
        app->notice_cap = cap;
    }
    app->notices[app->notice_count++] = *notice;
    return SW_OK;
}

int app_tell_device(struct app_tx *tx, enum app_notice_kind kind, const struct device_id *id,
                    uint16_t product_id) {
    struct app_notice notice = {.kind = kind, .device = *id, .product_id = product_id};
    return app_tell(tx, &notice);
}

/* --- life --- */

static wall_time real_now(void *arg) {
    (void)arg;
    return wall_now();
}

static void real_entropy(void *arg, void *out, size_t len) {
    (void)arg;
    sys_entropy(out, len);
}

static wall_time app_now(const struct app *app) {
    return app->options.now(app->options.world_arg);
}

static int recover(struct app_tx *tx, void *arg) {
    (void)arg;
    int code = app_updates_recover(tx);
    return code == SW_OK && tx->app->options.seal_key != NULL ? app_hooks_recover(tx) : code;
}

int app_open(struct app **out, const struct app_options *options, struct fault *fault) {
    *out = NULL;
    struct app *app = calloc(1, sizeof *app);
    if (app == NULL || (app->path = strdup(options->path)) == NULL) {
        free(app);
        return fault_set(fault, SW_E_MEMORY, "out of memory");
    }
    app->options = *options;
    app->options.path = app->path;
    set_defaults(&app->options);
    if (app->options.now == NULL) {
        app->options.now = real_now;
    }
    if (app->options.entropy == NULL) {
        app->options.entropy = real_entropy;
    }
    mailbox_init(&app->queue, app->options.queue_max, NULL, NULL);

    struct store_options store = {.path = app->path,
                                  .is_guest = options->is_guest,
                                  .synchronous_normal = options->synchronous_normal,
                                  .cache_bytes = options->cache_bytes,
                                  .now = app_now(app)};
    int code = store_open(&app->store, &store, fault);
    if (code == SW_OK) {
        struct store_hooks hooks = {.ctx = app,
                                    .job_begin = on_job_begin,
                                    .job_undone = on_job_undone,
                                    .committed = on_committed,
                                    .lost = on_lost};
        store_set_hooks(app->store, &hooks);
        struct app_error error;
        code = options->is_guest ? SW_OK : app_execute(app, recover, NULL, &error);
        if (code != SW_OK) {
            (void)fault_set(fault, code, "cannot go on from the last stop: %s", error.description);
        }
    }
    if (code == SW_OK && options->is_threaded) {
        code = store_writer_start(&app->writer, app->store, app->options.queue_max, 0, fault);
    }
    if (code != SW_OK) {
        app_close(app);
        return code;
    }
    *out = app;
    return SW_OK;
}

void app_close(struct app *app) {
    if (app == NULL) {
        return;
    }
    store_writer_stop(app->writer);
    (void)app_pump(app, STORE_TROUBLE_NONE);
    mailbox_destroy(&app->queue);
    store_close(app->store);
    free(app->notices);
    free(app->path);
    free(app);
}

void app_entropy(const struct app *app, void *out, size_t len) {
    app->options.entropy(app->options.world_arg, out, len);
}

/* --- transactions --- */

void app_tx_init(struct app_tx *tx, struct store *store, wall_time now, struct fault *fault) {
    *tx = (struct app_tx){.store = store, .app = store_context(store), .now = now, .fault = fault};
    SW_CHECK(tx->app != NULL);
}

bool app_is_later(const struct app_tx *tx, int64_t at_ms, int64_t other_ms) {
    bool is_ahead = at_ms > tx->now.ms, other_is_ahead = other_ms > tx->now.ms;
    return is_ahead == other_is_ahead ? at_ms > other_ms : other_is_ahead;
}

int app_fail(struct app_tx *tx, int code, const char *word, const char *field, const char *format,
             ...) {
    tx->error.code = code;
    (void)snprintf(tx->error.word, sizeof tx->error.word, "%s", word);
    (void)snprintf(tx->error.field, sizeof tx->error.field, "%s", field != NULL ? field : "");
    va_list args;
    va_start(args, format);
    (void)vsnprintf(tx->error.description, sizeof tx->error.description, format, args);
    va_end(args);
    return code;
}

/* Codes that say something about the request; without words of its own the door finds some. */
static bool is_answer(int code) {
    return code == SW_E_INPUT || code == SW_E_RANGE || code == SW_E_STATE ||
           code == SW_E_NOT_FOUND || code == SW_E_EXISTS || code == SW_E_DENIED ||
           code == SW_E_AUTH || code == SW_E_CONFLICT;
}

/* What the world did: the reason is for the log, the asker learns that it was not them. */
static void explain(struct app_tx *tx, int code) {
    if (code == SW_OK || (tx->error.code != code && is_answer(code))) {
        tx->error = (struct app_error){.code = code};
    } else if (tx->error.code != code) {
        bool again = code == SW_E_BUSY || code == SW_E_FULL;
        if (code == SW_E_SPACE) {
            (void)app_fail(tx, code, "insufficient_storage", NULL,
                           "The server's disk is full: nothing was changed.");
        } else {
            (void)app_fail(tx, code, again ? "unavailable" : "server_error", NULL, "%s",
                           again ? "The server is busy, please try again."
                                 : "The server could not do this.");
        }
        (void)snprintf(tx->error.cause, sizeof tx->error.cause, "%s",
                       tx->fault != NULL && tx->fault->text[0] != '\0' ? tx->fault->text
                                                                       : sw_error_name(code));
    }
}

/* A use case on its way to the writer and back to who waits for it. */
struct call {
    struct store_job job; /* first */
    struct app *app;
    app_run_fn *run;
    void *arg;
    struct latch latch;
    int code;
    struct app_error error;
    struct fault fault; /* of the commit */
};

static int run_call(struct store_job *job, struct store *store, struct fault *fault) {
    struct call *call = (struct call *)job;
    struct app_tx tx;
    app_tx_init(&tx, store, app_now(call->app), fault);
    int code = call->run(&tx, call->arg);
    explain(&tx, code);
    call->error = tx.error;
    return code;
}

static void call_done(struct store_job *job, int code, const struct fault *fault) {
    struct call *call = (struct call *)job;
    if (fault != NULL) {
        call->fault = *fault;
    }
    call->code = code;
    latch_signal(&call->latch);
}

int app_submit_job(struct app *app, struct store_job *job) {
    if (app->writer != NULL) {
        return store_writer_submit(app->writer, job);
    }
    return mailbox_post(&app->queue, &job->mail);
}

int app_execute(struct app *app, app_run_fn *run, void *arg, struct app_error *error) {
    struct call call = {.app = app, .run = run, .arg = arg, .job.run = run_call};
    if (app->writer == NULL) {
        call.code = store_run(app->store, &call.job, &call.fault);
    } else {
        call.job.done = call_done;
        latch_init(&call.latch);
        int code = app_submit_job(app, &call.job);
        if (code == SW_OK) {
            latch_wait(&call.latch); /* call.code is the writer's until then */
        } else {
            mailbox_destroy(&call.latch.box);
            call.code = code;
        }
    }
    if (call.code != call.error.code) { /* it was not taken, or the commit failed */
        struct app_tx tx = {.error = call.error, .fault = &call.fault};
        explain(&tx, call.code);
        call.error = tx.error;
    }
    if (error != NULL) {
        *error = call.error;
    }
    return call.code;
}

size_t app_pump(struct app *app, enum store_trouble trouble) {
    struct mail *list = mailbox_take_all(&app->queue);
    size_t count = 0;
    for (struct mail *mail = list; mail != NULL; mail = mail->next) {
        count++;
    }
    store_run_group(app->store, (struct store_job *)list, trouble);
    return count;
}

int app_reader_open(struct app *app, struct store **out, struct fault *fault) {
    if (app->writer == NULL) {
        *out = app->store;
        return SW_OK;
    }
    struct store_options options = {.path = app->path, .is_reader = true, .shared = app->store};
    int code = store_open(out, &options, fault);
    if (code == SW_OK) {
        store_set_context(*out, app);
    }
    return code;
}

void app_reader_close(struct app *app, struct store *reader) {
    if (reader != app->store) {
        store_close(reader);
    }
}

int app_read(struct app *app, struct store *reader, app_run_fn *run, void *arg,
             struct app_error *error) {
    struct app_tx tx;
    struct fault fault = {.code = SW_OK};
    app_tx_init(&tx, reader, app_now(app), &fault);
    int code = store_view_begin(reader, &fault);
    if (code == SW_OK) {
        code = run(&tx, arg);
        store_view_end(reader);
    }
    explain(&tx, code);
    if (error != NULL) {
        *error = tx.error;
    }
    return code;
}

int app_read_on(struct app *app, struct store *reader, app_run_fn *run, void *arg,
                struct app_error *error) {
    struct app_tx tx;
    struct fault fault = {.code = SW_OK};
    app_tx_init(&tx, reader, app_now(app), &fault);
    int code = store_view_keep(reader, atomic_load(&app->commits), &fault);
    if (code == SW_OK) {
        code = run(&tx, arg);
    }
    if (code != SW_OK) {
        store_view_end(reader);
    }
    explain(&tx, code);
    if (error != NULL) {
        *error = tx.error;
    }
    return code;
}

void app_views_renew(struct app *app) {
    (void)atomic_fetch_add(&app->commits, 1);
}

void app_reader_rest(struct store *reader) {
    store_view_end(reader);
}
