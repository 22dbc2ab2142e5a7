/* What must hold whatever happens. The store is asked what it says at the very moment at which a
 * device has learnt something from the server: what was acknowledged must be there. */
#include "world.h"

#include "sim/internal.h"
#include "slipway/app/fleet.h"
#include "slipway/app/query.h"

#include <stdlib.h>

#define TARGET_LINGERS_MS  150000 /* an offer that is under way when its target goes */
#define REFUSAL_LATE_MS    120000
#define REMOVAL_LINGERS_MS 5000 /* an offer that is under way when its device is removed */
#define ERASING_MS         1000 /* from an offer that is accepted to its answer */

struct question {
    struct world *world;
    unsigned device;
    struct device row;
    struct update update;
    bool has_update, was_committed; /* it was rebooting when the server last ended */
    size_t open;
    bool is_doubled; /* two open updates of one device */
};

static int run_row(struct app_tx *tx, void *arg) {
    struct question *q = arg;
    const struct device_id *id = &q->world->devices[q->device].sim.config.id;
    return app_device_get(tx, q->world->product_id, id, &q->row);
}

/* After a restart it is not known whether the device heard of its commit: the update goes back, but
 * that it was committed stays in its history. */
static int find_commit(struct app_tx *tx, struct question *q) {
    struct update_step_list steps;
    int code = app_update_history(tx, q->update.id, &steps);
    for (size_t i = 0; code == SW_OK && i + 1 < steps.count; i++) {
        if (steps.items[i].to == UPDATE_REBOOTING &&
            strcmp(steps.items[i + 1].reason, "server_restarted") == 0) {
            q->was_committed = true;
        }
    }
    if (code == SW_OK) {
        free(steps.items);
    }
    return code;
}

static int run_update(struct app_tx *tx, void *arg) {
    struct question *q = arg;
    struct update_list list;
    struct app_update_query query = {.product_id = q->world->product_id,
                                     .device = &q->world->devices[q->device].sim.config.id,
                                     .state = -1,
                                     .open_only = true,
                                     .max = 2};
    int code = app_update_list(tx, &query, &list);
    if (code == SW_OK) {
        q->has_update = list.count > 0;
        if (q->has_update) {
            q->update = list.items[0];
            code = find_commit(tx, q);
        }
        free(list.items);
    }
    return code;
}

static int run_open(struct app_tx *tx, void *arg) {
    struct question *q = arg;
    struct update_list list;
    struct app_update_query query = {
        .product_id = q->world->product_id, .state = -1, .open_only = true, .max = 100};
    int code = app_update_list(tx, &query, &list);
    if (code == SW_OK) {
        q->open = list.count;
        for (size_t i = 0; i < list.count; i++) {
            for (size_t j = 0; j < i; j++) {
                q->is_doubled =
                    q->is_doubled || device_id_equal(&list.items[i].device, &list.items[j].device);
            }
        }
        free(list.items);
    }
    return code;
}

static int run_history(struct app_tx *tx, void *arg) {
    struct question *q = arg;
    struct update_list updates;
    struct app_update_query query = {.product_id = q->world->product_id,
                                     .device = &q->world->devices[q->device].sim.config.id,
                                     .state = -1,
                                     .max = 3};
    int code = app_update_list(tx, &query, &updates);
    for (size_t i = 0; code == SW_OK && i < updates.count; i++) {
        struct update_step_list steps;
        world_tell(q->world, "    update %lld to %u", (long long)updates.items[i].id,
                   updates.items[i].version);
        code = app_update_history(tx, updates.items[i].id, &steps);
        for (size_t j = 0; code == SW_OK && j < steps.count; j++) {
            world_tell(q->world, "      %+.3f s: %s %s",
                       (double)(steps.items[j].at_ms - world_wall(q->world).ms) / 1e3,
                       update_state_name(steps.items[j].to), steps.items[j].reason);
        }
        if (code == SW_OK) {
            free(steps.items);
        }
    }
    if (code == SW_OK) {
        free(updates.items);
    }
    return code;
}

static const struct world_image *image_of(const struct world *world, const struct sha256 *hash,
                                          uint16_t *version) {
    for (unsigned v = 0; v < world->versions; v++) {
        if (memcmp(world->images[v].hash.b, hash->b, SHA256_BYTES) == 0) {
            *version = (uint16_t)(v + 1);
            return &world->images[v];
        }
    }
    return NULL;
}

