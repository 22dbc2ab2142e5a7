/* What a release would do: the same rule as for one device, applied to the targets as they would
 * be, once for each kind of device that the census counts. */
#include "slipway/app/release.h"

#include "slipway/rules/decision.h"
#include "slipway/store/catalog.h"
#include "slipway/store/fleet.h"

#include "app/internal.h"

#include <stdlib.h>
#include <string.h>

/* What is released to a group, or to the groups of a set together: as it is and as it would be. */
struct released {
    int64_t id;
    uint16_t before, after;
};

struct survey {
    uint16_t version;               /* that is released, or is not any more */
    struct released *groups, *sets; /* by id */
    size_t group_count, set_count;
    uint16_t default_before, default_after;
    uint32_t *counts; /* by running version, 65536 of them */
    uint32_t total;
};

static int by_id(const void *left, const void *right) {
    const struct released *a = (const struct released *)left;
    const struct released *b = (const struct released *)right;
    return a->id < b->id ? -1 : a->id > b->id;
}

static struct released released_of(const struct released *items, size_t count, int64_t id) {
    struct released key = {.id = id};
    const struct released *found =
        count > 0 ? bsearch(&key, items, count, sizeof *items, by_id) : NULL;
    return found != NULL ? *found : key;
}

/* What two releases to groups give together is for the rules to say. */
static uint16_t join_releases(uint16_t one, uint16_t other) {
    struct rule_group_release both[] = {{.group = "", .version = one},
                                        {.group = "", .version = other}};
    struct rule_facts facts = {.groups = both, .group_count = 2};
    enum rule rule;
    return decide_version(&facts, &rule);
}

static int by_set(const void *left, const void *right) {
    const struct store_set_member *a = (const struct store_set_member *)left;
    const struct store_set_member *b = (const struct store_set_member *)right;
    return a->set_id < b->set_id ? -1 : a->set_id > b->set_id;
}

static int survey_sets(struct app_tx *tx, uint16_t product_id, struct survey *survey) {
    struct store_set_member *members = NULL;
    size_t count = 0;
    int code = store_set_members(tx->store, product_id, &members, &count, tx->fault);
    if (code == SW_OK) {
        survey->sets = calloc(count + 1, sizeof *survey->sets);
        code = survey->sets != NULL
                   ? SW_OK
                   : fault_set(tx->fault, SW_E_MEMORY, "out of memory for an impact preview");
    }
    if (code == SW_OK && count > 0) {
        qsort(members, count, sizeof *members, by_set);
    }
    for (size_t i = 0; code == SW_OK && i < count; i++) {
        struct released one = released_of(survey->groups, survey->group_count, members[i].group_id);
        if (i > 0 && members[i].set_id == members[i - 1].set_id) {
            struct released *set = &survey->sets[survey->set_count - 1];
            set->before = join_releases(set->before, one.before);
            set->after = join_releases(set->after, one.after);
        } else {
            one.id = members[i].set_id;
            survey->sets[survey->set_count++] = one;
        }
    }
    free(members);
    return code;
}

static uint16_t target_of(const struct store_kind *kind, uint16_t released,
                          uint16_t default_version) {
    struct rule_group_release release = {.group = "", .version = released};
    struct rule_facts facts = {.is_quarantined = kind->is_denied,
                               .is_development = kind->development,
                               .locked_version = kind->locked_version,
                               .groups = &release,
                               .group_count = 1,
                               .default_version = default_version,
                               .running_version = kind->running_version};
    enum rule rule;
    return decide_version(&facts, &rule);
}

/* Devices that wait for another version anyway, and for which nothing changes, are not this
 * release's. Those that wait for this one are: an immediate release comes to them now. */
static void judge(void *arg, const struct store_kind *kind) {
    struct survey *survey = (struct survey *)arg;
    struct released set = released_of(survey->sets, survey->set_count, kind->set_id);
    uint16_t before = target_of(kind, set.before, survey->default_before);
    uint16_t after = target_of(kind, set.after, survey->default_after);
    bool is_ours = after == survey->version || after != before;
    if (after != 0 && after != kind->running_version && is_ours) {
        survey->counts[kind->running_version] += kind->device_count;
        survey->total += kind->device_count;
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

/* The groups' and the default's versions before and after the release. */
static int imagine(struct app_tx *tx, const struct app_release *request,
                   const struct product *product, const struct group *groups, size_t count,
                   struct survey *survey) {
    uint16_t version = (uint16_t)request->version;
    bool is_bare = request->product_default == APP_UNSET && !request->has_groups;
    survey->version = version;
    survey->default_before = product->default_version;
    survey->default_after = product->default_version;
    if (is_bare || request->product_default == APP_TRUE) {
        survey->default_after = version;
    } else if (request->product_default == APP_FALSE && product->default_version == version) {
        survey->default_after = 0;
    }
    survey->groups = calloc(count + 1, sizeof *survey->groups);
    if (survey->groups == NULL) {
        return fault_set(tx->fault, SW_E_MEMORY, "out of memory for an impact preview");
    }
    survey->group_count = count;
    for (size_t i = 0; i < count; i++) {
        bool is_taken = !is_bare && groups[i].version == version;
        survey->groups[i] = (struct released){.id = groups[i].id,
                                              .before = groups[i].version,
                                              .after = is_taken ? 0 : groups[i].version};
    }
    for (size_t k = 0; k < request->group_count; k++) {
        bool found = false;
        for (size_t i = 0; i < count; i++) {
            if (strcmp(groups[i].name, request->groups[k]) == 0) {
                survey->groups[i].after = version;
                found = true;
            }
        }
        if (!found) {
            return app_no_group(tx, request->groups[k]);
        }
    }
    qsort(survey->groups, count, sizeof *survey->groups, by_id);
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
    struct survey survey = {.total = 0};
    if (code == SW_OK) {
        code = imagine(tx, request, &product, groups, count, &survey);
    }
    if (code == SW_OK) {
        code = survey_sets(tx, product.id, &survey);
    }
    if (code == SW_OK) {
        survey.counts = calloc((size_t)UINT16_MAX + 1, sizeof *survey.counts);
        code = survey.counts != NULL
                   ? store_census_each(tx->store, product.id, judge, &survey, tx->fault)
                   : fault_set(tx->fault, SW_E_MEMORY, "out of memory for an impact preview");
    }
    if (code == SW_OK) {
        code = collect(&survey, out);
    }
    free(survey.counts);
    free(survey.groups);
    free(survey.sets);
    free(groups);
    return code;
}
