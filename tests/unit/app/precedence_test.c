/* The decision that comes out of the database is the one that the rules give for the same facts:
 * fleets of random locks, marks, groups and releases, against the rules told once more, naively. */
#include "world.h"

#define GROUPS  4
#define DEVICES 24
#define ROUNDS  12

static const char *const group_names[GROUPS] = {"alpha", "beta", "field", "lab"};

struct model {
    uint16_t group_version[GROUPS];
    uint16_t default_version;
    struct {
        bool member[GROUPS];
        bool development;
        uint16_t locked;
        uint16_t running;
    } devices[DEVICES];
};

static uint16_t expected(const struct model *model, unsigned n, enum rule *rule) {
    uint16_t highest = 0;
    if (model->devices[n].development) {
        *rule = RULE_DEVELOPMENT;
        return 0;
    }
    if (model->devices[n].locked != 0) {
        *rule = RULE_LOCKED;
        return model->devices[n].locked;
    }
    for (unsigned g = 0; g < GROUPS; g++) {
        if (model->devices[n].member[g] && model->group_version[g] > highest) {
            highest = model->group_version[g];
        }
    }
    *rule = highest != 0                  ? RULE_GROUP
            : model->default_version != 0 ? RULE_PRODUCT_DEFAULT
                                          : RULE_NONE;
    return highest != 0 ? highest : model->default_version;
}

static void random_release(struct world *w, struct model *model, struct rng *rng) {
    uint16_t version = (uint16_t)rng_between(rng, 1, 5);
    if (rng_below(rng, 3) == 0) {
        bool on = rng_below(rng, 4) != 0;
        struct app_release request = {.version = version,
                                      .product_default = on ? APP_TRUE : APP_FALSE};
        assert_int_equal(world_release(w, &request, NULL), SW_OK);
        model->default_version = on                                  ? version
                                 : model->default_version == version ? 0
                                                                     : model->default_version;
        for (unsigned g = 0; g < GROUPS; g++) { /* no groups given: released to none */
            if (model->group_version[g] == version) {
                model->group_version[g] = 0;
            }
        }
        return;
    }
    const char *names[GROUPS];
    struct app_release request = {.version = version, .has_groups = true, .groups = names};
    for (unsigned g = 0; g < GROUPS; g++) {
        bool is_in = rng_below(rng, 2) == 0;
        if (is_in) {
            names[request.group_count++] = group_names[g];
            model->group_version[g] = version;
        } else if (model->group_version[g] == version) {
            model->group_version[g] = 0;
        }
    }
    assert_int_equal(world_release(w, &request, NULL), SW_OK);
}

static void random_edit(struct world *w, struct model *model, struct rng *rng, unsigned n) {
    const char *names[GROUPS];
    struct device_id id = world_id(n + 1);
    struct app_device_edit edit = {.has_groups = true, .groups = names, .has_development = true};
    for (unsigned g = 0; g < GROUPS; g++) {
        model->devices[n].member[g] = rng_below(rng, 2) == 0;
        if (model->devices[n].member[g]) {
            names[edit.group_count++] = group_names[g];
        }
    }
    edit.development = rng_below(rng, 5) == 0;
    model->devices[n].development = edit.development;
    model->devices[n].locked = rng_below(rng, 4) == 0 ? (uint16_t)rng_between(rng, 1, 5) : 0;
    edit.lock = model->devices[n].locked != 0 ? APP_SET : APP_CLEAR;
    edit.lock_version = model->devices[n].locked;
    assert_int_equal(world_edit(w, &id, &edit, NULL), SW_OK);
}

static void check(struct world *w, const struct model *model) {
    for (unsigned n = 0; n < DEVICES; n++) {
        struct device_id id = world_id(n + 1);
        struct app_decision decision;
        enum rule rule;
        uint16_t target = expected(model, n, &rule);
        world_decision(w, &id, &decision);
        assert_int_equal(decision.decision.rule, rule);
        assert_int_equal(decision.decision.target_version, target);

        struct app_hello greeting = world_hello_of(n + 1, model->devices[n].running);
        struct app_plan plan;
        assert_int_equal(world_hello(w, &greeting, &plan), SW_OK);
        bool is_change = target != 0 && target != model->devices[n].running;
        assert_int_equal(plan.has_offer, is_change);
        if (is_change) {
            assert_int_equal(plan.offer.version, target);
        }
    }
}

static void sql_gives_what_the_rules_say(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct world w;
        struct rng rng;
        struct model model;
        memset(&model, 0, sizeof model);
        rng_seed(&rng, seed);
        world_open(&w, NULL);
        for (uint16_t version = 1; version <= 5; version++) {
            assert_int_equal(world_upload(&w, version, 0), SW_OK);
        }
        for (unsigned g = 0; g < GROUPS; g++) {
            assert_int_equal(world_group(&w, group_names[g]), SW_OK);
        }
        for (unsigned n = 0; n < DEVICES; n++) {
            assert_int_equal(world_import(&w, world_id_text(n + 1), NULL), SW_OK);
            model.devices[n].running = (uint16_t)rng_between(&rng, 0, 5);
        }
        for (unsigned round = 0; round < ROUNDS; round++) {
            random_release(&w, &model, &rng);
            random_edit(&w, &model, &rng, (unsigned)rng_below(&rng, DEVICES));
            random_edit(&w, &model, &rng, (unsigned)rng_below(&rng, DEVICES));
            check(&w, &model);
        }
        world_close(&w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(sql_gives_what_the_rules_say)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
