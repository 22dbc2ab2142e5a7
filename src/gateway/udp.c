/* The kernel's way out is what costs, not the system call: a batch saves little, a segmented run of
 * chunks four fifths. So single answers are gathered for one sendmmsg, and runs go at once. */
#include "gateway/udp.h"

#include "slipway/util/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#define SEGMENTS_MAX  64U
#define RUN_BYTES_MAX 65000U
#define CONTROL_BYTES 128
#define GSO_LEAST     3U /* datagrams for which a run is worth it */

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

struct udp {
    int fd;
    bool is_v4;
    bool has_paths; /* bound to a wildcard: local addresses differ */
    bool has_segments;
    uint16_t port;
    uint8_t path_count;
    struct in6_addr paths[UDP_PATHS_MAX];
    struct mmsghdr in[UDP_BATCH], out[UDP_BATCH];
    struct iovec in_iov[UDP_BATCH], out_iov[UDP_BATCH];
    struct sockaddr_in6 in_from[UDP_BATCH], out_to[UDP_BATCH];
    _Alignas(16) uint8_t in_control[UDP_BATCH][CONTROL_BYTES];
    _Alignas(16) uint8_t out_control[UDP_BATCH][CONTROL_BYTES];
    uint8_t in_bytes[UDP_BATCH][UDP_DATAGRAM], out_bytes[UDP_BATCH][UDP_DATAGRAM];
    unsigned out_count;
};

static bool udp_bind(struct udp *udp, const struct udp_options *options, struct fault *fault) {
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(options->port)};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(options->port)};
    int on = 1, off = 0;
    udp->is_v4 = inet_pton(AF_INET, options->host, &v4.sin_addr) == 1;
    if (!udp->is_v4 && inet_pton(AF_INET6, options->host, &v6.sin6_addr) != 1) {
        (void)fault_set(fault, SW_E_INPUT, "\"%s\" is not a numeric address", options->host);
        return false;
    }
    udp->fd = socket(udp->is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (udp->fd < 0) {
        (void)fault_set(fault, SW_E_IO, "no UDP socket: %s", strerror(errno));
        return false;
    }
    if (udp->is_v4) {
        udp->has_paths = v4.sin_addr.s_addr == htonl(INADDR_ANY);
    } else {
        udp->has_paths = IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr);
        (void)setsockopt(udp->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    if (udp->has_paths) {
        (void)setsockopt(udp->fd, udp->is_v4 ? IPPROTO_IP : IPPROTO_IPV6,
                         udp->is_v4 ? IP_PKTINFO : IPV6_RECVPKTINFO, &on, sizeof on);
    }
    const struct sockaddr *address =
        udp->is_v4 ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6;
    if (bind(udp->fd, address, udp->is_v4 ? sizeof v4 : sizeof v6) != 0) {
        (void)fault_set(fault, errno == EADDRINUSE ? SW_E_EXISTS : SW_E_IO,
                        "udp port %u of %s cannot be opened: %s", options->port, options->host,
                        strerror(errno));
        return false;
    }
    struct sockaddr_in6 bound = {0};
    socklen_t len = sizeof bound;
    if (getsockname(udp->fd, (struct sockaddr *)&bound, &len) != 0) {
        (void)fault_set(fault, SW_E_IO, "getsockname: %s", strerror(errno));
        return false;
    }
    udp->port = ntohs(bound.sin6_port); /* at the same place in both families */
    return true;
}

int udp_open(struct udp **out, const struct udp_options *options, struct fault *fault) {
    struct udp *udp = calloc(1, sizeof *udp);
    *out = NULL;
    if (udp == NULL) {
        return fault_set(fault, SW_E_MEMORY, "no memory for the UDP socket");
    }
    udp->fd = -1;
    struct fault local = {0};
    if (!udp_bind(udp, options, &local)) {
        udp_close(udp);
        return fault_set(fault, local.code, "%s", local.text);
    }
    int bytes = (int)options->receive_buffer;
    if (bytes > 0) {
        (void)setsockopt(udp->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    }
    bytes = (int)options->send_buffer;
    if (bytes > 0) {
        (void)setsockopt(udp->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    }
    int none = 0;
    udp->has_segments = !options->without_segments &&
                        setsockopt(udp->fd, IPPROTO_UDP, UDP_SEGMENT, &none, sizeof none) == 0;
    *out = udp;
    return SW_OK;
}

void udp_close(struct udp *udp) {
    if (udp != NULL) {
        if (udp->fd >= 0) {
            (void)close(udp->fd);
        }
        free(udp);
    }
}

int udp_descriptor(const struct udp *udp) {
    return udp->fd;
}

uint16_t udp_port(const struct udp *udp) {
    return udp->port;
}

/* The number of one of our addresses; new ones get the next. Past the last number the kernel's own
 * choice has to do. */
static gateway_path udp_path(struct udp *udp, const struct in6_addr *local) {
    for (uint8_t n = 0; n < udp->path_count; n++) {
        if (memcmp(&udp->paths[n], local, sizeof *local) == 0) {
            return (gateway_path)(n + 1);
        }
    }
    if (udp->path_count == UDP_PATHS_MAX) {
        return 0;
    }
    udp->paths[udp->path_count++] = *local;
    return udp->path_count;
}

static void map_v4(const struct in_addr *v4, struct in6_addr *out) {
    memcpy(out->s6_addr, mapped, sizeof mapped);
    memcpy(out->s6_addr + sizeof mapped, v4, 4);
}

static gateway_path udp_path_of(struct udp *udp, struct msghdr *message) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        struct in6_addr local;
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            return udp_path(udp, &info.ipi6_addr);
        }
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            map_v4(&info.ipi_addr, &local);
            return udp_path(udp, &local);
        }
    }
    return 0;
}

