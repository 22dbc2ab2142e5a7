/* The deterministic simulation: the whole server without its sockets - gateway core, use cases and
 * store - and a fleet of simulated devices, on a network that loses, delays, repeats, reorders and
 * damages datagrams, in virtual time. One seed decides everything that happens.
 *
 *   operator --use cases--> app + store <--jobs--> gateway <--network--> devices
 *
 * After every step the checks look at both ends. Nothing here knows how the server works inside;
 * they only hold what devices experienced against what the store says and what the rules allow. */
#ifndef TESTS_SIM_FLEET_WORLD_H
#define TESTS_SIM_FLEET_WORLD_H

#include "sim/device.h"
#include "slipway/app/app.h"
#include "slipway/app/firmware.h"
#include "slipway/gateway/core.h"
#include "slipway/image/image.h"

#define DEVICES_MAX    10
#define VERSIONS_MAX   7 /* uploaded firmware: versions 1.. */
#define GROUPS         2
#define PAST_MAX       64 /* targets that a device had */
#define ASSETS         6  /* two contents for each of three names */
#define COMMANDS_MAX   256
#define SESSIONS_MAX   8
#define ALERTS_MAX     4
#define FLASH_BYTES    655360
#define IMAGE_MAX      610000 /* of a body; one so large overwrites the asset store */
#define DATAGRAM_MAX   2048
#define WORLD_PLATFORM 13

/* What goes wrong in one run, from its seed. */
struct world_profile {
    bool is_perfect; /* nothing does */
    unsigned devices;
    unsigned loss_percent, duplicate_percent, corrupt_percent;
    int64_t latency_us, jitter_us;
    unsigned crashes;          /* of the server */
    unsigned store_percent;    /* of commits that fail */
    unsigned power_percent;    /* of transfers that lose power once */
    unsigned restless_percent; /* of seconds in which some device reboots, sleeps or loses power */
    int64_t commit_us_max;     /* how long a commit takes */
    int64_t chaos_us;          /* how long all this lasts; then everything heals */
    bool has_stranger;         /* a device that nobody imported */
    bool has_impostor;         /* a device with the id of another, and a key of its own */
    bool has_liar;             /* a device whose bootloader never installs anything */
    bool has_legacy;           /* devices that speak the older OTA protocol */
    bool needs_system;         /* some applications need a newer Device OS than the fleet has */
    bool has_assets;           /* some applications come as bundles */
    unsigned sleepy_percent;   /* of devices: awake for seconds only, asleep for minutes */
    unsigned step_percent;     /* of a device's steps: server or device fail right after it */
    unsigned disk_troubles;    /* times in which the disk is full or has errors */
    unsigned power_cuts;  /* percent of the server's crashes: what was not synced may be lost */
    unsigned clock_steps; /* times at which the wall clock is set */
    bool is_moody;        /* the operator takes back, deletes and removes */
};

enum world_mutant {
    MUTANT_NONE,
    MUTANT_LOST_ROWS,    /* commits that did not happen are reported as done */
    MUTANT_WRONG_IMAGE,  /* another version's bytes are read from the store */
    MUTANT_NO_LOCKS,     /* locks never reach the store */
    MUTANT_STALE_STORE,  /* a crash takes the store back to an earlier moment */
    MUTANT_NO_ASSETS,    /* of bundles, only the application is stored */
    MUTANT_DEAF,         /* that a device disabled updates is not heard */
    MUTANT_FULL_IS_FINE, /* what found no room on the disk is reported as done */
    MUTANT_UNSYNCED,     /* commits are not synced */
    MUTANT_STILL_CLOCK,  /* a clock that was set back stands still until it is as late again */
    MUTANT_NO_REMOVAL,   /* devices that are removed stay in the store */
    MUTANTS
};

#define SYSTEM_OLD 6200 /* Device OS that the fleet begins with */
#define SYSTEM_NEW 6300

struct world_image {
    uint8_t *bytes;
    size_t len;
    struct sha256 hash;        /* of the file */
    struct sha256 module_hash; /* what a device reports */
    bool needs_system;
    bool is_deleted;
    uint8_t assets; /* bit a: it depends on world->assets[a] */
    uint8_t *zip;   /* then it is uploaded as this */
    size_t zip_len;
};

