/* How an update goes on: the transfer's steps, its end without a commit, and the judgement by what
 * the device reports afterwards. Every step is conditional on the state that it was decided in, and
 * leaves its history and its event in the same transaction. */
#include "slipway/store/catalog.h"
#include "slipway/store/fleet.h"
#include "slipway/store/update.h"
#include "slipway/util/check.h"

#include "app/internal.h"
#include "app/update/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Device errors (system_error.h of Device OS) that mean something here. */
#define DEVICE_TOO_LARGE     (-190)
#define DEVICE_UNSUPPORTED   (-1310)
#define DEVICE_INTEGRITY     (-1330)
#define DEVICE_RESUME_BROKEN (-1331)
#define DEVICE_ADDRESS       (-1350)
#define DEVICE_SIZE          (-1351)
#define DEVICE_PLATFORM      (-1360)
#define DEVICE_FORMAT        (-1370)

static int read_device(struct app_tx *tx, const struct update *update, struct device *out) {
    return store_device_by_num(tx->store, update->device_num, out, tx->fault);
}

/* The events that clients follow, as the dialect samples them: with their trailing space. */
static int announce(struct app_tx *tx, const struct update *update, enum update_state to) {
    const char *name = "spark/flash/status";
    const char *data = NULL;
    const char *by = update->cause == UPDATE_CAUSE_FLASH ? update->requested_by : "";
    if (to == UPDATE_OFFERED && update->cause != UPDATE_CAUSE_FLASH &&
        update->state == UPDATE_PLANNED) {
        name = "spark/status";
        data = "auto-update";
    } else if (to == UPDATE_SENDING && update->state == UPDATE_OFFERED) {
        data = "started ";
    } else if (to == UPDATE_REBOOTING) {
        data = "success ";
    } else if (to == UPDATE_FAILED) {
        data = "failed ";
    }
    if (data == NULL) {
        return SW_OK;
    }
    struct device device;
    int code = read_device(tx, update, &device);
    return code == SW_OK ? app_append(tx, update->product_id, &device, name, data, by) : code;
}

/* A device in safe mode is being repaired: with what. */
static int announce_repair(struct app_tx *tx, const struct update *update) {
    struct device device;
    struct image_record image;
    char module[EVENT_DATA_BYTES];
    int64_t image_id = update->step_image_id != 0 ? update->step_image_id : update->image_id;
    int code = read_device(tx, update, &device);
    if (code != SW_OK || !device.is_safe_mode) {
        return code;
    }
    code = store_image_get(tx->store, image_id, &image, tx->fault);
    if (code != SW_OK) {
        return code == SW_E_NOT_FOUND ? SW_OK : code;
    }
    describe_module(&image, module, sizeof module);
    return app_append(tx, update->product_id, &device, "spark/safe-mode-updater/updating", module,
                      NULL);
}

struct step {
    enum update_state to;
    const char *reason;
    int32_t device_error;
    uint32_t progress;
};

static int take_step(struct app_tx *tx, struct update *update, const struct step *step) {
    SW_CHECK(update_state_allows(update->state, step->to));
    bool is_broken =
        step->device_error == DEVICE_INTEGRITY || step->device_error == DEVICE_RESUME_BROKEN;
    bool is_waiting = step->to == UPDATE_REBOOTING;
    struct store_move move = {
        .id = update->id,
        .from = update->state,
        .to = step->to,
        .reason = step->reason != NULL ? step->reason : "",
        .device_error = step->device_error,
        .progress_bytes = step->progress,
        .deadline_ms = is_waiting ? tx->now.ms + tx->app->options.reboot_timeout_ms : 0,
        .discard = is_broken || (update->discard && step->to != UPDATE_REBOOTING),
        .now_ms = tx->now.ms};
    int code = store_update_move(tx->store, &move, tx->fault);
    if (code == SW_OK) {
        code = announce(tx, update, step->to);
    }
    if (code == SW_OK && step->to == UPDATE_SENDING) {
        code = announce_repair(tx, update);
    }
    if (code == SW_OK) {
        update->state = step->to;
        update->progress_bytes = step->progress;
        update->discard = move.discard;
        update->device_error = step->device_error;
        (void)snprintf(update->reason, sizeof update->reason, "%s", move.reason);
    }
    return code;
}

int update_step_to(struct app_tx *tx, struct update *update, enum update_state to,
                   const char *reason) {
    struct step step = {.to = to, .reason = reason, .progress = update->progress_bytes};
    return take_step(tx, update, &step);
}

