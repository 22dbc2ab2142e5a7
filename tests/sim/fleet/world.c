#include "world.h"

#include "slipway/util/check.h"

#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SECOND_US   INT64_C(1000000)
#define CONVERGE_US (6 * 3600 * SECOND_US)
/* One whose session was ended while it slept resumes it in vain three times. */
#define WAKING_S         240
#define REST_US          (120 * SECOND_US)
#define WAKE_ROUNDS      120
#define STEPS_MAX        4000000
#define TICKS_MAX        64
#define RESTLESS_US      SECOND_US
#define OPERATOR_US_MEAN (12 * SECOND_US)

/* --- chance --- */

/* libcrypto's own nonces and keys come from the seed as well, or no two runs would be alike. */
static struct rng libcrypto_rng;

static int libcrypto_bytes(unsigned char *out, int len) {
    rng_fill(&libcrypto_rng, out, (size_t)len);
    return 1;
}

static int libcrypto_status(void) {
    return 1;
}

static const RAND_METHOD libcrypto_method = {
    .bytes = libcrypto_bytes, .pseudorand = libcrypto_bytes, .status = libcrypto_status};

bool world_chance(struct world *world, unsigned percent) {
    return percent > 0 && rng_below(&world->rng, 100) < percent;
}

static void draw_profile(struct world *world) {
    struct rng *rng = &world->rng;
    struct world_profile *p = &world->profile;
    p->is_perfect = rng_below(rng, 5) == 0;
    p->devices = 1 + (unsigned)rng_below(rng, DEVICES_MAX - 2);
    p->latency_us = rng_between(rng, 1000, 60000);
    p->commit_us_max = rng_between(rng, 1000, 20000);
    p->chaos_us = rng_between(rng, 60, 400) * SECOND_US;
    p->has_stranger = rng_below(rng, 4) == 0;
    p->has_impostor = rng_below(rng, 4) == 0;
    p->has_liar = rng_below(rng, 6) == 0;
    p->needs_system = rng_below(rng, 3) == 0;
    p->has_legacy = rng_below(rng, 3) == 0;
    p->has_assets = rng_below(rng, 3) == 0;
    if (p->is_perfect) {
        return;
    }
    static const unsigned losses[] = {0, 1, 5, 15, 40};
    p->loss_percent = losses[rng_below(rng, SW_COUNT(losses))];
    p->duplicate_percent = rng_below(rng, 2) == 0 ? (unsigned)rng_below(rng, 15) : 0;
    p->corrupt_percent = rng_below(rng, 3) == 0 ? 1 + (unsigned)rng_below(rng, 4) : 0;
    p->jitter_us = rng_below(rng, 2) == 0 ? rng_between(rng, 0, 500000) : 0;
    p->crashes = (unsigned)rng_below(rng, 5);
    p->store_percent = rng_below(rng, 3) == 0 ? (unsigned)rng_below(rng, 15) : 0;
    p->power_percent = rng_below(rng, 2) == 0 ? (unsigned)rng_below(rng, 100) : 0;
    p->sleepy_percent = rng_below(rng, 3) == 0 ? 50 : 0;
    p->step_percent = rng_below(rng, 3) == 0 ? 1 + (unsigned)rng_below(rng, 5) : 0;
    p->restless_percent = rng_below(rng, 2) == 0 ? (unsigned)rng_below(rng, 10) : 0;
    p->commit_us_max = rng_below(rng, 4) == 0 ? rng_between(rng, 1000, 2000000) : p->commit_us_max;
    p->disk_troubles = rng_below(rng, 3) == 0 ? 1 + (unsigned)rng_below(rng, 4) : 0;
    p->power_cuts = rng_below(rng, 2) == 0 ? 60 : 0;
    p->clock_steps = rng_below(rng, 3) == 0 ? 1 + (unsigned)rng_below(rng, 4) : 0;
    p->is_moody = rng_below(rng, 3) == 0;
}

/* --- notes --- */

void world_fail(struct world *world, const char *format, ...) {
    if (world->failure[0] != '\0') {
        return;
    }
    va_list args;
    va_start(args, format);
    (void)vsnprintf(world->failure, sizeof world->failure, format, args);
    va_end(args);
}