/* A file that applications depend on. */
struct world_asset {
    char name[16];
    uint8_t raw[4000];
    size_t len;
    struct sha256 hash;   /* its own */
    struct sha256 module; /* of the module that is sent */
};

/* The operator's intentions for one device, kept apart from the store. */
struct world_wish {
    bool is_development, is_forced;
    uint16_t locked;
    bool in_group[GROUPS];
    uint16_t flashed; /* single flash that may still come */
    uint16_t flashed_before;
    mono_time flashed_before_until;
    struct {
        uint16_t version;
        mono_time until; /* MONO_NEVER = the present target */
    } past[PAST_MAX];
    size_t past_count;
    bool is_removed;
    mono_time removed; /* last; MONO_NEVER = it was not */
};

struct world_device {
    struct sim_device sim;
    struct crypto_key *key;
    uint8_t flash[FLASH_BYTES];
    struct world_wish wish;
    uint32_t mapping;         /* the port that its router gave it; changes without its knowledge */
    bool is_sleepy;           /* see world_profile */
    bool is_foreign;          /* stranger or impostor: to be given nothing */
    mono_time disabled_since; /* updates, told while connected; MONO_NEVER */
    bool owes_hello_check, owes_commit_check; /* the server was down: after its restart */
    struct sha256 committed;
    /* The server's sessions with it, newest first: where their records go, and the last number. */
    struct {
        uint16_t port;
        uint64_t number;
    } sessions[SESSIONS_MAX];
    size_t session_count;
    struct {
        size_t len;
        uint8_t bytes[64];
    } alerts[ALERTS_MAX];
    size_t alert_next;
};

enum world_event_kind {
    EVENT_TO_SERVER,
    EVENT_TO_DEVICE,
    EVENT_PUMP,
    EVENT_READ,
    EVENT_NOTICE,
    EVENT_OPERATOR,
    EVENT_RESTLESS,
    EVENT_NAP,
    EVENT_CRASH,
    EVENT_RESTART,
    EVENT_DISK,
    EVENT_CLOCK
};

struct world_event {
    mono_time due;
    uint64_t order;
    enum world_event_kind kind;
    unsigned device;
    uint32_t socket;
    uint32_t mapping;
    struct store_job *job;    /* READ */
    struct app_notice notice; /* NOTICE */
    uint64_t server;          /* which life of the server it belongs to */
    size_t len;
    uint8_t bytes[];
};

struct world {
    uint64_t seed;
    enum world_mutant mutant;
    bool is_talking; /* tells on standard output what happens */
    struct world_profile profile;
    struct rng rng;
    mono_time now;
    int64_t skew_ms;  /* of the wall clock */
    mono_time skewed; /* when it was set last; 0 = never */
    int64_t wall_ms;  /* STILL_CLOCK: the latest time that it showed */
    bool is_healed;

    struct world_event **heap;
    size_t heap_count, heap_cap;
    uint64_t order;

    /* the server */
    char path[128];
    struct app *app;
    struct gateway *gateway;
    struct crypto_key *server_key;
    uint64_t server; /* lives so far */
    bool is_dying;   /* jobs are handed back, nothing is sent */
    bool pump_is_due;
    mono_time copy_at;      /* STALE_STORE: when the store is copied; MONO_NEVER = it was */
    struct store_job **out; /* jobs that are away */
    size_t out_count, out_cap;
    struct store_job **back; /* and those that came back, with their codes */
    size_t back_count, back_cap;

    /* the operator */
    uint16_t product_id;
    struct world_image images[VERSIONS_MAX];
    struct world_asset assets[ASSETS];
    unsigned versions; /* uploaded so far */
    uint16_t default_version;
    uint16_t group_version[GROUPS];
    uint64_t commands;             /* given to the gateway in this life of the server */
    bool is_awaited[COMMANDS_MAX]; /* those without an answer yet */
    struct world_image system;     /* Device OS for the library */
    bool has_library;              /* it was uploaded */

    struct dtls_crypto *crypto;
    struct world_device *devices; /* profile.devices of our own, then foreign ones */
    unsigned everybody;

    /* what came of it */
    uint64_t trace;        /* hash of everything that happened */
    uint64_t liar_commits; /* of them, by the device that never installs anything */
    uint64_t steps, datagrams, commits, crashes, calls, assets_sent;
    char failure[256]; /* "" = none */
};

