/* Two threads around the core. The loop thread alone touches the core and the socket: it reads
 * datagrams in batches, takes what other threads posted, and sleeps until the core's next deadline.
 * The reader thread has a store connection of its own for what the core wants read. Nothing here
 * waits for the disk but the reader.
 *
 *   other threads --posts--> loop --jobs--> writer (the app's) --back--\
 *                             |  \--jobs--> reader ------------back----+--> loop */
#include "slipway/gateway/loop.h"

#include "gateway/gateway.h"
#include "gateway/loop/udp.h"

#include "slipway/sys/clock.h"
#include "slipway/sys/entropy.h"
#include "slipway/sys/log.h"
#include "slipway/sys/thread.h"
#include "slipway/util/check.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#define POSTS_MAX     65536 /* notices and commands that wait */
#define BATCHES_MAX   16    /* of datagrams before everything else has its turn */
#define DRAIN_LOOK_US 10000

enum post_kind { POST_NOTICE, POST_COMMAND, POST_CONFIGURE, POST_REPORT, POST_DRAIN, POST_END };

struct post {
    struct mail mail; /* first */
    enum post_kind kind;
    struct app_notice notice;
    struct gateway_command command; /* spans point behind the struct */
    struct gateway_config config;
    loop_reply_fn *reply;
    void *arg;
    struct latch *latch;
    struct loop_report *report;
};

struct loop {
    struct app *app;
    struct udp *udp;
    struct gateway *gw;
    uv_loop_t uv;
    uv_poll_t poll;
    uv_timer_t timer;
    uv_idle_t more; /* runs while the core has something to do at once */
    uv_async_t wake;
    struct thread thread, reader;
    struct store *store; /* the reader's */
    struct mailbox posts, jobs, reads;
    struct log_limiter troubles;  /* the writer's thread */
    struct log_limiter strangers; /* the loop's */
    bool is_ending;
};

static void loop_wake(void *arg) {
    struct loop *loop = arg;
    (void)uv_async_send(&loop->wake);
}

/* --- the core's ports --- */

static void port_send(void *ctx, gateway_path path, const struct address *peer,
                      const struct outbox *box) {
    struct loop *loop = ctx;
    udp_send(loop->udp, path, peer, box);
}

/* Any thread. The box has no limit: the core bounds what is out. */
static void job_back(struct loop *loop, struct store_job *job, int code) {
    job->code = code;
    int status = mailbox_post(&loop->jobs, &job->mail);
    SW_CHECK(status == SW_OK);
}

static void job_written(struct store_job *job, int code, const struct fault *fault) {
    struct loop *loop = gateway_job_ctx(job);
    bool is_trouble =
        code == SW_E_IO || code == SW_E_BUSY || code == SW_E_MEMORY || code == SW_E_SPACE;
    uint32_t suppressed = 0;
    /* Every device has something to store, and tries again. */
    if (is_trouble && log_allowed(&loop->troubles, (uint64_t)-code, mono_now(), &suppressed)) {
        struct log_line line;
        log_begin(&line, LOG_BROKEN, "store_failed");
        log_text(&line, "error", sw_error_name(code));
        log_text(&line, "text", fault->text);
        log_int(&line, "suppressed", suppressed);
        log_end(&line);
    }
    job_back(loop, job, code);
}

static int port_submit(void *ctx, struct store_job *job) {
    struct loop *loop = ctx;
    job->done = job_written;
    return app_submit_job(loop->app, job);
}

static int port_submit_read(void *ctx, struct store_job *job) {
    struct loop *loop = ctx;
    job->done = NULL;
    return mailbox_post(&loop->reads, &job->mail);
}

static void port_entropy(void *ctx, void *out, size_t len) {
    (void)ctx;
    sys_entropy(out, len);
}

static void port_reply(void *ctx, const struct gateway_reply *reply) {
    struct post *post = (struct post *)(uintptr_t)reply->id;
    (void)ctx;
    post->reply(post->arg, reply);
    free(post);
}

static void port_note(void *ctx, bool unusual, const char *text) {
    (void)ctx;
    log_note(unusual ? LOG_UNUSUAL : LOG_INFO, "gateway", text);
}

