/* From the rules to the one open update, and from there to an offer. Each call looks at everything
 * anew, so it does not matter why it was called or what was lost in between: the same facts lead to
 * the same plan.
 *
 *   rules ─> target ─> open / supersede / cancel the update ─> attempts, fit, Device OS
 *         ─> does the device let us? ─> offer */
#include "app/update/plan.h"

#include "slipway/store/catalog.h"
#include "slipway/store/fleet.h"
#include "slipway/store/update.h"
#include "slipway/util/check.h"

#include "app/internal.h"

#include <stdio.h>
#include <string.h>

#define ASK_AGAIN_MS 20000 /* a device that was asked for its Describe and did not tell it */

static bool in_transit(const struct update *update) {
    return update->state == UPDATE_OFFERED || update->state == UPDATE_SENDING ||
           update->state == UPDATE_VERIFYING;
}

/* The update that is open, if any: out->id is 0 without one. */
static int read_open(struct app_tx *tx, const struct device *device, struct update *out) {
    int code = store_update_open(tx->store, device->num, out, tx->fault);
    if (code == SW_E_NOT_FOUND) {
        out->id = 0;
        return SW_OK;
    }
    return code;
}

/* What the rules, or an operator's flash, want the device to run. */
struct want {
    bool is_any;
    bool has_image;
    struct plan_target target;
    struct obstacle obstacle; /* in the way of wanting anything */
};

static int read_want(struct app_tx *tx, const struct device *device, const struct facts *facts,
                     const struct update *open, struct want *out) {
    *out = (struct want){.is_any = false};
    int code = SW_OK;
    if (open->id != 0 && open->cause == UPDATE_CAUSE_FLASH && !device->is_denied) {
        out->is_any = true;
        out->target.version = open->version;
        out->target.cause = UPDATE_CAUSE_FLASH;
        code = store_image_get(tx->store, open->image_id, &out->target.image, tx->fault);
    } else if (facts->decision.is_change) {
        struct firmware firmware;
        out->is_any = true;
        out->target.version = facts->decision.target_version;
        out->target.rule = rule_name(facts->decision.rule);
        code = store_firmware_get(tx->store, device->product_id, out->target.version, &firmware,
                                  tx->fault);
        if (code == SW_OK) {
            out->target.image = firmware.image;
        }
    } else if (device->is_safe_mode && !device->is_denied && !device->development) {
        /* It has what it should, if that is said at all, and cannot run it. */
        out->target.rule = "safe_mode";
        code = step_repair(tx, device, &out->target.image, &out->is_any, &out->obstacle);
    } else if (facts->decision.target_version != 0) {
        /* It runs what it should, and may have lost a file that goes with it. */
        out->target.version = facts->decision.target_version;
        out->target.rule = rule_name(facts->decision.rule);
        code = assets_repair(tx, device, out->target.version, &out->target.image, &out->is_any);
    }
    out->has_image = out->is_any && code == SW_OK;
    return code == SW_E_NOT_FOUND ? SW_OK : code;
}

/* Why nothing is wanted. */
static void explain_nothing(const struct facts *facts, const struct want *want,
                            struct obstacle *out) {
    const struct decision *decision = &facts->decision;
    if (want->obstacle.word[0] != '\0') {
        *out = want->obstacle;
        return;
    }
    switch (decision->rule) {
    case RULE_QUARANTINED:
        obstacle_set(out, "denied", "The device is denied: it gets nothing at all");
        return;
    case RULE_DEVELOPMENT:
        obstacle_set(out, "development", "A development device gets no automatic updates");
        return;
    case RULE_NONE:
        obstacle_set(out, "no_release", "Nothing is released to the device");
        return;
    case RULE_LOCKED:
    case RULE_GROUP:
    case RULE_PRODUCT_DEFAULT:
    case RULE_COUNT:
        break;
    }
    obstacle_set(out, "up_to_date", "The device runs version %u, which is its target",
                 (unsigned)facts->rule.running_version);
}