void world_tell(const struct world *world, const char *format, ...) {
    if (!world->is_talking) {
        return;
    }
    va_list args;
    va_start(args, format);
    printf("%10.3f ", (double)world->now.us / 1e6);
    (void)vprintf(format, args);
    putchar('\n');
    va_end(args);
}

static void mix(struct world *world, const void *bytes, size_t len) {
    const uint8_t *b = bytes;
    for (size_t i = 0; i < len; i++) {
        world->trace = (world->trace ^ b[i]) * UINT64_C(0x100000001b3);
    }
}

void world_trace(struct world *world, const char *what, const void *bytes, size_t len) {
    mix(world, &world->now, sizeof world->now);
    mix(world, what, strlen(what));
    mix(world, bytes, len);
}

/* --- devices --- */

static void open_device(struct world *world, unsigned i) {
    struct world_device *d = &world->devices[i];
    uint8_t scalar[32];
    struct sim_device_config config = {
        .crypto = world->crypto,
        .pinned = crypto_key_point(world->server_key),
        .platform_id = WORLD_PLATFORM,
        .system_version = SYSTEM_OLD,
        .firmware = {.product_id = WORLD_PLATFORM, .product_version = VERSION_NONE, .index = 2},
        .binary_max = FLASH_BYTES,
        .flash = d->flash,
        .flash_cap = FLASH_BYTES,
        .function_count = world_chance(world, 20) ? 100 : 1,
        .power_cut_percent = (uint8_t)world->profile.power_percent,
        .link_is_clean = world->profile.is_perfect,
        /* A server that restarts takes no cookies of its life before. */
        .link_corrupts = world->profile.corrupt_percent > 0 || world->profile.crashes > 0 ||
                         world->profile.step_percent > 0,
    };
    rng_fill(&world->rng, scalar, sizeof scalar);
    scalar[0] &= 0x7f;
    d->key = crypto_key_from_scalar(scalar);
    d->disabled_since = MONO_NEVER;
    d->wish.removed = MONO_NEVER;
    config.key = d->key;
    config.seed = rng_next(&world->rng);
    rng_fill(&world->rng, config.id.b, sizeof config.id.b);
    d->is_foreign = i >= world->profile.devices;
    if (d->is_foreign && i + 1 == world->everybody && world->profile.has_impostor) {
        config.id = world->devices[0].sim.config.id;
    }
    config.is_legacy = world->profile.has_legacy && i % 3 == 1;
    config.is_slow = config.is_legacy && i % 2 == 0;
    config.keeps_old = world->profile.has_liar && i + 1 == world->profile.devices;
    config.is_discreet = config.keeps_old && world->profile.devices % 2 == 0;
    config.clears_assets = i % 2 == 1;
    d->is_sleepy = !d->is_foreign && world_chance(world, world->profile.sleepy_percent);
    sim_device_init(&d->sim, &config);
}

static void plan(struct world *world, enum world_event_kind kind, int64_t in_us) {
    world_event_put(world,
                    world_event_new(world, kind, mono_add_us(world->now, in_us), span_of(NULL, 0)));
}

/* A failure at a step of an update, rather than at just any time. */
static void fail_now(struct world *world, struct sim_device *sim) {
    if (rng_below(&world->rng, 3) == 0) {
        sim_device_power_cut(sim, rng_between(&world->rng, 100, 5000), world->now);
    } else {
        plan(world, EVENT_CRASH,
             rng_below(&world->rng, 2) == 0
                 ? 0
                 : rng_between(&world->rng, 0, world->profile.commit_us_max));
    }
}

static void settle(struct world *world, unsigned device, const struct outbox *out) {
    struct sim_device *sim = &world->devices[device].sim;
    uint32_t news = sim->news;
    sim->news = 0;
    world_from_device(world, device, out);
    check_device(world, device, news);
    if (news != 0 && !world->is_healed && world_chance(world, world->profile.step_percent)) {
        fail_now(world, sim);
    }
}

static void tick_device(struct world *world, unsigned device) {
    struct sim_device *sim = &world->devices[device].sim;
    uint8_t data[65536];
    for (int i = 0; i < TICKS_MAX; i++) {
        struct outbox out;
        outbox_init(&out, data, sizeof data);
        sim_device_tick(sim, world->now, &out);
        settle(world, device, &out);
        if (sim_device_deadline(sim).us > world->now.us) {
            return;
        }
    }
    world_fail(world, "the timer of device %u does not move", device);
}

