/* The sessions that the gateway has: found by connection id, address or device in O(1), kept in
 * lists by when they were heard, and in a heap when something is due. Addresses of seats stay. */
#ifndef SLIPWAY_GATEWAY_TABLE_TABLE_H
#define SLIPWAY_GATEWAY_TABLE_TABLE_H

#include "gateway/table/hash.h"
#include "gateway/table/heap.h"
#include "gateway/table/index.h"
#include "gateway/table/pool.h"

#include "slipway/app/proof.h"
#include "slipway/gateway/core.h"
#include "slipway/session/session.h"

#define SEAT_NONE UINT32_MAX

/* Newest first, by when they were heard. Who is offline is forgotten after the same long time, so
 * that only that list's end needs a look; who is online has a deadline of its own. */
enum seat_list { SEAT_OFFLINE, SEAT_ONLINE, SEAT_LISTS };

struct desk;  /* what only an active session needs, see seat/desk.h */
struct trace; /* what is left of its work until it is forgotten, see seat/desk.h */

struct seat {
    struct session session;
    struct app_proof proof; /* of the handshake */
    uint8_t path;           /* gateway_path */
    uint8_t list;           /* enum seat_list */
    uint8_t cause;          /* enum update_cause of the next look */
    uint16_t product;       /* 0 = not known */
    struct desk *desk;      /* NULL when idle */
    struct trace *trace;    /* of its last desk; NULL when there is none, or a desk */
    mono_time listed;       /* when it last went to the newest end of its list */
    mono_time reported;     /* what it reported is within its rate by then: see event.c */
    mono_time retry;        /* when to look at its update again; MONO_NEVER = on an event */
    uint32_t number;
    uint32_t heap_at;
    uint32_t device_hash;  /* under which it is named */
    uint32_t newer, older; /* in its list */
    uint16_t jobs;         /* in flight for it */
    bool is_named : 1;     /* in the index by device */
    bool is_gone : 1;      /* out of the indexes; freed when its last job returns */
    bool is_cellular : 1;
    bool is_served : 1;   /* the store recognised the device: not quarantined or denied */
    bool is_stored : 1;   /* there is, or may be, a row of it */
    bool is_saving : 1;   /* a save is in flight */
    bool is_due : 1;      /* waits in the queue for a look at its update */
    bool is_asked : 1;    /* that look is in flight */
    bool is_settling : 1; /* it said Hello, and has not yet told whether updates are enabled */
    bool is_owed : 1;     /* its next word is a reason to look: it fell silent in a transfer */
    bool is_present : 1;  /* the store was told that it is online */
    bool has_left : 1;    /* it said goodbye, when it was listed last */
    bool is_waiting : 1;  /* for a transfer slot, in its product's lane */
    bool is_starved : 1;  /* for a share of the rate, in the pacing line */
};

struct seat_ends {
    uint32_t newest, oldest, count;
};

struct table {
    struct pool seats; /* struct seat */
    struct index by_cid, by_address, by_device;
    struct heap heap;
    struct seat_ends lists[SEAT_LISTS];
    struct hash_key hash; /* peers choose addresses */
};

void table_init(struct table *table, uint32_t max, const struct hash_key *hash);
/* Wipes every session. Desks must have been taken back. */
void table_close(struct table *table);

/* A seat with session as given, in the list. NULL when full or out of memory. */
struct seat *table_add(struct table *table, const struct session *session, gateway_path path,
                       enum seat_list list);
/* Out of all indexes, lists and the heap; the number stays taken until table_free_seat. */
void table_remove(struct table *table, struct seat *seat);
void table_free_seat(struct table *table, struct seat *seat);

struct seat *table_seat(const struct table *table, uint32_t number); /* NULL if not taken */
struct seat *table_by_cid(const struct table *table, struct span cid);
/* In three steps ahead of that, so that the memory is at hand by then: the hash of the id; the
 * number of the seat that in all likelihood it is, or SEAT_NONE; and that seat's neighbours. */
uint32_t table_seek(const struct table *table, struct span cid);
uint32_t table_expect(const struct table *table, uint32_t hash);
void table_approach(const struct table *table, uint32_t number);
struct seat *table_by_address(const struct table *table, const struct address *address);
/* from: NULL for the first; then others of the same device. */
struct seat *table_by_device(const struct table *table, const struct device_id *device,
                             const struct seat *except);
/* After the session learned who it is, again if it is another now. SW_E_MEMORY: not found by device
 * until tried again. */
int table_name(struct table *table, struct seat *seat) SW_NODISCARD;
void table_unname(struct table *table, struct seat *seat);
/* Before and after session->peer may change (only sessions without a cid are found by it). */
void table_moving(struct table *table, struct seat *seat);
int table_moved(struct table *table, struct seat *seat) SW_NODISCARD;

/* To the newest end of that list. */
void table_list(struct table *table, struct seat *seat, enum seat_list list);
struct seat *table_oldest(const struct table *table, enum seat_list list);
/* When to look at the seat, at the latest: one that is later than the present one is not noted, and
 * the look then finds nothing to do. That keeps the heap still under traffic. */
void table_deadline(struct table *table, struct seat *seat, mono_time deadline);
/* The seat whose deadline has come, taken out of the heap; NULL when there is none. */
struct seat *table_due(struct table *table, mono_time now);

#endif
