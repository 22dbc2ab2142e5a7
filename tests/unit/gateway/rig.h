/* A gateway on an application in memory, in virtual time, with ports that keep what they are given,
 * and devices reduced to a DTLS client that speaks bytes. */
#ifndef SLIPWAY_TEST_GATEWAY_RIG_H
#define SLIPWAY_TEST_GATEWAY_RIG_H

#include "gateway/table/table.h"

#include "slipway/app/product.h"
#include "slipway/dtls/handshake.h"
#include "slipway/gateway/core.h"
#include "slipway/util/rng.h"

#define RIG_SENT_MAX 4096

struct rig_sent {
    struct address to;
    gateway_path path;
    uint16_t len;
    uint8_t bytes[1400];
};

struct rig_job {
    struct store_job *job;
    int code;
};

struct rig {
    struct app *app;
    struct gateway *gw;
    struct gateway_config config;
    struct crypto_key *key;
    mono_time now;
    struct rng rng;
    struct rig_sent *sent; /* since rig_forget */
    size_t sent_count;
    struct rig_job done[4096];
    size_t done_count;
    struct gateway_reply reply; /* the last */
    unsigned replies;
    struct address unmet; /* whose handshake came to nothing last, and why */
    const char *unmet_why;
    bool refuses; /* submit says SW_E_FULL */
};

/* Room for few: 8 handshakes, 4 of them of one source, and 64 sessions. */
extern const struct gateway_config rig_small;

void rig_open(struct rig *rig, const struct gateway_config *config);
void rig_close(struct rig *rig);
/* The gateway goes away as by kill -9, and a new one starts on the same store. */
void rig_crash(struct rig *rig);
/* Runs every job that waits, and what follows from it; trouble is for the first group. */
void rig_pump(struct rig *rig, enum store_trouble trouble);
void rig_pass(struct rig *rig, int64_t ms);
void rig_forget(struct rig *rig); /* what was sent */
/* The session of a device; NULL if it has none. */
const struct seat *rig_seat(const struct rig *rig, const struct device_id *device);
struct gateway_sizes rig_sizes(const struct rig *rig);
/* What the store says of it. */
bool rig_is_online(struct rig *rig, const struct device_id *device);
bool rig_has_event(struct rig *rig, const char *name);

struct peer {
    struct crypto_key *key;
    struct dtls_endpoint *endpoint;
    struct dtls_handshake hs;
    struct dtls_session session;
    struct address address;
    struct device_id id;
    bool is_established;
    const char *why; /* the handshake failed */
    size_t seen;     /* of rig->sent */
    uint16_t coap_id;
    uint16_t chunk_bytes; /* that its Hello wishes for; 0 = the usual 512 */
};

void peer_open(struct peer *client, struct rig *rig, unsigned number);
/* A standard client with the given settings instead; their key is the caller's. */
void peer_open_as(struct peer *client, unsigned number, const struct dtls_endpoint_config *config);
void peer_close(struct peer *client);
/* The first flight only: leaves a cookie exchange done and the handshake half open. */
void peer_begin(struct peer *client, struct rig *rig);
/* On from there: whatever came for it is answered. */
void peer_go(struct peer *client, struct rig *rig);
void peer_connect(struct peer *client, struct rig *rig);
void peer_datagram(struct peer *client, struct rig *rig, struct span bytes);
/* Seals and sends one CoAP message. */
void peer_say(struct peer *client, struct rig *rig, struct span message);
/* A Hello (message id `id`) that names `device`. */
void peer_hello(struct peer *client, struct rig *rig, uint16_t id, const struct device_id *device);
/* Opens it, connects it and says Hello (message id 1) in its own name, which is durable then. */
void peer_serve(struct peer *client, struct rig *rig, unsigned number);
/* The next message that came for this client, decrypted; false when there is none. *sequence: its
 * record number. */
bool peer_hear(struct peer *client, struct rig *rig, uint8_t out[1400], size_t *len,
               uint64_t *sequence);
/* Whether an empty acknowledgement of that id has come. */
bool peer_is_acked(struct peer *client, struct rig *rig, uint16_t id);

#endif