int plan_open(struct app_tx *tx, const struct device *device, const struct plan_target *target,
              struct update *out) {
    struct update open;
    int code = read_open(tx, device, &open);
    if (code == SW_OK && open.id != 0) {
        if (open.state == UPDATE_REBOOTING) {
            return SW_E_STATE;
        }
        code = update_step_to(tx, &open, UPDATE_SUPERSEDED, "new_target");
    }
    if (code != SW_OK) {
        return code;
    }
    *out = (struct update){.device = device->id,
                           .device_num = device->num,
                           .product_id = device->product_id,
                           .image_id = target->image.id,
                           .version = target->version,
                           .from_version = device->running_version,
                           .cause = target->cause,
                           .attempt = 1,
                           .total_bytes = target->image.size,
                           .created_ms = tx->now.ms};
    (void)snprintf(out->rule, sizeof out->rule, "%s", target->rule);
    (void)snprintf(out->requested_by, sizeof out->requested_by, "%s",
                   target->by != NULL ? target->by : "");
    struct store_attempt attempt;
    code = store_attempt_get(tx->store, device->num, target->image.id, &attempt, tx->fault);
    if (code == SW_OK) {
        out->attempt = attempt.failures + 1;
    }
    return code == SW_OK || code == SW_E_NOT_FOUND ? store_update_insert(tx->store, out, tx->fault)
                                                   : code;
}

/* Tells the device whether an update waits for it, once for each change and each new session. */
static int tell_pending(struct app_tx *tx, struct device *device, bool pending,
                        struct app_plan *plan) {
    if (device->pending_told == (pending ? 1 : 0)) {
        return SW_OK;
    }
    plan->pending = pending ? APP_TELL_TRUE : APP_TELL_FALSE;
    device->pending_told = pending ? 1 : 0;
    int code = store_device_save_told(tx->store, device, tx->fault);
    if (code == SW_OK) {
        code = app_append(tx, device->product_id, device, "particle/device/updates/pending",
                          pending ? "true" : "false", NULL);
    }
    return code;
}

static void put_obstacle(struct app_plan *plan, const struct obstacle *obstacle) {
    memcpy(plan->blocked_by, obstacle->word, sizeof plan->blocked_by);
    memcpy(plan->sentence, obstacle->sentence, sizeof plan->sentence);
    plan->retry_ms = obstacle->retry_ms;
}

/* Nothing is wanted, or nothing can be done: the open update goes. */
static int withdraw(struct app_tx *tx, struct update *open, const char *reason) {
    if (open->id == 0) {
        return SW_OK;
    }
    enum update_state to = open->cause == UPDATE_CAUSE_FLASH && strcmp(reason, "denied") != 0
                               ? UPDATE_FAILED
                               : UPDATE_CANCELLED;
    return update_step_to(tx, open, to, reason);
}

static bool device_allows(const struct device *device) {
    return device->updates_enabled || device->updates_forced_echo;
}

/* The update is open and can be sent: if the device lets us. */
static int offer(struct app_tx *tx, struct device *device, struct update *open,
                 const struct image_record *step, struct app_plan *plan) {
    struct obstacle obstacle = {.word = ""};
    int code = SW_OK;
    if (open->step_image_id != step->id) {
        code = store_update_step(tx->store, open->id, step, tx->now.ms, tx->fault);
    }
    if (code != SW_OK) {
        return code;
    }
    if (!device_allows(device)) {
        if (device->updates_forced) {
            obstacle_set(&obstacle, "waiting_for_force",
                         "The device disabled updates; it was told that an operator forces them");
            plan->forced = APP_TELL_TRUE;
        } else {
            obstacle_set(&obstacle, "updates_disabled",
                         "The device disabled updates; it was told that one is pending");
        }
        put_obstacle(plan, &obstacle);
        if (open->state == UPDATE_PLANNED && !device->updates_forced) {
            code = update_step_to(tx, open, UPDATE_DEFERRED, "updates_disabled");
        }
        return code == SW_OK ? tell_pending(tx, device, true, plan) : code;
    }
    if (open->state == UPDATE_DEFERRED) {
        code = update_step_to(tx, open, UPDATE_PLANNED, "updates_enabled");
    }
    plan->has_offer = true;
    plan->offer = (struct app_offer){.update_id = open->id,
                                     .image_id = step->id,
                                     .version = open->version,
                                     .size = step->size,
                                     .file_hash = step->file_hash,
                                     .discard = open->discard,
                                     .is_asset = step->function == MODULE_ASSET};
    return code;
}

