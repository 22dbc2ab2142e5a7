/* An update: the daemon's undertaking to bring one device to one firmware version. At most one is
 * open for each device. Its states are persisted by name; see ARCHITECTURE.md for the drawing. */
#ifndef SLIPWAY_MODEL_UPDATE_H
#define SLIPWAY_MODEL_UPDATE_H

#include "slipway/util/fsm.h"

enum update_state {
    UPDATE_PLANNED,    /* decided, nothing sent */
    UPDATE_DEFERRED,   /* the device refuses updates for now; it was told that one is pending */
    UPDATE_OFFERED,    /* UpdateStart sent, no answer yet */
    UPDATE_SENDING,    /* chunks under way */
    UPDATE_VERIFYING,  /* all chunks there, UpdateFinish sent */
    UPDATE_REBOOTING,  /* committed; judged by what the device reports next */
    UPDATE_SUCCEEDED,  /* final */
    UPDATE_FAILED,     /* final, with a reason */
    UPDATE_CANCELLED,  /* final: the target went away or an operator said so */
    UPDATE_SUPERSEDED, /* final: another version became the target */
    UPDATE_STATES
};

extern const struct fsm update_fsm;

const char *update_state_name(enum update_state state);
bool update_state_is_open(enum update_state state);

/* Why an update was opened. */
enum update_cause {
    UPDATE_CAUSE_RULES, /* a release or lock, at the start of a session */
    UPDATE_CAUSE_IMMEDIATE,
    UPDATE_CAUSE_FLASH, /* an operator flashed this one device */
    UPDATE_CAUSES
};

const char *update_cause_name(enum update_cause cause);

#endif
