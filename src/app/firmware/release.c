#include "slipway/app/release.h"

#include "slipway/store/catalog.h"
#include "slipway/store/update.h"

#include "app/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a request means once its absent parts are filled in. */
struct intent {
    bool sets_default, clears_default;
    bool has_groups; /* the version's groups become exactly `wanted` */
    struct group *all;
    size_t all_count;
};

static bool is_wanted(const struct app_release *request, const struct group *group) {
    for (size_t i = 0; i < request->group_count; i++) {
        if (strcmp(request->groups[i], group->name) == 0) {
            return true;
        }
    }
    return false;
}

static int read_intent(struct app_tx *tx, const struct app_release *request,
                       const struct firmware *firmware, struct intent *out) {
    bool is_bare = request->product_default == APP_UNSET && !request->has_groups;
    *out = (struct intent){.sets_default = is_bare || request->product_default == APP_TRUE,
                           .clears_default =
                               request->product_default == APP_FALSE && firmware->product_default,
                           .has_groups = !is_bare};
    int code = store_group_list(tx->store, request->product_id, NULL, &out->all, &out->all_count,
                                tx->fault);
    for (size_t i = 0; code == SW_OK && i < request->group_count; i++) {
        bool found = false;
        for (size_t k = 0; k < out->all_count && !found; k++) {
            found = strcmp(out->all[k].name, request->groups[i]) == 0;
        }
        if (!found) {
            code = app_no_group(tx, request->groups[i]);
        }
    }
    if (code != SW_OK) {
        free(out->all);
        out->all = NULL;
    }
    return code;
}

static void add_name(char *list, size_t cap, const char *name) {
    size_t at = strlen(list);
    if (at + strlen(name) + 2 <= cap) {
        (void)snprintf(list + at, cap - at, "%s%s", at > 0 ? "," : "", name);
    }
}

/* What a version is released to is told with it. 0: none. */
static int touch(struct app_tx *tx, uint16_t product_id, uint16_t version) {
    return version == 0
               ? SW_OK
               : store_firmware_touch(tx->store, product_id, version, tx->now.ms, tx->fault);
}

static int set_groups(struct app_tx *tx, const struct app_release *request,
                      const struct intent *intent, struct release *history, bool *changed) {
    uint16_t version = history->version;
    int code = SW_OK;
    for (size_t i = 0; code == SW_OK && i < intent->all_count; i++) {
        const struct group *group = &intent->all[i];
        bool has = group->version == version;
        bool wanted = intent->has_groups ? is_wanted(request, group) : has;
        if (wanted) {
            add_name(history->groups, sizeof history->groups, group->name);
        }
        if (wanted && (!has || group->immediate != request->immediate) && intent->has_groups) {
            *changed = true;
            code = store_target_group(tx->store, group, version, request->immediate, tx->now.ms,
                                      tx->fault);
            if (code == SW_OK && !has) {
                code = touch(tx, group->product_id, group->version);
            }
        } else if (!wanted && has) {
            *changed = true;
            code = store_target_group(tx->store, group, 0, false, tx->now.ms, tx->fault);
        }
    }
    return code;
}

static int announce(struct app_tx *tx, const struct app_release *request) {
    char data[64];
    (void)snprintf(data, sizeof data, "{\"immediate\":%s,\"version\":%u}",
                   request->immediate ? "true" : "false", (unsigned)request->version);
    int code =
        app_append(tx, request->product_id, NULL, "particle/firmware/release", data, request->by);
    const struct app_notice notice = {.kind = request->immediate ? APP_NOTICE_PRODUCT
                                                                 : APP_NOTICE_TARGETS,
                                      .product_id = request->product_id};
    return code == SW_OK ? app_tell(tx, &notice) : code;
}

static int apply(struct app_tx *tx, const struct app_release *request, struct intent *intent,
                 const struct product *product, struct app_release_result *out) {
    struct release history = {.product_id = request->product_id,
                              .version = (uint16_t)request->version,
                              .is_default_set = intent->sets_default,
                              .is_default_cleared = intent->clears_default,
                              .immediate = request->immediate,
                              .untested = out->is_untested,
                              .at_ms = tx->now.ms};
    (void)snprintf(history.by, sizeof history.by, "%s", request->by != NULL ? request->by : "");
    int code = SW_OK;
    if (intent->sets_default) {
        out->changed = product->default_version != history.version ||
                       product->default_immediate != request->immediate;
        code = store_target_default(tx->store, product->id, history.version, request->immediate,
                                    tx->now.ms, tx->fault);
        if (code == SW_OK && product->default_version != history.version) {
            code = touch(tx, product->id, product->default_version);
        }
    } else if (intent->clears_default) {
        out->changed = true;
        code = store_target_default(tx->store, product->id, 0, false, tx->now.ms, tx->fault);
    }
    if (code == SW_OK) {
        code = set_groups(tx, request, intent, &history, &out->changed);
    }
    bool has_target = intent->sets_default || request->group_count > 0;
    if (code == SW_OK && has_target) {
        code = store_firmware_mark_released(tx->store, product->id, history.version, tx->now.ms,
                                            tx->fault);
        /* Devices that failed with it before get a new chance. */
        if (code == SW_OK) {
            code = store_attempt_clear_image(tx->store, out->firmware.image.id, tx->fault);
        }
    }
    if (code == SW_OK && out->changed) {
        code = touch(tx, product->id, history.version);
    }
    if (code == SW_OK) {
        code = store_release_insert(tx->store, &history, tx->fault);
    }
    return code == SW_OK ? announce(tx, request) : code;
}

int app_release(struct app_tx *tx, const struct app_release *request,
                struct app_release_result *out) {
    *out = (struct app_release_result){.changed = false};
    int code = app_check_version(tx, "version", request->version);
    struct product product;
    if (code == SW_OK) {
        code = store_product_get(tx->store, request->product_id, &product, tx->fault);
        code = code == SW_E_NOT_FOUND ? app_no_product(tx) : code;
    }
    if (code == SW_OK) {
        code = app_firmware_get(tx, request->product_id, request->version, &out->firmware);
    }
    struct intent intent = {.all = NULL};
    if (code == SW_OK) {
        code = read_intent(tx, request, &out->firmware, &intent);
    }
    if (code != SW_OK) {
        return code;
    }
    bool is_given = intent.sets_default || request->group_count > 0;
    out->is_untested = is_given && out->firmware.tested_ms == 0;
    if (out->is_untested && product.enforce_tested) {
        code = app_fail(tx, SW_E_DENIED, "invalid_request", "version",
                        "Version %u has not run on any device of this product yet; flash or lock "
                        "one device to it first",
                        (unsigned)request->version);
    } else {
        code = apply(tx, request, &intent, &product, out);
    }
    free(intent.all);
    if (code == SW_OK) {
        code = app_firmware_get(tx, request->product_id, request->version, &out->firmware);
        out->firmware.immediate = request->immediate;
    }
    return code;
}

int app_release_history(struct app_tx *tx, uint16_t product_id, uint16_t version, int64_t before_id,
                        size_t max, struct release_list *out) {
    return store_release_list(tx->store, product_id, version, before_id, max > 0 ? max : 25,
                              &out->items, &out->count, tx->fault);
}
