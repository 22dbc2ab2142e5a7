/* The server under test: the daemon's device door as it is (loop, socket, core) over a database of
 * its own in a folder that goes away with it. Nothing behind it is replaced. What its loop thread
 * spends is the server's CPU time; the writer thread's is told beside it. */
#ifndef BENCH_GATEWAY_UDP_SERVER_H
#define BENCH_GATEWAY_UDP_SERVER_H

#include "slipway/dtls/session.h"
#include "slipway/gateway/loop.h"

#include <pthread.h>
#include <stdatomic.h>

#define SERVER_PLATFORM   12
#define SERVER_PSK        "0123456789abcdef" /* of one more device; its identity is the id */
#define SERVER_PSK_DEVICE 10000000

struct server_setup {
    uint32_t sessions;     /* stored ones that it begins with, see device_session */
    uint32_t devices;      /* imported, their sessions among them */
    bool without_segments; /* every datagram by itself: sendmmsg only */
    uint32_t transfers_max;
};

struct server {
    char folder[64];
    struct app *app;
    struct loop *loop;
    struct loop *_Atomic listener; /* the same, for the writer's thread */
    struct crypto_key *key;
    uint16_t port, product;
    uint8_t seal_key[SEAL_KEY_BYTES];
    int thread; /* the loop's, in /proc */
    pthread_t rival;
    atomic_bool has_rival, is_closing;
    uint8_t *image;
    size_t image_len;
};

void server_open(struct server *server, const struct server_setup *setup);
void server_close(struct server *server);
/* Leaves it a quarter of one processor, whose rest a rival takes: so the load can ask for ten times
 * of what the server has. Until server_close. */
#define SERVER_CONFINED_SHARE 0.25
void server_confine(struct server *server);
int64_t server_cpu_ns(const struct server *server); /* of the loop thread */
/* Makes a firmware of that many bytes and version the product's target, at once. */
void server_release(struct server *server, uint16_t version, size_t bytes);

/* The id and the association of the device of that number, as each side has it. */
void device_of(uint32_t number, struct device_id *out);
void device_session(uint32_t number, bool is_server, struct dtls_session *out);
/* Its own address out of 127.0.0.0/8. */
uint32_t device_ip(uint32_t number);

#endif
