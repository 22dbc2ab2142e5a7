/* Idempotency-Key on requests that change something. */
#ifndef SLIPWAY_HTTP_REQUEST_ONCE_H
#define SLIPWAY_HTTP_REQUEST_ONCE_H

#include "http/request/request.h"

/* On a worker, of an admitted request. false: the reply is made (a repetition, or a conflict), the
 * handler shall not run. */
bool once_begin(struct request *rq);
/* After the handler made the reply: keeps it under the key, or frees the key when nothing was
 * done. */
void once_end(struct request *rq);

#endif
