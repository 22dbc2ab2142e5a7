/* The last step of a request: its reply as libmicrohttpd wants it, with the headers that every
 * reply has, and the line in the access log. */
#ifndef SLIPWAY_HTTP_REPLY_RESPOND_H
#define SLIPWAY_HTTP_REPLY_RESPOND_H

#include "http/request/request.h"

enum MHD_Result respond(struct request *rq);

/* Whether an Origin header's value is among the comma-separated origins. */
bool cors_allows(const char *origins, const char *origin);
/* Whether an Accept-Encoding header's value takes gzip. */
bool accepts_gzip(const char *header);

#endif
