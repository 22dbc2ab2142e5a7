/* The precedence rules: which version should a device run, and why. Pure: the same facts give the
 * same decision, and the decision says which rule decided and what every other rule had to say. */
#ifndef SLIPWAY_RULES_DECISION_H
#define SLIPWAY_RULES_DECISION_H

#include "slipway/model/ids.h"

enum rule {
    RULE_QUARANTINED,     /* quarantined or denied: nothing at all */
    RULE_DEVELOPMENT,     /* no automatic update, not even to its lock */
    RULE_LOCKED,          /* its locked version, above every release */
    RULE_GROUP,           /* the highest version released to any of its groups */
    RULE_PRODUCT_DEFAULT, /* the product's default release */
    RULE_NONE,            /* nothing applies */
    RULE_COUNT
};

enum rule_verdict {
    RULE_DECIDED,       /* this rule decided */
    RULE_OVERRULED,     /* it had an answer, but a higher rule decided */
    RULE_NOT_APPLICABLE /* it had nothing to say */
};

/* "quarantined", "development", "locked", "group", "product_default", "none". */
const char *rule_name(enum rule rule);

struct rule_group_release {
    const char *group; /* borrowed */
    uint16_t version;  /* released to that group */
    bool immediate;
};

/* Versions: 0 = none. */
struct rule_facts {
    bool is_quarantined; /* quarantined or denied */
    bool is_development;
    uint16_t locked_version;
    const struct rule_group_release *groups; /* the releases of the groups that the device is in */
    size_t group_count;
    uint16_t default_version;
    bool default_immediate;
    uint16_t running_version; /* 0 = none or not known */
};

struct rule_explanation {
    enum rule rule;
    enum rule_verdict verdict;
    uint16_t version; /* what it would have given; 0 = none */
    char text[160];   /* one English sentence */
};

struct decision {
    enum rule rule;
    uint16_t target_version; /* 0 = nothing */
    bool immediate;    /* the deciding release was immediate (of several of one version: any) */
    const char *group; /* rule GROUP: whose release won, the first by name among several of one
                          version; borrowed from the facts. Else NULL */
    bool is_change;    /* target_version != 0 and != running_version */
    size_t explanation_count;                        /* RULE_COUNT: every rule has its say */
    struct rule_explanation explanation[RULE_COUNT]; /* in order of precedence */
};

/* A target that is lower than what runs is a change like any other: that is how a bad release is
 * taken back. */
void decide(const struct rule_facts *facts, struct decision *out);
/* The version alone, without the explanation: for whole fleets. */
uint16_t decide_version(const struct rule_facts *facts, enum rule *rule);

#endif
