/* Times that clients name. */
#ifndef SLIPWAY_HTTP_REQUEST_DATES_H
#define SLIPWAY_HTTP_REQUEST_DATES_H

#include <stdbool.h>
#include <stdint.h>

/* ISO 8601: a date, or date and time to the minute, second or millisecond, in UTC or with an offset
 * ("2026-01-31", "2026-01-31T23:59:59.123Z", "2026-01-31T23:59+02:00"); a space stands for the plus
 * that it was before it went through a query. */
bool date_parse(const char *text, int64_t *ms);

struct request;
/* start_date and end_date of a query: false with the 400 reply that existing clients know if one is
 * no time. 0 = not given. */
bool dates_read(struct request *rq, int64_t *start_ms, int64_t *end_ms);
/* {"error":"bad_request","description":sentence} */
void dates_refuse(struct request *rq, const char *sentence);

#endif
