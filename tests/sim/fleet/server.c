/* The server's lives: its gateway and its use cases on one database file, with a disk that takes
 * its time, and an end that may come at any moment. */
#include "world.h"

#include "gateway/jobs.h"
#include "slipway/util/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TICKS_MAX  64               /* in a row at one moment */
#define RESTART_US INT64_C(5000000) /* after a start that failed */
#define STEPS_MAX  60               /* writes and syncs that a crash may come after */

static void keep(struct store_job ***list, size_t *count, size_t *cap, struct store_job *job) {
    if (*count == *cap) {
        *cap = *cap > 0 ? 2 * *cap : 64;
        *list = realloc(*list, *cap * sizeof(struct store_job *));
        SW_CHECK(*list != NULL);
    }
    (*list)[(*count)++] = job;
}

static void no_longer_out(struct world *world, const struct store_job *job) {
    for (size_t i = 0; i < world->out_count; i++) {
        if (world->out[i] == job) {
            world->out[i] = world->out[--world->out_count];
            return;
        }
    }
    SW_CHECK(false);
}

/* --- the gateway's ports --- */

static void port_send(void *ctx, gateway_path path, const struct address *peer,
                      const struct outbox *box) {
    struct world *world = ctx;
    (void)path;
    if (!world->is_dying) {
        world_from_server(world, peer, box);
    }
}

static void job_written(struct store_job *job, int code, const struct fault *fault) {
    struct world *world = gateway_job_ctx(job);
    (void)fault;
    job->code = code;
    keep(&world->back, &world->back_count, &world->back_cap, job);
}

static int port_submit(void *ctx, struct store_job *job) {
    struct world *world = ctx;
    if (world->is_dying) {
        return SW_E_STATE;
    }
    struct gateway_job *inside = (struct gateway_job *)job;
    if (world->mutant == MUTANT_DEAF && inside->kind == JOB_UPDATES &&
        !inside->u.updates.is_forced) {
        inside->u.updates.value = true;
    }
    job->done = job_written;
    int status = app_submit_job(world->app, job);
    if (status != SW_OK) {
        return status;
    }
    keep(&world->out, &world->out_count, &world->out_cap, job);
    if (!world->pump_is_due) {
        int64_t delay_us = rng_between(&world->rng, 100, world->profile.commit_us_max);
        world->pump_is_due = true;
        world_event_put(world, world_event_new(world, EVENT_PUMP, mono_add_us(world->now, delay_us),
                                               span_of(NULL, 0)));
    }
    return SW_OK;
}

static int port_submit_read(void *ctx, struct store_job *job) {
    struct world *world = ctx;
    if (world->is_dying) {
        return SW_E_STATE;
    }
    int64_t delay_us = rng_between(&world->rng, 50, world->profile.commit_us_max / 2 + 50);
    struct world_event *event =
        world_event_new(world, EVENT_READ, mono_add_us(world->now, delay_us), span_of(NULL, 0));
    event->job = job;
    keep(&world->out, &world->out_count, &world->out_cap, job);
    world_event_put(world, event);
    return SW_OK;
}

static void port_entropy(void *ctx, void *out, size_t len) {
    struct world *world = ctx;
    rng_fill(&world->rng, out, len);
}

static void port_reply(void *ctx, const struct gateway_reply *reply) {
    struct world *world = ctx;
    world_trace(world, "reply", &reply->status, sizeof reply->status);
    if (reply->id >= COMMANDS_MAX || !world->is_awaited[reply->id]) {
        world_fail(world, "a command was answered that was not given, or twice");
        return;
    }
    world->is_awaited[reply->id] = false;
    world_tell(world, "command %llu: %s, code %u", (unsigned long long)reply->id,
               sw_error_name(reply->status), reply->code);
}

static void port_note(void *ctx, bool unusual, const char *text) {
    struct world *world = ctx;
    world_trace(world, "note", text, strlen(text));
    world_tell(world, "gateway%s: %s", unusual ? " (unusual)" : "", text);
}

