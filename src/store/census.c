/* Sets of groups, and the count of devices by what the rules ask of them. */
#include "store/cache.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct group_set no_groups = {.id = 0};

static void read_set_group(sqlite3_stmt *q, void *row) {
    struct set_group *g = (struct set_group *)row;
    g->id = col_int(q, 0);
    col_text(q, 1, g->name, sizeof g->name);
    g->version = col_u16(q, 2);
    g->immediate = col_bool(q, 3);
}

static int load_set(struct store *store, int64_t id, struct group_set **out, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_SET_GROUPS, fault);
    bind_int(q, ":set", id);
    size_t count = 0;
    struct set_group *groups;
    int code = stmt_all(store, q, read_set_group, sizeof *groups, &groups, &count, fault);
    struct group_set *set = NULL;
    if (code == SW_OK) {
        set = malloc(sizeof *set + count * sizeof *groups);
        if (set == NULL) {
            code = fault_set(fault, SW_E_MEMORY, "out of memory for a device's groups");
        } else {
            set->id = id;
            set->count = count;
            if (count > 0) {
                memcpy(set->groups, groups, count * sizeof *groups);
            }
        }
    }
    free(groups);
    *out = set;
    return code;
}

int store_group_set_get(struct store *store, int64_t id, const struct group_set **out,
                        struct fault *fault) {
    *out = &no_groups;
    if (id == 0) {
        return SW_OK;
    }
    struct cache *cache = cache_of(store);
    struct group_set **slot = cache != NULL ? &cache->sets[(uint64_t)id % CACHE_SETS] : &store->set;
    int code = SW_OK;
    if (cache == NULL || *slot == NULL || (*slot)->id != id) {
        free(*slot);
        code = load_set(store, id, slot, fault);
    }
    if (code == SW_OK) {
        *out = *slot;
    }
    return code;
}

static int by_value(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

/* The one text of a set: ids ascending, each once. Leaves them so in `groups`. */
static void members_text(int64_t *groups, size_t *count, char *out, size_t cap) {
    qsort(groups, *count, sizeof *groups, by_value);
    size_t kept = 0;
    size_t at = 0;
    for (size_t i = 0; i < *count; i++) {
        if (kept > 0 && groups[i] == groups[kept - 1]) {
            continue;
        }
        int len = snprintf(out + at, cap - at, "%s%" PRId64, kept > 0 ? "," : "", groups[i]);
        at += (size_t)len;
        groups[kept++] = groups[i];
    }
    *count = kept;
}

static int make_set(struct store *store, const char *members, const int64_t *groups, size_t count,
                    int64_t *id, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_SET_INSERT, fault);
    bind_text(q, ":members", members);
    int code = stmt_run_one(store, q, fault);
    *id = sqlite3_last_insert_rowid(store->db);
    for (size_t i = 0; code == SW_OK && i < count; i++) {
        q = stmt(store, STMT_SET_INSERT_GROUP, fault);
        bind_int(q, ":set", *id);
        bind_int(q, ":group", groups[i]);
        code = stmt_run_one(store, q, fault);
    }
    return code;
}

int store_group_set_need(struct store *store, const int64_t *groups, size_t count, int64_t *id,
                         struct fault *fault) {
    *id = 0;
    if (count == 0) {
        return SW_OK;
    }
    enum { ID_DIGITS = 21 };
    int64_t *sorted = calloc(count, sizeof *sorted);
    char *members = malloc(count * ID_DIGITS + 1);
    int code = SW_OK;
    if (sorted == NULL || members == NULL) {
        code = fault_set(fault, SW_E_MEMORY, "out of memory for a device's groups");
    } else {
        memcpy(sorted, groups, count * sizeof *sorted);
        members_text(sorted, &count, members, count * ID_DIGITS + 1);
        sqlite3_stmt *q = stmt(store, STMT_SET_FIND, fault);
        bind_text(q, ":members", members);
        code = stmt_int(store, q, 0, id, fault);
        if (code == SW_OK && *id == 0) {
            code = make_set(store, members, sorted, count, id, fault);
        }
    }
    free(sorted);
    free(members);
    return code;
}

