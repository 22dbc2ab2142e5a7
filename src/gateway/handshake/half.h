/* Handshakes under way: the only memory that a peer gets before it has proved who it is, and only
 * after it proved its address. Bounded in total and for each source. Those that are over give way
 * first, and then the oldest, but nobody before he had the time to answer: else a storm of honest
 * devices would push each other out, and none would ever finish. */
#ifndef SLIPWAY_GATEWAY_HANDSHAKE_HALF_H
#define SLIPWAY_GATEWAY_HANDSHAKE_HALF_H

#include "gateway/table/hash.h"
#include "gateway/table/heap.h"
#include "gateway/table/index.h"
#include "gateway/table/pool.h"

#include "slipway/app/proof.h"
#include "slipway/dtls/handshake.h"
#include "slipway/gateway/core.h"

#define HALF_NONE      UINT32_MAX
#define HALF_SOURCES   4096U /* counters of sources; sources that share one share the limit */
#define HALF_YOUNG_MS  2000  /* a round trip to anywhere, and a repetition */
#define HALF_LINGER_MS 20000 /* for repeating the last flight after it was established */
#define HALF_ALERTS_S  8     /* alerts a second to a source that has proved nothing */

struct half {
    struct dtls_handshake hs;
    struct address peer;
    gateway_path path;
    bool is_established;
    struct app_proof psk; /* kind 0 until the key was found */
    uint8_t cid[DTLS_CID_BYTES];
    uint32_t number, heap_at;
    uint32_t serial; /* differs from that of whoever had the place before */
    mono_time begun;
    uint32_t newer, older; /* in its list */
};

struct half_ends {
    uint32_t newest, oldest;
};

struct half_table {
    struct pool pool; /* struct half */
    struct index by_address, by_cid;
    struct heap heap;
    struct half_ends running, over; /* over: established */
    uint32_t serial;
    uint32_t source_max;
    struct hash_key hash;
    uint16_t sources[HALF_SOURCES];
    uint32_t alert_second[HALF_SOURCES]; /* the last in which one was sent */
    uint8_t alerts[HALF_SOURCES];        /* how many in that second */
};

void half_table_init(struct half_table *table, uint32_t max, uint32_t source_max,
                     const struct hash_key *hash);
void half_table_close(struct half_table *table);

/* A blank one for that peer; *evicted says how many gave way. NULL without memory, or when those
 * that would have to give way are too young. */
struct half *half_add(struct half_table *table, const struct address *peer, gateway_path path,
                      const uint8_t cid[DTLS_CID_BYTES], mono_time now, unsigned *evicted);
/* Whether half_add would find room, as far as the total goes. */
bool half_has_room(const struct half_table *table, mono_time now);
/* It is established, and stays for a while to repeat its last flight. */
void half_over(struct half_table *table, struct half *half, mono_time now);
/* Wipes and frees it. */
void half_remove(struct half_table *table, struct half *half);
struct half *half_by_address(const struct half_table *table, const struct address *peer);
struct half *half_by_cid(const struct half_table *table, struct span cid);
struct half *half_at(const struct half_table *table, uint32_t number);
/* Whether one more alert may go to that source; counts it. */
bool half_may_alert(struct half_table *table, const struct address *peer, mono_time now);
void half_deadline(struct half_table *table, struct half *half, mono_time deadline);

#endif