/* What an operator looks for whose device does not come online. */
static void port_unmet(void *ctx, const struct address *peer, const char *why) {
    struct loop *loop = ctx;
    char text[ADDRESS_BYTES];
    uint64_t source;
    uint32_t suppressed = 0;
    address_text(peer, text);
    memcpy(&source, address_is_v4(peer) ? peer->ip + 8 : peer->ip, sizeof source);
    if (log_allowed(&loop->strangers, source, mono_now(), &suppressed)) {
        struct log_line line;
        log_begin(&line, LOG_UNUSUAL, "handshake_failed");
        log_text(&line, "from", text);
        log_int(&line, "port", peer->port);
        log_text(&line, "text", why);
        log_int(&line, "suppressed", suppressed);
        log_end(&line);
    }
}

/* --- the reader thread --- */

static int read_one(struct app_tx *tx, void *arg) {
    struct store_job *job = arg;
    return job->run(job, tx->store, tx->fault);
}

static void reader_run(void *arg) {
    struct loop *loop = arg;
    struct mail *mail;
    while ((mail = mailbox_wait(&loop->reads, 1, -1)) != NULL) {
        struct store_job *job = (struct store_job *)mail;
        struct app_error error;
        int code = app_read(loop->app, loop->store, read_one, job, &error);
        if (code == SW_E_IO || code == SW_E_MEMORY) {
            log_note(LOG_BROKEN, "store_unreadable",
                     error.cause[0] != '\0' ? error.cause : error.description);
        }
        job_back(loop, job, code);
    }
}

/* --- the loop thread --- */

static void on_more(uv_idle_t *more);

/* What is due now waits until the socket and the posts have had their turn. A timer would not do:
 * libuv runs those that are due until none is, and one that is started anew with 0 always is. */
static void loop_settle(struct loop *loop) {
    mono_time now = mono_now();
    gateway_tick(loop->gw, now, wall_now());
    udp_flush(loop->udp);
    mono_time due = gateway_deadline(loop->gw);
    now = mono_now();
    bool is_due = mono_reached(now, due);
    (void)(is_due ? uv_idle_start(&loop->more, on_more) : uv_idle_stop(&loop->more));
    if (is_due || due.us == MONO_NEVER.us) {
        (void)uv_timer_stop(&loop->timer);
        return;
    }
    uint64_t wait_us = (uint64_t)mono_since_us(now, due);
    uv_update_time(&loop->uv);
    (void)uv_timer_start(&loop->timer, loop->timer.timer_cb, (wait_us + 999) / 1000, 0);
}

static void on_more(uv_idle_t *more) {
    loop_settle(more->data);
}

static void on_readable(uv_poll_t *poll, int status, int events) {
    struct loop *loop = poll->data;
    struct gateway_arrival batch[UDP_BATCH];
    (void)status;
    (void)events;
    for (unsigned round = 0; round < BATCHES_MAX; round++) {
        size_t count = udp_receive(loop->udp, batch);
        gateway_arrivals(loop->gw, batch, count, mono_now(), wall_now());
        if (count < UDP_BATCH) {
            break;
        }
    }
    loop_settle(loop);
}

static void on_timer(uv_timer_t *timer) {
    loop_settle(timer->data);
}

static void post_take(struct loop *loop, struct post *post) {
    mono_time now = mono_now();
    wall_time wall = wall_now();
    switch (post->kind) {
    case POST_NOTICE:
        gateway_notice(loop->gw, &post->notice, now, wall);
        break;
    case POST_COMMAND:
        post->command.id = (uint64_t)(uintptr_t)post;
        if (gateway_command(loop->gw, &post->command, now, wall) != SW_OK) {
            struct gateway_reply reply = {.id = post->command.id, .status = SW_E_BUSY};
            port_reply(loop, &reply);
        }
        return; /* the reply frees it */
    case POST_CONFIGURE:
        gateway_configure(loop->gw, &post->config);
        crypto_wipe(&post->config, sizeof post->config);
        break;
    case POST_REPORT:
        post->report->counters = *gateway_counters(loop->gw);
        gateway_sizes(loop->gw, &post->report->sizes);
        post->report->is_ready = gateway_is_ready(loop->gw);
        post->report->is_drained = gateway_is_drained(loop->gw);
        latch_signal(post->latch);
        break;
    case POST_DRAIN:
        gateway_drain(loop->gw, now, wall);
        break;
    case POST_END:
        loop->is_ending = true;
        break;
    }
    free(post);
}

static void loop_end(struct loop *loop) {
    (void)uv_poll_stop(&loop->poll);
    uv_close((uv_handle_t *)&loop->poll, NULL);
    uv_close((uv_handle_t *)&loop->timer, NULL);
    uv_close((uv_handle_t *)&loop->more, NULL);
    uv_close((uv_handle_t *)&loop->wake, NULL);
}

