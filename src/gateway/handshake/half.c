#include "gateway/handshake/half.h"

#include "slipway/util/check.h"

#include <string.h>

static void half_placed(void *ctx, uint32_t number, uint32_t at) {
    struct half_table *table = ctx;
    half_at(table, number)->heap_at = at;
}

void half_table_init(struct half_table *table, uint32_t max, uint32_t source_max,
                     const struct hash_key *hash) {
    memset(table, 0, sizeof *table);
    pool_init(&table->pool, (sizeof(struct half) + 15) / 16 * 16, max);
    index_init(&table->by_address);
    index_init(&table->by_cid);
    heap_init(&table->heap, half_placed, table);
    table->running = table->over = (struct half_ends){.newest = HALF_NONE, .oldest = HALF_NONE};
    table->source_max = source_max;
    table->hash = *hash;
}

void half_table_close(struct half_table *table) {
    struct half *half;
    while ((half = half_at(table, table->running.oldest)) != NULL ||
           (half = half_at(table, table->over.oldest)) != NULL) {
        half_remove(table, half);
    }
    heap_close(&table->heap);
    index_close(&table->by_address);
    index_close(&table->by_cid);
    pool_close(&table->pool);
}

struct half *half_at(const struct half_table *table, uint32_t number) {
    return number == HALF_NONE ? NULL : pool_item(&table->pool, number);
}

/* A source is an IPv4 address or the first 64 bits of an IPv6 one, which one customer may fill. */
static uint32_t half_source_of(const struct half_table *table, const struct address *peer) {
    size_t len = address_is_v4(peer) ? 16 : 8;
    return hash_bytes(&table->hash, peer->ip, len) % HALF_SOURCES;
}

static uint32_t half_cid_hash(const struct half_table *table, const uint8_t *cid) {
    return hash_bytes(&table->hash, cid, DTLS_CID_BYTES);
}

static struct half_ends *half_list(struct half_table *table, const struct half *half) {
    return half->is_established ? &table->over : &table->running;
}

static void half_link(struct half_table *table, struct half *half) {
    struct half_ends *ends = half_list(table, half);
    struct half *newest = half_at(table, ends->newest);
    half->older = ends->newest;
    half->newer = HALF_NONE;
    *(newest == NULL ? &ends->oldest : &newest->newer) = half->number;
    ends->newest = half->number;
}

static void half_unlink(struct half_table *table, struct half *half) {
    struct half_ends *ends = half_list(table, half);
    struct half *newer = half_at(table, half->newer);
    struct half *older = half_at(table, half->older);
    *(newer == NULL ? &ends->newest : &newer->older) = half->older;
    *(older == NULL ? &ends->oldest : &older->newer) = half->newer;
}

/* The oldest in the list, of one source if there is one: found from the old end, which is where a
 * flood's own are. */
static struct half *half_oldest(const struct half_table *table, const struct half_ends *ends,
                                const uint32_t *source) {
    struct half *half = half_at(table, ends->oldest);
    while (half != NULL && source != NULL && half_source_of(table, &half->peer) != *source) {
        half = half_at(table, half->newer);
    }
    return half;
}

/* Who would give way; NULL if nobody may be asked to. */
static struct half *half_to_go(const struct half_table *table, const uint32_t *source,
                               mono_time now) {
    struct half *half = half_oldest(table, &table->over, source);
    if (half == NULL) {
        half = half_oldest(table, &table->running, source);
        if (half != NULL && !mono_reached(now, mono_add_ms(half->begun, HALF_YOUNG_MS))) {
            half = NULL;
        }
    }
    return half;
}

bool half_has_room(const struct half_table *table, mono_time now) {
    return table->pool.count < table->pool.max || half_to_go(table, NULL, now) != NULL;
}

static bool half_make_room(struct half_table *table, const uint32_t *source, mono_time now,
                           unsigned *evicted) {
    struct half *half = half_to_go(table, source, now);
    if (half == NULL) {
        return false;
    }
    half_remove(table, half);
    (*evicted)++;
    return true;
}

