#include "gateway_udp/wire.h"

#include "gateway_udp/server.h"

#include "slipway/sys/clock.h"
#include "slipway/util/check.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_BYTES  (4 * 1024 * 1024)
#define CONTROL_BYTES 64
#define SPIN_US       500

struct direction {
    struct mmsghdr headers[WIRE_BATCH];
    struct iovec iov[WIRE_BATCH];
    struct sockaddr_in peers[WIRE_BATCH];
    _Alignas(16) uint8_t control[WIRE_BATCH][CONTROL_BYTES];
    uint8_t bytes[WIRE_BATCH][WIRE_DATAGRAM];
};

struct wire {
    int fd;
    unsigned queued;
    struct direction in, out;
};

static void direction_init(struct direction *d, const struct sockaddr_in *peer) {
    for (unsigned n = 0; n < WIRE_BATCH; n++) {
        d->iov[n] = (struct iovec){.iov_base = d->bytes[n], .iov_len = WIRE_DATAGRAM};
        d->peers[n] = *peer;
        d->headers[n].msg_hdr = (struct msghdr){.msg_name = &d->peers[n],
                                                .msg_namelen = sizeof d->peers[n],
                                                .msg_iov = &d->iov[n],
                                                .msg_iovlen = 1,
                                                .msg_control = d->control[n],
                                                .msg_controllen = CONTROL_BYTES};
    }
}

struct wire *wire_open(uint16_t server_port) {
    const struct sockaddr_in any = {.sin_family = AF_INET};
    const struct sockaddr_in server = {.sin_family = AF_INET,
                                       .sin_port = htons(server_port),
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1, bytes = BUFFER_BYTES;
    struct wire *wire = calloc(1, sizeof *wire);
    SW_CHECK(wire != NULL);
    wire->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    SW_CHECK(wire->fd >= 0);
    SW_CHECK(bind(wire->fd, (const struct sockaddr *)&any, sizeof any) == 0);
    SW_CHECK(setsockopt(wire->fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) == 0);
    (void)setsockopt(wire->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    (void)setsockopt(wire->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    direction_init(&wire->out, &server);
    direction_init(&wire->in, &any);
    return wire;
}

void wire_close(struct wire *wire) {
    (void)close(wire->fd);
    free(wire);
}

uint8_t *wire_begin(struct wire *wire, uint32_t device) {
    if (wire->queued == WIRE_BATCH) {
        wire_flush(wire);
    }
    struct msghdr *header = &wire->out.headers[wire->queued].msg_hdr;
    struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl(device_ip(device))};
    header->msg_controllen = CMSG_SPACE(sizeof info);
    struct cmsghdr *c = CMSG_FIRSTHDR(header);
    c->cmsg_level = IPPROTO_IP;
    c->cmsg_type = IP_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof info);
    memcpy(CMSG_DATA(c), &info, sizeof info);
    return wire->out.bytes[wire->queued];
}

void wire_commit(struct wire *wire, size_t len) {
    wire->out.iov[wire->queued++].iov_len = len;
}

void wire_send(struct wire *wire, uint32_t device, struct span bytes) {
    SW_CHECK(bytes.len <= WIRE_DATAGRAM);
    memcpy(wire_begin(wire, device), bytes.data, bytes.len);
    wire_commit(wire, bytes.len);
}

void wire_flush(struct wire *wire) {
    unsigned at = 0;
    while (at < wire->queued) {
        int sent = sendmmsg(wire->fd, wire->out.headers + at, wire->queued - at, 0);
        SW_CHECK(sent > 0 || errno == EINTR || errno == ECONNREFUSED || errno == ENOBUFS);
        at += sent > 0 ? (unsigned)sent : 0;
    }
    wire->queued = 0;
}

static uint32_t device_at(const struct msghdr *header) {
    struct in_pktinfo info = {0};
    const struct cmsghdr *c = CMSG_FIRSTHDR(header);
    if (c != NULL && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
        memcpy(&info, CMSG_DATA(c), sizeof info);
    }
    return ntohl(info.ipi_addr.s_addr) - device_ip(0);
}

size_t wire_receive(struct wire *wire, struct wire_datagram out[WIRE_BATCH], int timeout_ms) {
    for (unsigned n = 0; n < WIRE_BATCH; n++) {
        wire->in.headers[n].msg_hdr.msg_controllen = CONTROL_BYTES;
        wire->in.headers[n].msg_hdr.msg_namelen = sizeof wire->in.peers[n];
    }
    /* It looks for a while before it sleeps: to wake it would be at the server's expense. */
    mono_time begun = mono_now();
    int count;
    do {
        count = recvmmsg(wire->fd, wire->in.headers, WIRE_BATCH, MSG_DONTWAIT, NULL);
    } while (count <= 0 && timeout_ms != 0 && mono_since_us(begun, mono_now()) < SPIN_US);
    if (count <= 0 && timeout_ms != 0) {
        struct pollfd ready = {.fd = wire->fd, .events = POLLIN};
        (void)poll(&ready, 1, timeout_ms);
        count = recvmmsg(wire->fd, wire->in.headers, WIRE_BATCH, MSG_DONTWAIT, NULL);
    }
    for (int n = 0; n < count; n++) {
        out[n] = (struct wire_datagram){
            .device = device_at(&wire->in.headers[n].msg_hdr),
            .bytes = span_of(wire->in.bytes[n], wire->in.headers[n].msg_len)};
    }
    return count > 0 ? (size_t)count : 0;
}