/* --- durable first, acknowledge last --- */

/* Not one of the fleet, or not until a moment ago. */
static bool is_out(const struct world *world, unsigned device) {
    const struct world_wish *wish = &world->devices[device].wish;
    return wish->is_removed ||
           (wish->removed.us != INT64_MAX &&
            !mono_reached(world->now, mono_add_ms(wish->removed, TARGET_LINGERS_MS)));
}

/* The acknowledgement of a Hello says that what it reported is on disk. */
static void check_hello(struct world *world, unsigned device) {
    if (is_out(world, device)) {
        return;
    }
    struct question q = {.world = world, .device = device};
    const struct sim_device *sim = &world->devices[device].sim;
    uint16_t version =
        sim->firmware.product_version == VERSION_NONE ? 0 : sim->firmware.product_version;
    if (!server_ask(world, run_row, &q)) {
        world_fail(world, "device %u was greeted, but is not in the store", device);
    } else if (!q.row.has_hello || q.row.running_version != version) {
        world_fail(world, "device %u runs %u and its Hello was acknowledged, but the store says %u",
                   device, version, q.row.running_version);
    }
}

static bool is_telling(const struct sim_device *sim) {
    for (size_t i = 0; i < SIM_WORDS_MAX; i++) {
        if (sim->words[i].kind == WORD_ENABLED) {
            return true;
        }
    }
    return false;
}

/* Everything that it told of itself at the beginning was acknowledged: so all of it is on disk. */
static void check_introduced(struct world *world, unsigned device) {
    if (is_out(world, device)) {
        return;
    }
    struct question q = {.world = world, .device = device};
    const struct sim_device *sim = &world->devices[device].sim;
    if (!server_ask(world, run_row, &q)) {
        world_fail(world, "device %u is connected, but is not in the store", device);
    } else if (!q.row.has_app_hash ||
               memcmp(q.row.app_hash.b, sim->firmware.hash, SHA256_BYTES) != 0) {
        world_fail(world, "device %u described another application than the store has", device);
    } else if (q.row.system_version != sim->system_version) {
        world_fail(world, "device %u runs Device OS %u, but the store says %u", device,
                   sim->system_version, q.row.system_version);
    } else if (q.row.updates_enabled != sim->updates_enabled && !is_telling(sim)) {
        world_fail(world, "device %u told whether it takes updates, and the store has it otherwise",
                   device);
    }
}

static bool was_target(const struct world *world, unsigned device, uint16_t version) {
    const struct world_wish *wish = &world->devices[device].wish;
    for (size_t i = 0; i < wish->past_count; i++) {
        if (wish->past[i].version == version &&
            !mono_reached(world->now, mono_add_ms(wish->past[i].until, TARGET_LINGERS_MS))) {
            return true;
        }
    }
    bool was_flashed =
        wish->flashed_before == version &&
        !mono_reached(world->now, mono_add_ms(wish->flashed_before_until, TARGET_LINGERS_MS));
    return wish->flashed == version || was_flashed;
}

/* Whether some version that it may be due needs the newer Device OS. */
static bool needs_part(const struct world *world, unsigned device) {
    for (unsigned v = 1; v <= world->versions; v++) {
        if (world->images[v - 1].needs_system && was_target(world, device, (uint16_t)v)) {
            return true;
        }
    }
    return false;
}

/* Whether some version that it may be due depends on that asset. */
static bool needs_asset(const struct world *world, unsigned device,
                        const struct world_asset *asset) {
    unsigned which = (unsigned)(asset - world->assets);
    for (unsigned v = 1; v <= world->versions; v++) {
        if ((world->images[v - 1].assets >> which & 1) != 0 &&
            was_target(world, device, (uint16_t)v)) {
            return true;
        }
    }
    return false;
}

static bool is_system(const struct world *world, const struct sha256 *hash) {
    return world->system.len > 0 && memcmp(world->system.hash.b, hash->b, SHA256_BYTES) == 0;
}

