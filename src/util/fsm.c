#include "slipway/util/fsm.h"

#include "slipway/util/check.h"

#include <string.h>

bool fsm_allows(const struct fsm *fsm, unsigned from, unsigned to) {
    SW_CHECK(from < fsm->count && to < fsm->count);
    return (fsm->states[from].next & FSM_NEXT(to)) != 0;
}

void fsm_check(const struct fsm *fsm, unsigned from, unsigned to) {
    SW_CHECK(fsm_allows(fsm, from, to));
}

int fsm_find(const struct fsm *fsm, const char *name) {
    for (size_t i = 0; i < fsm->count; i++) {
        if (strcmp(fsm->states[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static uint32_t reachable(const struct fsm *fsm, unsigned from) {
    uint32_t seen = FSM_NEXT(from);
    uint32_t before;
    do {
        before = seen;
        for (unsigned i = 0; i < fsm->count; i++) {
            if ((seen & FSM_NEXT(i)) != 0) {
                seen |= fsm->states[i].next;
            }
        }
    } while (seen != before);
    return seen;
}

const char *fsm_audit(const struct fsm *fsm, uint32_t may_wait) {
    if (fsm->count == 0 || fsm->count > 32) {
        return "a machine has 1 to 32 states";
    }
    uint32_t all = fsm->count == 32 ? UINT32_MAX : (UINT32_C(1) << fsm->count) - 1;
    uint32_t finals = 0;
    for (unsigned i = 0; i < fsm->count; i++) {
        const struct fsm_state *state = &fsm->states[i];
        if (state->name == NULL) {
            return "a state has no name";
        }
        if ((state->next & ~all) != 0) {
            return "a state leads out of the table";
        }
        if (state->is_final) {
            finals |= FSM_NEXT(i);
        }
        if (!state->is_final && !state->needs_timer && (may_wait & FSM_NEXT(i)) == 0) {
            return "a state waits without a deadline";
        }
    }
    if (reachable(fsm, 0) != all) {
        return "a state cannot be reached";
    }
    for (unsigned i = 0; i < fsm->count; i++) {
        if ((reachable(fsm, i) & finals) == 0) {
            return "a state reaches no final one";
        }
    }
    return NULL;
}
