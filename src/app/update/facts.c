#include "app/update/plan.h"

#include "slipway/store/catalog.h"
#include "slipway/store/fleet.h"
#include "slipway/store/update.h"

#include "app/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int facts_read(struct app_tx *tx, const struct device *device, struct facts *out) {
    *out = (struct facts){.groups = NULL};
    struct product product;
    const struct group_set *set = NULL;
    size_t count = 0;
    int code = store_product_get(tx->store, device->product_id, &product, tx->fault);
    if (code == SW_OK) {
        code = store_group_set_get(tx->store, device->group_set, &set, tx->fault);
    }
    if (code == SW_OK && set->count > 0) {
        out->groups = calloc(set->count, sizeof *out->groups);
        out->names = calloc(set->count, sizeof *out->names);
        if (out->groups == NULL || out->names == NULL) {
            code = fault_set(tx->fault, SW_E_MEMORY, "out of memory for a decision");
        }
        for (size_t i = 0; code == SW_OK && i < set->count; i++) {
            const struct set_group *group = &set->groups[i];
            if (group->version == 0) {
                continue;
            }
            memcpy(out->names[count], group->name, sizeof out->names[count]);
            out->groups[count] = (struct rule_group_release){.group = out->names[count],
                                                             .version = group->version,
                                                             .immediate = group->immediate};
            count++;
        }
    }
    if (code != SW_OK) {
        facts_free(out);
        return code;
    }
    out->rule = (struct rule_facts){.is_quarantined = device->is_denied,
                                    .is_development = device->development,
                                    .locked_version = device->locked_version,
                                    .groups = out->groups,
                                    .group_count = count,
                                    .default_version = product.default_version,
                                    .default_immediate = product.default_immediate,
                                    .running_version = device->running_version};
    decide(&out->rule, &out->decision);
    return SW_OK;
}

void facts_free(struct facts *facts) {
    free(facts->groups);
    free(facts->names);
    *facts = (struct facts){.groups = NULL};
}

void obstacle_set(struct obstacle *out, const char *word, const char *format, ...) {
    (void)snprintf(out->word, sizeof out->word, "%s", word);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(out->sentence, sizeof out->sentence, format, args);
    va_end(args);
}

int attempt_check(struct app_tx *tx, const struct device *device, const struct image_record *image,
                  uint32_t *failures, struct obstacle *out) {
    struct store_attempt attempt = {.failures = 0};
    int code = store_attempt_get(tx->store, device->num, image->id, &attempt, tx->fault);
    *failures = code == SW_OK ? attempt.failures : 0;
    if (code != SW_OK) {
        return code == SW_E_NOT_FOUND ? SW_OK : code;
    }
    int64_t wait_ms = attempt.next_ms - tx->now.ms;
    if (attempt.failures >= tx->app->options.attempts_max) {
        obstacle_set(
            out, "attempts",
            "The device failed %u times with this firmware (last: %s); a new release, lock "
            "or flash tries again",
            (unsigned)attempt.failures, attempt.reason);
    } else if (wait_ms > 0 && wait_ms <= attempt_pause_ms(tx->app, attempt.failures)) {
        /* A longer wait is none: the clock was set back. */
        obstacle_set(out, "retry_later", "The last attempt failed (%s); the next one comes later",
                     attempt.reason);
        out->retry_ms = attempt.next_ms;
    }
    return SW_OK;
}
