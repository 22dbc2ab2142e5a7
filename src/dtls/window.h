/* The anti-replay window of RFC 6347 section 4.1.2.6, over the three fields of a session. */
#ifndef DTLS_WINDOW_H
#define DTLS_WINDOW_H

#include "slipway/dtls/session.h"

#define WINDOW_BITS 64

/* Whether the number is neither marked nor too old to tell. */
bool window_is_new(const struct dtls_session *session, uint64_t sequence);
/* Only for authentic records, and only if window_is_new. */
void window_mark(struct dtls_session *session, uint64_t sequence);

#endif