/* The acknowledgement of the 2.04 is the commit: the update must be on disk as such. */
static void check_commit(struct world *world, unsigned device) {
    struct question q = {.world = world, .device = device};
    struct world_device *d = &world->devices[device];
    uint16_t version = 0;
    const struct world_asset *asset = assets_find(world, &d->committed);
    world->assets_sent += asset != NULL ? 1 : 0;
    bool is_part = is_system(world, &d->committed) || asset != NULL;
    if (!is_part && image_of(world, &d->committed, &version) == NULL) {
        world_fail(world, "device %u has committed a file that nobody uploaded", device);
    } else if (is_out(world, device)) {
        return; /* its last words were on their way */
    } else if (d->sim.config.is_legacy) {
        /* Here the request itself is the commit, and may come after the server changed its mind. */
        if (is_part ? !needs_part(world, device) : !was_target(world, device, version)) {
            world_fail(world, "device %u has committed version %u, which no rule gave it", device,
                       version);
        }
    } else if (!server_ask(world, run_update, &q)) {
        return;
    } else if (!q.has_update && world->skewed.us > 0 &&
               !mono_reached(world->now, mono_add_ms(world->skewed, TARGET_LINGERS_MS))) {
        return; /* a clock that is set forward ends the time in which it was to be heard again */
    } else if (!q.has_update) {
        world_fail(world, "device %u has committed version %u without an open update", device,
                   version);
    } else if ((q.update.state != UPDATE_REBOOTING && !q.was_committed) ||
               (!is_part && q.update.version != version)) {
        world_fail(world, "device %u has committed version %u, but the store says %s version %u",
                   device, version, update_state_name(q.update.state), q.update.version);
    }
}

void check_restarted(struct world *world) {
    for (unsigned i = 0; i < world->profile.devices; i++) {
        struct world_device *d = &world->devices[i];
        if (d->owes_commit_check) {
            d->owes_commit_check = false;
            check_commit(world, i);
        }
        if (d->owes_hello_check) {
            d->owes_hello_check = false;
            check_hello(world, i);
        }
    }
}

/* --- only what the rules give, and only where it is welcome --- */

static void check_transfer(struct world *world, unsigned device) {
    const struct sim_device *sim = &world->devices[device].sim;
    const struct world_asset *asset;
    uint16_t version = 0;
    if (world->devices[device].is_foreign) {
        world_fail(world, "a device that is not ours is sent firmware (%u)", device);
        return;
    }
    const struct world_wish *wish = &world->devices[device].wish;
    if (wish->is_removed &&
        mono_reached(world->now, mono_add_ms(wish->removed, REMOVAL_LINGERS_MS))) {
        world_fail(world, "device %u was removed and is sent firmware", device);
        return;
    }
    if (!sim->receiver.is_running) {
        return; /* the older protocol does not say what is coming: see check_commit */
    }
    if (sim->receiver.has_hash && is_system(world, &sim->receiver.hash)) {
        if (!needs_part(world, device)) {
            world_fail(world, "device %u is sent a Device OS that it does not need", device);
        }
    } else if (sim->receiver.has_hash &&
               (asset = assets_find(world, &sim->receiver.hash)) != NULL) {
        if (!needs_asset(world, device, asset)) {
            world_fail(world, "device %u is sent an asset that it does not need", device);
        } else if (world->profile.is_perfect && asset_is_there(&sim->store, asset->hash.b)) {
            world_fail(world, "device %u is sent an asset that it has", device);
        }
    } else if (!sim->receiver.has_hash || image_of(world, &sim->receiver.hash, &version) == NULL) {
        world_fail(world, "device %u is offered a file that nobody uploaded", device);
    } else if (!was_target(world, device, version)) {
        world_fail(world, "device %u is sent version %u, which no rule gave it (due: %u)", device,
                   version, operator_target(world, device));
    } else if (mono_reached(world->now,
                            mono_add_ms(world->devices[device].disabled_since, ERASING_MS))) {
        world_fail(world, "device %u is sent version %u although it disabled updates", device,
                   version);
    }
}

static void check_refusal(struct world *world, unsigned device) {
    const struct world_device *d = &world->devices[device];
    if (mono_reached(world->now, mono_add_ms(d->disabled_since, REFUSAL_LATE_MS))) {
        world_fail(world, "device %u is offered an update long after it said that it takes none",
                   device);
    }
}

