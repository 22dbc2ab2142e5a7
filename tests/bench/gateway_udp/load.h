/* The load generator: a process of its own, made before the server has threads, that carries out
 * one order after the other. Every order is bounded in count and in time. */
#ifndef BENCH_GATEWAY_UDP_LOAD_H
#define BENCH_GATEWAY_UDP_LOAD_H

#include "gateway_udp/wire.h"

#include "slipway/crypto/key.h"
#include "slipway/dtls/session.h"

#define LOAD_FLEETS  3 /* sets of established devices: one for each server */
#define LOAD_SAMPLES 200000

enum load_kind {
    LOAD_END,
    LOAD_ECHO,       /* `in_flight` datagrams of 100 bytes to a plain echo server */
    LOAD_FIRST,      /* one request of every device of the fleet */
    LOAD_REQUESTS,   /* requests of devices in random order */
    LOAD_HANDSHAKES, /* `in_flight` at a time, each from an address of its own */
    LOAD_STORM,      /* `rate` of new ones a second, and established devices' requests beside */
    LOAD_CONNECT,    /* simulated devices, until all are connected */
    LOAD_UPDATE      /* the same ones, until each has verified another image */
};

enum load_credential { LOAD_RAW_KEY, LOAD_PSK };

struct load_order {
    enum load_kind kind;
    enum load_credential credential;
    uint16_t port;
    uint32_t fleet, devices; /* established ones are numbered from 0 */
    uint32_t first;          /* number of the first new device */
    uint32_t count, in_flight, rate;
    uint32_t ask_rate; /* STORM: requests of established devices a second */
    uint32_t limit_ms;
    bool is_thrifty; /* HANDSHAKES, STORM: see thrift.h; from then on for good */
    struct p256_point server_key;
};

struct load_outcome {
    uint64_t done, offered, failed; /* of what was ordered */
    int64_t took_us;
    uint64_t asked, answered; /* STORM: requests of established devices */
    uint32_t p50_us, p99_us;  /* of requests, each after its first transmission */
};

struct load {
    int descriptor; /* of the socket pair */
    int process;
};

void load_start(struct load *load);
void load_order(const struct load *load, const struct load_order *order);
void load_await(const struct load *load, struct load_outcome *out);
void load_end(struct load *load);

/* --- within the load generator --- */

struct handset { /* an established device */
    struct dtls_session dtls;
    int64_t sent_us; /* 0 = no request of it is in flight */
    uint16_t id;
    bool was_heard; /* it has had an answer */
};

struct fleet {
    struct wire *wire; /* stays, so that the devices' addresses do */
    struct handset *handsets;
    uint32_t count;
};

struct samples {
    uint32_t count;
    uint32_t us[LOAD_SAMPLES];
};

int64_t load_now_us(void);
void load_ask(struct dtls_crypto *crypto, struct fleet *fleet, uint32_t device);
/* Whether it is the answer that the device awaits. */
bool load_answered(struct dtls_crypto *crypto, struct fleet *fleet,
                   const struct wire_datagram *datagram, struct samples *samples);
void load_percentiles(struct samples *samples, struct load_outcome *out);

void run_handshakes(const struct load_order *order, struct load_outcome *out);
void run_storm(const struct load_order *order, struct fleet *fleet, struct load_outcome *out);
void run_updates(const struct load_order *order, struct load_outcome *out);

#endif
