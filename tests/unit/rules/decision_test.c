/* The precedence rules against tables that people can read, and against a second implementation
 * that shares no idea with the first. */
#include "slipway/rules/decision.h"
#include "slipway/util/check.h"
#include "slipway/util/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define GROUPS_MAX 8

struct scene {
    struct rule_facts facts;
    struct rule_group_release groups[GROUPS_MAX];
};

static char *trim(char *text) {
    while (*text == ' ') {
        text++;
    }
    size_t len = strlen(text);
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\n')) {
        text[--len] = '\0';
    }
    return text;
}

static uint16_t word_version(char **rest) {
    char *word = strtok_r(NULL, " ", rest);
    assert_non_null(word);
    char *end;
    unsigned long value = strtoul(word, &end, 10);
    assert_true(*end == '\0' && value > 0 && value < VERSION_NONE);
    return (uint16_t)value;
}

static bool word_immediate(char **rest) {
    char *word = strtok_r(NULL, " ", rest);
    if (word == NULL) {
        return false;
    }
    assert_string_equal(word, "immediate");
    return true;
}

static void read_fact(struct scene *scene, char *fact) {
    char *rest;
    char *word = strtok_r(fact, " ", &rest);
    assert_non_null(word);
    if (strcmp(word, "quarantined") == 0) {
        scene->facts.is_quarantined = true;
    } else if (strcmp(word, "development") == 0) {
        scene->facts.is_development = true;
    } else if (strcmp(word, "lock") == 0) {
        scene->facts.locked_version = word_version(&rest);
    } else if (strcmp(word, "default") == 0) {
        scene->facts.default_version = word_version(&rest);
        scene->facts.default_immediate = word_immediate(&rest);
    } else if (strcmp(word, "running") == 0) {
        scene->facts.running_version = word_version(&rest);
    } else if (strcmp(word, "group") == 0) {
        assert_true(scene->facts.group_count < GROUPS_MAX);
        struct rule_group_release *group = &scene->groups[scene->facts.group_count++];
        group->group = strtok_r(NULL, " ", &rest);
        group->version = word_version(&rest);
        group->immediate = word_immediate(&rest);
    } else {
        assert_string_equal(word, "nothing");
    }
}

/* The decision in the words of the data files. */
static void describe(const struct decision *decision, char *out, size_t cap) {
    char version[16] = "nothing";
    if (decision->target_version != 0) {
        snprintf(version, sizeof version, "%u", decision->target_version);
    }
    snprintf(out, cap, "%s %s%s%s%s %s", rule_name(decision->rule), version,
             decision->group != NULL ? " by " : "", decision->group != NULL ? decision->group : "",
             decision->immediate ? " immediate" : "", decision->is_change ? "change" : "same");
}

static void check_explanation(const struct rule_facts *facts, const struct decision *decision) {
    assert_int_equal(decision->explanation_count, RULE_COUNT);
    for (size_t i = 0; i < RULE_COUNT; i++) {
        const struct rule_explanation *said = &decision->explanation[i];
        assert_int_equal(said->rule, i);
        assert_int_equal(said->verdict == RULE_DECIDED, said->rule == decision->rule);
        assert_true(said->verdict != RULE_OVERRULED || said->rule > decision->rule);
        size_t len = strlen(said->text);
        assert_true(len > 1 && len < sizeof said->text - 1 && said->text[len - 1] == '.');
    }
    assert_int_equal(decision->explanation[RULE_LOCKED].version, facts->locked_version);
    assert_int_equal(decision->explanation[RULE_PRODUCT_DEFAULT].version, facts->default_version);
}

static void run_file(const char *name, size_t at_least) {
    char path[512];
    snprintf(path, sizeof path, "%s/rules/%s", TEST_DATA, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char line[512];
    size_t number = 0, cases = 0, wrong = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        number++;
        char *text = trim(line);
        if (*text == '\0' || *text == '#') {
            continue;
        }
        char *arrow = strstr(text, "->");
        assert_non_null(arrow);
        *arrow = '\0';
        const char *expected = trim(arrow + 2);
        struct scene scene = {.facts = {.groups = scene.groups}};
        char *rest;
        for (char *fact = strtok_r(text, ";", &rest); fact != NULL;
             fact = strtok_r(NULL, ";", &rest)) {
            read_fact(&scene, fact);
        }
        struct decision decision;
        char got[256];
        decide(&scene.facts, &decision);
        describe(&decision, got, sizeof got);
        if (strcmp(got, expected) != 0) {
            print_error("%s:%zu: expected \"%s\", decided \"%s\"\n", name, number, expected, got);
            wrong++;
        }
        check_explanation(&scene.facts, &decision);
        enum rule rule;
        assert_int_equal(decide_version(&scene.facts, &rule), decision.target_version);
        assert_int_equal(rule, decision.rule);
        cases++;
    }
    fclose(file);
    assert_int_equal(wrong, 0);
    assert_true(cases >= at_least);
}

