/* The fleet of slipway-sim: its devices with their sockets, flash and timers. */
#ifndef SLIPWAY_SIM_FLEET_H
#define SLIPWAY_SIM_FLEET_H

#include "sim/device.h"
#include "sim/link.h"
#include "sim/options.h"

#include <sys/socket.h>

#define VERIFIED_MAX 8

struct member {
    struct sim_device device;
    struct crypto_key *key;
    int fd;          /* -1 = none */
    uint32_t socket; /* the device's socket that fd stands for */
    uint16_t first_version;
    mono_time enable_at; /* its application enables updates; MONO_NEVER */
    mono_time power_at;  /* it is switched on; MONO_NEVER = it was */
    uint8_t verified_count;
    struct sha256 verified[VERIFIED_MAX]; /* files that it received and checked, newest last */
};

struct fleet {
    const struct options *options;
    struct member *members;
    size_t count;
    mono_time *deadlines; /* a tournament: [1] is the earliest, members begin at [leaves] */
    size_t leaves;
    struct dtls_crypto *crypto;
    struct p256_point server_key;
    struct sockaddr_storage server;
    socklen_t server_len;
    int epoll;
    struct link link;
    uint8_t *box; /* memory of the outbox */
};

/* Makes ids and keys, without sockets. False after a complaint on standard error. */
bool fleet_open(struct fleet *fleet, const struct options *options);
/* Resolves the server, reads its key and powers all devices on. */
bool fleet_start(struct fleet *fleet, int epoll, mono_time now);
void fleet_close(struct fleet *fleet);

/* The socket of a member is readable. */
void fleet_readable(struct fleet *fleet, size_t index, mono_time now);
/* Everything that is due. */
void fleet_tick(struct fleet *fleet, mono_time now);
mono_time fleet_deadline(const struct fleet *fleet);

enum fleet_order { FLEET_ENABLE, FLEET_DISABLE, FLEET_REBOOT, FLEET_WAKE, FLEET_CUT };
void fleet_command(struct fleet *fleet, size_t index, enum fleet_order order, mono_time now);
/* The member of that id, or fleet->count. */
size_t fleet_find(const struct fleet *fleet, const struct device_id *id);

/* report.c: called after each thing that happened to a member. */
void fleet_report(struct fleet *fleet, struct member *member, mono_time now);

#endif
