/* The sets that hold any of some groups, for statements that ask each entry of an index whether its
 * device is in one: "wanted(:sets, group_set)". */
#ifndef SLIPWAY_STORE_WANTED_H
#define SLIPWAY_STORE_WANTED_H

#include "store/internal.h"

struct wanted {
    int64_t *ids; /* a hash table; 0 = free */
    size_t count, mask;
    bool is_kept;     /* by a reader's cache, for the next page of its one group */
    int64_t group_id; /* if it is */
    int64_t newest;   /* sets up to this one are in it: those that are made later have larger ids */
};

/* To be given back with wanted_release; NULL unless SW_OK. */
int wanted_take(struct store *store, const int64_t *groups, size_t count, struct wanted **out,
                struct fault *fault) SW_NODISCARD;
void wanted_release(struct wanted *wanted); /* accepts NULL */
void wanted_free(struct wanted *wanted);    /* likewise; the cache's alone */

/* What a statement asks. Lives until the statement is reset. */
struct wanted_question {
    const struct wanted *sets;
    uint64_t entries_left; /* that may be asked about before the statement is given up */
};
/* question NULL: any group or none. The statement has :sets and :any_group. */
void bind_wanted(sqlite3_stmt *q, struct wanted_question *question);

#endif
