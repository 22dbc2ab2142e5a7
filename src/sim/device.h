/* A simulated Device OS device, with the current OTA protocol (version 3) or the older one: its
 * DTLS client, its CoAP habits, its update machinery and the ways in which it restarts. It does
 * what real devices do, and what they do not tolerate is counted as a violation of the server's.
 *
 * Pure: datagrams and time come in, datagrams come out through an outbox, all randomness comes from
 * the configured seed. Heap is used by the DTLS endpoint alone, while a handshake lasts.
 *
 *   OFF --power--> CONNECTING --handshake--> GREETING --Hello acknowledged--> INTRODUCING
 *    ^                |   ^  \                                                   |
 *    |                |   |   +--- a session is kept: resumed, no handshake ---> |
 *    |          fails v   | back-off                                             v
 *    +----- any --- WAITING <------------- connection lost ----------------- CONNECTED */
#ifndef SLIPWAY_SIM_DEVICE_H
#define SLIPWAY_SIM_DEVICE_H

#include "sim/receiver.h"
#include "slipway/coap/retry.h"
#include "slipway/crypto/key.h"
#include "slipway/dtls/handshake.h"
#include "slipway/dtls/session.h"
#include "slipway/model/ids.h"
#include "slipway/model/module.h"
#include "slipway/util/fsm.h"
#include "slipway/util/outbox.h"
#include "slipway/util/rng.h"

enum sim_state {
    SIM_OFF,         /* without power, asleep, or restarting */
    SIM_WAITING,     /* between two attempts to connect */
    SIM_CONNECTING,  /* handshake under way */
    SIM_GREETING,    /* Hello sent: everything but its acknowledgement is dropped */
    SIM_INTRODUCING, /* Describe, time, events, subscriptions: until all are acknowledged */
    SIM_CONNECTED,
    SIM_CLOSED, /* final: given back */
    SIM_STATES
};
extern const struct fsm sim_device_fsm;

/* An asset, as the application needs it or as the store has it. */
#define SIM_ASSETS_MAX       8
#define SIM_ASSET_NAME_BYTES 48 /* longer names are cut */
struct sim_asset {
    uint8_t hash[SHA256_BYTES]; /* of the asset itself */
    char name[SIM_ASSET_NAME_BYTES];
    uint32_t bytes; /* of its module; 0 where it is only needed */
};
struct sim_assets {
    uint8_t count;
    struct sim_asset items[SIM_ASSETS_MAX];
};

/* An application as it is installed. */
struct sim_firmware {
    uint16_t product_id;
    uint16_t product_version; /* VERSION_NONE = none */
    uint8_t index;
    uint16_t module_version;
    uint8_t hash[SHA256_BYTES]; /* of its suffix */
    struct module_dependency needs;
    struct sim_assets assets; /* that it depends on */
};

struct sim_device_config {
    struct device_id id;
    const struct crypto_key *key;    /* borrowed */
    const struct p256_point *pinned; /* the server's key; borrowed */
    struct dtls_crypto *crypto;      /* shared by a thread's devices; borrowed */
    uint64_t seed;                   /* of jitter, tokens and DTLS randoms */
    uint16_t platform_id;
    uint16_t system_version; /* Device OS module version */
    struct sim_firmware firmware;
    uint32_t binary_max; /* bytes it announces, at most flash_cap */
    uint8_t *flash;      /* where transfers go; the caller's */
    size_t flash_cap;
    uint32_t ping_ms;          /* [25000] */
    uint32_t reboot_ms;        /* [1000] from reset to the first datagram */
    uint32_t erase_ms;         /* [50] from UpdateStart to its answer */
    uint32_t asset_cap;        /* [1114112] bytes that its asset store holds */
    bool clears_assets;        /* before it stores one: those that its application has no use for */
    uint16_t function_count;   /* [1] functions that its application has: the Describe grows */
    bool is_legacy;            /* without the version 3 flag: the older, chunked protocol */
    bool is_slow;              /* legacy: it takes no fast OTA, and answers each chunk */
    bool disables_updates;     /* its application does so at each start */
    bool keeps_old;            /* its bootloader never installs anything */
    bool is_discreet;          /* and says nothing of that, but that it restarted for an update */
    uint8_t power_cut_percent; /* of transfers during or after which the power fails once */
    bool link_corrupts;        /* a handshake may fail for no fault of the server's */
    bool link_is_clean;        /* no loss or reordering: what only those excuse is a violation */
};

/* What happened since the caller last cleared `news`. */
enum sim_news {
    SIM_NEWS_CONNECTED = 1,
    SIM_NEWS_LOST = 2,     /* the connection */
    SIM_NEWS_HELLO = 4,    /* a Hello was acknowledged */
    SIM_NEWS_TRANSFER = 8, /* one began or was resumed */
    SIM_NEWS_PROGRESS = 16,
    SIM_NEWS_REFUSED = 32,    /* an UpdateStart, because updates are disabled */
    SIM_NEWS_VERIFIED = 64,   /* a transfer is complete and its SHA-256 and CRC-32 are right */
    SIM_NEWS_COMMITTED = 128, /* the 2.04 was acknowledged: restarts with the new firmware */
    SIM_NEWS_BOOTED = 256,
    SIM_NEWS_POWER_CUT = 512,
    SIM_NEWS_VIOLATION = 1024,
    SIM_NEWS_PENDING = 2048 /* the server told that an update is pending, or no longer */
};

/* A confirmable message of the device's own that awaits its acknowledgement. The bytes are made
 * anew for each transmission. */
