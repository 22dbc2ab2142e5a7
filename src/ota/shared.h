/* What the protocols have in common. */
#ifndef SLIPWAY_OTA_SHARED_PRIVATE_H
#define SLIPWAY_OTA_SHARED_PRIVATE_H

#include "slipway/ota/ota.h"

#define PATIENCE_MS                                                                                \
    150000 /* the device may erase its flash before it answers, and gives up at 300 s */

bool params_are_sound(const struct ota_params *params);
/* What it means that the device answers with this error, when asked to begin or to finish. */
enum ota_failure refusal(bool is_finishing, int32_t device_error);
/* When the chunk after one of len bytes that goes out now may follow; pace is when that one might
 * have gone. Above 0 bytes a second. */
mono_time paced(mono_time pace, uint32_t len, uint32_t rate_bytes_s, mono_time now);

#endif
