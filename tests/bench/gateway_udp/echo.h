/* The limit that UDP itself sets: a server that sends every datagram back, in batches, on a thread
 * of its own. */
#ifndef BENCH_GATEWAY_UDP_ECHO_H
#define BENCH_GATEWAY_UDP_ECHO_H

#include <stdint.h>

struct echo;

struct echo *echo_open(void);
uint16_t echo_port(const struct echo *echo);
/* Ends it and returns its CPU time. */
int64_t echo_close(struct echo *echo);

#endif
