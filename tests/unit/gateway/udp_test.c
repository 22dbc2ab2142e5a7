#include "gateway/loop/udp.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define BURST 200 /* more than one system call sends, and no more than a socket holds */

static struct udp *open_on(const char *host) {
    struct udp *udp;
    struct fault fault = {0};
    const struct udp_options options = {.host = host, .receive_buffer = 1 << 20};
    if (udp_open(&udp, &options, &fault) != SW_OK) {
        return NULL; /* no IPv6 here, for instance */
    }
    return udp;
}

static size_t wait_for(struct udp *udp, struct gateway_arrival out[UDP_BATCH]) {
    struct pollfd poll_fd = {.fd = udp_descriptor(udp), .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, 5000), 1);
    return udp_receive(udp, out);
}

/* A plain IPv4 client, connected as a device connects its socket: it hears only the address and
 * port that it spoke to. */
static int client_to(const char *host, uint16_t port) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    assert_int_equal(inet_pton(AF_INET, host, &to.sin_addr), 1);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    struct timeval limit = {.tv_sec = 5};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    return fd;
}

/* On a wildcard the answer leaves from the address that was spoken to, not from the usual one. */
static void answers_come_from_where_they_were_asked(const char *host) {
    struct udp *udp = open_on(host);
    if (udp == NULL) {
        skip();
    }
    static const char *const targets[] = {"127.0.0.1", "127.0.0.2", "127.1.2.3"};
    uint8_t data[64];
    for (size_t n = 0; n < 3; n++) {
        struct gateway_arrival batch[UDP_BATCH];
        struct outbox box;
        char heard[16];
        int fd = client_to(targets[n], udp_port(udp));
        assert_int_equal(send(fd, "hello", 5, 0), 5);
        assert_int_equal(wait_for(udp, batch), 1);
        assert_true(span_is_text(batch[0].bytes, "hello"));
        outbox_init(&box, data, sizeof data);
        memcpy(outbox_begin(&box, 6), "answer", 6);
        outbox_commit(&box, 6);
        udp_send(udp, batch[0].path, &batch[0].from, &box);
        udp_flush(udp);
        assert_int_equal(recv(fd, heard, sizeof heard, 0), 6);
        close(fd);
    }
    udp_close(udp);
}

static void on_the_ipv4_wildcard(void **state) {
    (void)state;
    answers_come_from_where_they_were_asked("0.0.0.0");
}

static void on_the_wildcard_of_both(void **state) {
    (void)state;
    answers_come_from_where_they_were_asked("::");
}

/* Whatever the kernel cuts for us, the peer sees the datagrams as they are in the box. */
static void runs_arrive_as_single_datagrams(void **state) {
    (void)state;
    struct udp *udp = open_on("127.0.0.1");
    static uint8_t data[64 * 700];
    struct gateway_arrival batch[UDP_BATCH];
    struct outbox box;
    int fd = client_to("127.0.0.1", udp_port(udp));
    int bytes = 1 << 20;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), 0);
    assert_int_equal(send(fd, "x", 1, 0), 1);
    assert_int_equal(wait_for(udp, batch), 1);
    static const size_t lengths[] = {600, 600, 600, 600, 600, 100, 600, 600, 30, 30, 30, 31, 1, 1};
    for (unsigned round = 0; round < 3; round++) {
        outbox_init(&box, data, sizeof data);
        for (size_t n = 0; n < sizeof lengths / sizeof lengths[0]; n++) {
            memset(outbox_begin(&box, lengths[n]), (int)(n + round), lengths[n]);
            outbox_commit(&box, lengths[n]);
        }
        udp_send(udp, batch[0].path, &batch[0].from, &box);
        udp_flush(udp);
        for (size_t n = 0; n < sizeof lengths / sizeof lengths[0]; n++) {
            uint8_t heard[2000];
            assert_int_equal(recv(fd, heard, sizeof heard, 0), (ssize_t)lengths[n]);
            assert_int_equal(heard[0], n + round);
            assert_int_equal(heard[lengths[n] - 1], n + round);
        }
    }
    close(fd);
    udp_close(udp);
}