/* A gradual release waits for a session's start; what was begun then, or is urgent, does not. */
static bool is_called_for(const struct facts *facts, bool is_begun, enum update_cause cause) {
    return cause != UPDATE_CAUSE_IMMEDIATE || facts->decision.immediate || is_begun;
}

/* There is a target other than what the device runs. */
static int pursue(struct app_tx *tx, struct device *device, const struct facts *facts,
                  struct update *open, struct want *want, enum update_cause cause,
                  struct app_plan *plan) {
    struct obstacle obstacle = {.word = ""};
    struct image_record step;
    uint32_t failures = 0;
    int code = SW_OK;
    if (!want->has_image) {
        obstacle_set(&obstacle, "image_missing", "The firmware of version %u is not there any more",
                     (unsigned)want->target.version);
    } else {
        plan->due_image = want->target.image.id;
        code = attempt_check(tx, device, &want->target.image, &failures, &obstacle);
        if (code == SW_OK && obstacle.word[0] == '\0') {
            code = step_choose(tx, device, &want->target.image, open, &step, &obstacle);
        }
    }
    if (code != SW_OK) {
        return code;
    }
    if (obstacle.word[0] != '\0') {
        put_obstacle(plan, &obstacle);
        code = withdraw(tx, open, obstacle.word);
        return code == SW_OK ? tell_pending(tx, device, false, plan) : code;
    }
    plan->due_image = step.id;
    bool is_begun = open->id != 0 && open->image_id == want->target.image.id;
    if (is_begun && in_transit(open)) {
        obstacle_set(&obstacle, "in_progress", "The update is being sent");
        put_obstacle(plan, &obstacle);
        return SW_OK;
    }
    if (!is_called_for(facts, is_begun, cause)) {
        obstacle_set(&obstacle, "next_session",
                     "The release is gradual: it comes with the device's next session");
        put_obstacle(plan, &obstacle);
        return SW_OK;
    }
    if (!is_begun) {
        want->target.cause =
            cause == UPDATE_CAUSE_RULES ? UPDATE_CAUSE_RULES : UPDATE_CAUSE_IMMEDIATE;
        code = plan_open(tx, device, &want->target, open);
    } else if (cause == UPDATE_CAUSE_IMMEDIATE && open->cause == UPDATE_CAUSE_RULES) {
        open->cause = UPDATE_CAUSE_IMMEDIATE;
        code = store_update_cause(tx->store, open->id, open->cause, tx->fault);
    }
    return code == SW_OK ? offer(tx, device, open, &step, plan) : code;
}

/* A device tells its modules anew when one of them has changed; assets are none. After a restart
 * that changed nothing else it resumes its session, and has to be asked: at once, because only a
 * yes is a verdict before the time is over in which it may still be about to restart. */
static int ask_for_assets(struct app_tx *tx, const struct device *device, const struct update *open,
                          struct app_plan *plan) {
    struct image_record image;
    struct asset_set assets = {.items = NULL};
    bool is_back = app_is_later(tx, device->handshake_ms, device->hello_ms) &&
                   !app_is_later(tx, open->updated_ms, device->handshake_ms);
    if (!is_back || open->image_id == 0) {
        return SW_OK;
    }
    int code = store_image_get(tx->store, open->image_id, &image, tx->fault);
    if (code == SW_OK) {
        code = assets_read(tx, &image, &assets);
    }
    if (code == SW_OK && (assets.count > 0 || image.function == MODULE_ASSET)) {
        plan->wants_describe = true;
        plan->retry_ms = tx->now.ms + ASK_AGAIN_MS;
    }
    assets_free(&assets);
    return code == SW_E_NOT_FOUND ? SW_OK : code;
}

