/* Whether a request may go on: token, scope, and what its path names, in one place for all routes.
 * The route table declares what is needed; nothing here knows a route by name. */
#ifndef SLIPWAY_HTTP_REQUEST_ADMIT_H
#define SLIPWAY_HTTP_REQUEST_ADMIT_H

#include "http/request/request.h"

/* The token that came with the request: header, query, or `fields` of a form (may be NULL).
 * Borrowed; NULL if there is none. */
const char *admit_token(const struct request *rq, const json_t *fields);

struct admit {
    struct request *rq;
    const char *token; /* NULL = none */
};
/* An app_run_fn for a read view; arg is a struct admit. Fills the request's identity, product and
 * device, or its reply. Always returns SW_OK. */
int admit_run(struct app_tx *tx, void *arg);

#endif
