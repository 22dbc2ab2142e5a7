/* Pages of devices, and how many there are. Where groups are asked for, a device is known by its
 * set of groups, which stands in the index of each order: a page is found by walking that index,
 * and only the rows that are shown are read. */
#include "store/internal.h"

#include "slipway/store/fleet.h"

#include "store/wanted.h"

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
    int code = stmt_all(store, q, store_read_listed, sizeof **items, items, count, fault);
    free(groups);
    return code;
}

/* Found in the order that is asked for. */
static int list_ordered(struct store *store, const struct store_device_filter *filter,
                        struct wanted_question *question, struct device **items, size_t *count,
                        struct fault *fault) {
    enum stmt_name name = filter->product_id == 0 ? STMT_DEVICE_RECENT : page_stmt(filter);
    sqlite3_stmt *q = stmt(store, name, fault);
    if (name != STMT_DEVICE_RECENT) {
        bind_texts(q, filter);
        bind_wanted(q, question);
    }
    if (name == STMT_DEVICE_PAGE_ID_UP) {
        bind_blob(q, ":after", filter->after != NULL ? filter->after->b : NULL,
                  filter->after != NULL ? sizeof filter->after->b : 0);
    }
    bind_int(q, ":max", filter->max);
    bind_int(q, ":skip", filter->skip);
    return stmt_about(store, q, store_read_listed, sizeof **items, filter->max + 1U, items, count,
                      fault);
}

int store_device_list(struct store *store, const struct store_device_filter *filter,
                      struct device **items, size_t *count, struct fault *fault) {
    if (filter->groups == NULL) {
        return list_ordered(store, filter, NULL, items, count, fault);
    }
    if (has_few(filter)) {
        return list_few(store, filter, items, count, fault);
    }
    struct wanted *wanted = NULL;
    int code = wanted_take(store, filter->groups, filter->group_count, &wanted, fault);
    struct wanted_question question = {.sets = wanted,
                                       .entries_left = filter->group_devices * MEMBER_COST + 100};
    if (code == SW_OK) {
        code = list_ordered(store, filter, &question, items, count, fault);
    }
    wanted_release(wanted);
    /* The members stand at the far end of the order: then the other way is the shorter one. */
    if (code != SW_OK && question.entries_left == 0) {
        if (fault != NULL) {
            fault->code = SW_OK;
        }
        code = list_few(store, filter, items, count, fault);
    }
    return code;
}

/* Texts may stand anywhere in a name: every device is looked at. */
static int count_texts(struct store *store, const struct store_device_filter *filter,
                       int64_t *found, struct fault *fault) {
    struct wanted *wanted = NULL;
    int code = filter->groups != NULL
                   ? wanted_take(store, filter->groups, filter->group_count, &wanted, fault)
                   : SW_OK;
    struct wanted_question question = {.sets = wanted, .entries_left = UINT64_MAX};
    if (code == SW_OK) {
        sqlite3_stmt *q = stmt(store, STMT_DEVICE_COUNT, fault);
        bind_texts(q, filter);
        bind_wanted(q, filter->groups != NULL ? &question : NULL);
        code = stmt_int(store, q, 0, found, fault);
    }
    wanted_release(wanted);
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