int64_t attempt_pause_ms(const struct app *app, uint32_t failures) {
    int64_t pause_ms = app->options.retry_ms;
    for (uint32_t i = 1; i < failures && i < 7; i++) {
        pause_ms *= 5;
    }
    return pause_ms;
}

/* One more failure of this device with this image; the next try comes later each time. */
static int count_failure(struct app_tx *tx, const struct update *update, const char *reason) {
    struct store_attempt attempt = {.failures = 0};
    if (update->image_id == 0) {
        return SW_OK;
    }
    int code =
        store_attempt_get(tx->store, update->device_num, update->image_id, &attempt, tx->fault);
    if (code != SW_OK && code != SW_E_NOT_FOUND) {
        return code;
    }
    attempt.failures++;
    attempt.next_ms = tx->now.ms + attempt_pause_ms(tx->app, attempt.failures);
    (void)snprintf(attempt.reason, sizeof attempt.reason, "%s", reason);
    return store_attempt_put(tx->store, update->device_num, update->image_id, &attempt, tx->fault);
}

/* What no repetition helps: the device will not take this image. */
static bool is_permanent(int32_t device_error) {
    return device_error == DEVICE_UNSUPPORTED || device_error == DEVICE_ADDRESS ||
           device_error == DEVICE_SIZE || device_error == DEVICE_PLATFORM ||
           device_error == DEVICE_FORMAT || device_error == DEVICE_TOO_LARGE;
}

static int fail(struct app_tx *tx, struct update *update, const struct step *step) {
    int code = count_failure(tx, update, step->reason);
    for (uint32_t i = 1;
         code == SW_OK && is_permanent(step->device_error) && i < tx->app->options.attempts_max;
         i++) {
        code = count_failure(tx, update, step->reason);
    }
    return code == SW_OK ? take_step(tx, update, step) : code;
}

int update_fail(struct app_tx *tx, struct update *update, const char *reason,
                int32_t device_error) {
    struct step step = {.to = UPDATE_FAILED,
                        .reason = reason,
                        .device_error = device_error,
                        .progress = update->progress_bytes};
    return fail(tx, update, &step);
}

/* The device has begun, and with that taken back what it was told of one that is pending. */
static int forget_pending(struct app_tx *tx, const struct update *update) {
    struct device device;
    int code = read_device(tx, update, &device);
    if (code != SW_OK || device.pending_told != 1) {
        return code;
    }
    device.pending_told = 0;
    return store_device_save_told(tx->store, &device, tx->fault);
}

int app_update_move(struct app_tx *tx, const struct app_move *move) {
    struct update update;
    int code = store_update_get(tx->store, move->update_id, &update, tx->fault);
    if (code == SW_E_NOT_FOUND || (code == SW_OK && update.state != move->from)) {
        return SW_E_CONFLICT;
    }
    if (code != SW_OK) {
        return code;
    }
    if (!update_state_allows(move->from, move->to)) {
        return SW_E_STATE;
    }
    struct step step = {.to = move->to,
                        .reason = move->reason,
                        .device_error = move->device_error,
                        .progress = move->progress};
    code = take_step(tx, &update, &step);
    return code == SW_OK && move->to == UPDATE_SENDING ? forget_pending(tx, &update) : code;
}

int app_update_progress(struct app_tx *tx, int64_t update_id, uint32_t progress) {
    int code = store_update_progress(tx->store, update_id, progress, tx->now.ms, tx->fault);
    return code == SW_E_NOT_FOUND ? SW_E_CONFLICT : code;
}

static bool is_transfer(enum update_state state) {
    return state == UPDATE_OFFERED || state == UPDATE_SENDING || state == UPDATE_VERIFYING;
}

/* Where a transfer that ended leaves its update. */
static enum update_state end_of(enum ota_failure failure, const struct update *update,
                                int32_t device_error) {
    switch (failure) {
    case OTA_FAILURE_NONE:
    case OTA_FAILURE_TIMEOUT:   /* it went out of reach */
    case OTA_FAILURE_CANCELLED: /* by us */
    case OTA_FAILURE_RESTARTED: /* it came back in mid-transfer, and resumes */
        return UPDATE_PLANNED;
    case OTA_FAILURE_DISABLED:
        return update->state == UPDATE_VERIFYING ? UPDATE_PLANNED : UPDATE_DEFERRED;
    case OTA_FAILURE_REFUSED:
        return device_error == OTA_ERROR_DISABLED && update->state != UPDATE_VERIFYING
                   ? UPDATE_DEFERRED
                   : UPDATE_FAILED;
    case OTA_FAILURE_REJECTED:
    case OTA_FAILURE_RESET:
    case OTA_FAILURE_PROTOCOL:
    case OTA_FAILURES:
        break;
    }
    return UPDATE_FAILED;
}