static void on_wake(uv_async_t *async) {
    struct loop *loop = async->data;
    struct mail *mail, *next;
    for (mail = mailbox_take_all(&loop->jobs); mail != NULL; mail = next) {
        struct store_job *job = (struct store_job *)mail;
        next = mail->next;
        gateway_job_done(loop->gw, job, job->code, mono_now(), wall_now());
    }
    for (mail = mailbox_take_all(&loop->posts); mail != NULL; mail = next) {
        next = mail->next;
        post_take(loop, (struct post *)mail);
    }
    struct gateway_sizes sizes;
    gateway_sizes(loop->gw, &sizes);
    if (loop->is_ending && sizes.jobs == 0) {
        udp_flush(loop->udp);
        loop_end(loop);
        return;
    }
    loop_settle(loop);
}

static void loop_run(void *arg) {
    struct loop *loop = arg;
    gateway_start(loop->gw, mono_now(), wall_now());
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
}

/* --- other threads --- */

static int loop_post(struct loop *loop, struct post *post) {
    if (post == NULL) {
        return SW_E_MEMORY;
    }
    int status = mailbox_post(&loop->posts, &post->mail);
    if (status != SW_OK) {
        free(post);
    }
    return status;
}

static struct post *post_new(enum post_kind kind, size_t tail) {
    struct post *post = calloc(1, sizeof *post + tail);
    if (post != NULL) {
        post->kind = kind;
    }
    return post;
}

void loop_notice(void *arg, const struct app_notice *notice) {
    struct loop *loop = arg;
    if (notice->kind == APP_NOTICE_EVENTS) {
        return;
    }
    struct post *post = post_new(POST_NOTICE, 0);
    if (post != NULL) {
        post->notice = *notice;
    }
    int status = loop_post(loop, post);
    if (status != SW_OK && status != SW_E_STATE) {
        log_note(LOG_UNUSUAL, "notice_lost", "devices look again at their next session");
    }
}

int loop_configure(struct loop *loop, const struct gateway_config *config) {
    struct post *post = post_new(POST_CONFIGURE, 0);
    if (post != NULL) {
        post->config = *config;
    }
    return loop_post(loop, post);
}

int loop_command(struct loop *loop, const struct gateway_command *command, loop_reply_fn *reply,
                 void *arg) {
    struct post *post = post_new(POST_COMMAND, command->name.len + command->argument.len);
    if (post != NULL) {
        uint8_t *tail = (uint8_t *)(post + 1);
        post->command = *command;
        post->reply = reply;
        post->arg = arg;
        if (command->name.len > 0) {
            memcpy(tail, command->name.data, command->name.len);
        }
        if (command->argument.len > 0) {
            memcpy(tail + command->name.len, command->argument.data, command->argument.len);
        }
        post->command.name = span_of(tail, command->name.len);
        post->command.argument = span_of(tail + command->name.len, command->argument.len);
    }
    return loop_post(loop, post);
}

void loop_report(struct loop *loop, struct loop_report *out) {
    struct latch latch;
    struct post *post = post_new(POST_REPORT, 0);
    memset(out, 0, sizeof *out);
    latch_init(&latch);
    if (post != NULL) {
        post->latch = &latch;
        post->report = out;
    }
    if (loop_post(loop, post) != SW_OK) {
        latch_signal(&latch);
    }
    latch_wait(&latch);
}

bool loop_drain(struct loop *loop, int64_t limit_ms) {
    const struct timespec pause = {.tv_nsec = DRAIN_LOOK_US * 1000L};
    mono_time deadline = mono_add_ms(mono_now(), limit_ms);
    struct loop_report report;
    if (loop_post(loop, post_new(POST_DRAIN, 0)) != SW_OK) {
        return false;
    }
    do {
        loop_report(loop, &report);
        if (report.is_drained) {
            return true;
        }
        (void)nanosleep(&pause, NULL);
    } while (!mono_reached(mono_now(), deadline));
    return false;
}

/* What needs the app to be still there. */
static void loop_release(struct loop *loop) {
    if (loop->gw != NULL) {
        gateway_free(loop->gw);
        loop->gw = NULL;
    }
    if (loop->store != NULL) {
        app_reader_close(loop->app, loop->store);
        loop->store = NULL;
    }
    udp_close(loop->udp);
    loop->udp = NULL;
}