static void address_from(const struct udp *udp, const struct sockaddr_in6 *from,
                         struct address *out) {
    if (udp->is_v4) {
        struct sockaddr_in v4;
        struct in6_addr v6;
        memcpy(&v4, from, sizeof v4);
        map_v4(&v4.sin_addr, &v6);
        memcpy(out->ip, &v6, sizeof out->ip);
        out->port = ntohs(v4.sin_port);
    } else {
        memcpy(out->ip, &from->sin6_addr, sizeof out->ip);
        out->port = ntohs(from->sin6_port);
    }
}

static socklen_t address_to(const struct udp *udp, const struct address *to,
                            struct sockaddr_in6 *out) {
    memset(out, 0, sizeof *out);
    if (udp->is_v4) {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(to->port)};
        memcpy(&v4.sin_addr, to->ip + 12, 4);
        memcpy(out, &v4, sizeof v4);
        return sizeof v4;
    }
    out->sin6_family = AF_INET6;
    out->sin6_port = htons(to->port);
    memcpy(&out->sin6_addr, to->ip, sizeof to->ip);
    return sizeof *out;
}

size_t udp_receive(struct udp *udp, struct udp_datagram out[UDP_BATCH]) {
    for (unsigned n = 0; n < UDP_BATCH; n++) {
        udp->in_iov[n] =
            (struct iovec){.iov_base = udp->in_bytes[n], .iov_len = sizeof udp->in_bytes[n]};
        udp->in[n].msg_hdr =
            (struct msghdr){.msg_name = &udp->in_from[n],
                            .msg_namelen = sizeof udp->in_from[n],
                            .msg_iov = &udp->in_iov[n],
                            .msg_iovlen = 1,
                            .msg_control = udp->has_paths ? udp->in_control[n] : NULL,
                            .msg_controllen = udp->has_paths ? CONTROL_BYTES : 0};
    }
    int count = recvmmsg(udp->fd, udp->in, UDP_BATCH, MSG_DONTWAIT, NULL);
    if (count <= 0) {
        return 0; /* nothing there; or an ICMP error of some peer, which says nothing of others */
    }
    for (int n = 0; n < count; n++) {
        size_t len = udp->in[n].msg_len;
        bool cut = (udp->in[n].msg_hdr.msg_flags & MSG_TRUNC) != 0;
        address_from(udp, &udp->in_from[n], &out[n].from);
        out[n].path = udp->has_paths ? udp_path_of(udp, &udp->in[n].msg_hdr) : 0;
        out[n].bytes = span_of(udp->in_bytes[n], cut ? 0 : len);
    }
    return (size_t)count;
}