int app_update_ended(struct app_tx *tx, int64_t update_id, enum ota_failure failure,
                     int32_t device_error, uint32_t progress, struct app_plan *plan) {
    *plan = (struct app_plan){.verdict = APP_VERDICT_KNOWN};
    struct update update;
    int code = store_update_get(tx->store, update_id, &update, tx->fault);
    if (code == SW_E_NOT_FOUND || (code == SW_OK && !is_transfer(update.state))) {
        return SW_E_CONFLICT;
    }
    struct device device;
    if (code == SW_OK) {
        code = read_device(tx, &update, &device);
    }
    if (code != SW_OK) {
        return code;
    }
    struct step step = {.to = end_of(failure, &update, device_error),
                        .reason = failure == OTA_FAILURE_REFUSED && device_error == DEVICE_TOO_LARGE
                                      ? "too_large"
                                      : ota_failure_name(failure),
                        .device_error = device_error,
                        .progress = progress};
    if (step.to == UPDATE_DEFERRED && device.updates_enabled) {
        /* It knows best: its word that they are enabled was overtaken. */
        device.updates_enabled = false;
        device.updates_forced_echo = false;
        code = store_device_save_told(tx->store, &device, tx->fault);
    }
    if (code == SW_OK) {
        code = step.to == UPDATE_FAILED ? fail(tx, &update, &step) : take_step(tx, &update, &step);
    }
    return code == SW_OK ? plan_device(tx, &device, UPDATE_CAUSE_RULES, plan) : code;
}

int app_updates_expire(struct app_tx *tx, uint32_t *count) {
    struct update *items = NULL;
    size_t found = 0;
    *count = 0;
    /* One that lies further ahead was set before the clock was set back. */
    int code = store_update_limit_deadlines(
        tx->store, tx->now.ms + tx->app->options.reboot_timeout_ms, tx->fault);
    if (code == SW_OK) {
        code = store_update_expired(tx->store, tx->now.ms, &items, &found, tx->fault);
    }
    for (size_t i = 0; code == SW_OK && i < found; i++) {
        code = update_fail(tx, &items[i], "not_heard_again", 0);
        *count += code == SW_OK;
    }
    free(items);
    return code;
}

#define PRUNE_LOOKS 2000U /* rows at a time: others wait for the disk meanwhile */

int app_updates_prune(struct app_tx *tx, uint32_t *count) {
    const struct app_options *options = &tx->app->options;
    const struct store_update_prune limits = {.rows_max = options->updates_max,
                                              .before_ms = tx->now.ms - options->updates_age_ms,
                                              .device_keep = options->updates_keep,
                                              .look_max = PRUNE_LOOKS};
    return store_update_prune(tx->store, &limits, &tx->app->prune_cursor, count, tx->fault);
}

/* A committed update goes back too: whether the device was told before the crash is not known, and
 * one that was not told waits for ever. If it did apply it, its next report says so. */
int app_updates_recover(struct app_tx *tx) {
    struct update *items = NULL;
    size_t count = 0;
    int code = store_update_in_transit(tx->store, &items, &count, tx->fault);
    for (size_t i = 0; code == SW_OK && i < count; i++) {
        code = update_step_to(tx, &items[i], UPDATE_PLANNED, "server_restarted");
    }
    free(items);
    return code;
}

int update_interrupt(struct app_tx *tx, const struct device *device) {
    struct update open;
    int code = store_update_open(tx->store, device->num, &open, tx->fault);
    if (code != SW_OK) {
        return code == SW_E_NOT_FOUND ? SW_OK : code;
    }
    return is_transfer(open.state) ? update_step_to(tx, &open, UPDATE_PLANNED, "session_started")
                                   : SW_OK;
}

bool update_is_graceful(const struct app_tx *tx, const struct update *open) {
    int64_t age_ms = tx->now.ms - open->updated_ms;
    return age_ms < RESET_GRACE_MS && age_ms > -RESET_GRACE_MS; /* else the clock was set back */
}