static void test_precedence(void **state) {
    (void)state;
    run_file("precedence.txt", 30);
}

static void test_every_combination(void **state) {
    (void)state;
    run_file("every-combination.txt", 128);
}

/* The same rules by sorting: each candidate version gets a weight, the heaviest wins. */
static uint16_t weighed(const struct rule_facts *facts) {
    uint64_t best = 0;
    if (facts->default_version != 0) {
        best = 1U << 16 | facts->default_version;
    }
    for (size_t i = 0; i < facts->group_count; i++) {
        uint64_t weight = 2U << 16 | facts->groups[i].version;
        best = facts->groups[i].version != 0 && weight > best ? weight : best;
    }
    if (facts->locked_version != 0) {
        best = 3U << 16 | facts->locked_version;
    }
    return facts->is_development || facts->is_quarantined ? 0 : (uint16_t)(best & 0xffff);
}

static void test_random_facts_agree_with_the_naive_rules(void **state) {
    (void)state;
    static const char *const names[GROUPS_MAX] = {"a", "b", "beta", "c", "d", "field", "x", "y"};
    struct rng rng;
    rng_seed(&rng, 7);
    for (int round = 0; round < 200000; round++) {
        struct scene scene = {.facts = {.groups = scene.groups}};
        scene.facts.is_quarantined = rng_below(&rng, 8) == 0;
        scene.facts.is_development = rng_below(&rng, 6) == 0;
        scene.facts.locked_version = rng_below(&rng, 3) == 0 ? (uint16_t)rng_below(&rng, 6) : 0;
        scene.facts.default_version = (uint16_t)rng_below(&rng, 6);
        scene.facts.running_version = (uint16_t)rng_below(&rng, 6);
        scene.facts.default_immediate = rng_below(&rng, 2) == 0;
        scene.facts.group_count = rng_below(&rng, GROUPS_MAX + 1);
        for (size_t i = 0; i < scene.facts.group_count; i++) {
            scene.groups[i] = (struct rule_group_release){.group = names[i],
                                                          .version = (uint16_t)rng_below(&rng, 6),
                                                          .immediate = rng_below(&rng, 2) == 0};
        }
        struct decision decision;
        decide(&scene.facts, &decision);
        assert_int_equal(decision.target_version, weighed(&scene.facts));
        assert_int_equal(decision.is_change,
                         decision.target_version != 0 &&
                             decision.target_version != scene.facts.running_version);
        check_explanation(&scene.facts, &decision);
        enum rule rule;
        assert_int_equal(decide_version(&scene.facts, &rule), decision.target_version);
        assert_int_equal(rule, decision.rule);

        /* The order of the groups must not matter. */
        struct scene turned = scene;
        turned.facts.groups = turned.groups;
        for (size_t i = 0; i < scene.facts.group_count; i++) {
            turned.groups[i] = scene.groups[scene.facts.group_count - 1 - i];
        }
        struct decision again;
        decide(&turned.facts, &again);
        assert_int_equal(again.immediate, decision.immediate);
        assert_ptr_equal(again.group, decision.group);
    }
}

static void test_sentences(void **state) {
    (void)state;
    struct rule_group_release group = {.group = "beta", .version = 5};
    struct rule_facts facts = {
        .locked_version = 2, .groups = &group, .group_count = 1, .default_version = 4};
    struct decision decision;
    decide(&facts, &decision);
    static const char *const expected[RULE_COUNT] = {
        "The device is approved.",
        "It is not a development device.",
        "It is locked to version 2.",
        "The highest version released to its groups is 5 (beta), but a rule above decided.",
        "The product default is version 4, but a rule above decided.",
        "There is a rule that applies.",
    };
    for (size_t i = 0; i < RULE_COUNT; i++) {
        assert_string_equal(decision.explanation[i].text, expected[i]);
    }
    assert_int_equal(decision.explanation[3].verdict, RULE_OVERRULED);

    /* The longest group name still leaves a whole sentence. */
    char longest[GROUP_NAME_MAX + 1];
    memset(longest, 'g', GROUP_NAME_MAX);
    longest[GROUP_NAME_MAX] = '\0';
    group = (struct rule_group_release){.group = longest, .version = 65534};
    decide(&facts, &decision);
    check_explanation(&facts, &decision);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_every_combination),
        cmocka_unit_test(test_random_facts_agree_with_the_naive_rules),
        cmocka_unit_test(test_sentences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