/* Something happens to a device that has nothing to do with the server. */
static void disturb(struct world *world) {
    unsigned device = (unsigned)rng_below(&world->rng, world->everybody);
    struct sim_device *sim = &world->devices[device].sim;
    int64_t off_ms = rng_between(&world->rng, 100, world_chance(world, 20) ? 120000 : 5000);
    switch (rng_below(&world->rng, 6)) {
    case 2:
    case 3:
        world->devices[device].mapping++; /* its router forgot it */
        break;
    case 0:
        sim_device_reboot(sim, world->now);
        break;
    case 1:
        sim_device_power_cut(sim, off_ms, world->now);
        break;
    default:
        sim_device_sleep(sim, off_ms, world->now);
        break;
    }
}

/* A sleepy device: awake for seconds, asleep for minutes. Most stay awake for an update. */
static void nap(struct world *world, unsigned device) {
    struct sim_device *sim = &world->devices[device].sim;
    bool is_free = sim->state == SIM_CONNECTED && !sim->receiver.is_running &&
                   !sim->legacy.is_running && sim->reset_at.us == INT64_MAX;
    if (is_free || (!world->is_healed && world_chance(world, 20))) {
        sim_device_sleep(sim, rng_between(&world->rng, 5000, 120000), world->now);
    }
}

static void plan_nap(struct world *world, unsigned device) {
    int64_t awake_us = rng_between(&world->rng, SECOND_US, 8 * SECOND_US);
    mono_time from = world->now;
    if (world->devices[device].sim.is_asleep) {
        from = world->devices[device].sim.state_at;
    }
    struct world_event *event =
        world_event_new(world, EVENT_NAP, mono_add_us(from, awake_us), span_of(NULL, 0));
    event->device = device;
    world_event_put(world, event);
}

/* --- life --- */

/* A new store costs more than a whole run: it is made once, and copied. */
static char blank[128];

static void name_store(char *out, size_t cap, const char *what) {
    const char *folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(out, cap, "%s/slipway-sim-%ld.%s", folder, (long)getpid(), what);
}

void world_prepare(void) {
    static struct world nothing;
    disk_prepare();
    name_store(blank, sizeof blank, "blank");
    memcpy(nothing.path, blank, sizeof nothing.path);
    rng_seed(&nothing.rng, 1);
    server_make_store(&nothing);
}

void world_finish(void) {
    disk_finish();
    (void)unlink(blank);
}

static void copy_store(const char *to) {
    static char bytes[1 << 20];
    FILE *in = fopen(blank, "rb");
    FILE *out = fopen(to, "wb");
    SW_CHECK(in != NULL && out != NULL);
    size_t len;
    while ((len = fread(bytes, 1, sizeof bytes, in)) > 0) {
        SW_CHECK(fwrite(bytes, 1, len, out) == len);
    }
    SW_CHECK(ferror(in) == 0 && fclose(out) == 0);
    fclose(in);
}

static void remove_store(const struct world *world) {
    static const char *const tails[] = {"", "-wal", "-shm", ".stale"};
    for (size_t i = 0; i < SW_COUNT(tails); i++) {
        char path[160];
        snprintf(path, sizeof path, "%s%s", world->path, tails[i]);
        (void)unlink(path);
    }
}

void world_open(struct world *world, uint64_t seed, enum world_mutant mutant) {
    uint8_t scalar[32] = {7};
    memset(world, 0, sizeof *world);
    world->seed = seed;
    world->mutant = mutant;
    world->now = (mono_time){.us = 1000 * SECOND_US};
    world->trace = UINT64_C(0xcbf29ce484222325);
    rng_seed(&world->rng, seed);
    rng_seed(&libcrypto_rng, ~seed);
    SW_CHECK(RAND_set_rand_method(&libcrypto_method) == 1);
    draw_profile(world);
    name_store(world->path, sizeof world->path, "db");
    remove_store(world);
    copy_store(world->path);
    disk_mount(world->path, seed);
    world->crypto = dtls_crypto_new();
    world->server_key = crypto_key_from_scalar(scalar);
    world->everybody = world->profile.devices + (world->profile.has_stranger ? 1 : 0) +
                       (world->profile.has_impostor ? 1 : 0);
    world->devices = calloc(world->everybody, sizeof *world->devices);
    SW_CHECK(world->devices != NULL && world->crypto != NULL);
    for (unsigned i = 0; i < world->everybody; i++) {
        open_device(world, i);
    }
}

