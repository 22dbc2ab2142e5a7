/* The kernel's way out is what costs, not the system call: a batch saves little, a run that the
 * kernel cuts four fifths. So what is to be sent is gathered until the end of a turn, and datagrams
 * of one size to one device that follow each other become one message: the chunks that a dozen
 * acknowledgements of a transfer made room for, two by two, leave as one. */
#include "gateway/loop/udp.h"

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
#define MESSAGES_MAX  64U
#define QUEUE_BYTES   (256U * 1024)

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

/* Datagrams of one size to one peer; the last may be shorter, and ends it. */
struct run {
    gateway_path path;
    bool has_ended;
    uint16_t segment;
    unsigned count;
    struct address peer;
};

struct udp {
    int fd;
    bool is_v4;
    bool has_paths; /* bound to a wildcard: local addresses differ */
    bool has_segments;
    uint16_t port;
    uint8_t path_count;
    struct in6_addr paths[UDP_PATHS_MAX];
    struct mmsghdr in[UDP_BATCH], out[MESSAGES_MAX];
    struct iovec in_iov[UDP_BATCH], out_iov[MESSAGES_MAX];
    struct sockaddr_in6 in_from[UDP_BATCH], out_to[MESSAGES_MAX];
    _Alignas(16) uint8_t in_control[UDP_BATCH][CONTROL_BYTES];
    _Alignas(16) uint8_t out_control[MESSAGES_MAX][CONTROL_BYTES];
    uint8_t in_bytes[UDP_BATCH][UDP_DATAGRAM];
    uint8_t out_bytes[QUEUE_BYTES]; /* of all messages, one behind the other */
    struct run runs[MESSAGES_MAX];  /* what each message is */
    unsigned in_used;               /* of `in`, by the last udp_receive */
    unsigned out_count;
    size_t out_used;
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
    udp->in_used = UDP_BATCH;
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

/* What the kernel has written over is made good again. */
static void udp_prepare(struct udp *udp, unsigned count) {
    for (unsigned n = 0; n < count; n++) {
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
}

size_t udp_receive(struct udp *udp, struct gateway_arrival out[UDP_BATCH]) {
    udp_prepare(udp, udp->in_used);
    udp->in_used = 0;
    int count = recvmmsg(udp->fd, udp->in, UDP_BATCH, MSG_DONTWAIT, NULL);
    if (count <= 0) {
        return 0; /* nothing there; or an ICMP error of some peer, which says nothing of others */
    }
    udp->in_used = (unsigned)count;
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

/* A run that this interface does not cut: each by itself. */
static void udp_send_singly(struct udp *udp, unsigned n) {
    struct msghdr message = udp->out[n].msg_hdr;
    struct span rest = span_of(udp->out_iov[n].iov_base, udp->out_iov[n].iov_len);
    uint8_t *at = udp->out_iov[n].iov_base;
    message.msg_controllen = udp_control(udp, udp->runs[n].path, 0, udp->out_control[n]);
    message.msg_control = message.msg_controllen == 0 ? NULL : udp->out_control[n];
    while (rest.len > 0) {
        size_t len = rest.len < udp->runs[n].segment ? rest.len : udp->runs[n].segment;
        struct iovec iov = {.iov_base = at, .iov_len = len};
        message.msg_iov = &iov;
        (void)!sendmsg(udp->fd, &message, MSG_DONTWAIT);
        at += len;
        rest = span_of(rest.data + len, rest.len - len);
    }
}

static void udp_seal_message(struct udp *udp, unsigned n) {
    const struct run *run = &udp->runs[n];
    struct msghdr *header = &udp->out[n].msg_hdr;
    *header =
        (struct msghdr){.msg_name = &udp->out_to[n], .msg_iov = &udp->out_iov[n], .msg_iovlen = 1};
    header->msg_namelen = address_to(udp, &run->peer, &udp->out_to[n]);
    if (run->path != 0 || run->count > 1) {
        header->msg_controllen =
            udp_control(udp, run->path, run->count > 1 ? run->segment : 0, udp->out_control[n]);
        header->msg_control = udp->out_control[n];
    }
}

void udp_flush(struct udp *udp) {
    unsigned at = 0;
    for (unsigned n = 0; n < udp->out_count; n++) {
        udp_seal_message(udp, n);
    }
    while (at < udp->out_count) {
        int sent = sendmmsg(udp->fd, udp->out + at, udp->out_count - at, MSG_DONTWAIT);
        if (sent > 0) {
            at += (unsigned)sent;
        } else if (errno == EINTR) {
            continue;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
            break; /* the link is full: lost, as on any other full link */
        } else {
            if (udp->runs[at].count > 1 &&
                (errno == EIO || errno == EINVAL || errno == EOPNOTSUPP || errno == EMSGSIZE)) {
                udp->has_segments = false; /* no checksum offload there */
                udp_send_singly(udp, at);
            }
            at++; /* else this peer cannot be reached; the next can */
        }
    }
    udp->out_count = 0;
    udp->out_used = 0;
}

static bool run_takes(const struct run *run, size_t run_bytes, gateway_path path,
                      const struct address *peer, size_t len) {
    return !run->has_ended && len <= run->segment && run->count < SEGMENTS_MAX &&
           run_bytes + len <= RUN_BYTES_MAX && run->path == path && address_equal(&run->peer, peer);
}

static void udp_queue(struct udp *udp, gateway_path path, const struct address *peer,
                      struct span bytes) {
    if (bytes.len == 0 || bytes.len > UDP_DATAGRAM) {
        return;
    }
    unsigned last = udp->out_count - 1;
    bool extends = udp->has_segments && udp->out_count > 0 &&
                   run_takes(&udp->runs[last], udp->out_iov[last].iov_len, path, peer, bytes.len);
    if ((!extends && udp->out_count == MESSAGES_MAX) ||
        udp->out_used + bytes.len > sizeof udp->out_bytes) {
        udp_flush(udp);
        extends = false;
    }
    uint8_t *place = udp->out_bytes + udp->out_used;
    if (!extends) {
        last = udp->out_count++;
        udp->runs[last] = (struct run){.path = path, .segment = (uint16_t)bytes.len, .peer = *peer};
        udp->out_iov[last] = (struct iovec){.iov_base = place};
    }
    memcpy(place, bytes.data, bytes.len);
    udp->out_used += bytes.len;
    udp->out_iov[last].iov_len += bytes.len;
    udp->runs[last].count++;
    udp->runs[last].has_ended = bytes.len < udp->runs[last].segment;
}

void udp_send(struct udp *udp, gateway_path path, const struct address *peer,
              const struct outbox *box) {
    for (size_t n = 0; n < box->count; n++) {
        udp_queue(udp, path, peer, outbox_datagram(box, n));
    }
}
