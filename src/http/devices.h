#ifndef SLIPWAY_HTTP_DEVICES_H
#define SLIPWAY_HTTP_DEVICES_H

#include "http/request/request.h"

/* Functions and variables as the application described them last: {"f":[...],"v":{name:type}}. A
 * new reference; NULL before its first description. In a read view. */
json_t *device_described(struct app_tx *tx, const struct device *device);

/* The device, of whichever product; false, without a reply, if there is none. On a worker. */
bool device_find(struct request *rq, const struct device_id *id, struct device *out);

#endif
