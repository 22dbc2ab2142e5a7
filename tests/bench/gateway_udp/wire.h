/* The load generator's end: one UDP socket that speaks from any number of addresses of
 * 127.0.0.0/8, in batches. Each device has its own address, so that an answer's destination tells
 * whose it is. */
#ifndef BENCH_GATEWAY_UDP_WIRE_H
#define BENCH_GATEWAY_UDP_WIRE_H

#include "slipway/util/span.h"

#include <stdbool.h>
#include <stdint.h>

#define WIRE_BATCH    64
#define WIRE_DATAGRAM 1500

struct wire;

struct wire_datagram {
    uint32_t device;
    struct span bytes; /* valid until the next wire_receive */
};

struct wire *wire_open(uint16_t server_port);
void wire_close(struct wire *wire);
/* Room for one datagram of WIRE_DATAGRAM bytes from that device; sent after wire_commit. */
uint8_t *wire_begin(struct wire *wire, uint32_t device);
void wire_commit(struct wire *wire, size_t len);
void wire_send(struct wire *wire, uint32_t device, struct span bytes);
void wire_flush(struct wire *wire);
/* What has come, at most WIRE_BATCH; waits so long for the first. */
size_t wire_receive(struct wire *wire, struct wire_datagram out[WIRE_BATCH], int timeout_ms);

#endif
