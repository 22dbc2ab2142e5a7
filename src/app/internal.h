/* What the use cases share among themselves. */
#ifndef SLIPWAY_APP_INTERNAL_H
#define SLIPWAY_APP_INTERNAL_H

#include "slipway/app/device.h"

#include "slipway/app/hook.h"
#include "slipway/crypto/secret.h"
#include <stdatomic.h>

struct app {
    struct app_options options;
    struct store *store; /* the writer connection */
    struct store_writer *writer;
    char *path;
    atomic_uint_fast64_t commits; /* grows with each, and when views are renewed */
    struct mailbox queue;         /* without a thread: jobs until app_pump */
    /* Collected by the jobs of a group, told after its commit. The writer's thread only. */
    struct app_notice *notices;
    size_t notice_count, notice_cap, notice_mark;
    int64_t event_id, event_mark; /* newest event of the group; 0 = none */
    int64_t prune_cursor;         /* updates up to it were looked at in this round */
};

/* Tells it after the commit; forgotten if the job fails. */
int app_tell(struct app_tx *tx, const struct app_notice *notice) SW_NODISCARD;
int app_tell_device(struct app_tx *tx, enum app_notice_kind kind, const struct device_id *id,
                    uint16_t product_id) SW_NODISCARD;

/* Appends it with the time of the transaction, and not for the webhooks: what tells of them would
 * feed them for ever. */
int app_append_quietly(struct app_tx *tx, struct event *event) SW_NODISCARD;

/* The event that was appended last is for the device that it is about, if that asked for its like.
 */
int app_tell_published(struct app_tx *tx) SW_NODISCARD;

/* Appends an event, and queues it for the webhooks that want it. device NULL: coreid "api"; data
 * NULL: none. */
int app_append(struct app_tx *tx, uint16_t product_id, const struct device *device,
               const char *name, const char *data, const char *user) SW_NODISCARD;

/* What a device published. */
int app_append_told(struct app_tx *tx, const struct device *device, struct span name,
                    struct span data) SW_NODISCARD;

/* Between a hook as it is stored and as it is used. Sealing makes a new nonce each time. */
int app_hook_seal(struct app_tx *tx, struct app_hook *hook) SW_NODISCARD;
void app_hook_unseal(const struct app *app, struct app_hook *hook);
/* At the start: seals what an earlier version stored, disables what cannot be opened. */
int app_hooks_recover(struct app_tx *tx) SW_NODISCARD;

/* A text of the caller's into a record's field: UTF-8 without control characters (line ends are
 * allowed with is_long), at most cap - 1 bytes, not empty if required. NULL counts as "". */
struct app_text_rule {
    const char *field;
    bool required;
    bool is_long;
};
int app_take_text(struct app_tx *tx, const struct app_text_rule *rule, const char *text, char *out,
                  size_t cap) SW_NODISCARD;
/* The same for a name of a group, in the words of "groups". */
int app_check_group_name(struct app_tx *tx, const char *field, const char *name) SW_NODISCARD;

/* All scope words, ended by NULL. */
const char *const *app_scopes(void);
/* Scope words as they are kept: known ones only, joined by spaces. */
int app_take_scopes(struct app_tx *tx, const char *const *words, size_t count, char *out,
                    size_t cap) SW_NODISCARD;
/* A readable name that is never the same twice: what is plain of the text, joint, digits, end. */
void app_unique_name(const struct app_tx *tx, const char *text, char joint, const char *end,
                     char out[USER_NAME_BYTES]);

/* What a goodbye says, as a JSON object; false if that is nothing. */
#define GOODBYE_TEXT_BYTES 128
bool goodbye_text(const struct app_goodbye *goodbye, char *out, size_t cap);

/* Of two moments that were noted: whether the first is the later one. The clock may have been set
 * back since: what still lies ahead was noted before that, and so before what does not. */
bool app_is_later(const struct app_tx *tx, int64_t at_ms, int64_t other_ms);

/* When something is changed that was changed at before_ms: now, but never the same moment again,
 * by which clients tell its states apart. */
int64_t app_later(const struct app_tx *tx, int64_t before_ms);

/* NOT_FOUND in the words of the REST dialect. */
int app_no_product(struct app_tx *tx);
int app_no_firmware(struct app_tx *tx);
int app_no_group(struct app_tx *tx, const char *name);
int app_no_device(struct app_tx *tx);

/* A version as declared by a caller. */
int app_check_version(struct app_tx *tx, const char *field, int64_t version) SW_NODISCARD;

#endif