/* --- what the use cases tell --- */

static void on_notice(void *arg, const struct app_notice *notice) {
    struct world *world = arg;
    if (world->is_dying) {
        return;
    }
    struct world_event *event = world_event_new(
        world, EVENT_NOTICE, mono_add_us(world->now, rng_between(&world->rng, 10, 2000)),
        span_of(NULL, 0));
    event->notice = *notice;
    world_event_put(world, event);
}

static wall_time app_clock(void *arg) {
    return world_wall(arg);
}

/* --- lives --- */

bool server_is_up(const struct world *world) {
    return world->gateway != NULL;
}

#define STALE_US INT64_C(15000000)

/* What the mutant STALE_STORE brings back after a crash: the store as it was early in this life. */
static void copy_store(struct world *world) {
    struct store *store;
    struct fault fault;
    char copy[160];
    snprintf(copy, sizeof copy, "%s.stale", world->path);
    (void)unlink(copy);
    SW_CHECK(app_reader_open(world->app, &store, &fault) == SW_OK);
    SW_CHECK(store_backup(store, copy, &fault) == SW_OK);
    app_reader_close(world->app, store);
    world->copy_at = MONO_NEVER;
}

static void bring_back_copy(struct world *world) {
    char copy[160], beside[160];
    if (world->copy_at.us != INT64_MAX) {
        return; /* it was too early for a copy */
    }
    snprintf(copy, sizeof copy, "%s.stale", world->path);
    snprintf(beside, sizeof beside, "%s-wal", world->path);
    (void)unlink(beside);
    snprintf(beside, sizeof beside, "%s-shm", world->path);
    (void)unlink(beside);
    SW_CHECK(rename(copy, world->path) == 0);
}

static struct app_options options_of(struct world *world) {
    return (struct app_options){.path = world->path,
                                .synchronous_normal = world->mutant == MUTANT_UNSYNCED,
                                .retry_ms = 5000,
                                .attempts_max = 3,
                                .notice = on_notice,
                                .notice_arg = world,
                                .now = app_clock,
                                .entropy = port_entropy,
                                .world_arg = world};
}

void server_make_store(struct world *world) {
    struct app_options options = options_of(world);
    struct fault fault;
    SW_CHECK(app_open(&world->app, &options, &fault) == SW_OK);
    app_close(world->app);
}

void server_start(struct world *world) {
    struct app_options options = options_of(world);
    struct gateway_ports ports = {.ctx = world,
                                  .send = port_send,
                                  .submit = port_submit,
                                  .submit_read = port_submit_read,
                                  .entropy = port_entropy,
                                  .reply = port_reply,
                                  .note = port_note};
    struct gateway_config config = {.key = world->server_key, .seal_key = {1}};
    struct fault fault = {.code = SW_OK};
    world->server++;
    world->is_dying = false;
    world_tell(world, "the server starts");
    int code = app_open(&world->app, &options, &fault);
    if (code != SW_OK && disk_now() != DISK_FINE && (code == SW_E_IO || code == SW_E_SPACE)) {
        world_event_put(world,
                        world_event_new(world, EVENT_RESTART, mono_add_us(world->now, RESTART_US),
                                        span_of(NULL, 0)));
        return;
    }
    if (code != SW_OK) {
        world_fail(world, "the store does not open: %s", fault.text);
        return;
    }
    world->copy_at = mono_add_us(world->now, STALE_US);
    world->gateway = gateway_new(&config, &ports, world->now, world_wall(world));
    SW_CHECK(world->gateway != NULL);
    gateway_start(world->gateway, world->now, world_wall(world));
    check_restarted(world);
}

