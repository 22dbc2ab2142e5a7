/* An update: the daemon's undertaking to bring one device to one firmware version. At most one is
 * open for each device. Its states are persisted by name.
 *
 *        enabled again, or a new session
 *      +----------------------------------- DEFERRED
 *      v   updates are disabled                ^
 *   PLANNED -----------------------------------+
 *      | UpdateStart sent                      |
 *      v                                       |
 *   OFFERED --- refused, disabled (-1380) -----+
 *      | 2.01                                  |
 *      v                                       |
 *   SENDING --- disabled ---------------------+      OFFERED, SENDING and VERIFYING fall back to
 *      | every chunk acknowledged                     PLANNED when the session is lost: the next
 *      v                                              offer resumes where the device stopped
 *   VERIFYING
 *      | 2.04 on disk, then acknowledged
 *      v
 *   REBOOTING ---- the device reports the target ---> SUCCEEDED
 *
 * From every open state an update may also end as FAILED, or as SUCCEEDED if the device turns out
 * to run the target (flashed by cable, an earlier outcome lost); and as CANCELLED or SUPERSEDED,
 * except from REBOOTING: what a device has committed to cannot be called back, so its outcome is
 * awaited and the new target gets an update of its own afterwards. REBOOTING goes back to PLANNED
 * when the device returns unchanged with attempts left.
 *
 * PLANNED and DEFERRED wait for the device, which may be away for months: they need no deadline,
 * all other open states do. */
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

const char *update_state_name(enum update_state state); /* "planned" */
/* The state of that name, or -1: for rows read back. */
int update_state_find(const char *name);
bool update_state_is_open(enum update_state state);
/* Whether the table above has that step. The store's compare-and-set is where it is taken. */
bool update_state_allows(enum update_state from, enum update_state to);

/* Why an update was opened. */
enum update_cause {
    UPDATE_CAUSE_RULES, /* a release or lock, at the start of a session */
    UPDATE_CAUSE_IMMEDIATE,
    UPDATE_CAUSE_FLASH, /* an operator flashed this one device */
    UPDATE_CAUSES
};

const char *update_cause_name(enum update_cause cause); /* "rules", "immediate", "flash" */
int update_cause_find(const char *name);                /* or -1 */

#endif
