#include "gateway_udp/echo.h"

#include "slipway/util/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH        64
#define BYTES        1500
#define BUFFER_BYTES (4 * 1024 * 1024)
#define LOOK_MS      50

struct echo {
    int fd;
    uint16_t port;
    pthread_t thread;
    atomic_bool is_ending;
    int64_t cpu_ns;
};

static void *echo_run(void *arg) {
    static struct mmsghdr headers[BATCH];
    static struct iovec iov[BATCH];
    static struct sockaddr_in peers[BATCH];
    static char bytes[BATCH][BYTES];
    struct echo *echo = arg;
    struct timespec t;
    while (!atomic_load(&echo->is_ending)) {
        struct pollfd ready = {.fd = echo->fd, .events = POLLIN};
        (void)poll(&ready, 1, LOOK_MS);
        for (unsigned n = 0; n < BATCH; n++) {
            iov[n] = (struct iovec){.iov_base = bytes[n], .iov_len = BYTES};
            headers[n].msg_hdr = (struct msghdr){.msg_name = &peers[n],
                                                 .msg_namelen = sizeof peers[n],
                                                 .msg_iov = &iov[n],
                                                 .msg_iovlen = 1};
        }
        int count = recvmmsg(echo->fd, headers, BATCH, MSG_DONTWAIT, NULL);
        for (int n = 0; n < count; n++) {
            iov[n].iov_len = headers[n].msg_len;
        }
        if (count > 0) {
            (void)sendmmsg(echo->fd, headers, (unsigned)count, 0);
        }
    }
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    echo->cpu_ns = t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
    return NULL;
}

struct echo *echo_open(void) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof own;
    int bytes = BUFFER_BYTES;
    struct echo *echo = calloc(1, sizeof *echo);
    SW_CHECK(echo != NULL);
    echo->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    SW_CHECK(echo->fd >= 0 && bind(echo->fd, (const struct sockaddr *)&own, len) == 0);
    SW_CHECK(getsockname(echo->fd, (struct sockaddr *)&own, &len) == 0);
    (void)setsockopt(echo->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    (void)setsockopt(echo->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    echo->port = ntohs(own.sin_port);
    SW_CHECK(pthread_create(&echo->thread, NULL, echo_run, echo) == 0);
    return echo;
}

uint16_t echo_port(const struct echo *echo) {
    return echo->port;
}

int64_t echo_close(struct echo *echo) {
    atomic_store(&echo->is_ending, true);
    (void)pthread_join(echo->thread, NULL);
    int64_t cpu_ns = echo->cpu_ns;
    (void)close(echo->fd);
    free(echo);
    return cpu_ns;
}
