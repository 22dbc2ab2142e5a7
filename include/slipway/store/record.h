/* The rows of the store as plain structs: what the use cases read and write, and what the doors
 * show. Texts are NUL-terminated UTF-8; sizes include the NUL. Versions: 0 = none. Times: UTC
 * milliseconds, 0 = never. */
#ifndef SLIPWAY_STORE_RECORD_H
#define SLIPWAY_STORE_RECORD_H

#include "slipway/crypto/hash.h"
#include "slipway/crypto/key.h"
#include "slipway/model/ids.h"
#include "slipway/model/module.h"
#include "slipway/model/update.h"

#define NAME_BYTES        129 /* products, devices, users' display names */
#define TITLE_BYTES       257
#define DESCRIPTION_BYTES 1025
#define SLUG_BYTES        65
#define USER_NAME_BYTES   129
#define GROUP_NAME_BYTES  (GROUP_NAME_MAX + 1)
#define EVENT_NAME_BYTES  65
#define EVENT_DATA_BYTES  1025
#define REASON_BYTES      65
#define SENTENCE_BYTES    201
#define ADDRESS_BYTES     56
#define UID_DIGITS        24 /* the ids of firmware in the REST dialect */

struct product {
    uint16_t id;
    uint16_t platform_id;
    char name[NAME_BYTES];
    char slug[SLUG_BYTES];
    char description[DESCRIPTION_BYTES];
    bool quarantine;          /* unknown devices wait for an operator; else they are approved */
    bool enforce_tested;      /* refuse to release what no device has run */
    uint16_t default_version; /* the product default release */
    bool default_immediate;
    uint32_t device_count;
    int64_t created_ms, updated_ms;
};

enum image_kind {
    IMAGE_KIND_PRODUCT, /* uploaded product firmware */
    IMAGE_KIND_ONE_OFF, /* flashed to one device, not listed */
    IMAGE_KIND_SYSTEM,  /* Device OS parts of the library */
    IMAGE_KINDS
};

/* What is known of a file's bytes, without them. */
struct image_record {
    int64_t id;
    enum image_kind kind;
    uint16_t platform_id;
    uint8_t function, index; /* enum module_function */
    uint16_t module_version;
    uint16_t product_version; /* compiled in */
    uint8_t flags;            /* enum image_flag */
    uint8_t dependency_count;
    struct module_dependency dependencies[2];
    uint32_t size;
    struct sha256 module_hash; /* what a device reports when it runs it; of an asset: its own */
    struct sha256 file_hash;
    char name[NAME_BYTES]; /* file name, or Device OS version of a system part */
    int64_t created_ms;
};

struct firmware {
    int64_t id;
    char uid[UID_DIGITS + 1];
    uint16_t product_id;
    uint16_t version;
    char title[TITLE_BYTES];
    char description[DESCRIPTION_BYTES];
    bool mandatory;
    bool product_default;
    bool immediate;        /* of its current release, the default's first */
    int64_t tested_ms;     /* first seen running on a device; 0 = never */
    int64_t released_ms;   /* first release ever; 0 = never released */
    uint32_t device_count; /* devices that run it now */
    uint32_t group_count;  /* groups it is released to; names through firmware_groups */
    uint32_t bundle_bytes; /* of the .zip that it came in with its assets; 0 = it came alone */
    char uploaded_by[USER_NAME_BYTES];
    int64_t uploaded_ms, updated_ms;
    struct image_record image;
};

struct group {
    int64_t id;
    uint16_t product_id;
    char name[GROUP_NAME_BYTES];
    char description[DESCRIPTION_BYTES];
    char color[8];
    uint16_t version; /* released to it */
    bool immediate;
    uint32_t device_count;
    int64_t created_ms, updated_ms;
};

/* Which groups a device is in: each distinct set is kept once, and devices name it. */
struct set_group {
    int64_t id;
    char name[GROUP_NAME_BYTES];
    uint16_t version; /* released to it */
    bool immediate;
};
struct group_set {
    int64_t id; /* 0 = the empty one */
    size_t count;
    struct set_group groups[]; /* by name */
};

struct device {
    int64_t num; /* the store's own key */
    struct device_id id;
    uint16_t product_id;
    bool is_denied; /* an operator took its firmware away */
    char name[NAME_BYTES];
    char notes[DESCRIPTION_BYTES];
    bool development;
    uint16_t locked_version;
    int64_t group_set;   /* struct group_set */
    bool updates_forced; /* the operator's wish */