void update_await_word(struct app_tx *tx, const struct device *device, const struct update *open,
                       struct app_plan *plan) {
    /* Without a session that began since then it has not restarted yet: its application may put
     * that off. With a Hello, the Hello and the Describe that follows it decide. */
    if (!app_is_later(tx, device->handshake_ms, open->updated_ms) ||
        app_is_later(tx, device->hello_ms, open->updated_ms)) {
        return;
    }
    plan->wants_describe = !update_is_graceful(tx, open) && device->is_online;
    plan->retry_ms =
        (update_is_graceful(tx, open) ? open->updated_ms : tx->now.ms) + RESET_GRACE_MS;
}

/* --- judgement --- */

/* A Hello tells the version of an application that its device cannot run, too. */
static bool can_run(const struct device *device, const struct image_record *image) {
    for (size_t i = 0; i < image->dependency_count && device->system_version != 0; i++) {
        const struct module_dependency *need = &image->dependencies[i];
        if (need->function == MODULE_SYSTEM_PART && need->index == 1 &&
            need->version > device->system_version) {
            return false;
        }
    }
    return true;
}

/* The target itself runs. */
static bool runs_target(const struct device *device, const struct update *update,
                        const struct image_record *image) {
    if (!can_run(device, image)) {
        return false;
    }
    if (image->function == MODULE_ASSET) {
        return false; /* an asset is stored, it does not run: see judge_step */
    }
    if (device->has_app_hash &&
        memcmp(device->app_hash.b, image->module_hash.b, sizeof image->module_hash.b) == 0) {
        return true;
    }
    return update->version != 0 && device->running_version == update->version;
}

static bool has_part(const struct device *device, const struct evidence *evidence,
                     const struct image_record *part) {
    if (part->function == MODULE_SYSTEM_PART && part->index == 1 &&
        device->system_version >= part->module_version) {
        return true;
    }
    const struct module_state *module =
        evidence->describe != NULL && evidence->describe->has
            ? module_states_find(&evidence->describe->modules, part->function, part->index)
            : NULL;
    return module != NULL && module->version >= part->module_version;
}

/* A Describe without a Hello before it, and before a restart has had its time: a device that only
 * moved to another address may repeat what it said before it committed. It is asked later. */
static bool is_doubtful(const struct app_tx *tx, const struct device *device,
                        const struct evidence *evidence, const struct update *open) {
    return evidence->describe != NULL && app_is_later(tx, open->updated_ms, device->hello_ms) &&
           update_is_graceful(tx, open);
}

/* A Device OS part was sent: if it is there, the update goes on with the next one. */
static int judge_part(struct app_tx *tx, const struct device *device,
                      const struct evidence *evidence, struct update *open,
                      const struct image_record *part) {
    if (has_part(device, evidence, part)) {
        return update_step_to(tx, open, UPDATE_PLANNED, "part_installed");
    }
    bool is_verdict = !evidence->is_hello && !is_doubtful(tx, device, evidence, open);
    return is_verdict ? update_fail(tx, open, "rolled_back", 0) : SW_OK;
}

/* The device came back after a commit and does not run the target. */
static int judge_return(struct app_tx *tx, const struct device *device,
                        const struct evidence *evidence, struct update *open,
                        const struct image_record *image) {
    const struct module_state *user = NULL;
    if (is_doubtful(tx, device, evidence, open)) {
        return SW_OK;
    }
    for (size_t i = 0; evidence->describe != NULL && i < evidence->describe->modules.count; i++) {
        const struct module_state *module = &evidence->describe->modules.items[i];
        if (module->function == MODULE_USER_PART && module->store == 0) {
            user = module;
        }
    }
    bool is_there = user != NULL && user->has_hash &&
                    memcmp(user->hash, image->module_hash.b, sizeof image->module_hash.b) == 0;
    if (is_there || device->is_safe_mode) {
        return update_fail(tx, open, "missing_dependency", 0);
    }
    if (evidence->is_hello) {
        /* A Describe follows a Hello that changed; only the old version is a verdict by itself. */
        bool is_old = open->from_version != 0 && device->running_version == open->from_version;
        return is_old ? update_fail(tx, open, "rolled_back", 0) : SW_OK;
    }
    return update_fail(tx, open, "rolled_back", 0);
}

/* The target runs, or not, and the device did or did not say which assets it has. true: nothing
 * else is to be judged. */
