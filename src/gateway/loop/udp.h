/* The UDP socket: batches in and out with recvmmsg and sendmmsg, and one system call for a whole
 * run of equal-sized datagrams to one device where the kernel can split it (UDP_SEGMENT). Answers
 * leave from the address that was spoken to. One thread. */
#ifndef SLIPWAY_GATEWAY_LOOP_UDP_H
#define SLIPWAY_GATEWAY_LOOP_UDP_H

#include "slipway/gateway/core.h"

#define UDP_BATCH     256
#define UDP_DATAGRAM  2048
#define UDP_PATHS_MAX 255

struct udp;

struct udp_options {
    const char *host;
    uint16_t port;
    uint32_t receive_buffer, send_buffer;
    bool without_segments;
};

int udp_open(struct udp **out, const struct udp_options *options, struct fault *fault) SW_NODISCARD;
void udp_close(struct udp *udp); /* accepts NULL */
int udp_descriptor(const struct udp *udp);
uint16_t udp_port(const struct udp *udp);

/* What is there, at most UDP_BATCH datagrams, whose bytes are valid until the next call; 0 when
 * there is nothing. */
size_t udp_receive(struct udp *udp, struct gateway_arrival out[UDP_BATCH]);
/* Queued until udp_flush, or until there is no more room; what the kernel does not take is lost. */
void udp_send(struct udp *udp, gateway_path path, const struct address *peer,
              const struct outbox *box);
void udp_flush(struct udp *udp);

#endif
