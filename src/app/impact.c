/* What a release would do: the same rule as for one device, applied to the targets as they would
 * be, once for each kind of device that the census counts. */
#include "slipway/app/release.h"

#include "slipway/rules/decision.h"
#include "slipway/store/catalog.h"
#include "slipway/store/fleet.h"

#include "app/internal.h"

#include <stdlib.h>
#include <string.h>

#define GROUPS_OF_DEVICE_MAX 64

struct survey {
    const struct group *groups; /* with the versions as they would be */
    size_t group_count;
    uint16_t default_version;
    /* the kind of device whose lines are coming in */
    struct store_census_line kind;
    bool has_kind;
    struct rule_group_release releases[GROUPS_OF_DEVICE_MAX];
    size_t release_count;
    uint32_t *counts; /* by running version, 65536 of them */
    uint32_t total;
};

static void judge(struct survey *survey) {
    if (!survey->has_kind) {
        return;
    }
    struct rule_facts facts = {.is_quarantined = survey->kind.is_denied,
                               .is_development = survey->kind.development,
                               .locked_version = survey->kind.locked_version,
                               .groups = survey->releases,
                               .group_count = survey->release_count,
                               .default_version = survey->default_version,
                               .running_version = survey->kind.running_version};
    enum rule rule;
    uint16_t target = decide_version(&facts, &rule);
    if (target != 0 && target != facts.running_version) {
        survey->counts[facts.running_version] += survey->kind.device_count;
        survey->total += survey->kind.device_count;
    }
}

static bool is_same_kind(const struct store_census_line *a, const struct store_census_line *b) {
    return a->running_version == b->running_version && a->locked_version == b->locked_version &&
           a->development == b->development && a->is_denied == b->is_denied &&
           a->set_id == b->set_id;
}

static void take_line(void *arg, const struct store_census_line *line) {
    struct survey *survey = (struct survey *)arg;
    if (!survey->has_kind || !is_same_kind(&survey->kind, line)) {
        judge(survey);
        survey->kind = *line;
        survey->has_kind = true;
        survey->release_count = 0;
    }
    if (line->group_id == 0) {
        return;
    }
    for (size_t i = 0; i < survey->group_count; i++) {
        const struct group *group = &survey->groups[i];
        if (group->id == line->group_id && group->version != 0 &&
            survey->release_count < GROUPS_OF_DEVICE_MAX) {
            survey->releases[survey->release_count++] =
                (struct rule_group_release){.group = group->name, .version = group->version};
        }
    }
}

static int collect(const struct survey *survey, struct app_impact *out) {
    size_t kinds = 0;
    for (size_t v = 0; v <= UINT16_MAX; v++) {
        kinds += survey->counts[v] != 0;
    }
    *out = (struct app_impact){.total = survey->total};
    if (kinds == 0) {
        return SW_OK;
    }
    out->by_version = calloc(kinds, sizeof *out->by_version);
    if (out->by_version == NULL) {
        return SW_E_MEMORY;
    }
    for (size_t v = 0; v <= UINT16_MAX; v++) {
        if (survey->counts[v] != 0) {
            out->by_version[out->count].version = (uint16_t)v;
            out->by_version[out->count].count = survey->counts[v];
            out->count++;
        }
    }
    return SW_OK;
}

/* The groups' and the default's versions after the release. */
static int imagine(struct app_tx *tx, const struct app_release *request,
                   const struct product *product, struct group *groups, size_t count,
                   uint16_t *default_version) {
    uint16_t version = (uint16_t)request->version;
    bool is_bare = request->product_default == APP_UNSET && !request->has_groups;
    *default_version = product->default_version;
    if (is_bare || request->product_default == APP_TRUE) {
        *default_version = version;
    } else if (request->product_default == APP_FALSE && product->default_version == version) {
        *default_version = 0;
    }
    if (is_bare) {
        return SW_OK;
    }
    for (size_t i = 0; i < count; i++) {
        groups[i].version = groups[i].version == version ? 0 : groups[i].version;
    }
    for (size_t k = 0; k < request->group_count; k++) {
        bool found = false;
        for (size_t i = 0; i < count; i++) {
            if (strcmp(groups[i].name, request->groups[k]) == 0) {
                groups[i].version = version;
                found = true;
            }
        }
        if (!found) {
            return app_no_group(tx, request->groups[k]);
        }
    }
    return SW_OK;
}

int app_impact(struct app_tx *tx, const struct app_release *request, struct app_impact *out) {
    *out = (struct app_impact){.total = 0};
    struct product product;
    struct firmware firmware;
    int code = store_product_get(tx->store, request->product_id, &product, tx->fault);
    code = code == SW_E_NOT_FOUND ? app_no_product(tx) : code;
    if (code == SW_OK) {
        code = app_firmware_get(tx, request->product_id, request->version, &firmware);
    }
    struct group *groups = NULL;
    size_t count = 0;
    if (code == SW_OK) {
        code = store_group_list(tx->store, product.id, NULL, &groups, &count, tx->fault);
    }
    struct survey *survey = NULL;
    if (code == SW_OK) {
        survey = calloc(1, sizeof *survey);
        if (survey != NULL) {
            survey->counts = calloc((size_t)UINT16_MAX + 1, sizeof *survey->counts);
        }
        if (survey == NULL || survey->counts == NULL) {
            code = fault_set(tx->fault, SW_E_MEMORY, "out of memory for an impact preview");
        }
    }
    if (code == SW_OK) {
        code = imagine(tx, request, &product, groups, count, &survey->default_version);
    }
    if (code == SW_OK) {
        survey->groups = groups;
        survey->group_count = count;
        code = store_census_each(tx->store, product.id, take_line, survey, tx->fault);
    }
    if (code == SW_OK) {
        judge(survey);
        code = collect(survey, out);
    }
    if (survey != NULL) {
        free(survey->counts);
    }
    free(survey);
    free(groups);
    return code;
}
