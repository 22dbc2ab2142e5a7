#include "slipway/app/query.h"

#include "slipway/store/catalog.h"
#include "slipway/store/fleet.h"
#include "slipway/store/update.h"
#include "slipway/util/check.h"

#include "app/internal.h"
#include "app/update/plan.h"

#include <stdlib.h>
#include <string.h>

static int read_updates(struct app_tx *tx, const struct device *device, struct app_decision *out,
                        struct update *open) {
    open->id = 0;
    int code = store_update_last(tx->store, device->num, &out->update, tx->fault);
    if (code != SW_OK) {
        return code == SW_E_NOT_FOUND ? SW_OK : code;
    }
    out->has_update = true;
    /* The open one is always the newest: a second cannot be opened beside it. */
    if (update_state_is_open(out->update.state)) {
        *open = out->update;
    }
    return SW_OK;
}

int app_decision(struct app_tx *tx, const struct device_id *id, struct app_decision *out) {
    *out = (struct app_decision){.has_update = false};
    struct device device;
    struct facts facts;
    struct update open;
    int code = app_device_get(tx, 0, id, &device);
    if (code == SW_OK) {
        code = facts_read(tx, &device, &facts);
    }
    if (code != SW_OK) {
        return code;
    }
    out->decision = facts.decision;
    out->running_version = device.running_version;
    if (facts.decision.group != NULL) {
        memcpy(out->group, facts.decision.group, strlen(facts.decision.group) + 1);
        out->decision.group = out->group;
    }
    code = read_updates(tx, &device, out, &open);
    struct obstacle obstacle;
    if (code == SW_OK) {
        code = plan_explain(tx, &device, &facts, &open, &obstacle);
    }
    if (code == SW_OK) {
        memcpy(out->blocked_by, obstacle.word, sizeof out->blocked_by);
        memcpy(out->sentence, obstacle.sentence, sizeof out->sentence);
        out->retry_ms = obstacle.retry_ms;
    }
    facts_free(&facts);
    return code;
}

int app_device_released(struct app_tx *tx, const struct device *device,
                        const struct group_set **set, uint16_t *version) {
    uint16_t standard;
    int code = store_product_default(tx->store, device->product_id, &standard, tx->fault);
    if (code == SW_OK) {
        code = store_group_set_get(tx->store, device->group_set, set, tx->fault);
    }
    if (code != SW_OK) {
        return code;
    }
    size_t count = (*set)->count;
    struct rule_group_release few[8];
    struct rule_group_release *groups = few;
    if (count > SW_COUNT(few) && (groups = calloc(count, sizeof *groups)) == NULL) {
        return fault_set(tx->fault, SW_E_MEMORY, "out of memory for a decision");
    }
    for (size_t i = 0; i < count; i++) {
        groups[i] = (struct rule_group_release){.group = (*set)->groups[i].name,
                                                .version = (*set)->groups[i].version};
    }
    /* What releases alone give: the rules without what is above them. */
    struct rule_facts facts = {.groups = groups, .group_count = count, .default_version = standard};
    enum rule rule;
    *version = decide_version(&facts, &rule);
    if (groups != few) {
        free(groups);
    }
    return SW_OK;
}

int app_update_list(struct app_tx *tx, const struct app_update_query *query,
                    struct update_list *out) {
    *out = (struct update_list){.count = 0};
    struct store_update_filter filter = {.product_id = query->product_id,
                                         .state = query->state,
                                         .version = query->version,
                                         .open_only = query->open_only,
                                         .before_id = query->before_id,
                                         .max = query->max > 0 ? query->max : 25};
    filter.max = filter.max > 1000 ? 1000 : filter.max;
    if (query->device != NULL) {
        struct device device;
        int code = app_device_get(tx, query->product_id, query->device, &device);
        if (code != SW_OK) {
            return code;
        }
        filter.device_num = device.num;
    }
    return store_update_list(tx->store, &filter, &out->items, &out->count, tx->fault);
}

static int no_update(struct app_tx *tx) {
    return app_fail(tx, SW_E_NOT_FOUND, "not_found", NULL, "Update not found.");
}

int app_update_get(struct app_tx *tx, int64_t update_id, struct update *out) {
    int code = store_update_get(tx->store, update_id, out, tx->fault);
    return code == SW_E_NOT_FOUND ? no_update(tx) : code;
}

int app_update_history(struct app_tx *tx, int64_t update_id, struct update_step_list *out) {
    return store_update_history(tx->store, update_id, &out->items, &out->count, tx->fault);
}

int app_update_cancel(struct app_tx *tx, int64_t update_id) {
    struct update update;
    int code = app_update_get(tx, update_id, &update);
    if (code != SW_OK) {
        return code;
    }
    if (!update_state_allows(update.state, UPDATE_CANCELLED)) {
        return app_fail(tx, SW_E_STATE, "invalid_request", NULL,
                        "The update is %s and cannot be cancelled.",
                        update_state_name(update.state));
    }
    code = update_step_to(tx, &update, UPDATE_CANCELLED, "operator");
    return code == SW_OK ? app_tell_device(tx, APP_NOTICE_DEVICE, &update.device, update.product_id)
                         : code;
}
