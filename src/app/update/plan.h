/* What a device is due: shared by its reports, by the gateway's questions and by the operator's. */
#ifndef SLIPWAY_APP_UPDATE_PLAN_H
#define SLIPWAY_APP_UPDATE_PLAN_H

#include "slipway/app/device.h"
#include "slipway/app/fleet.h"
#include "slipway/rules/decision.h"

/* The rules applied to a device as it is in the store. The group's name in the decision points into
 * here: not to be moved. */
struct facts {
    struct rule_facts rule;
    struct decision decision;
    struct rule_group_release *groups; /* malloc'ed; free with facts_free */
    char (*names)[GROUP_NAME_BYTES];
};
int facts_read(struct app_tx *tx, const struct device *device, struct facts *out) SW_NODISCARD;
void facts_free(struct facts *facts);

/* Why a device gets nothing now: a word and a sentence; retry_ms when waiting helps. */
struct obstacle {
    char word[24];
    char sentence[SENTENCE_BYTES];
    int64_t retry_ms;
};
void obstacle_set(struct obstacle *out, const char *word, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Whether a device can take an image, and what is to be sent now: *step is the image itself, or a
 * Device OS part or an asset that it needs. open: the update under way, whose step says what was
 * sent already; NULL or without an id if there is none. out->word is "" if nothing is in the way.
 */
int step_choose(struct app_tx *tx, const struct device *device, const struct image_record *image,
                const struct update *open, struct image_record *step,
                struct obstacle *out) SW_NODISCARD;
/* What a device in safe mode is to get first, for the application that it has: *image if that is in
 * the library, else *out says what is not. */
int step_repair(struct app_tx *tx, const struct device *device, struct image_record *image,
                bool *is_due, struct obstacle *out) SW_NODISCARD;
/* Whether the device can take this very image: its platform, size, form and protocol. */
void step_check_fit(const struct device *device, const struct image_record *image,
                    struct obstacle *out);
/* asset.c. The same for the assets of an application whose other needs are met: leaves *step as it
 * is when none is due. */
int assets_choose(struct app_tx *tx, const struct device *device, const struct image_record *image,
                  const struct update *open, struct image_record *step,
                  struct obstacle *out) SW_NODISCARD;

#define ASSETS_SINCE 5500 /* the module version of Device OS 5.5, the first with assets */

/* The assets that came with an application, in the order in which they are sent. */
struct asset_set {
    struct image_record *items; /* assets_free */
    size_t count;
};
int assets_read(struct app_tx *tx, const struct image_record *image,
                struct asset_set *out) SW_NODISCARD;
void assets_free(struct asset_set *assets);
/* The first from there on that the device does not have; count = it has them all. */
size_t assets_missing(const struct asset_set *assets, const struct app_describe *described,
                      size_t from);
/* Which of them an image is; count = none. */
size_t assets_place(const struct asset_set *assets, int64_t image_id);

/* A device came back from an asset, or from an application that still lacks some, and said what it
 * has: the update goes on with the next one, or fails. */
struct asset_judgement {
    struct update *open;
    const struct image_record *image;
    const struct asset_set *assets;
    const struct app_describe *described;
    bool runs; /* the application */
};
int assets_judge(struct app_tx *tx, const struct asset_judgement *judged) SW_NODISCARD;
/* Whether the device runs that version of its product but lacks assets of it: *image is it. */
int assets_repair(struct app_tx *tx, const struct device *device, uint16_t version,
                  struct image_record *image, bool *is_due) SW_NODISCARD;

/* How long after its commit a device may still be heard before it resets: it repeats its 2.04 for
 * up to 90 s, and each repetition is acknowledged. What it reports later is of the time after, too:
 * it repeats no report for longer. */
#define RESET_GRACE_MS 100000
bool update_is_graceful(const struct app_tx *tx, const struct update *open);
/* How long a device is left alone after so many failures; more than 0 of them. */
int64_t attempt_pause_ms(const struct app *app, uint32_t failures);
/* Failed attempts that are in the way. */
int attempt_check(struct app_tx *tx, const struct device *device, const struct image_record *image,
                  uint32_t *failures, struct obstacle *out) SW_NODISCARD;

/* The device's last system Describe. SW_OK also when there is none (out->has = false). */
int describe_read(struct app_tx *tx, const struct device *device,
                  struct app_describe *out) SW_NODISCARD;
/* false: not a Describe. */
bool describe_decode(struct span bytes, unsigned content_format, struct app_describe *out);

bool describe_has_asset(const struct app_describe *described, const struct sha256 *hash);

/* In the form that clients know from spark/status/safe-mode; at most cap - 1 bytes of JSON. */
void describe_summary(const struct device *device, const struct app_describe *described, char *out,
                      size_t cap);

/* One module in the same form: {"f":"s","n":"1","v":6200}. */
void describe_module(const struct image_record *image, char *out, size_t cap);

/* "6.2.0 (6200)" for a module version of the system part; its number alone if that is not known by
 * a name. Returns out. */
#define OS_TEXT_BYTES 24
const char *os_text(uint16_t version, char out[OS_TEXT_BYTES]);

/* One step of an update, with event and history. reason may be NULL. */
int update_step_to(struct app_tx *tx, struct update *update, enum update_state to,
                   const char *reason) SW_NODISCARD;

/* A failure of the device's making: ends the update and counts. */
int update_fail(struct app_tx *tx, struct update *update, const char *reason,
                int32_t device_error) SW_NODISCARD;

/* After a report: is the open update done, or has it failed? */
struct evidence {
    bool is_hello;
    bool is_silent;                      /* it restarted and resumed its session, without a Hello */
    const struct app_describe *describe; /* NULL at a Hello */
};
int update_judge(struct app_tx *tx, const struct device *device,
                 const struct evidence *evidence) SW_NODISCARD;
/* A new session: nothing is under way any more. */
int update_interrupt(struct app_tx *tx, const struct device *device) SW_NODISCARD;
/* A committed update whose device came back without a Hello: it says that it runs what it ran. Its
 * word counts once the time is over in which it may still be about to restart; then it is asked. */
void update_await_word(struct app_tx *tx, const struct device *device, const struct update *open,
                       struct app_plan *plan);

/* The plan of a device whose row was just read. Saves what the device is told. */
int plan_device(struct app_tx *tx, struct device *device, enum update_cause cause,
                struct app_plan *plan) SW_NODISCARD;
/* Opens an update to an image, in place of an open one that can be recalled. SW_E_STATE when it
 * cannot. */
struct plan_target {
    struct image_record image;
    uint16_t version;
    enum update_cause cause;
    const char *rule;
    const char *by;
};
int plan_open(struct app_tx *tx, const struct device *device, const struct plan_target *target,
              struct update *out) SW_NODISCARD;
/* The same questions without changing anything, for readers. */
int plan_explain(struct app_tx *tx, const struct device *device, const struct facts *facts,
                 const struct update *open, struct obstacle *out) SW_NODISCARD;

/* After an operator's change: connected devices that an urgent target follows from are looked at
 * now, the others at their next session. */
int plan_notice(struct app_tx *tx, const struct device *device) SW_NODISCARD;

/* What a crash left in transit is due again. */
int app_updates_recover(struct app_tx *tx) SW_NODISCARD;

/* device/vitals.c: keeps what a device said about its health, and tells it as an event. */
int vitals_record(struct app_tx *tx, const struct device *device, struct span bytes) SW_NODISCARD;

#endif
