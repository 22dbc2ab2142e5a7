/* Idempotency keys: a client that does not know whether its request arrived sends it again with the
 * same key and gets the first one's answer. Keys are forgotten after a day. */
#ifndef SLIPWAY_APP_ONCE_H
#define SLIPWAY_APP_ONCE_H

#include "slipway/app/app.h"
#include "slipway/store/once.h"

#define ONCE_KEY_MAX 255

/* A write job before the request is served. SW_OK: serve it, then app_once_answer or
 * app_once_forget. SW_E_EXISTS: *out has its answer, to be given again (out->body is the caller's).
 *   SW_E_CONFLICT  the key was used for another request; or the first one has no answer yet, or
 *                  none that was kept: the error says which */
int app_once_claim(struct app_tx *tx, const struct once_key *key,
                   struct once_row *out) SW_NODISCARD;
int app_once_answer(struct app_tx *tx, const struct once_key *key,
                    const struct once_answer *answer) SW_NODISCARD;
int app_once_forget(struct app_tx *tx, const struct once_key *key) SW_NODISCARD;

#endif