/* Ancillary data of one message: where it leaves from, and how it is cut. */
static size_t udp_control(const struct udp *udp, gateway_path path, uint16_t segment,
                          uint8_t control[CONTROL_BYTES]) {
    struct msghdr message = {.msg_control = control, .msg_controllen = CONTROL_BYTES};
    memset(control, 0, CONTROL_BYTES);
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    size_t used = 0;
    if (path > 0 && path <= udp->path_count) {
        const struct in6_addr *local = &udp->paths[path - 1];
        if (udp->is_v4) {
            struct in_pktinfo info = {0};
            memcpy(&info.ipi_spec_dst, local->s6_addr + 12, 4);
            c->cmsg_level = IPPROTO_IP;
            c->cmsg_type = IP_PKTINFO;
            c->cmsg_len = CMSG_LEN(sizeof info);
            memcpy(CMSG_DATA(c), &info, sizeof info);
            used += CMSG_SPACE(sizeof info);
        } else {
            struct in6_pktinfo info = {.ipi6_addr = *local};
            c->cmsg_level = IPPROTO_IPV6;
            c->cmsg_type = IPV6_PKTINFO;
            c->cmsg_len = CMSG_LEN(sizeof info);
            memcpy(CMSG_DATA(c), &info, sizeof info);
            used += CMSG_SPACE(sizeof info);
        }
        c = CMSG_NXTHDR(&message, c);
    }
    if (segment > 0) {
        c->cmsg_level = IPPROTO_UDP;
        c->cmsg_type = UDP_SEGMENT;
        c->cmsg_len = CMSG_LEN(sizeof segment);
        memcpy(CMSG_DATA(c), &segment, sizeof segment);
        used += CMSG_SPACE(sizeof segment);
    }
    return used;
}

void udp_flush(struct udp *udp) {
    unsigned at = 0;
    while (at < udp->out_count) {
        int sent = sendmmsg(udp->fd, udp->out + at, udp->out_count - at, MSG_DONTWAIT);
        if (sent > 0) {
            at += (unsigned)sent;
        } else if (errno == EINTR) {
            continue;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
            break; /* the link is full: lost, as on any other full link */
        } else {
            at++; /* this peer cannot be reached; the next can */
        }
    }
    udp->out_count = 0;
}

static void udp_queue(struct udp *udp, gateway_path path, const struct address *peer,
                      struct span bytes) {
    if (bytes.len > UDP_DATAGRAM) {
        return;
    }
    if (udp->out_count == UDP_BATCH) {
        udp_flush(udp);
    }
    unsigned n = udp->out_count++;
    memcpy(udp->out_bytes[n], bytes.data, bytes.len);
    socklen_t name_len = address_to(udp, peer, &udp->out_to[n]);
    size_t control = path == 0 ? 0 : udp_control(udp, path, 0, udp->out_control[n]);
    udp->out_iov[n] = (struct iovec){.iov_base = udp->out_bytes[n], .iov_len = bytes.len};
    udp->out[n].msg_hdr = (struct msghdr){.msg_name = &udp->out_to[n],
                                          .msg_namelen = name_len,
                                          .msg_iov = &udp->out_iov[n],
                                          .msg_iovlen = 1,
                                          .msg_control = control == 0 ? NULL : udp->out_control[n],
                                          .msg_controllen = control};
}

/* One run, cut by the kernel. False: it cannot. */
static bool udp_send_run(struct udp *udp, gateway_path path, const struct address *peer,
                         struct span run, uint16_t segment) {
    struct sockaddr_in6 to;
    _Alignas(16) uint8_t control[CONTROL_BYTES];
    union {
        const uint8_t *in;
        void *out;
    } base = {.in = run.data}; /* sendmsg does not write through it */
    struct iovec iov = {.iov_base = base.out, .iov_len = run.len};
    struct msghdr message = {.msg_name = &to, .msg_iov = &iov, .msg_iovlen = 1};
    message.msg_namelen = address_to(udp, peer, &to);
    message.msg_controllen = udp_control(udp, path, segment, control);
    message.msg_control = control;
    if (sendmsg(udp->fd, &message, MSG_DONTWAIT) >= 0) {
        return true;
    }
    if (errno == EIO || errno == EINVAL || errno == EOPNOTSUPP) {
        udp->has_segments = false; /* this interface has no checksum offload */
        return false;
    }
    return true; /* lost */
}

void udp_send(struct udp *udp, gateway_path path, const struct address *peer,
              const struct outbox *box) {
    size_t at = 0;
    while (at < box->count) {
        size_t segment = box->items[at].len, end = at, bytes = 0;
        /* Equal ones, and one shorter at the end; they lie one behind the other. */
        while (end < box->count && end - at < SEGMENTS_MAX && box->items[end].len <= segment &&
               bytes + box->items[end].len <= RUN_BYTES_MAX) {
            bytes += box->items[end].len;
            if (box->items[end++].len < segment) {
                break;
            }
        }
        if (udp->has_segments && end - at >= GSO_LEAST) {
            udp_flush(udp);
            if (udp_send_run(udp, path, peer, span_of(box->data + box->items[at].at, bytes),
                             (uint16_t)segment)) {
                at = end;
                continue;
            }
        }
        for (; at < end; at++) {
            udp_queue(udp, path, peer, outbox_datagram(box, at));
        }
    }
}