/* --- world.c --- */
/* Once before all worlds, and once after them. */
void world_prepare(void);
void world_finish(void);
void world_open(struct world *world, uint64_t seed, enum world_mutant mutant);
void world_close(struct world *world);
/* Runs to the end, or to the first failure. */
void world_run(struct world *world);
void world_fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_trace(struct world *world, const char *what, const void *bytes, size_t len);
void world_tell(const struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool world_chance(struct world *world, unsigned percent);

/* --- machine.c --- */
wall_time world_wall(struct world *world);
void world_set_clock(struct world *world, int64_t skew_ms);
/* A trouble of chance, or the end of one. */
void machine_trouble_disk(struct world *world);
/* By a while of chance, in either direction. */
void machine_set_clock(struct world *world);

/* --- disk.c --- */
enum disk_state {
    DISK_FINE,
    DISK_FULL, /* nothing may grow */
    DISK_SICK  /* some reads, writes and syncs fail */
};
/* Once: every database is on it from then on. */
void disk_prepare(void);
void disk_finish(void);
/* Watches the database at path, and its log. */
void disk_mount(const char *path, uint64_t seed);
void disk_turn(enum disk_state state);
enum disk_state disk_now(void);
/* No sync fails: of a commit whose sync failed nobody knows whether a crash will bring it back. */
void disk_spare(bool is_spared);
/* No read fails: it is the checks that read. */
void disk_look(bool is_looked_at);
/* After so many writes and syncs nothing reaches the disk any more: the process is gone. */
void disk_end_in(unsigned steps);
/* The next life begins; without power, of what was not synced anything may be lost. */
void disk_return(bool had_power);

/* --- event.c --- */
struct world_event *world_event_new(struct world *world, enum world_event_kind kind, mono_time due,
                                    struct span bytes);
void world_event_put(struct world *world, struct world_event *event);
struct world_event *world_event_take(struct world *world);
mono_time world_event_due(const struct world *world);
/* Those of the server's life that ended. */
void world_event_forget_server(struct world *world);

/* --- network.c --- */
void world_from_device(struct world *world, unsigned device, const struct outbox *box);
void world_from_server(struct world *world, const struct address *peer, const struct outbox *box);
struct address world_address(unsigned device, uint32_t socket, uint32_t mapping);

/* --- server.c --- */
void server_start(struct world *world);
/* An empty store at the world's path. */
void server_make_store(struct world *world);
void server_crash(struct world *world);
/* Saves its sessions, hands everything back, ends. */
void server_stop(struct world *world);
void server_pump(struct world *world);
void server_read(struct world *world, struct store_job *job);
void server_tick(struct world *world);
/* A device call of chance; answers are awaited exactly once. */
void server_command(struct world *world, unsigned device);
bool server_is_up(const struct world *world);
/* Runs a use case at once; false and a failure of the world if it is refused. */
bool server_call(struct world *world, app_run_fn *run, void *arg, const char *what);
bool server_ask(struct world *world, app_run_fn *run, void *arg);

/* --- operator.c --- */
void operator_prepare(struct world *world);
void operator_act(struct world *world);
/* Everybody may be updated again, and nobody is past hope. */
void operator_heal(struct world *world);
void operator_close(struct world *world);
/* What the precedence list gives a device; 0 = nothing. Made apart from src/rules. */
uint16_t operator_target(const struct world *world, unsigned device);

/* --- asset.c --- */
void assets_make(struct world *world);
/* Draws what an application depends on, and names it in its recipe: `names` holds it. */
uint8_t assets_draw(struct world *world, struct image_recipe *recipe,
                    struct image_asset names[ASSETS]);
/* Packs an image that depends on assets into its bundle. */
void assets_pack(const struct world *world, struct world_image *image);
/* As which modules the server will send them. */
void assets_note(struct world *world, const struct app_file *file);
/* NULL: it is none of them. */
const struct world_asset *assets_find(const struct world *world, const struct sha256 *module);

/* --- record.c --- */
void check_record(struct world *world, unsigned device, uint16_t port, struct span datagram);

/* --- checks.c --- */
void check_device(struct world *world, unsigned device, uint32_t news);
void check_restarted(struct world *world);
void check_server(struct world *world);
bool check_converged(struct world *world);
void check_end(struct world *world);
/* Where everybody is, for a reader of a failure. */
void check_explain(struct world *world);

#endif
