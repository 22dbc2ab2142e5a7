/* Between the two doors: what REST asks of connected devices, put as commands to the gateway. */
#ifndef SLIPWAY_DAEMON_DOORS_H
#define SLIPWAY_DAEMON_DOORS_H

#include "slipway/gateway/loop.h"
#include "slipway/http/ports.h"

struct http_ports doors_ports(struct loop *loop);

#endif
