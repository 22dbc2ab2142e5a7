/* The sender of webhooks: one thread that sends what is queued in the database by HTTP, many hooks
 * at once but one event of a hook at a time, in order. What it sent may be sent again after a
 * crash, never less: receivers tell repeats by X-Slipway-Delivery. */
#ifndef SLIPWAY_HOOK_HOOK_H
#define SLIPWAY_HOOK_HOOK_H

#include "slipway/util/error.h"

#include <stdint.h>

struct app;
struct hook_sender;

struct hook_config {
    uint32_t parallel;   /* requests under way at once; 0 = 16 */
    int64_t timeout_ms;  /* for a whole request; 0 = 10,000 */
    uint32_t answer_max; /* bytes of an answer that become events, at most 65,536; 0 = no events */
    const char *deny;    /* ranges of addresses that are never connected to; NULL = none */
    const char *allow;   /* exceptions from these; both are only read at the start */
};

/* SW_E_MEMORY, SW_E_IO; SW_E_INPUT: a range is none. */
int hook_sender_start(struct hook_sender **out, struct app *app, const struct hook_config *config,
                      struct fault *fault) SW_NODISCARD;
/* Events were committed: looks whether there is something to send. Any thread, never blocks. */
void hook_sender_events_ready(struct hook_sender *sender);
/* Breaks off what is under way, which stays queued. Accepts NULL. Before app_close. */
void hook_sender_stop(struct hook_sender *sender);
/* When nobody calls hook_sender_events_ready any more. Accepts NULL. */
void hook_sender_free(struct hook_sender *sender);

#endif