void world_close(struct world *world) {
    if (server_is_up(world)) {
        server_crash(world);
    }
    for (unsigned i = 0; i < world->everybody; i++) {
        sim_device_close(&world->devices[i].sim);
        crypto_key_free(world->devices[i].key);
    }
    operator_close(world);
    while (world->heap_count > 0) {
        free(world_event_take(world));
    }
    free(world->heap);
    free(world->out);
    free(world->back);
    free(world->devices);
    crypto_key_free(world->server_key);
    dtls_crypto_free(world->crypto);
    remove_store(world);
}

static void happen(struct world *world, struct world_event *event) {
    uint8_t data[65536];
    struct outbox out;
    outbox_init(&out, data, sizeof data);
    switch (event->kind) {
    case EVENT_TO_SERVER:
        if (server_is_up(world)) {
            struct address from = world_address(event->device, event->socket, event->mapping);
            gateway_datagram(world->gateway, 0, &from, span_of(event->bytes, event->len),
                             world->now, world_wall(world));
            server_tick(world);
        }
        break;
    case EVENT_TO_DEVICE: {
        struct sim_device *sim = &world->devices[event->device].sim;
        bool is_mapped = world->devices[event->device].mapping == event->mapping;
        if (sim->socket == event->socket && is_mapped) {
            sim_device_input(sim, span_of(event->bytes, event->len), world->now, &out);
            settle(world, event->device, &out);
        }
        break;
    }
    case EVENT_PUMP:
        server_pump(world);
        break;
    case EVENT_READ:
        if (event->job != NULL) {
            server_read(world, event->job);
        }
        break;
    case EVENT_NOTICE:
        gateway_notice(world->gateway, &event->notice, world->now, world_wall(world));
        server_tick(world);
        break;
    case EVENT_OPERATOR:
        if (!world->is_healed) {
            operator_act(world);
            plan(world, EVENT_OPERATOR, rng_between(&world->rng, 1, 2 * OPERATOR_US_MEAN));
        }
        break;
    case EVENT_RESTLESS:
        if (!world->is_healed) {
            if (world_chance(world, world->profile.restless_percent)) {
                disturb(world);
            }
            plan(world, EVENT_RESTLESS, RESTLESS_US);
        }
        break;
    case EVENT_NAP:
        nap(world, event->device);
        plan_nap(world, event->device);
        break;
    case EVENT_CRASH:
        if (!server_is_up(world)) {
            break; /* it is down already */
        }
        if (world_chance(world, 70)) {
            server_crash(world);
        } else {
            server_stop(world);
        }
        plan(world, EVENT_RESTART, rng_between(&world->rng, 1000, 20 * SECOND_US));
        break;
    case EVENT_RESTART:
        if (!server_is_up(world)) {
            server_start(world);
        }
        break;
    case EVENT_DISK:
        machine_trouble_disk(world);
        break;
    case EVENT_CLOCK:
        if (!world->is_healed) {
            machine_set_clock(world);
        }
        break;
    }
}

static mono_time next_moment(const struct world *world) {
    mono_time next = world_event_due(world);
    if (server_is_up(world)) {
        next = mono_earlier(next, gateway_deadline(world->gateway));
    }
    for (unsigned i = 0; i < world->everybody; i++) {
        next = mono_earlier(next, sim_device_deadline(&world->devices[i].sim));
    }
    return next;
}

/* One thing happens. */
static void step(struct world *world) {
    world->steps++;
    mono_time next = next_moment(world);
    if (next.us == INT64_MAX) {
        world_fail(world, "nothing will ever happen again");
        return;
    }
    if (next.us > world->now.us) {
        world->now = next;
    }
    if (world_event_due(world).us <= world->now.us) {
        struct world_event *event = world_event_take(world);
        happen(world, event);
        free(event);
    } else if (server_is_up(world) && gateway_deadline(world->gateway).us <= world->now.us) {
        server_tick(world);
    } else {
        for (unsigned i = 0; i < world->everybody; i++) {
            if (sim_device_deadline(&world->devices[i].sim).us <= world->now.us) {
                tick_device(world, i);
                break;
            }
        }
    }
    check_server(world);
    if (world->steps > STEPS_MAX) {
        world_fail(world, "there is no end to it");
    }
}

