/* Pages of devices, and how many there are. Where groups are asked for, a device is known by its
 * set of groups, which stands in the index of each order: a page is found by walking that index,
 * and only the rows that are shown are read. */
#include "store/internal.h"

#include "slipway/store/fleet.h"
#include "slipway/util/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* The group ids as a JSON array, the one form in which a statement takes a list. */
static char *group_array(const struct store_device_filter *filter) {
    size_t cap = filter->group_count * 21 + 3;
    char *text = malloc(cap);
    if (text == NULL) {
        return NULL;
    }
    size_t at = 0;
    text[at++] = '[';
    for (size_t i = 0; i < filter->group_count; i++) {
        int len = snprintf(text + at, cap - at, "%s%" PRId64, i > 0 ? "," : "", filter->groups[i]);
        at += (size_t)len;
    }
    text[at++] = ']';
    text[at] = '\0';
    return text;
}

static bool has_text(const struct store_device_filter *filter) {
    return filter->id_part != NULL || filter->name_part != NULL || filter->serial_part != NULL;
}

static void bind_texts(sqlite3_stmt *q, const struct store_device_filter *filter) {
    bind_int(q, ":product", filter->product_id);
    bind_text(q, ":id_part", filter->id_part);
    bind_text(q, ":name_part", filter->name_part);
    bind_text(q, ":serial_part", filter->serial_part);
}

/* --- devices that are in some groups --- */

/* The sets that hold any of the groups: a table of their ids, 0 = free. */
struct wanted {
    int64_t *ids;
    size_t count, mask;
    uint64_t entries_left; /* that may be asked about */
};

#define WANTED_TYPE "slipway wanted"

static void wanted_add(struct wanted *wanted, int64_t id) {
    size_t at = (size_t)id & wanted->mask;
    while (wanted->ids[at] != 0 && wanted->ids[at] != id) {
        at = (at + 1) & wanted->mask;
    }
    wanted->count += wanted->ids[at] == 0;
    wanted->ids[at] = id;
}

static bool wanted_has(const struct wanted *wanted, int64_t id) {
    size_t at = (size_t)id & wanted->mask;
    while (wanted->ids[at] != id && wanted->ids[at] != 0) {
        at = (at + 1) & wanted->mask;
    }
    return wanted->ids[at] == id;
}

static bool wanted_grow(struct wanted *wanted) {
    struct wanted larger = {.mask = wanted->ids == NULL ? 63 : 4 * wanted->mask + 3};
    larger.ids = calloc(larger.mask + 1, sizeof *larger.ids);
    if (larger.ids == NULL) {
        return false;
    }
    for (size_t i = 0; wanted->ids != NULL && i <= wanted->mask; i++) {
        if (wanted->ids[i] != 0) {
            wanted_add(&larger, wanted->ids[i]);
        }
    }
    free(wanted->ids);
    larger.entries_left = wanted->entries_left;
    *wanted = larger;
    return true;
}

static int wanted_read(struct store *store, const struct store_device_filter *filter,
                       struct wanted *out, struct fault *fault) {
    int code = 0;
    bool has_room = wanted_grow(out);
    for (size_t i = 0; code == 0 && has_room && i < filter->group_count; i++) {
        sqlite3_stmt *q = stmt(store, STMT_SETS_WITH_GROUP, fault);
        bind_int(q, ":group", filter->groups[i]);
        while (has_room && (code = stmt_next(store, q, fault)) == 1) {
            wanted_add(out, col_int(q, 0));
            has_room = 2 * out->count <= out->mask || wanted_grow(out);
        }
        stmt_end(q);
    }
    return has_room ? code : fault_set(fault, SW_E_MEMORY, "out of memory for a device list");
}

