/* Parameters of the query, by type. A wrong one makes the 400 reply; each that a handler asks for
 * is noted, so that a slip of the finger in the name of one is told from a parameter that is not
 * ours. */
#ifndef SLIPWAY_HTTP_REQUEST_QUERY_H
#define SLIPWAY_HTTP_REQUEST_QUERY_H

#include "http/request/request.h"

/* NULL when absent; name is a literal. Borrowed from the request. */
const char *request_query(struct request *rq, const char *name);
/* false with the reply; *out keeps its value when the parameter is absent. */
bool request_query_integer(struct request *rq, const char *name, int64_t min, int64_t max,
                           int64_t *out);
bool request_query_bool(struct request *rq, const char *name, bool *out);
/* The texts of "name=a,b" and of "name[]=a&name[]=b", however often they stand there: a new array,
 * empty texts left out; NULL when absent. */
json_t *request_query_texts(struct request *rq, const char *name);

/* After the handler of a GET that went well: refuses what looks like one of its parameters, but is
 * none. A list without the filter that was meant would be a wrong answer. */
void query_end(struct request *rq);

#endif