void loop_free(struct loop *loop) {
    if (loop == NULL) {
        return;
    }
    loop_release(loop);
    mailbox_destroy(&loop->posts);
    mailbox_destroy(&loop->jobs);
    mailbox_destroy(&loop->reads);
    free(loop);
}

/* The handles live in the loop's own memory: libuv is done with them when uv_run returns. */
static int loop_handles(struct loop *loop, struct fault *fault) {
    int status = uv_loop_init(&loop->uv);
    if (status != 0) {
        return fault_set(fault, SW_E_IO, "no event loop: %s", uv_strerror(status));
    }
    loop->poll.data = loop->timer.data = loop->more.data = loop->wake.data = loop;
    status = uv_timer_init(&loop->uv, &loop->timer);
    status = status != 0 ? status : uv_idle_init(&loop->uv, &loop->more);
    status = status != 0 ? status : uv_async_init(&loop->uv, &loop->wake, on_wake);
    status = status != 0 ? status : uv_poll_init(&loop->uv, &loop->poll, udp_descriptor(loop->udp));
    status = status != 0 ? status : uv_poll_start(&loop->poll, UV_READABLE, on_readable);
    status = status != 0 ? status : uv_timer_start(&loop->timer, on_timer, 0, 0);
    return status == 0 ? SW_OK
                       : fault_set(fault, SW_E_IO, "no event loop: %s", uv_strerror(status));
}

int loop_open(struct loop **out, const struct loop_options *options, struct fault *fault) {
    struct loop *loop = calloc(1, sizeof *loop);
    *out = NULL;
    if (loop == NULL) {
        return fault_set(fault, SW_E_MEMORY, "no memory for the device door");
    }
    const struct udp_options socket = {.host = options->host,
                                       .port = options->port,
                                       .receive_buffer = options->receive_buffer,
                                       .send_buffer = options->send_buffer,
                                       .without_segments = options->without_segments};
    const struct gateway_ports ports = {.ctx = loop,
                                        .send = port_send,
                                        .submit = port_submit,
                                        .submit_read = port_submit_read,
                                        .entropy = port_entropy,
                                        .reply = port_reply,
                                        .note = port_note,
                                        .unmet = port_unmet};
    loop->app = options->app;
    log_limiter_init(&loop->troubles);
    log_limiter_init(&loop->strangers);
    mailbox_init(&loop->posts, POSTS_MAX, loop_wake, loop);
    mailbox_init(&loop->jobs, SIZE_MAX, loop_wake, loop);
    mailbox_init(&loop->reads, POSTS_MAX, NULL, NULL);
    int status = udp_open(&loop->udp, &socket, fault);
    status = status != SW_OK ? status : app_reader_open(loop->app, &loop->store, fault);
    if (status == SW_OK) {
        loop->gw = gateway_new(&options->gateway, &ports, mono_now(), wall_now());
        status = loop->gw == NULL ? fault_set(fault, SW_E_MEMORY, "no memory for the device door")
                                  : loop_handles(loop, fault);
    }
    status =
        status != SW_OK ? status : thread_start(&loop->reader, "reader", reader_run, loop, fault);
    if (status == SW_OK) {
        status = thread_start(&loop->thread, "devices", loop_run, loop, fault);
        if (status != SW_OK) {
            mailbox_close(&loop->reads);
            thread_join(&loop->reader);
        }
    }
    if (status != SW_OK) {
        loop_free(loop);
        return status;
    }
    *out = loop;
    return SW_OK;
}

void loop_stop(struct loop *loop) {
    const struct timespec pause = {.tv_nsec = DRAIN_LOOK_US * 1000L};
    if (loop == NULL) {
        return;
    }
    /* The mailbox may be full of notices: this must get through. */
    while (loop_post(loop, post_new(POST_END, 0)) != SW_OK) {
        (void)nanosleep(&pause, NULL);
    }
    thread_join(&loop->thread);
    mailbox_close(&loop->reads);
    thread_join(&loop->reader);
    mailbox_close(&loop->posts);
    for (struct mail *mail = mailbox_take_all(&loop->posts), *next; mail != NULL; mail = next) {
        next = mail->next;
        free(mail);
    }
    (void)uv_loop_close(&loop->uv);
    loop_release(loop);
}

uint16_t loop_port(const struct loop *loop) {
    return udp_port(loop->udp);
}
