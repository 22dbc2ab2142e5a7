/* State machines as tables. A machine's states are an enum 0..count-1; its table says for each
 * which states may follow, whether it is final, and whether it must always have a deadline.
 * One `*_move` function of the machine writes its state field, through fsm_check. */
#ifndef SLIPWAY_UTIL_FSM_H
#define SLIPWAY_UTIL_FSM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fsm_state {
    const char *name; /* also its text form in logs and the database */
    uint32_t next;    /* bit n set: state n may follow */
    bool is_final;
    bool needs_timer; /* waiting here without a deadline is a bug */
};

struct fsm {
    const char *name;
    const struct fsm_state *states;
    size_t count; /* at most 32 */
};

#define FSM_NEXT(state) (UINT32_C(1) << (state))

bool fsm_allows(const struct fsm *fsm, unsigned from, unsigned to);
/* SW_CHECKs that the move is in the table. */
void fsm_check(const struct fsm *fsm, unsigned from, unsigned to);
/* NULL if the table is sound: every state is reachable from state 0, can reach a final one, and
 * every state that is not final needs a timer unless listed in `may_wait` (bits). Else what is
 * wrong. */
const char *fsm_audit(const struct fsm *fsm, uint32_t may_wait);
/* The state whose name is `name`, or -1. */
int fsm_find(const struct fsm *fsm, const char *name);

#endif