static void tell_news(const struct world *world, unsigned device, uint32_t news) {
    static const struct {
        uint32_t news;
        const char *word;
    } words[] = {{SIM_NEWS_BOOTED, "booted"},        {SIM_NEWS_HELLO, "greeted"},
                 {SIM_NEWS_CONNECTED, "connected"},  {SIM_NEWS_LOST, "lost its connection"},
                 {SIM_NEWS_PENDING, "told pending"}, {SIM_NEWS_REFUSED, "refused"},
                 {SIM_NEWS_TRANSFER, "receives"},    {SIM_NEWS_COMMITTED, "committed"},
                 {SIM_NEWS_POWER_CUT, "lost power"}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if ((news & words[i].news) != 0) {
            world_tell(world, "device %u %s, runs %u", device, words[i].word,
                       world->devices[device].sim.firmware.product_version);
        }
    }
}

/* Acknowledgements that come in a burst while their numbers are being reserved are dropped on
 * purpose: the server then repeats a chunk. */
static bool was_held_up(const struct world *world) {
    return server_is_up(world) && gateway_counters(world->gateway)->dropped_busy > 0;
}

void check_device(struct world *world, unsigned device, uint32_t news) {
    struct world_device *d = &world->devices[device];
    struct sim_device *sim = &d->sim;
    tell_news(world, device, news);
    if ((news & SIM_NEWS_VIOLATION) != 0) {
        world_fail(world, "device %u does not tolerate: %s", device, sim->violation);
    }
    if (sim_device_is_safe_mode(sim)) {
        world_fail(world, "device %u was sent into safe mode", device);
    }
    if ((news & SIM_NEWS_HELLO) != 0 && !d->is_foreign) {
        if (server_is_up(world)) {
            check_hello(world, device);
        } else {
            d->owes_hello_check = true;
        }
    }
    if ((news & SIM_NEWS_CONNECTED) != 0 && !d->is_foreign && server_is_up(world)) {
        check_introduced(world, device);
    }
    if ((news & SIM_NEWS_TRANSFER) != 0) {
        check_transfer(world, device);
    }
    if ((news & SIM_NEWS_REFUSED) != 0) {
        check_refusal(world, device);
    }
    if ((news & SIM_NEWS_COMMITTED) != 0) {
        world->commits++;
        world->liar_commits += sim->config.keeps_old ? 1 : 0;
        d->committed = sim->verified;
        if (server_is_up(world)) {
            check_commit(world, device);
        } else {
            d->owes_commit_check = true;
        }
    }
    bool is_closed = sim->state == SIM_CONNECTED && !sim->updates_enabled && !is_telling(sim);
    if (!is_closed || sim->updates_forced) {
        d->disabled_since = MONO_NEVER;
    } else if (d->disabled_since.us == INT64_MAX) {
        d->disabled_since = world->now;
    }
    if (world->profile.is_perfect && !was_held_up(world) && !d->is_foreign &&
        (sim->repeats > 0 || sim->receiver.duplicates > 0 || sim->receiver.out_of_order > 0 ||
         sim->strays > 0)) {
        world_fail(world, "something was sent twice in a world without faults (device %u)", device);
    }
}

/* --- the server itself --- */

void check_server(struct world *world) {
    if (!server_is_up(world)) {
        return;
    }
    struct gateway_sizes sizes;
    gateway_sizes(world->gateway, &sizes);
    if (sizes.jobs != world->out_count) {
        world_fail(world, "the gateway counts %u jobs, but %zu are away", sizes.jobs,
                   world->out_count);
    }
    if (world->steps % 64 == 0) {
        struct question q = {.world = world};
        if (server_ask(world, run_open, &q) && q.is_doubled) {
            world_fail(world, "a device has two open updates");
        }
    }
}

/* Where the rules put it, with everything that belongs there. */
static bool is_at_target(const struct world *world, const struct world_device *d, uint16_t target) {
    bool is_past_help = d->sim.config.keeps_old;
    if (target == 0 || is_past_help) {
        return true;
    }
    const struct world_image *image = &world->images[target - 1];
    if (d->sim.firmware.product_version != target) {
        /* Its protocol cannot carry them; Device OS it can. */
        return image->assets != 0 && d->sim.config.is_legacy &&
               (!image->needs_system || d->sim.system_version == SYSTEM_NEW);
    }
    return sim_device_has_assets(&d->sim);
}