int store_device_save_set(struct store *store, int64_t num, int64_t set_id, int64_t updated_ms,
                          struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_DEVICE_SAVE_SET, fault);
    bind_int(q, ":num", num);
    bind_int(q, ":updated", updated_ms);
    if (set_id != 0) {
        bind_int(q, ":set", set_id);
    }
    return stmt_run_one(store, q, fault);
}

int store_census_each(struct store *store, uint16_t product_id, store_kind_fn *each, void *arg,
                      struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_DEVICE_CENSUS, fault);
    bind_int(q, ":product", product_id);
    int code;
    while ((code = stmt_next(store, q, fault)) == 1) {
        struct store_kind kind = {.device_count = col_u32(q, 0),
                                  .running_version = col_u16(q, 1),
                                  .locked_version = col_u16(q, 2),
                                  .development = col_bool(q, 3),
                                  .is_denied = col_bool(q, 4),
                                  .set_id = col_int(q, 5)};
        each(arg, &kind);
    }
    return code;
}

static void read_set_member(sqlite3_stmt *q, void *row) {
    struct store_set_member *member = (struct store_set_member *)row;
    member->set_id = col_int(q, 0);
    member->group_id = col_int(q, 1);
}

int store_set_members(struct store *store, uint16_t product_id, struct store_set_member **items,
                      size_t *count, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_SETS_OF_PRODUCT, fault);
    bind_int(q, ":product", product_id);
    return stmt_all(store, q, read_set_member, sizeof **items, items, count, fault);
}

/* Takes a group out of one set, in place: its devices are not touched, so it costs the same for
 * one of them and for a hundred thousand. */
static int shrink_set(struct store *store, int64_t set_id, int64_t group_id, struct fault *fault) {
    enum { ID_DIGITS = 21 };
    const struct group_set *set;
    int code = store_group_set_get(store, set_id, &set, fault);
    if (code != SW_OK) {
        return code;
    }
    size_t cap = (set->count + 1) * ID_DIGITS + 1;
    int64_t *rest = calloc(set->count + 1, sizeof *rest);
    char *members = malloc(cap);
    if (rest == NULL || members == NULL) {
        free(rest);
        free(members);
        return fault_set(fault, SW_E_MEMORY, "out of memory for a group's devices");
    }
    size_t count = 0;
    for (size_t i = 0; i < set->count; i++) {
        if (set->groups[i].id != group_id) {
            rest[count++] = set->groups[i].id;
        }
    }
    members[0] = '\0';
    members_text(rest, &count, members, cap);
    int64_t other = 0;
    sqlite3_stmt *q = stmt(store, STMT_SET_FIND, fault);
    bind_text(q, ":members", members);
    code = stmt_int(store, q, 0, &other, fault);
    if (other != 0 || count == 0) {
        size_t len = strlen(members);
        (void)snprintf(members + len, cap - len, "#%" PRId64, set_id);
    }
    if (code == SW_OK) {
        q = stmt(store, STMT_SET_RENAME, fault);
        bind_int(q, ":set", set_id);
        bind_text(q, ":members", members);
        code = stmt_run_one(store, q, fault);
    }
    if (code == SW_OK) {
        q = stmt(store, STMT_SET_REMOVE_GROUP, fault);
        bind_int(q, ":set", set_id);
        bind_int(q, ":group", group_id);
        code = stmt_run_one(store, q, fault);
    }
    free(rest);
    free(members);
    return code;
}

int store_group_empty(struct store *store, int64_t group_id, struct fault *fault) {
    for (;;) {
        sqlite3_stmt *q = stmt(store, STMT_SETS_WITH_GROUP, fault);
        bind_int(q, ":group", group_id);
        bind_int(q, ":after", 0);
        int64_t set_id = 0; /* any of them */
        int code = stmt_int(store, q, 0, &set_id, fault);
        if (code != SW_OK || set_id == 0) {
            return code;
        }
        code = shrink_set(store, set_id, group_id, fault);
        if (code != SW_OK) {
            return code;
        }
    }
}