/* wanted(:sets, group_set): asked about each entry of an index, so it must cost next to nothing. */
static void wanted_function(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    struct wanted *wanted = sqlite3_value_pointer(values[0], WANTED_TYPE);
    int64_t id = sqlite3_value_int64(values[1]);
    if (wanted == NULL || wanted->entries_left == 0) {
        sqlite3_result_error_code(context, SQLITE_ABORT);
        return;
    }
    wanted->entries_left--;
    sqlite3_result_int(context, id != 0 && wanted_has(wanted, id));
}

int store_add_functions(struct store *store, struct fault *fault) {
    int flags = SQLITE_UTF8 | SQLITE_DIRECTONLY;
    return sqlite3_create_function_v2(store->db, "wanted", 2, flags, NULL, wanted_function, NULL,
                                      NULL, NULL) == SQLITE_OK
               ? SW_OK
               : store_failed(store, "cannot add a function", fault);
}

/* NULL: any group or none. */
static void bind_wanted(sqlite3_stmt *q, struct wanted *wanted) {
    bind_int(q, ":any_group", wanted == NULL);
    if (q != NULL && wanted != NULL) {
        int index = sqlite3_bind_parameter_index(q, ":sets");
        SW_CHECK(sqlite3_bind_pointer(q, index, wanted, WANTED_TYPE, NULL) == SQLITE_OK);
    }
}

/* --- pages --- */

static enum stmt_name page_stmt(const struct store_device_filter *filter) {
    switch (filter->order) {
    case STORE_DEVICES_BY_ID:
        return filter->ascending ? STMT_DEVICE_PAGE_ID_UP : STMT_DEVICE_PAGE_ID_DOWN;
    case STORE_DEVICES_BY_NAME:
        return filter->ascending ? STMT_DEVICE_PAGE_NAME_UP : STMT_DEVICE_PAGE_NAME_DOWN;
    case STORE_DEVICES_BY_VERSION:
        return filter->ascending ? STMT_DEVICE_PAGE_VERSION_UP : STMT_DEVICE_PAGE_VERSION_DOWN;
    case STORE_DEVICES_BY_HANDSHAKE:
        break;
    }
    return filter->ascending ? STMT_DEVICE_PAGE_SEEN_UP : STMT_DEVICE_PAGE_SEEN_DOWN;
}

/* A page of a group is found in one of two ways: through the product in the order that is asked
 * for, testing each entry of the index, or through the members, which are then sorted. A member's
 * row costs as much as so many entries. */
#define MEMBER_COST 20

static bool has_few(const struct store_device_filter *filter) {
    double members = (double)filter->group_devices;
    double wanted = (double)filter->skip + (double)filter->max;
    double walked = wanted < members ? wanted / members * (double)filter->product_devices
                                     : (double)filter->product_devices;
    return members * MEMBER_COST <= walked;
}

static const char *order_word(enum store_device_order order) {
    switch (order) {
    case STORE_DEVICES_BY_ID:
        return "id";
    case STORE_DEVICES_BY_NAME:
        return "name";
    case STORE_DEVICES_BY_VERSION:
        return "version";
    case STORE_DEVICES_BY_HANDSHAKE:
        break;
    }
    return "handshake";
}

/* Found from the groups. */
static int list_few(struct store *store, const struct store_device_filter *filter,
                    struct device **items, size_t *count, struct fault *fault) {
    char *groups = group_array(filter);
    if (groups == NULL) {
        return fault_set(fault, SW_E_MEMORY, "out of memory for a device list");
    }
    sqlite3_stmt *q =
        stmt(store, filter->ascending ? STMT_DEVICE_FEW_UP : STMT_DEVICE_FEW_DOWN, fault);
    bind_texts(q, filter);
    bind_text(q, ":groups", groups);
    bind_text(q, ":order", order_word(filter->order));
    if (filter->after != NULL) {
        bind_blob(q, ":after", filter->after->b, sizeof filter->after->b);
    }
    bind_int(q, ":max", filter->max);
    bind_int(q, ":skip", filter->skip);
    int code = SW_OK;
    *items = stmt_all(store, q, store_read_listed, sizeof **items, count, &code, fault);
    free(groups);
    return code;
}