static bool is_at_rest(const struct world_device *d) {
    bool comes_and_goes = d->is_sleepy; /* also when everything is well */
    return (d->sim.state == SIM_CONNECTED || comes_and_goes) && !d->sim.receiver.is_running &&
           !d->sim.has_staged;
}

bool check_converged(struct world *world) {
    if (!server_is_up(world)) {
        return false;
    }
    for (uint64_t i = 0; i < COMMANDS_MAX; i++) {
        if (world->is_awaited[i]) {
            return false;
        }
    }
    for (unsigned i = 0; i < world->profile.devices; i++) {
        const struct world_device *d = &world->devices[i];
        if (!is_at_rest(d) || !is_at_target(world, d, operator_target(world, i))) {
            return false;
        }
    }
    struct question q = {.world = world};
    return server_ask(world, run_open, &q) && q.open == 0;
}

static int run_decision(struct app_tx *tx, void *arg) {
    struct question *q = arg;
    struct app_decision decision;
    const struct device_id *id = &q->world->devices[q->device].sim.config.id;
    int code = app_decision(tx, id, &decision);
    if (code == SW_OK) {
        world_tell(q->world,
                   "    store: target %u by %s, blocked by \"%s\" %s; update %s to %u (%s)",
                   decision.decision.target_version, rule_name(decision.decision.rule),
                   decision.blocked_by, decision.sentence,
                   decision.has_update ? update_state_name(decision.update.state) : "none",
                   decision.update.version, decision.update.reason);
    }
    return code;
}

void check_explain(struct world *world) {
    for (unsigned i = 0; i < world->profile.devices; i++) {
        const struct sim_device *sim = &world->devices[i].sim;
        uint32_t total;
        uint32_t bytes = sim_device_progress(sim, &total);
        world_tell(world,
                   "  device %u: %s, runs %u, due %u, transfer %u of %u%s%s%s, handshakes %u, "
                   "resumes %u",
                   i, sim_device_state_name(sim), sim->firmware.product_version,
                   operator_target(world, i), bytes, total,
                   world->devices[i].wish.is_development ? ", development" : "",
                   sim->updates_enabled ? "" : ", disabled", sim->updates_forced ? ", forced" : "",
                   sim->handshakes, sim->resumes);
        struct question q = {.world = world, .device = i};
        if (server_is_up(world) && !world->devices[i].wish.is_removed) {
            (void)server_ask(world, run_decision, &q);
            (void)server_ask(world, run_history, &q);
        }
    }
    if (server_is_up(world)) {
        const struct gateway_counters *c = gateway_counters(world->gateway);
#define TELL(name, help)                                                                           \
    if (c->name != 0) {                                                                            \
        world_tell(world, "  %s %llu", #name, (unsigned long long)c->name);                        \
    }
        GATEWAY_COUNTERS(TELL)
#undef TELL
    }
}

void check_end(struct world *world) {
    for (unsigned i = 0; i < world->profile.devices; i++) {
        const struct sim_firmware *firmware = &world->devices[i].sim.firmware;
        uint16_t version = firmware->product_version;
        if (version == VERSION_NONE) {
            continue;
        }
        if (memcmp(firmware->hash, world->images[version - 1].module_hash.b, SHA256_BYTES) != 0) {
            world_fail(world, "device %u says version %u, but runs something else", i, version);
        }
    }
    if (!world->profile.is_perfect || !server_is_up(world) ||
        world->everybody > world->profile.devices) {
        return;
    }
    const struct gateway_counters *c = gateway_counters(world->gateway);
    /* The last words of a transfer that was called off come too late. */
    bool is_undisturbed = c->transfers_failed == 0;
    if ((is_undisturbed && c->dropped_session != 0) || c->dropped_hello != 0 ||
        c->dropped_unknown != 0 || c->dropped_noise != 0 || c->handshakes_failed != 0 ||
        (is_undisturbed && c->jobs_failed != 0) || c->jobs_refused != 0 ||
        c->sessions_evicted != 0 || c->sessions_closed != 0) {
        world_fail(world, "the server counts troubles in a world without faults");
    }
}