static bool judge_assets(struct app_tx *tx, const struct device *device,
                         const struct evidence *evidence, struct asset_judgement *judged,
                         int *code) {
    bool is_told = evidence->describe != NULL && evidence->describe->has;
    bool is_awaited = judged->open->state == UPDATE_REBOOTING;
    bool is_asset =
        assets_place(judged->assets, judged->open->step_image_id) < judged->assets->count;
    judged->runs = runs_target(device, judged->open, judged->image);
    judged->described = evidence->describe;
    if (judged->assets->count == 0 || (!judged->runs && !(is_awaited && is_asset))) {
        return false;
    }
    if (!is_told) {
        return true; /* a Describe follows, or is asked for */
    }
    bool is_whole = judged->runs &&
                    assets_missing(judged->assets, judged->described, 0) == judged->assets->count;
    if (is_whole) {
        return false;
    }
    *code = is_awaited ? assets_judge(tx, judged) : SW_OK;
    return true;
}

/* A lone part or asset was flashed: the device came back, and says whether it has it. */
static int judge_lone(struct app_tx *tx, const struct device *device,
                      const struct evidence *evidence, struct update *open,
                      const struct image_record *image) {
    bool is_asset = image->function == MODULE_ASSET;
    bool is_told = evidence->describe != NULL && evidence->describe->has;
    bool is_done = is_asset ? is_told && describe_has_asset(evidence->describe, &image->module_hash)
                            : has_part(device, evidence, image);
    if (is_done) {
        return update_step_to(tx, open, UPDATE_SUCCEEDED, "");
    }
    bool is_early = is_asset && update_is_graceful(tx, open);
    if (evidence->is_hello || (is_asset && !is_told) || is_early) {
        return SW_OK;
    }
    return update_fail(tx, open, is_asset ? "not_stored" : "rolled_back", 0);
}

/* What a report says of the update, its image at hand. */
static int judge(struct app_tx *tx, const struct device *device, const struct evidence *evidence,
                 struct asset_judgement *judged) {
    struct update *open = judged->open;
    const struct image_record *image = judged->image;
    bool is_user_part = image->function == MODULE_USER_PART || image->function == MODULE_MONOLITHIC;
    int code = SW_OK;
    if (is_transfer(open->state) && !evidence->is_hello) {
        return SW_OK; /* what it says in mid-transfer was true before */
    }
    if (judge_assets(tx, device, evidence, judged, &code)) {
        return code;
    }
    if (is_user_part && !device->is_safe_mode && runs_target(device, open, image)) {
        bool is_awaited = open->state == UPDATE_REBOOTING;
        code = update_step_to(tx, open, UPDATE_SUCCEEDED, is_awaited ? "" : "already_running");
        return code == SW_OK ? store_attempt_clear_device(tx->store, device->num, tx->fault) : code;
    }
    if (open->state != UPDATE_REBOOTING) {
        return SW_OK;
    }
    /* A device that only moved to another address looks the same: not against it, unless it says
     * so itself. */
    if (evidence->is_silent && strcmp(device->last_reset, "update_error") != 0) {
        return SW_OK;
    }
    if (open->step_image_id != open->image_id && open->step_image_id != 0) {
        struct image_record part;
        code = store_image_get(tx->store, open->step_image_id, &part, tx->fault);
        return code == SW_OK ? judge_part(tx, device, evidence, open, &part) : code;
    }
    return is_user_part ? judge_return(tx, device, evidence, open, image)
                        : judge_lone(tx, device, evidence, open, image);
}

int update_judge(struct app_tx *tx, const struct device *device, const struct evidence *evidence) {
    struct update open;
    struct image_record image;
    struct asset_set assets = {.items = NULL};
    int code = store_update_open(tx->store, device->num, &open, tx->fault);
    if (code == SW_OK) {
        code = open.image_id != 0 ? store_image_get(tx->store, open.image_id, &image, tx->fault)
                                  : SW_E_NOT_FOUND;
    }
    if (code == SW_OK) {
        code = assets_read(tx, &image, &assets);
    }
    if (code != SW_OK) {
        return code == SW_E_NOT_FOUND ? SW_OK : code; /* the next plan ends it */
    }
    /* A report that was under way when the device committed, and came late or again, tells of the
     * time before: only a session that began since then is a verdict. Where assets are awaited it
     * may be a resumed one. */
    bool is_late = evidence->describe != NULL && !update_is_graceful(tx, &open);
    bool may_resume =
        evidence->is_silent || is_late || assets.count > 0 || image.function == MODULE_ASSET;
    int64_t since_ms = may_resume ? device->handshake_ms : device->hello_ms;
    if (open.state != UPDATE_REBOOTING || !app_is_later(tx, open.updated_ms, since_ms)) {
        struct asset_judgement judged = {.open = &open, .image = &image, .assets = &assets};
        code = judge(tx, device, evidence, &judged);
    }
    assets_free(&assets);
    return code;
}
