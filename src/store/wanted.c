#include "store/wanted.h"

#include "slipway/util/check.h"

#include "store/cache.h"

#include <stdlib.h>

#define QUESTION_TYPE "slipway wanted"

/* --- the table --- */

static void add(struct wanted *wanted, int64_t id) {
    size_t at = (size_t)id & wanted->mask;
    while (wanted->ids[at] != 0 && wanted->ids[at] != id) {
        at = (at + 1) & wanted->mask;
    }
    wanted->count += wanted->ids[at] == 0;
    wanted->ids[at] = id;
}

static bool has(const struct wanted *wanted, int64_t id) {
    size_t at = (size_t)id & wanted->mask;
    while (wanted->ids[at] != id && wanted->ids[at] != 0) {
        at = (at + 1) & wanted->mask;
    }
    return wanted->ids[at] == id;
}

static bool grow(struct wanted *wanted) {
    size_t mask = wanted->ids == NULL ? 63 : 4 * wanted->mask + 3;
    struct wanted larger = {.mask = mask, .ids = calloc(mask + 1, sizeof *larger.ids)};
    if (larger.ids == NULL) {
        return false;
    }
    for (size_t i = 0; wanted->ids != NULL && i <= wanted->mask; i++) {
        if (wanted->ids[i] != 0) {
            add(&larger, wanted->ids[i]);
        }
    }
    free(wanted->ids);
    wanted->ids = larger.ids;
    wanted->mask = larger.mask;
    return true;
}

/* The sets with this group that are newer than `after`. */
static int add_group(struct store *store, struct wanted *wanted, int64_t group_id, int64_t after,
                     struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_SETS_WITH_GROUP, fault);
    bind_int(q, ":group", group_id);
    bind_int(q, ":after", after);
    int code = 0;
    bool has_room = true;
    while (has_room && (code = stmt_next(store, q, fault)) == 1) {
        wanted->newest = col_int(q, 0);
        add(wanted, wanted->newest);
        has_room = 2 * wanted->count <= wanted->mask || grow(wanted);
    }
    stmt_end(q);
    return has_room ? code : fault_set(fault, SW_E_MEMORY, "out of memory for a device list");
}

/* --- its life --- */

void wanted_free(struct wanted *wanted) {
    if (wanted != NULL) {
        free(wanted->ids);
        free(wanted);
    }
}

void wanted_release(struct wanted *wanted) {
    if (wanted != NULL && !wanted->is_kept) {
        wanted_free(wanted);
    }
}

static int wanted_new(struct store *store, const int64_t *groups, size_t count, struct wanted **out,
                      struct fault *fault) {
    struct wanted *wanted = calloc(1, sizeof *wanted);
    if (wanted == NULL || !grow(wanted)) {
        free(wanted);
        return fault_set(fault, SW_E_MEMORY, "out of memory for a device list");
    }
    int code = 0;
    for (size_t i = 0; code == 0 && i < count; i++) {
        code = add_group(store, wanted, groups[i], 0, fault);
    }
    if (code != SW_OK) {
        wanted_free(wanted);
        return code;
    }
    *out = wanted;
    return SW_OK;
}

static void keep(struct wanted **slot, struct wanted *wanted, int64_t group_id) {
    wanted_free(*slot);
    wanted->is_kept = true;
    wanted->group_id = group_id;
    *slot = wanted;
}

int wanted_take(struct store *store, const int64_t *groups, size_t count, struct wanted **out,
                struct fault *fault) {
    *out = NULL;
    struct cache *cache = count == 1 ? cache_of(store) : NULL;
    if (cache == NULL) {
        return wanted_new(store, groups, count, out, fault);
    }
    struct wanted **slot = &cache->wanted[(uint64_t)groups[0] % CACHE_WANTED];
    if (*slot == NULL || (*slot)->group_id != groups[0] || (*slot)->count > CACHE_SETS) {
        int code = wanted_new(store, groups, 1, out, fault);
        if (code == SW_OK && (*out)->count <= CACHE_SETS) {
            keep(slot, *out, groups[0]);
        }
        return code;
    }
    int code = add_group(store, *slot, groups[0], (*slot)->newest, fault);
    *out = code == SW_OK ? *slot : NULL;
    return code;
}

/* --- the function --- */

/* Called for each entry of an index, so it must cost next to nothing. */
static void wanted_function(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    struct wanted_question *question = sqlite3_value_pointer(values[0], QUESTION_TYPE);
    int64_t id = sqlite3_value_int64(values[1]);
    if (question == NULL || question->entries_left == 0) {
        sqlite3_result_error_code(context, SQLITE_ABORT);
        return;
    }
    question->entries_left--;
    sqlite3_result_int(context, id != 0 && has(question->sets, id));
}

int store_add_functions(struct store *store, struct fault *fault) {
    int flags = SQLITE_UTF8 | SQLITE_DIRECTONLY;
    return sqlite3_create_function_v2(store->db, "wanted", 2, flags, NULL, wanted_function, NULL,
                                      NULL, NULL) == SQLITE_OK
               ? SW_OK
               : store_failed(store, "cannot add a function", fault);
}

void bind_wanted(sqlite3_stmt *q, struct wanted_question *question) {
    bind_int(q, ":any_group", question == NULL);
    if (q != NULL && question != NULL) {
        int index = sqlite3_bind_parameter_index(q, ":sets");
        SW_CHECK(sqlite3_bind_pointer(q, index, question, QUESTION_TYPE, NULL) == SQLITE_OK);
    }
}