static void end(struct world *world) {
    /* Whatever the gateway still awaits never comes; only its memory is given back. */
    world->is_dying = true;
    while (world->out_count > 0) {
        struct store_job *job = world->out[world->out_count - 1];
        world->out_count--;
        gateway_job_done(world->gateway, job, SW_E_IO, world->now, world_wall(world));
    }
    gateway_free(world->gateway);
    world->gateway = NULL;
    app_close(world->app);
    world->app = NULL;
    memset(world->is_awaited, 0, sizeof world->is_awaited);
    world->commands = 0;
    world->pump_is_due = false;
    world->back_count = 0;
    world_event_forget_server(world);
}

void server_crash(struct world *world) {
    if (!server_is_up(world)) {
        return;
    }
    world->crashes++;
    world->is_dying = true;
    world_tell(world, "the server crashes");
    /* A commit under way may have reached the disk, in part or not at all. */
    disk_end_in(1 + (unsigned)rng_below(&world->rng, STEPS_MAX));
    (void)app_pump(world->app, STORE_TROUBLE_NONE);
    disk_end_in(0);
    end(world);
    disk_return(!world_chance(world, world->profile.power_cuts));
    if (world->mutant == MUTANT_STALE_STORE) {
        bring_back_copy(world);
    }
}

void server_stop(struct world *world) {
    if (!server_is_up(world)) {
        return;
    }
    world_tell(world, "the server is told to stop");
    gateway_drain(world->gateway, world->now, world_wall(world));
    for (int rounds = 0; rounds < 1000 && !gateway_is_drained(world->gateway); rounds++) {
        server_pump(world);
        for (size_t i = 0; i < world->heap_count; i++) {
            if (world->heap[i]->kind == EVENT_READ && world->heap[i]->job != NULL) {
                struct store_job *job = world->heap[i]->job;
                world->heap[i]->job = NULL;
                server_read(world, job);
            }
        }
        server_tick(world);
    }
    if (!gateway_is_drained(world->gateway)) {
        world_fail(world, "the gateway does not come to rest when it is told to");
    }
    end(world);
}

void server_tick(struct world *world) {
    for (int i = 0; i < TICKS_MAX; i++) {
        gateway_tick(world->gateway, world->now, world_wall(world));
        if (gateway_deadline(world->gateway).us > world->now.us) {
            return;
        }
    }
    world_fail(world, "the gateway's timer does not move");
}

void server_pump(struct world *world) {
    enum store_trouble trouble = STORE_TROUBLE_NONE;
    bool is_lie = world->mutant == MUTANT_LOST_ROWS && world_chance(world, 20);
    if (is_lie || world_chance(world, world->profile.store_percent)) {
        trouble = STORE_TROUBLE_COMMIT_FAILS;
    }
    world->pump_is_due = false;
    (void)app_pump(world->app, trouble);
    if (world->mutant == MUTANT_STALE_STORE && mono_reached(world->now, world->copy_at)) {
        copy_store(world);
    }
    while (world->back_count > 0 && world->failure[0] == '\0') {
        /* In the order in which they were written; a job may submit others meanwhile. */
        struct store_job *job = world->back[0];
        memmove(world->back, world->back + 1, --world->back_count * sizeof(struct store_job *));
        no_longer_out(world, job);
        bool is_hidden = (is_lie && job->code == SW_E_IO) ||
                         (world->mutant == MUTANT_FULL_IS_FINE && job->code == SW_E_SPACE);
        int code = is_hidden ? SW_OK : job->code;
        world_trace(world, "written", &code, sizeof code);
        gateway_job_done(world->gateway, job, code, world->now, world_wall(world));
    }
    server_tick(world);
}

static int read_one(struct app_tx *tx, void *arg) {
    struct store_job *job = arg;
    return job->run(job, tx->store, tx->fault);
}

