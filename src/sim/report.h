/* What slipway-sim tells about its fleet. */
#ifndef SLIPWAY_SIM_REPORT_H
#define SLIPWAY_SIM_REPORT_H

#include "sim/fleet.h"

/* All devices as JSON, written beside the file and moved over it, so that readers see one whole. */
void report_status(const struct fleet *fleet, const char *path);
/* The end: one JSON object on standard output. Returns how many violations there were. */
uint32_t report_summary(const struct fleet *fleet);

#endif
