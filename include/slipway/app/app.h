/* The use cases' common ground: the open database, its writer thread, and the transaction in which
 * a use case runs. The doors (http, gateway) reach the store only through here.
 *
 * A use case is a function on a `struct app_tx`: a writer's inside a job (app_execute, or a
 * store_job of the caller's own, see app_submit_job), a reader's inside a view. It returns SW_OK or
 * an error code; on an error nothing it did remains, and tx->error names what was wrong in the
 * caller's words. The headers list the codes that say something of the request, without their
 * SW_E_; any use case may also return what the world did: IO, SPACE, BUSY, MEMORY. */
#ifndef SLIPWAY_APP_APP_H
#define SLIPWAY_APP_APP_H

#include "slipway/store/record.h"
#include "slipway/store/writer.h"

enum app_key_policy {
    APP_KEY_FIRST_USE, /* an imported device whose key is unknown binds the key of its first Hello
                        */
    APP_KEY_STRICT     /* a key must have been registered beforehand */
};

/* Something that connected devices or listeners should look at, told after it is durable. */
enum app_notice_kind {
    APP_NOTICE_DEVICE,  /* lock, flash, force, groups, approval, key of one device: plan it again */
    APP_NOTICE_PRODUCT, /* TARGETS, and immediate: plan every connected device of the product */
    APP_NOTICE_TARGETS, /* other releases of the product: plan those again that are being updated */
    APP_NOTICE_FORGET,  /* this device may not be served any longer: end its association */
    APP_NOTICE_PUBLISHED, /* .event_id is for the devices that asked for its like, of which only
                             the one that it is about, if it is about one */
    APP_NOTICE_EVENTS     /* events were appended, up to .event_id */
};
struct app_notice {
    enum app_notice_kind kind;
    struct device_id device; /* DEVICE, FORGET */
    uint16_t product_id;
    int64_t event_id;
};
/* On the writer thread (or the caller's of app_pump), after COMMIT. Must not block. */
typedef void app_notice_fn(void *arg, const struct app_notice *notice);

struct app_options {
    const char *path; /* of the database; ":memory:" only without a thread */
    bool is_threaded; /* else jobs wait until app_pump: simulations, tests, one-shot commands */
    bool is_guest;    /* another process serves this database: no migration, no recovery */
    bool synchronous_normal;
    uint32_t cache_bytes; /* of the writer; 0 = 2 MiB */
    enum app_key_policy key_policy;
    const uint8_t *seal_key; /* SEAL_KEY_BYTES that seal PSKs and webhooks; borrowed; NULL = none */
    uint32_t queue_max;      /* 0 = 4096 jobs */
    uint32_t attempts_max;   /* 0 = 3: failures of a device with one image */
    int64_t retry_ms; /* 0 = 60,000: after the first failure; each further one 5 times more */
    int64_t reboot_timeout_ms;  /* 0 = 1,800,000: for a device to report after it committed */
    uint32_t quarantine_max;    /* 0 = 10,000 rows, the oldest go first */
    uint32_t failed_logins_max; /* 0 = 10 in a row from one place lock a user there, lockout_ms */
    int64_t lockout_ms;         /* 0 = 1,800,000 */
    int64_t events_age_ms;      /* 0 = 30 days */
    uint64_t events_max;        /* 0 = 1,000,000 */
    uint32_t calls_max;         /* 0 = 100,000 rows that count calls */
    int64_t updates_age_ms;     /* 0 = 365 days since an update ended */
    uint64_t updates_max;       /* 0 = 1,000,000 rows */
    uint32_t updates_keep;      /* 0 = 5: the newest of each device stay in any case */
    int64_t vitals_age_ms;      /* 0 = 30 days */
    uint64_t vitals_max;        /* 0 = 1,000,000 rows */
    uint32_t vitals_device_max; /* 0 = 720 rows of one device */
    uint32_t hook_queue_max;    /* 0 = 1,000 events wait for a webhook, later ones are dropped */
    uint32_t hook_attempts_max; /* 0 = 6: failures with one event before it is dropped */
    int64_t hook_retry_ms;      /* 0 = 5,000: after the first failure; then 3 times, at most 1 h */
    int64_t hook_disable_ms;    /* 0 = 3 days of nothing but failures disable a webhook */
    app_notice_fn *notice;      /* may be NULL */
    void *notice_arg;
    /* The world; NULL = the real clock and entropy. */
    wall_time (*now)(void *arg);
    void (*entropy)(void *arg, void *out, size_t len);
    void *world_arg;
};

struct app;

/* Opens the database (see store_open), recovers what a crash left behind, starts the writer. */
int app_open(struct app **out, const struct app_options *options, struct fault *fault) SW_NODISCARD;
/* Commits what is queued. Accepts NULL. */
void app_close(struct app *app);

/* What was wrong, in the words of the REST dialect. */
struct app_error {
    int code;              /* SW_E_*; SW_OK = nothing */
    char word[48];         /* "invalid_request" */
    char description[256]; /* a sentence that names the field */
    char field[64];        /* "" = none in particular */
    char cause[256];       /* what failed in the world, for the log alone; "" = the asker erred */
};

struct app_tx {
    struct store *store;
    struct app *app;
    wall_time now;
    struct app_error error;
    struct fault *fault; /* what failed in the world; may be NULL */
};
/* For jobs and reads of the caller's own making, on a store of this app. */
void app_tx_init(struct app_tx *tx, struct store *store, wall_time now, struct fault *fault);
/* Fills tx->error and returns code. field may be NULL. */
int app_fail(struct app_tx *tx, int code, const char *word, const char *field, const char *format,
             ...) __attribute__((format(printf, 5, 6)));

typedef int app_run_fn(struct app_tx *tx, void *arg);

/* Runs a use case as a write job and waits until it is durable. error may be NULL. Not on the
 * writer thread and not on the gateway's loop. SW_E_FULL: the queue is at its limit, try later. */
int app_execute(struct app *app, app_run_fn *run, void *arg, struct app_error *error) SW_NODISCARD;

/* A job of the caller's own (run uses app_tx_init). */
int app_submit_job(struct app *app, struct store_job *job) SW_NODISCARD;
/* Without a thread: commits all queued jobs as one group, or does to it what trouble says. Returns
 * how many jobs there were. */
size_t app_pump(struct app *app, enum store_trouble trouble);

/* Reading. Each thread has a connection of its own; without a thread (":memory:") the writer's is
 * lent. app_read runs a query in one consistent view. */
int app_reader_open(struct app *app, struct store **out, struct fault *fault) SW_NODISCARD;
void app_reader_close(struct app *app, struct store *reader);
int app_read(struct app *app, struct store *reader, app_run_fn *run, void *arg,
             struct app_error *error) SW_NODISCARD;
/* The same for many short reads: the view stays open, and serves the next one if nothing was
 * committed in between. An open view keeps the log of the database from starting anew, so a reader
 * that has nothing to do must be told to rest. */
int app_read_on(struct app *app, struct store *reader, app_run_fn *run, void *arg,
                struct app_error *error) SW_NODISCARD;
void app_reader_rest(struct store *reader);
/* Views that are open serve nobody any more. Several times a second: what another process wrote is
 * not seen otherwise. Any thread. */
void app_views_renew(struct app *app);

void app_entropy(const struct app *app, void *out, size_t len);

#endif