/* Found in the order that is asked for. */
static int list_ordered(struct store *store, const struct store_device_filter *filter,
                        struct wanted *wanted, struct device **items, size_t *count,
                        struct fault *fault) {
    enum stmt_name name = filter->product_id == 0 ? STMT_DEVICE_RECENT : page_stmt(filter);
    sqlite3_stmt *q = stmt(store, name, fault);
    if (name != STMT_DEVICE_RECENT) {
        bind_texts(q, filter);
        bind_wanted(q, wanted);
    }
    if (name == STMT_DEVICE_PAGE_ID_UP) {
        bind_blob(q, ":after", filter->after != NULL ? filter->after->b : NULL,
                  filter->after != NULL ? sizeof filter->after->b : 0);
    }
    bind_int(q, ":max", filter->max);
    bind_int(q, ":skip", filter->skip);
    int code = SW_OK;
    *items = stmt_about(store, q, store_read_listed, sizeof **items, filter->max + 1U, count, &code,
                        fault);
    return code;
}

int store_device_list(struct store *store, const struct store_device_filter *filter,
                      struct device **items, size_t *count, struct fault *fault) {
    if (filter->groups == NULL) {
        return list_ordered(store, filter, NULL, items, count, fault);
    }
    if (has_few(filter)) {
        return list_few(store, filter, items, count, fault);
    }
    struct wanted wanted = {.entries_left = filter->group_devices * MEMBER_COST + 100};
    int code = wanted_read(store, filter, &wanted, fault);
    if (code == SW_OK) {
        code = list_ordered(store, filter, &wanted, items, count, fault);
    }
    /* The members stand at the far end of the order: then the other way is the shorter one. */
    if (code != SW_OK && wanted.entries_left == 0) {
        if (fault != NULL) {
            fault->code = SW_OK;
        }
        code = list_few(store, filter, items, count, fault);
    }
    free(wanted.ids);
    return code;
}

/* Texts may stand anywhere in a name: every device is looked at. */
static int count_texts(struct store *store, const struct store_device_filter *filter,
                       int64_t *found, struct fault *fault) {
    struct wanted wanted = {.entries_left = UINT64_MAX};
    int code = filter->groups != NULL ? wanted_read(store, filter, &wanted, fault) : SW_OK;
    if (code == SW_OK) {
        sqlite3_stmt *q = stmt(store, STMT_DEVICE_COUNT, fault);
        bind_texts(q, filter);
        bind_wanted(q, filter->groups != NULL ? &wanted : NULL);
        code = stmt_int(store, q, 0, found, fault);
    }
    free(wanted.ids);
    return code;
}

static int count_groups(struct store *store, const struct store_device_filter *filter,
                        int64_t *found, struct fault *fault) {
    char *groups = group_array(filter);
    if (groups == NULL) {
        return fault_set(fault, SW_E_MEMORY, "out of memory for a device list");
    }
    sqlite3_stmt *q = stmt(store, STMT_DEVICE_COUNT_GROUPS, fault);
    bind_text(q, ":groups", groups); /* groups are of one product */
    int code = stmt_int(store, q, 0, found, fault);
    free(groups);
    return code;
}

int store_device_count(struct store *store, const struct store_device_filter *filter,
                       uint64_t *count, struct fault *fault) {
    *count = filter->product_devices;
    if (filter->product_id != 0 && !has_text(filter) && filter->groups == NULL) {
        return SW_OK;
    }
    *count = filter->group_devices;
    if (filter->product_id != 0 && !has_text(filter) && filter->group_count <= 1) {
        return SW_OK;
    }
    int64_t found = 0;
    int code = SW_OK;
    if (filter->product_id == 0) {
        code = stmt_int(store, stmt(store, STMT_DEVICE_TOTAL, fault), 0, &found, fault);
    } else if (has_text(filter)) {
        code = count_texts(store, filter, &found, fault);
    } else {
        code = count_groups(store, filter, &found, fault);
    }
    *count = (uint64_t)found;
    return code;
}
