/* A seat costs its session, the fields beside it and two or three index entries; nothing points
 * into it but what is lent. Sessions with a connection id of ours are not indexed by address:
 * roaming costs nothing then, and an address that is taken over by another device cannot reach
 * them. */
#include "gateway/table/table.h"

#include "slipway/util/check.h"

#include <string.h>

static void table_placed(void *ctx, uint32_t number, uint32_t at) {
    struct table *table = ctx;
    struct seat *seat = table_seat(table, number);
    seat->heap_at = at;
}

_Static_assert(sizeof(struct seat) <= 368, "with the table's slots an idle session has 512 bytes");

void table_init(struct table *table, uint32_t max, const struct hash_key *hash) {
    memset(table, 0, sizeof *table);
    pool_init(&table->seats, (sizeof(struct seat) + 15) / 16 * 16, max);
    index_init(&table->by_cid);
    index_init(&table->by_address);
    index_init(&table->by_device);
    heap_init(&table->heap, table_placed, table);
    table->hash = *hash;
    for (unsigned n = 0; n < SEAT_LISTS; n++) {
        table->lists[n] = (struct seat_ends){.newest = SEAT_NONE, .oldest = SEAT_NONE};
    }
}

void table_close(struct table *table) {
    for (uint32_t n = pool_next(&table->seats, 0); n != POOL_NONE;
         n = pool_next(&table->seats, n + 1)) {
        struct seat *seat = table_seat(table, n);
        SW_CHECK(seat->desk == NULL);
        (void)session_close(&seat->session);
    }
    heap_close(&table->heap);
    index_close(&table->by_cid);
    index_close(&table->by_address);
    index_close(&table->by_device);
    pool_close(&table->seats);
}

static uint32_t hash_cid(const struct table *table, const uint8_t cid[DTLS_CID_BYTES]) {
    return hash_bytes(&table->hash, cid, DTLS_CID_BYTES);
}

static uint32_t hash_device(const struct table *table, const struct device_id *device) {
    return hash_bytes(&table->hash, device->b, sizeof device->b);
}

struct seat *table_seat(const struct table *table, uint32_t number) {
    return number == SEAT_NONE ? NULL : pool_item(&table->seats, number);
}

static void list_unlink(struct table *table, struct seat *seat) {
    struct seat_ends *ends = &table->lists[seat->list];
    struct seat *newer = table_seat(table, seat->newer);
    struct seat *older = table_seat(table, seat->older);
    *(newer == NULL ? &ends->newest : &newer->older) = seat->older;
    *(older == NULL ? &ends->oldest : &older->newer) = seat->newer;
    ends->count--;
}

static void list_push(struct table *table, struct seat *seat, enum seat_list list) {
    struct seat_ends *ends = &table->lists[list];
    struct seat *newest = table_seat(table, ends->newest);
    seat->list = (uint8_t)list;
    seat->newer = SEAT_NONE;
    seat->older = ends->newest;
    *(newest == NULL ? &ends->oldest : &newest->newer) = seat->number;
    ends->newest = seat->number;
    ends->count++;
}

void table_list(struct table *table, struct seat *seat, enum seat_list list) {
    if (seat->list == list && table->lists[list].newest == seat->number) {
        return;
    }
    list_unlink(table, seat);
    list_push(table, seat, list);
}

struct seat *table_oldest(const struct table *table, enum seat_list list) {
    return table_seat(table, table->lists[list].oldest);
}

struct seat *table_add(struct table *table, const struct session *session, gateway_path path,
                       enum seat_list list) {
    uint32_t number = pool_take(&table->seats);
    if (number == POOL_NONE) {
        return NULL;
    }
    struct seat *seat = table_seat(table, number);
    seat->session = *session;
    seat->number = number;
    seat->heap_at = HEAP_OUT;
    seat->path = path;
    seat->retry = MONO_NEVER;
    int status = session->dtls.cid_in_len == 0
                     ? table_moved(table, seat)
                     : index_add(&table->by_cid, hash_cid(table, session->dtls.cid_in), number);
    if (status != SW_OK) {
        (void)session_close(&seat->session);
        pool_give(&table->seats, number);
        return NULL;
    }
    list_push(table, seat, list);
    return seat;
}

void table_remove(struct table *table, struct seat *seat) {
    if (seat->session.dtls.cid_in_len == 0) {
        table_moving(table, seat);
    } else {
        index_remove(&table->by_cid, hash_cid(table, seat->session.dtls.cid_in), seat->number);
    }
    table_unname(table, seat);
    heap_remove(&table->heap, seat->heap_at);
    list_unlink(table, seat);
}

void table_free_seat(struct table *table, struct seat *seat) {
    SW_CHECK(seat->desk == NULL);
    pool_give(&table->seats, seat->number);
}

