/* What is under way between next_new and cumulative: which chunks are in flight, lost or arrived,
 * when to repeat one, and how many may be outstanding. */
#ifndef SLIPWAY_OTA_WINDOW_PRIVATE_H
#define SLIPWAY_OTA_WINDOW_PRIVATE_H

#include "slipway/ota/ota.h"

enum ota_slot_state { SLOT_ARRIVED, SLOT_FLIGHT, SLOT_LOST };

void window_begin(struct ota *ota, mono_time now);
/* SW_OK, SW_E_EXISTS if it is older than what is known, SW_E_INPUT if it cannot be true. */
int window_acked(struct ota *ota, uint32_t cumulative, struct span bitmap,
                 mono_time now) SW_NODISCARD;
/* The retransmission timer has run out: all that is in flight counts as lost. */
void window_timeout(struct ota *ota);
/* The chunk to send now, or 0. */
uint32_t window_pick(struct ota *ota);
void window_sent(struct ota *ota, uint32_t index, mono_time now);
void window_measured(struct ota *ota, int64_t rtt_us);

#endif
