#include "gateway_world/world.h"

#include "slipway/app/app.h"
#include "slipway/app/product.h"
#include "slipway/app/release.h"
#include "slipway/image/image.h"
#include "slipway/sys/entropy.h"
#include "slipway/util/check.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct world *the_world; /* done functions have no other way to it */

int64_t world_cpu_ns(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

wall_time world_wall(const struct world *world) {
    return (wall_time){.ms = 1700000000000 + world->now.us / 1000};
}

static wall_time option_now(void *arg) {
    return world_wall(arg);
}

static void any_entropy(void *arg, void *out, size_t len) {
    (void)arg;
    sys_entropy(out, len);
}

static void port_send(void *ctx, gateway_path path, const struct address *peer,
                      const struct outbox *box) {
    struct world *world = ctx;
    (void)path;
    for (size_t n = 0; n < box->count; n++) {
        world->sent(world->ctx, peer, outbox_datagram(box, n));
    }
}

static void job_done(struct store_job *job, int code, const struct fault *fault) {
    (void)fault;
    SW_CHECK(the_world->finished_count < WORLD_JOBS);
    the_world->finished[the_world->finished_count++] = (struct world_job){job, code};
}

static int port_submit(void *ctx, struct store_job *job) {
    job->done = job_done;
    return app_submit_job(((struct world *)ctx)->app, job);
}

static int read_one(struct app_tx *tx, void *arg) {
    struct store_job *job = arg;
    return job->run(job, tx->store, tx->fault);
}

static int world_read(struct world *world, app_run_fn *run, void *arg) {
    struct store *reader;
    struct fault fault = {0};
    SW_CHECK(app_reader_open(world->app, &reader, &fault) == SW_OK);
    int code = app_read(world->app, reader, run, arg, NULL);
    app_reader_close(world->app, reader);
    return code;
}

static int port_submit_read(void *ctx, struct store_job *job) {
    job_done(job, world_read(ctx, read_one, job), NULL);
    return SW_OK;
}

static void port_reply(void *ctx, const struct gateway_reply *reply) {
    (void)ctx;
    (void)reply;
}

void world_execute(struct world *world, app_run_fn *run, void *arg) {
    SW_CHECK(app_execute(world->app, run, arg, NULL) == SW_OK);
}

static int run_product(struct app_tx *tx, void *arg) {
    struct product product;
    const struct app_product_new request = {.name = "Bench", .platform_id = WORLD_PLATFORM};
    (void)arg;
    int code = app_product_create(tx, &request, &product);
    SW_CHECK(code != SW_OK || product.id == WORLD_PRODUCT);
    return code;
}

void world_open(struct world *world, uint64_t seed) {
    struct fault fault = {0};
    the_world = world;
    rng_seed(&world->rng, seed);
    world->now.us = 1000000;
    world->key = crypto_key_generate();
    world->finished = calloc(WORLD_JOBS, sizeof *world->finished);
    SW_CHECK(world->key != NULL && world->finished != NULL);
    sys_entropy(world->seal_key, sizeof world->seal_key);
    const struct app_options options = {
        .path = ":memory:", .now = option_now, .entropy = any_entropy, .world_arg = world};
    SW_CHECK(app_open(&world->app, &options, &fault) == SW_OK);
    world_execute(world, run_product, NULL);
}

struct making {
    struct app_upload upload;
    struct app_file file;
    bool is_immediate;
};

static int run_check(struct app_tx *tx, void *arg) {
    struct making *release = arg;
    return app_upload_check(tx, &release->upload, &release->file);
}

static int run_release(struct app_tx *tx, void *arg) {
    struct making *release = arg;
    struct firmware firmware;
    struct app_release_result result;
    const struct app_release request = {.product_id = WORLD_PRODUCT,
                                        .version = release->upload.version,
                                        .product_default = APP_TRUE,
                                        .immediate = release->is_immediate,
                                        .by = "bench"};
    int code = app_upload(tx, &release->upload, &release->file, &firmware);
    return code == SW_OK ? app_release(tx, &request, &result) : code;
}

void world_release(struct world *world, uint16_t version, size_t bytes, bool is_immediate) {
    uint8_t *body = malloc(bytes);
    SW_CHECK(body != NULL);
    rng_fill(&world->rng, body, bytes);
    const struct image_recipe recipe = {.function = MODULE_USER_PART,
                                        .index = 2,
                                        .module_version = 6,
                                        .platform_id = WORLD_PLATFORM,
                                        .product_id = WORLD_PLATFORM,
                                        .product_version = version,
                                        .body = span_of(body, bytes)};
    size_t cap = bytes + image_overhead(&recipe);
    uint8_t *file = malloc(cap);
    int len = file == NULL ? 0 : image_write_module(&recipe, file, cap);
    SW_CHECK(len > 0);
    struct making release = {.upload = {.product_id = WORLD_PRODUCT,
                                        .version = version,
                                        .title = "bench",
                                        .uploaded_by = "bench",
                                        .bytes = span_of(file, (size_t)len)},
                             .is_immediate = is_immediate};
    SW_CHECK(world_read(world, run_check, &release) == SW_OK);
    world_execute(world, run_release, &release);
    free(file);
    free(body);
}

void world_start(struct world *world, struct gateway_config *config) {
    config->key = world->key;
    config->jobs_max = WORLD_JOBS / 2;
    memcpy(config->seal_key, world->seal_key, sizeof config->seal_key);
    const struct gateway_ports ports = {.ctx = world,
                                        .send = port_send,
                                        .submit = port_submit,
                                        .submit_read = port_submit_read,
                                        .entropy = any_entropy,
                                        .reply = port_reply};
    world->gw = gateway_new(config, &ports, world->now, world_wall(world));
    SW_CHECK(world->gw != NULL);
    gateway_start(world->gw, world->now, world_wall(world));
    while (world_store(world)) {
    }
    SW_CHECK(gateway_is_ready(world->gw));
}

int64_t world_begin(void) {
    return world_cpu_ns();
}

void world_end(struct world *world, int64_t begun) {
    gateway_tick(world->gw, world->now, world_wall(world));
    world->core_ns += world_cpu_ns() - begun;
}

bool world_store(struct world *world) {
    int64_t begun = world_cpu_ns();
    size_t ran = app_pump(world->app, STORE_TROUBLE_NONE);
    world->store_ns += world_cpu_ns() - begun;
    if (ran == 0 && world->finished_count == 0) {
        return false;
    }
    begun = world_begin();
    size_t count = world->finished_count;
    for (size_t n = 0; n < count; n++) {
        gateway_job_done(world->gw, world->finished[n].job, world->finished[n].code, world->now,
                         world_wall(world));
    }
    /* What was submitted to a reader meanwhile came back behind them. */
    memmove(world->finished, world->finished + count,
            (world->finished_count - count) * sizeof world->finished[0]);
    world->finished_count -= count;
    world_end(world, begun);
    return true;
}

void world_close(struct world *world) {
    gateway_drain(world->gw, world->now, world_wall(world));
    while (world_store(world)) {
    }
    gateway_free(world->gw);
    app_close(world->app);
    crypto_key_free(world->key);
    free(world->finished);
}
