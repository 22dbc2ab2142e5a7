#include "slipway/model/update.h"

#include "slipway/util/check.h"

#include <string.h>

#define ENDS    (FSM_NEXT(UPDATE_SUCCEEDED) | FSM_NEXT(UPDATE_FAILED))
#define RECALLS (FSM_NEXT(UPDATE_CANCELLED) | FSM_NEXT(UPDATE_SUPERSEDED))

static const struct fsm_state states[UPDATE_STATES] = {
    [UPDATE_PLANNED] = {.name = "planned",
                        .next =
                            FSM_NEXT(UPDATE_DEFERRED) | FSM_NEXT(UPDATE_OFFERED) | ENDS | RECALLS},
    [UPDATE_DEFERRED] = {.name = "deferred", .next = FSM_NEXT(UPDATE_PLANNED) | ENDS | RECALLS},
    [UPDATE_OFFERED] = {.name = "offered",
                        .next = FSM_NEXT(UPDATE_SENDING) | FSM_NEXT(UPDATE_PLANNED) |
                                FSM_NEXT(UPDATE_DEFERRED) | ENDS | RECALLS,
                        .needs_timer = true},
    [UPDATE_SENDING] = {.name = "sending",
                        .next = FSM_NEXT(UPDATE_VERIFYING) | FSM_NEXT(UPDATE_PLANNED) |
                                FSM_NEXT(UPDATE_DEFERRED) | ENDS | RECALLS,
                        .needs_timer = true},
    [UPDATE_VERIFYING] = {.name = "verifying",
                          .next = FSM_NEXT(UPDATE_REBOOTING) | FSM_NEXT(UPDATE_PLANNED) | ENDS |
                                  RECALLS,
                          .needs_timer = true},
    [UPDATE_REBOOTING] = {.name = "rebooting",
                          .next = FSM_NEXT(UPDATE_PLANNED) | ENDS,
                          .needs_timer = true},
    [UPDATE_SUCCEEDED] = {.name = "succeeded", .is_final = true},
    [UPDATE_FAILED] = {.name = "failed", .is_final = true},
    [UPDATE_CANCELLED] = {.name = "cancelled", .is_final = true},
    [UPDATE_SUPERSEDED] = {.name = "superseded", .is_final = true},
};

const struct fsm update_fsm = {.name = "update", .states = states, .count = UPDATE_STATES};

const char *update_state_name(enum update_state state) {
    SW_CHECK(state < UPDATE_STATES);
    return states[state].name;
}

int update_state_find(const char *name) {
    return fsm_find(&update_fsm, name);
}

bool update_state_is_open(enum update_state state) {
    SW_CHECK(state < UPDATE_STATES);
    return !states[state].is_final;
}

bool update_state_allows(enum update_state from, enum update_state to) {
    return fsm_allows(&update_fsm, from, to);
}

static const char *const cause_names[UPDATE_CAUSES] = {
    [UPDATE_CAUSE_RULES] = "rules",
    [UPDATE_CAUSE_IMMEDIATE] = "immediate",
    [UPDATE_CAUSE_FLASH] = "flash",
};

const char *update_cause_name(enum update_cause cause) {
    SW_CHECK(cause < UPDATE_CAUSES);
    return cause_names[cause];
}

int update_cause_find(const char *name) {
    for (int i = 0; i < UPDATE_CAUSES; i++) {
        if (strcmp(cause_names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}