    /* As the device told, last time. */
    bool is_online;
    bool updates_enabled;     /* true until it says otherwise */
    bool updates_forced_echo; /* it confirmed the operator's wish */
    bool is_safe_mode;
    bool has_hello;           /* it has been here at all */
    int8_t pending_told;      /* what it was told in this session: 0, 1, or -1 = nothing yet */
    uint16_t running_version; /* product firmware */
    uint16_t platform_id;
    uint16_t hello_product_id;
    uint16_t system_version; /* Device OS module version */
    uint16_t hello_flags;
    uint16_t message_max;
    uint32_t binary_max;
    uint16_t chunk_bytes;
    bool has_app_hash;
    struct sha256 app_hash; /* of the running application's suffix */
    char iccid[33], imei[33], modem_version[65], serial_number[33];
    char last_reset[33];
    char address[ADDRESS_BYTES];
    int64_t handshake_ms; /* last session start, resumed ones included */
    int64_t heard_ms;
    int64_t hello_ms; /* last Hello */
    int64_t created_ms, updated_ms;
};

/* A device that nobody imported, or one that came with another key than its own. */
struct quarantine {
    struct device_id id;
    uint16_t product_id; /* 0 = it named none */
    uint16_t platform_id;
    uint16_t version;
    uint16_t system_version;
    bool is_wrong_key; /* the id is known, the key is not */
    bool is_denied;
    struct p256_point key;
    char address[ADDRESS_BYTES];
    int64_t first_ms, last_ms;
};

struct update {
    int64_t id;
    struct device_id device;
    int64_t device_num;
    uint16_t product_id;
    int64_t image_id;      /* what the device shall run in the end; 0 = the file is gone */
    int64_t step_image_id; /* what is sent now: Device OS parts and assets too; 0 = not chosen */
    uint16_t version;      /* product version of the target; 0 = a one-off file */
    uint16_t from_version;
    enum update_cause cause;
    enum update_state state;
    char rule[24];             /* which rule asked for it, or "flash" */
    char reason[REASON_BYTES]; /* a word, once it ended or waits */
    int32_t device_error;
    uint32_t attempt; /* 1 = first for this image */
    uint32_t progress_bytes, total_bytes;
    bool discard; /* the device shall start afresh: what it holds failed to verify */
    char requested_by[USER_NAME_BYTES];
    int64_t deadline_ms; /* 0 = none */
    int64_t created_ms, updated_ms, finished_ms;
};

struct update_step { /* one row of an update's history */
    int64_t at_ms;
    int from; /* enum update_state, or -1: it was opened */
    enum update_state to;
    char reason[REASON_BYTES];
    int32_t device_error;
    uint32_t progress_bytes;
};

struct release { /* one row of the history of releases */
    int64_t id;
    uint16_t product_id;
    uint16_t version;
    bool is_default_set; /* became the product default */
    bool is_default_cleared;
    bool immediate;
    bool untested;
    char groups[1025]; /* comma list of what it was released to, after the change */
    char by[USER_NAME_BYTES];
    int64_t at_ms;
};

struct event {
    int64_t id; /* cursor: grows, never reused */
    int64_t at_ms;
    uint16_t product_id; /* 0 = none */
    bool has_device;     /* else coreid is "api" */
    struct device_id device;
    char name[EVENT_NAME_BYTES];
    char data[EVENT_DATA_BYTES];
    size_t data_len; /* data may hold any bytes */
    bool has_data;
    uint16_t version; /* that the device ran then */
    uint32_t ttl_s;
    char user[USER_NAME_BYTES]; /* "" for automatic acts */
};

struct user {
    int64_t id;
    char name[USER_NAME_BYTES];
    char friendly_name[NAME_BYTES];
    bool is_api;         /* programmatic: product and scopes below */
    bool is_admin;       /* may do everything */
    uint16_t product_id; /* API users; 0 = all */
    char scopes[2049];   /* space separated; API users */
    int64_t created_ms;
};

enum token_kind { TOKEN_ACCESS, TOKEN_REFRESH };

struct token {
    int64_t id;
    enum token_kind kind;
    int64_t user_id;
    char client[65];
    int64_t expires_ms; /* 0 = never */
    int64_t created_ms;
};

/* A program that asks for tokens in its own name. */
struct client {
    int64_t id;
    char uid[65];        /* its name towards others, and that of its user */
    int64_t user_id;     /* who acts for it */
    uint16_t product_id; /* 0 = of the whole server */
    char name[NAME_BYTES];
    bool is_web; /* else installed */
    char redirect_uri[1025];
    struct sha256 secret; /* hash of the bytes */
    int64_t created_ms;
};

#endif