void half_over(struct half_table *table, struct half *half, mono_time now) {
    half_unlink(table, half);
    half->is_established = true;
    half_link(table, half);
    half_deadline(table, half, mono_add_ms(now, HALF_LINGER_MS));
}

struct half *half_add(struct half_table *table, const struct address *peer, gateway_path path,
                      const uint8_t cid[DTLS_CID_BYTES], mono_time now, unsigned *evicted) {
    uint32_t source = half_source_of(table, peer);
    *evicted = 0;
    if ((table->sources[source] >= table->source_max &&
         !half_make_room(table, &source, now, evicted)) ||
        (table->pool.count >= table->pool.max && !half_make_room(table, NULL, now, evicted))) {
        return NULL;
    }
    uint32_t number = pool_take(&table->pool);
    if (number == POOL_NONE) {
        return NULL;
    }
    struct half *half = half_at(table, number);
    half->peer = *peer;
    half->path = path;
    half->begun = now;
    half->number = number;
    half->heap_at = HEAP_OUT;
    half->serial = ++table->serial;
    memcpy(half->cid, cid, DTLS_CID_BYTES);
    uint32_t address_hash = hash_address(&table->hash, peer);
    if (index_add(&table->by_address, address_hash, number) != SW_OK) {
        pool_give(&table->pool, number);
        return NULL;
    }
    if (index_add(&table->by_cid, half_cid_hash(table, cid), number) != SW_OK) {
        index_remove(&table->by_address, address_hash, number);
        pool_give(&table->pool, number);
        return NULL;
    }
    half_link(table, half);
    table->sources[source]++;
    return half;
}

void half_remove(struct half_table *table, struct half *half) {
    SW_CHECK(half != NULL);
    table->sources[half_source_of(table, &half->peer)]--;
    heap_remove(&table->heap, half->heap_at);
    half_unlink(table, half);
    index_remove(&table->by_address, hash_address(&table->hash, &half->peer), half->number);
    index_remove(&table->by_cid, half_cid_hash(table, half->cid), half->number);
    dtls_handshake_close(&half->hs);
    pool_give(&table->pool, half->number);
}

struct half *half_by_address(const struct half_table *table, const struct address *peer) {
    struct index_cursor cursor;
    uint32_t hash = hash_address(&table->hash, peer);
    for (uint32_t n = index_first(&table->by_address, hash, &cursor); n != INDEX_NONE;
         n = index_next(&table->by_address, hash, &cursor)) {
        if (address_equal(&half_at(table, n)->peer, peer)) {
            return half_at(table, n);
        }
    }
    return NULL;
}

struct half *half_by_cid(const struct half_table *table, struct span cid) {
    struct index_cursor cursor;
    if (cid.len != DTLS_CID_BYTES) {
        return NULL;
    }
    uint32_t hash = half_cid_hash(table, cid.data);
    for (uint32_t n = index_first(&table->by_cid, hash, &cursor); n != INDEX_NONE;
         n = index_next(&table->by_cid, hash, &cursor)) {
        if (memcmp(half_at(table, n)->cid, cid.data, DTLS_CID_BYTES) == 0) {
            return half_at(table, n);
        }
    }
    return NULL;
}

void half_deadline(struct half_table *table, struct half *half, mono_time deadline) {
    /* Without memory for a deadline it stays until it is the oldest. */
    (void)!heap_set(&table->heap, half->number, half->heap_at, deadline);
}

bool half_may_alert(struct half_table *table, const struct address *peer, mono_time now) {
    uint32_t source = half_source_of(table, peer);
    uint32_t second = (uint32_t)(now.us / 1000000);
    if (table->alert_second[source] != second) {
        table->alert_second[source] = second;
        table->alerts[source] = 0;
    }
    if (table->alerts[source] >= HALF_ALERTS_S) {
        return false;
    }
    table->alerts[source]++;
    return true;
}
