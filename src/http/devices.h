#ifndef SLIPWAY_HTTP_DEVICES_H
#define SLIPWAY_HTTP_DEVICES_H

#include "http/request.h"

/* The device object with what belongs to it from other tables. product: the one at hand, which need
 * not be the device's. In a read view. */
json_t *device_page(struct app_tx *tx, const struct device *device, const struct product *product,
                    bool is_detail);

/* Functions and variables as the application described them last: {"f":[...],"v":{name:type}}. A
 * new reference; NULL before its first description. In a read view. */
json_t *device_described(struct app_tx *tx, const struct device_id *id);

/* Whether there is such a device, of whichever product. On a worker. */
bool device_exists(struct request *rq, const struct device_id *id);

#endif
