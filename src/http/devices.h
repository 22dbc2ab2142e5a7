#ifndef SLIPWAY_HTTP_DEVICES_H
#define SLIPWAY_HTTP_DEVICES_H

#include "http/request/request.h"

/* Functions and variables as the application described them last: {"f":[...],"v":{name:type}}. A
 * new reference; NULL before its first description. In a read view. */
json_t *device_described(struct app_tx *tx, const struct device *device);

/* Whether there is such a device, of whichever product. On a worker. */
bool device_exists(struct request *rq, const struct device_id *id);

#endif
