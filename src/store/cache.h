/* What a reader keeps in memory from one view to the next: rows that every request asks for and
 * that operators seldom change. Valid while the database's generation is the one that they were
 * read in; triggers make it grow (migrations/0006_census.sql). A writer has no cache: what it does
 * not find it may just have changed. */
#ifndef SLIPWAY_STORE_CACHE_H
#define SLIPWAY_STORE_CACHE_H

#include "slipway/store/fleet.h"
#include "slipway/store/journal.h"

#include "store/internal.h"

#define CACHE_PRODUCTS 16
#define CACHE_OWNERS   32
#define CACHE_SETS     4096
#define CACHE_WANTED   64

struct wanted;

struct cache_owner {
    struct store_token token;
    struct user user;
};

struct cache {
    bool is_checked; /* in this view */
    int64_t generation;
    struct product *products[CACHE_PRODUCTS]; /* by id, else NULL */
    struct cache_owner *owners[CACHE_OWNERS]; /* by the token's hash */
    struct group_set *sets[CACHE_SETS];       /* by id */
    struct wanted *wanted[CACHE_WANTED];      /* by the id of their one group */
};

/* The reader's cache, emptied if it is out of date; NULL on a writer, outside of a view, without
 * memory, or when the database cannot be read. */
struct cache *cache_of(struct store *store);
void cache_free(struct cache *cache); /* accepts NULL */

#endif