/* Two at a time, as acknowledgements make room, and something else between. */
static void runs_grow_from_call_to_call(void **state) {
    (void)state;
    struct udp *udp = open_on("127.0.0.1");
    struct gateway_arrival batch[UDP_BATCH];
    uint8_t data[2 * 600];
    int fds[2];
    struct gateway_arrival peers[2];
    for (unsigned p = 0; p < 2; p++) {
        fds[p] = client_to("127.0.0.1", udp_port(udp));
        assert_int_equal(send(fds[p], "x", 1, 0), 1);
        assert_int_equal(wait_for(udp, batch), 1);
        peers[p] = batch[0];
    }
    for (unsigned n = 0; n < 40; n++) {
        struct outbox box;
        outbox_init(&box, data, sizeof data);
        for (unsigned k = 0; k < 2; k++) {
            memset(outbox_begin(&box, 600), (int)(2 * n + k), 600);
            outbox_commit(&box, n == 30 && k == 1 ? 599 : 600); /* a shorter one ends a run */
        }
        const struct gateway_arrival *peer = &peers[n % 16 == 15];
        udp_send(udp, peer->path, &peer->from, &box);
    }
    udp_flush(udp);
    for (unsigned n = 0; n < 40; n++) {
        for (unsigned k = 0; k < 2; k++) {
            uint8_t heard[2000];
            assert_int_equal(recv(fds[n % 16 == 15], heard, sizeof heard, 0),
                             n == 30 && k == 1 ? 599 : 600);
            assert_int_equal(heard[0], 2 * n + k);
        }
    }
    close(fds[0]);
    close(fds[1]);
    udp_close(udp);
}

static void more_than_a_batch_is_sent_whole(void **state) {
    (void)state;
    struct udp *udp = open_on("127.0.0.1");
    uint8_t data[16];
    struct gateway_arrival batch[UDP_BATCH];
    int fd = client_to("127.0.0.1", udp_port(udp));
    assert_int_equal(send(fd, "x", 1, 0), 1);
    assert_int_equal(wait_for(udp, batch), 1);
    for (unsigned n = 0; n < BURST; n++) {
        struct outbox box;
        outbox_init(&box, data, sizeof data);
        *outbox_begin(&box, 1) = (uint8_t)n;
        outbox_commit(&box, 1);
        udp_send(udp, batch[0].path, &batch[0].from, &box);
    }
    udp_flush(udp);
    for (unsigned n = 0; n < BURST; n++) {
        uint8_t heard;
        assert_int_equal(recv(fd, &heard, 1, 0), 1);
        assert_int_equal(heard, (uint8_t)n);
    }
    close(fd);
    udp_close(udp);
}

static void what_cannot_be_opened_is_said(void **state) {
    (void)state;
    struct udp *udp = open_on("127.0.0.1"), *second;
    struct fault fault = {0};
    struct udp_options options = {.host = "127.0.0.1", .port = udp_port(udp)};
    assert_int_equal(udp_open(&second, &options, &fault), SW_E_EXISTS);
    assert_non_null(strstr(fault.text, "127.0.0.1"));
    options.host = "localhost";
    assert_int_equal(udp_open(&second, &options, &fault), SW_E_INPUT);
    options.host = "192.0.2.1";
    assert_int_equal(udp_open(&second, &options, &fault), SW_E_IO);
    udp_close(udp);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_the_ipv4_wildcard),
        cmocka_unit_test(on_the_wildcard_of_both),
        cmocka_unit_test(runs_arrive_as_single_datagrams),
        cmocka_unit_test(runs_grow_from_call_to_call),
        cmocka_unit_test(more_than_a_batch_is_sent_whole),
        cmocka_unit_test(what_cannot_be_opened_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