void server_read(struct world *world, struct store_job *job) {
    struct gateway_job *inside = (struct gateway_job *)job;
    int64_t id = inside->kind == JOB_IMAGE ? inside->u.image.id : 0;
    struct app_error error;
    if (world->mutant == MUTANT_WRONG_IMAGE && id > 1) {
        inside->u.image.id = id - 1;
    }
    struct store *reader;
    struct fault fault;
    /* Only the daemon's start opens one: no trouble belongs here. */
    disk_look(true);
    SW_CHECK(app_reader_open(world->app, &reader, &fault) == SW_OK);
    disk_look(false);
    int code = app_read(world->app, reader, read_one, job, &error);
    app_reader_close(world->app, reader);
    if (id != 0) {
        inside->u.image.id = id;
    }
    no_longer_out(world, job);
    world_trace(world, "read", &code, sizeof code);
    gateway_job_done(world->gateway, job, code, world->now, world_wall(world));
    server_tick(world);
}

void server_command(struct world *world, unsigned device) {
    static const struct {
        enum gateway_command_kind kind;
        const char *name, *argument;
    } kinds[] = {
        {GATEWAY_COMMAND_PING, "", ""},           {GATEWAY_COMMAND_FUNCTION, "echo", "abc"},
        {GATEWAY_COMMAND_FUNCTION, "absent", ""}, {GATEWAY_COMMAND_VARIABLE, "boots", ""},
        {GATEWAY_COMMAND_VARIABLE, "absent", ""}, {GATEWAY_COMMAND_DESCRIBE, "", "\1"},
        {GATEWAY_COMMAND_DESCRIBE, "", "\2"},     {GATEWAY_COMMAND_SIGNAL, "", "\1"},
        {GATEWAY_COMMAND_EVENT, "news", "hello"}, {GATEWAY_COMMAND_FORGET, "", ""}};
    size_t which = rng_below(&world->rng, SW_COUNT(kinds));
    /* A device that is told to forget its session while it restarts cannot hear it. */
    bool is_harmful = kinds[which].kind == GATEWAY_COMMAND_FORGET;
    if (world->commands == COMMANDS_MAX || (is_harmful && world->profile.is_perfect)) {
        return;
    }
    struct gateway_command command = {.id = world->commands++,
                                      .kind = kinds[which].kind,
                                      .device = world->devices[device].sim.config.id,
                                      .name = span_text(kinds[which].name),
                                      .argument = span_text(kinds[which].argument)};
    world->is_awaited[command.id] = true;
    world_tell(world, "command %llu of kind %d to device %u", (unsigned long long)command.id,
               (int)command.kind, device);
    if (gateway_command(world->gateway, &command, world->now, world_wall(world)) != SW_OK) {
        world->is_awaited[command.id] = false;
    }
    server_tick(world);
}

bool server_call(struct world *world, app_run_fn *run, void *arg, const char *what) {
    struct app_error error;
    world->calls++;
    disk_spare(true);
    int code = app_execute(world->app, run, arg, &error);
    disk_spare(false);
    world_trace(world, what, &code, sizeof code);
    world_tell(world, "operator: %s: %s %s", what, sw_error_name(code), error.description);
    /* A flash may come too early or too late for a device, and everything too late for some. */
    bool may_fail = code == SW_E_STATE || code == SW_E_CONFLICT || strcmp(what, "flash") == 0 ||
                    (code == SW_E_DENIED && strcmp(what, "delete") == 0) ||
                    (disk_now() != DISK_FINE && (code == SW_E_IO || code == SW_E_SPACE));
    if (code != SW_OK && !may_fail) {
        world_fail(world, "%s was refused: %s", what, error.description);
    }
    return code == SW_OK;
}

bool server_ask(struct world *world, app_run_fn *run, void *arg) {
    struct app_error error;
    struct store *reader;
    struct fault fault;
    disk_look(true);
    int code = app_reader_open(world->app, &reader, &fault);
    SW_CHECK(code == SW_OK);
    code = app_read(world->app, reader, run, arg, &error);
    app_reader_close(world->app, reader);
    disk_look(false);
    if (code != SW_OK) {
        world_tell(world, "a question was not answered: %s", error.description);
        world_fail(world, "a question was not answered: %s", error.description);
    }
    return code == SW_OK;
}