struct sim_word {
    uint8_t kind; /* enum sim_word_kind; 0 = free */
    uint8_t token;
    uint16_t id;
    uint32_t argument;
    struct coap_retry retry;
};
#define SIM_WORDS_MAX 24
#define SIM_EVENTS    "sim/" /* what its application subscribes to */

struct sim_reply { /* what a request was acknowledged with, for its duplicates */
    uint16_t id;
    uint8_t code; /* 0 = empty */
    uint8_t token;
    const char *text; /* payload; NULL = none */
    mono_time until;
};
#define SIM_REPLIES_MAX 16

#define SIM_LEGACY_CHUNKS 4096

struct sim_legacy { /* a transfer of the older protocol */
    bool is_running;
    uint32_t file_bytes, chunk_bytes, chunk_count, have_count;
    mono_time silence_at;
    uint8_t have[SIM_LEGACY_CHUNKS / 8];
};

struct sim_device {
    struct sim_device_config config;
    uint8_t state; /* enum sim_state; only device.c writes it */
    uint32_t news;
    uint32_t socket; /* changes when the device opens a new one: another source port */
    struct rng rng;

    /* survives resets */
    struct sim_firmware firmware;
    uint16_t system_version, bootloader_version;
    struct sim_assets store;
    struct sim_flash flash;
    struct dtls_session session;
    uint32_t announced_system, announced_application; /* checksums last acknowledged; 0 = none */
    uint32_t staged_bytes;
    bool has_staged; /* committed: installed by the next start */
    bool has_session;
    bool announced_subscriptions;
    uint8_t session_uses; /* restores without a word from the server */

    /* one boot */
    bool updates_enabled, updates_forced, updates_pending;
    bool has_time;          /* the clock was set */
    bool has_told_reset;    /* last_reset was announced */
    const char *last_reset; /* its payload */

    /* one connection */
    struct dtls_endpoint *endpoint; /* while a handshake may still be repeated */
    struct dtls_handshake handshake;
    mono_time state_at; /* when OFF or WAITING ends */
    mono_time heard, pinged;
    struct sim_word words[SIM_WORDS_MAX];
    struct sim_reply replies[SIM_REPLIES_MAX];
    uint16_t coap_id;
    uint16_t time_id; /* the last time request: its answer may come twice */
    uint8_t coap_token;
    uint8_t reply_next;
    uint8_t failures; /* attempts to connect in a row */
    bool is_moved;    /* no word from the server since the restore: records of type 253 */
    bool is_asleep;   /* OFF without a restart at its end */
    bool has_introduced_application;

    /* an update */
    struct receiver receiver;
    struct sim_legacy legacy;
    struct receiver_request request; /* being answered after the flash was erased */
    mono_time erased_at;             /* MONO_NEVER = not erasing */
    mono_time reset_at;              /* MONO_NEVER = no reset is due */
    uint32_t cut_at_bytes;           /* of this transfer, the power fails; 0 = not */
    uint8_t start_token;
    bool is_finishing;  /* a 2.04 awaits its acknowledgement */
    uint16_t finish_id; /* of the newest such: only this one commits */
    bool cut_after_commit;

    /* what it saw */
    bool has_verified;
    struct sha256 verified; /* of the last complete file */
    uint32_t violations;
    char violation[160];           /* the first one */
    const char *handshake_problem; /* of the last attempt; NULL = none */
    uint32_t hellos, handshakes, resumes, transfers, commits, refusals, power_cuts, boots;
    uint32_t events;             /* that its application asked for */
    uint32_t repeats;            /* words that were sent more than once */
    uint32_t handshakes_refused; /* ended by an alert of the server's */
    uint32_t strays;             /* chunks and messages that only an untidy network explains */
    uint64_t datagrams_in, datagrams_out;
};

/* Without power until sim_device_boot. */
void sim_device_init(struct sim_device *device, const struct sim_device_config *config);
/* Accepts zeroes. Wipes the session. */
void sim_device_close(struct sim_device *device);

void sim_device_boot(struct sim_device *device, mono_time now, struct outbox *out);
/* A datagram that came to the present socket. */
void sim_device_input(struct sim_device *device, struct span datagram, mono_time now,
                      struct outbox *out);
/* Call at sim_device_deadline. */
void sim_device_tick(struct sim_device *device, mono_time now, struct outbox *out);
mono_time sim_device_deadline(const struct sim_device *device); /* MONO_NEVER: nothing waits */

/* --- things that happen to a device --- */
/* Restarts by its own software: the session, also a partial transfer, stays. */
void sim_device_reboot(struct sim_device *device, mono_time now);
/* The power fails for so long: the session and what was not saved of a transfer are gone. */
void sim_device_power_cut(struct sim_device *device, int64_t off_ms, mono_time now);
/* Sleeps or changes its network: afterwards it resumes from another address. */
void sim_device_sleep(struct sim_device *device, int64_t sleep_ms, mono_time now);
/* Its application enables or disables updates. */
void sim_device_allow_updates(struct sim_device *device, bool enabled, mono_time now,
                              struct outbox *out);

const char *sim_device_state_name(const struct sim_device *device);
/* Whether the application runs: the needed Device OS is there. */
bool sim_device_is_safe_mode(const struct sim_device *device);
/* Whether everything that the application depends on is in the asset store. */
bool sim_device_has_assets(const struct sim_device *device);
/* Bytes of the present transfer that are in flash, and its length; 0 of 0 without one. */
uint32_t sim_device_progress(const struct sim_device *device, uint32_t *total);

#endif