struct seat *table_by_cid(const struct table *table, struct span cid) {
    struct index_cursor cursor;
    if (cid.len != DTLS_CID_BYTES) {
        return NULL;
    }
    uint32_t hash = hash_cid(table, cid.data);
    for (uint32_t n = index_first(&table->by_cid, hash, &cursor); n != INDEX_NONE;
         n = index_next(&table->by_cid, hash, &cursor)) {
        struct seat *seat = table_seat(table, n);
        if (memcmp(seat->session.dtls.cid_in, cid.data, DTLS_CID_BYTES) == 0) {
            return seat;
        }
    }
    return NULL;
}

uint32_t table_seek(const struct table *table, struct span cid) {
    uint32_t hash = cid.len == DTLS_CID_BYTES ? hash_cid(table, cid.data) : 0;
    index_prefetch(&table->by_cid, hash);
    return hash;
}

uint32_t table_expect(const struct table *table, uint32_t hash) {
    struct index_cursor cursor;
    uint32_t number = index_first(&table->by_cid, hash, &cursor);
    if (number == INDEX_NONE) {
        return SEAT_NONE;
    }
    pool_prefetch(&table->seats, number);
    return number;
}

static void prefetch_links(const struct table *table, uint32_t number) {
    const struct seat *seat = table_seat(table, number);
    if (seat != NULL) {
        __builtin_prefetch(&seat->newer, 1);
    }
}

void table_approach(const struct table *table, uint32_t number) {
    const struct seat *seat = table_seat(table, number);
    if (seat != NULL) {
        prefetch_links(table, seat->newer);
        prefetch_links(table, seat->older);
        if (seat->heap_at != HEAP_OUT) {
            __builtin_prefetch(&table->heap.items[seat->heap_at]);
        }
    }
}

struct seat *table_by_address(const struct table *table, const struct address *address) {
    struct index_cursor cursor;
    struct seat *found = NULL;
    uint32_t hash = hash_address(&table->hash, address);
    for (uint32_t n = index_first(&table->by_address, hash, &cursor); n != INDEX_NONE;
         n = index_next(&table->by_address, hash, &cursor)) {
        struct seat *seat = table_seat(table, n);
        /* Two at one address: the one heard last is the living one. */
        if (address_equal(&seat->session.peer, address) &&
            (found == NULL || seat->session.heard.us > found->session.heard.us)) {
            found = seat;
        }
    }
    return found;
}

struct seat *table_by_device(const struct table *table, const struct device_id *device,
                             const struct seat *except) {
    struct index_cursor cursor;
    struct seat *found = NULL;
    uint32_t hash = hash_device(table, device);
    for (uint32_t n = index_first(&table->by_device, hash, &cursor); n != INDEX_NONE;
         n = index_next(&table->by_device, hash, &cursor)) {
        struct seat *seat = table_seat(table, n);
        if (seat != except && device_id_equal(&seat->session.device, device) &&
            (found == NULL || seat->session.heard.us > found->session.heard.us)) {
            found = seat;
        }
    }
    return found;
}

int table_name(struct table *table, struct seat *seat) {
    uint32_t hash = hash_device(table, &seat->session.device);
    if (seat->is_named && seat->device_hash == hash) {
        return SW_OK;
    }
    table_unname(table, seat);
    int status = index_add(&table->by_device, hash, seat->number);
    seat->device_hash = hash;
    seat->is_named = status == SW_OK;
    return status;
}

/* By the remembered hash: the session's own idea of its device may have changed since. */
void table_unname(struct table *table, struct seat *seat) {
    if (seat->is_named) {
        index_remove(&table->by_device, seat->device_hash, seat->number);
        seat->is_named = false;
    }
}

void table_moving(struct table *table, struct seat *seat) {
    if (seat->session.dtls.cid_in_len == 0) {
        index_remove(&table->by_address, hash_address(&table->hash, &seat->session.peer),
                     seat->number);
    }
}

int table_moved(struct table *table, struct seat *seat) {
    return seat->session.dtls.cid_in_len != 0
               ? SW_OK
               : index_add(&table->by_address, hash_address(&table->hash, &seat->session.peer),
                           seat->number);
}

void table_deadline(struct table *table, struct seat *seat, mono_time deadline) {
    if (seat->heap_at != HEAP_OUT && table->heap.items[seat->heap_at].deadline.us <= deadline.us) {
        return;
    }
    /* Without memory for a deadline the seat is served at its next datagram. */
    (void)!heap_set(&table->heap, seat->number, seat->heap_at, deadline);
}

struct seat *table_due(struct table *table, mono_time now) {
    if (!mono_reached(now, heap_deadline(&table->heap))) {
        return NULL;
    }
    struct seat *seat = table_seat(table, heap_first(&table->heap));
    heap_remove(&table->heap, seat->heap_at);
    return seat;
}
