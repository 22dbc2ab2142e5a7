/* Precedence. Each rule states, from the facts alone, whether it has an answer and which; the first
 * that has one decides. The rules are asked in the order of their enum, which is the order that the
 * product promises, and all of them are asked even after the decision, so that an operator can read
 * what each would have said. */
#include "slipway/rules/decision.h"

#include "slipway/util/check.h"
#include "slipway/util/text.h"

/* What one rule has to say. `version` 0 with an answer means: nothing, on purpose. */
struct answer {
    bool has_answer;
    uint16_t version;
    bool immediate;
    const char *group;
};

static struct answer ask_groups(const struct rule_facts *facts) {
    struct answer best = {.has_answer = false};
    for (size_t i = 0; i < facts->group_count; i++) {
        const struct rule_group_release *release = &facts->groups[i];
        if (release->version == 0 || release->version < best.version) {
            continue;
        }
        if (release->version > best.version) {
            best = (struct answer){.has_answer = true,
                                   .version = release->version,
                                   .immediate = release->immediate,
                                   .group = release->group};
            continue;
        }
        /* The order in which the groups come must not show in the decision. */
        best.immediate = best.immediate || release->immediate;
        if (strcmp(release->group, best.group) < 0) {
            best.group = release->group;
        }
    }
    return best;
}

static struct answer ask(enum rule rule, const struct rule_facts *facts) {
    struct answer none = {.has_answer = false};
    switch (rule) {
    case RULE_QUARANTINED:
        return (struct answer){.has_answer = facts->is_quarantined};
    case RULE_DEVELOPMENT:
        return (struct answer){.has_answer = facts->is_development};
    case RULE_LOCKED:
        return (struct answer){.has_answer = facts->locked_version != 0,
                               .version = facts->locked_version};
    case RULE_GROUP:
        return ask_groups(facts);
    case RULE_PRODUCT_DEFAULT:
        return (struct answer){.has_answer = facts->default_version != 0,
                               .version = facts->default_version,
                               .immediate = facts->default_immediate};
    case RULE_NONE:
        return (struct answer){.has_answer = true};
    case RULE_COUNT:
        break;
    }
    return none;
}

static void explain(enum rule rule, const struct answer *answer, struct rule_explanation *out) {
    struct text text = text_of(out->text, sizeof out->text);
    bool has_answer = answer->has_answer;
    switch (rule) {
    case RULE_QUARANTINED:
        text_add(&text, has_answer ? "The device is quarantined or denied: it gets nothing"
                                   : "The device is approved");
        break;
    case RULE_DEVELOPMENT:
        text_add(&text, has_answer ? "A development device gets no automatic updates"
                                   : "It is not a development device");
        break;
    case RULE_LOCKED:
        text_add(&text, has_answer ? "It is locked to version " : "It is not locked");
        break;
    case RULE_GROUP:
        text_add(&text, has_answer ? "The highest version released to its groups is "
                                   : "None of its groups has a release");
        break;
    case RULE_PRODUCT_DEFAULT:
        text_add(&text, has_answer ? "The product default is version "
                                   : "The product has no default release");
        break;
    case RULE_NONE:
        text_add(&text, out->verdict == RULE_DECIDED ? "No rule applies: it keeps what it runs"
                                                     : "There is a rule that applies");
        break;
    case RULE_COUNT:
        SW_CHECK(false);
    }
    if (answer->version != 0) {
        text_add_number(&text, answer->version);
    }
    if (answer->group != NULL) {
        text_add(&text, " (");
        text_add(&text, answer->group);
        text_add(&text, ")");
    }
    text_add(&text, out->verdict == RULE_OVERRULED ? ", but a rule above decided." : ".");
}

void decide(const struct rule_facts *facts, struct decision *out) {
    bool is_decided = false;
    memset(out, 0, sizeof *out);
    out->explanation_count = RULE_COUNT;
    for (int i = 0; i < RULE_COUNT; i++) {
        enum rule rule = (enum rule)i;
        struct answer answer = ask(rule, facts);
        struct rule_explanation *explanation = &out->explanation[i];
        explanation->rule = rule;
        explanation->version = answer.version;
        if (!answer.has_answer || (is_decided && rule == RULE_NONE)) {
            explanation->verdict = RULE_NOT_APPLICABLE;
        } else if (is_decided) {
            explanation->verdict = RULE_OVERRULED;
        } else {
            explanation->verdict = RULE_DECIDED;
            is_decided = true;
            out->rule = rule;
            out->target_version = answer.version;
            out->immediate = answer.immediate;
            out->group = answer.group;
        }
        explain(rule, &answer, explanation);
    }
    out->is_change = out->target_version != 0 && out->target_version != facts->running_version;
}

uint16_t decide_version(const struct rule_facts *facts, enum rule *rule) {
    for (int i = 0; i < RULE_COUNT; i++) {
        struct answer answer = ask((enum rule)i, facts);
        if (answer.has_answer) {
            *rule = (enum rule)i;
            return answer.version;
        }
    }
    SW_CHECK(false); /* RULE_NONE always answers */
}

const char *rule_name(enum rule rule) {
    static const char *const names[RULE_COUNT] = {
        [RULE_QUARANTINED] = "quarantined",
        [RULE_DEVELOPMENT] = "development",
        [RULE_LOCKED] = "locked",
        [RULE_GROUP] = "group",
        [RULE_PRODUCT_DEFAULT] = "product_default",
        [RULE_NONE] = "none",
    };
    SW_CHECK(rule < RULE_COUNT);
    return names[rule];
}
