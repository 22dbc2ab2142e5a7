/* An image on its way to the peer's device: set-up for cmocka, and the course of an update. */
#ifndef TESTS_SESSION_UPDATE_H
#define TESTS_SESSION_UPDATE_H

#include "device.h"

extern struct device the_device;
extern struct device_log update_log;
extern uint8_t update_image[DEVICE_IMAGE_MAX];

/* The peer after its Hello; with the older protocol. Ends with peer_done. */
int update_greeted(void **state);
int update_legacy(void **state);

/* Offers the image's first len bytes. */
int update_offer(size_t len);
void update_run_s(int64_t seconds);
/* The event that told of the failure; fails the test if there is none. */
const struct session_event *update_failed(void);
/* Offers and runs until the device committed. Returns the commit's ticket. */
uint32_t update_sent(size_t len);

#endif