int plan_device(struct app_tx *tx, struct device *device, enum update_cause cause,
                struct app_plan *plan) {
    *plan = (struct app_plan){.verdict = APP_VERDICT_KNOWN, .product_id = device->product_id};
    if (device->is_denied) {
        plan->verdict = APP_VERDICT_DENIED;
    }
    struct update open;
    struct facts facts;
    struct want want;
    int code = read_open(tx, device, &open);
    if (code == SW_OK && open.id != 0 && open.state == UPDATE_REBOOTING) {
        /* Past recall: its outcome is awaited, whatever the rules say by now. */
        struct obstacle obstacle = {.word = ""};
        obstacle_set(&obstacle, "rebooting", "The device is applying an update");
        put_obstacle(plan, &obstacle);
        plan->has_looked = true;
        plan->open_update = open.id;
        update_await_word(tx, device, &open, plan);
        return ask_for_assets(tx, device, &open, plan);
    }
    if (code != SW_OK || (code = facts_read(tx, device, &facts)) != SW_OK) {
        return code;
    }
    code = read_want(tx, device, &facts, &open, &want);
    if (code == SW_OK && want.is_any) {
        code = pursue(tx, device, &facts, &open, &want, cause, plan);
    } else if (code == SW_OK) {
        struct obstacle obstacle = {.word = ""};
        explain_nothing(&facts, &want, &obstacle);
        put_obstacle(plan, &obstacle);
        /* What was begun may have run over the device's assets, of which it tells nobody. */
        plan->wants_describe = open.id != 0;
        code = withdraw(tx, &open, obstacle.word);
        if (code == SW_OK) {
            code = tell_pending(tx, device, false, plan);
        }
    }
    facts_free(&facts);
    plan->has_looked = code == SW_OK;
    plan->open_update = open.id != 0 && update_state_is_open(open.state) ? open.id : 0;
    /* The wish to force ends with the session that honoured it. */
    if (code == SW_OK && !device->updates_forced && device->updates_forced_echo) {
        plan->forced = APP_TELL_FALSE;
    }
    return code;
}

int plan_notice(struct app_tx *tx, const struct device *device) {
    struct update open;
    struct facts facts;
    if (!device->is_online) {
        return SW_OK;
    }
    int code = facts_read(tx, device, &facts);
    if (code == SW_OK) {
        code = read_open(tx, device, &open);
        bool is_urgent = facts.decision.is_change && facts.decision.immediate;
        /* An open update may have lost its reason: it must not be sent any longer. */
        if (code == SW_OK && (is_urgent || open.id != 0)) {
            code = app_tell_device(tx, APP_NOTICE_DEVICE, &device->id, device->product_id);
        }
        facts_free(&facts);
    }
    return code;
}

int plan_explain(struct app_tx *tx, const struct device *device, const struct facts *facts,
                 const struct update *open, struct obstacle *out) {
    *out = (struct obstacle){.word = ""};
    if (open->id != 0 && open->state == UPDATE_REBOOTING) {
        obstacle_set(out, "rebooting", "The device is applying an update");
        return SW_OK;
    }
    struct want want;
    struct image_record step;
    uint32_t failures;
    int code = read_want(tx, device, facts, open, &want);
    if (code != SW_OK) {
        return code;
    }
    if (!want.is_any) {
        explain_nothing(facts, &want, out);
        /* Where it should be is where it is: nothing is blocked. */
        bool is_there = facts->decision.target_version != 0 || facts->decision.rule == RULE_NONE;
        if (is_there && want.obstacle.word[0] == '\0') {
            *out = (struct obstacle){.word = ""};
        }
        return SW_OK;
    }
    if (!want.has_image) {
        obstacle_set(out, "image_missing", "The firmware of version %u is not there any more",
                     (unsigned)want.target.version);
        return SW_OK;
    }
    code = attempt_check(tx, device, &want.target.image, &failures, out);
    if (code == SW_OK && out->word[0] == '\0') {
        code = step_choose(tx, device, &want.target.image, open, &step, out);
    }
    if (code != SW_OK || out->word[0] != '\0') {
        return code;
    }
    if (open->id != 0 && in_transit(open)) {
        return SW_OK; /* on its way: nothing blocks it */
    }
    if (!device->is_online) {
        obstacle_set(out, "offline", "The device is not connected");
    } else if (!device_allows(device)) {
        obstacle_set(out, device->updates_forced ? "waiting_for_force" : "updates_disabled",
                     "The device disabled updates");
    } else if (open->id == 0) {
        obstacle_set(out, "next_session",
                     "The release is gradual: it comes with the device's next session");
    }
    return SW_OK;
}