static void run_until(struct world *world, mono_time end) {
    while (world->failure[0] == '\0' && next_moment(world).us <= end.us) {
        step(world);
    }
    if (world->failure[0] == '\0' && end.us > world->now.us) {
        world->now = end;
    }
}

static void power_on(struct world *world) {
    uint8_t data[65536];
    for (unsigned i = 0; i < world->everybody; i++) {
        struct outbox out;
        outbox_init(&out, data, sizeof data);
        sim_device_boot(&world->devices[i].sim, world->now, &out);
        settle(world, i, &out);
        run_until(world, mono_add_us(world->now, rng_between(&world->rng, 0, SECOND_US)));
    }
}

static void heal(struct world *world) {
    struct world_profile *p = &world->profile;
    world_tell(world, "everything heals");
    world->is_healed = true;
    p->loss_percent = 0;
    p->duplicate_percent = 0;
    p->corrupt_percent = 0;
    p->store_percent = 0;
    p->jitter_us = 0;
    disk_turn(DISK_FINE);
    if (world_chance(world, 50)) {
        world_set_clock(world, 0);
    }
    for (unsigned i = 0; i < p->devices; i++) {
        world->devices[i].sim.config.power_cut_percent = 0;
    }
    for (size_t i = 0; i < world->heap_count; i++) {
        if (world->heap[i]->kind == EVENT_CRASH) {
            world->heap[i]->kind = EVENT_RESTART;
        }
    }
    if (!server_is_up(world)) {
        server_start(world);
    }
    operator_heal(world);
}

void world_run(struct world *world) {
    server_start(world);
    operator_prepare(world);
    power_on(world);
    plan(world, EVENT_OPERATOR, SECOND_US);
    plan(world, EVENT_RESTLESS, RESTLESS_US);
    for (unsigned i = 0; i < world->profile.devices; i++) {
        if (world->devices[i].is_sleepy) {
            plan_nap(world, i);
        }
    }
    for (unsigned i = 0; i < world->profile.crashes; i++) {
        plan(world, EVENT_CRASH, rng_between(&world->rng, 0, world->profile.chaos_us));
    }
    for (unsigned i = 0; i < world->profile.disk_troubles; i++) {
        plan(world, EVENT_DISK, rng_between(&world->rng, 0, world->profile.chaos_us));
    }
    for (unsigned i = 0; i < world->profile.clock_steps; i++) {
        plan(world, EVENT_CLOCK, rng_between(&world->rng, 0, world->profile.chaos_us));
    }
    run_until(world, mono_add_us(world->now, world->profile.chaos_us));
    if (world->failure[0] == '\0') {
        heal(world);
    }
    mono_time end = mono_add_us(world->now, CONVERGE_US);
    for (unsigned rounds = 1; world->failure[0] == '\0' && !check_converged(world); rounds++) {
        run_until(world, mono_add_us(world->now, 5 * SECOND_US));
        if (rounds % WAKE_ROUNDS == 0) {
            operator_heal(world); /* gradual releases come with the next session */
        }
        if (mono_reached(world->now, end)) {
            world_fail(world, "the fleet does not get where the rules put it");
        }
    }
    uint64_t commits = world->commits - world->liar_commits;
    run_until(world, mono_add_us(world->now, REST_US));
    /* Who wakes up just then has a few words to say first. */
    for (unsigned n = 0; n < WAKING_S && !check_converged(world); n++) {
        run_until(world, mono_add_us(world->now, SECOND_US));
    }
    /* The one whose bootloader installs nothing may still be at its attempts, which are few. */
    if (world->failure[0] == '\0' && (world->commits - world->liar_commits != commits ||
                                      (!world->profile.has_liar && !check_converged(world)))) {
        world_fail(world, "the fleet was where the rules put it, and moved on");
    }
    if (world->failure[0] == '\0') {
        check_end(world);
    }
    if (world->failure[0] != '\0') {
        world_tell(world, "FAILED: %s", world->failure);
        check_explain(world);
    }
}
