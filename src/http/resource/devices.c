/* Looking at devices, and taking them in. */
#include <stdlib.h>
#include <string.h>

#include "http/devices.h"

#include "http/handlers.h"
#include "http/reply/pages.h"
#include "http/request/query.h"
#include "slipway/util/check.h"

/* --- one device --- */

json_t *device_described(struct app_tx *tx, const struct device *device) {
    uint8_t *bytes = NULL;
    size_t len = 0;
    if (app_device_described(tx, device, 2, &bytes, &len) != SW_OK) {
        return NULL;
    }
    json_t *described = json_loadb((const char *)bytes, len, 0, NULL);
    free(bytes);
    return described;
}

static json_t *variable_types(const json_t *described) {
    static const struct {
        int64_t number;
        const char *name;
    } types[] = {{1, "bool"}, {2, "int32"}, {4, "string"}, {9, "double"}};
    json_t *out = json_object();
    const char *name = NULL;
    json_t *type = NULL;
    json_object_foreach(json_object_get(described, "v"), name, type) {
        const char *word = "string";
        for (size_t i = 0; i < SW_COUNT(types); i++) {
            if (types[i].number == json_integer_value(type)) {
                word = types[i].name;
            }
        }
        (void)json_object_set_new(out, name, json_string(word));
    }
    return out;
}

/* Appends the device object with what belongs to it from other tables. */
static int add_device(struct app_tx *tx, struct sheet *sheet, const struct device *device,
                      bool is_detail) {
    struct page_device_facts facts = {.is_detail = is_detail};
    int rc = SW_OK;
    if (device->product_id != 0) {
        rc = app_device_released(tx, device, &facts.groups, &facts.targeted_version);
    }
    if (rc != SW_OK) {
        return rc;
    }
    json_t *described = is_detail ? device_described(tx, device) : NULL;
    json_t *variables = described != NULL ? variable_types(described) : NULL;
    facts.functions = json_object_get(described, "f");
    facts.variables = variables;
    struct app_asset_list assets = {0};
    if (is_detail && app_device_assets(tx, device, &assets) != SW_OK) {
        assets.count = 0;
    }
    facts.assets = &assets;
    page_device(sheet, device, &facts);
    free(assets.items);
    json_decref(variables);
    json_decref(described);
    return SW_OK;
}

#define DEVICE_BYTES 1024 /* about; a hint */

void handle_devices_get(struct request *rq) {
    struct sheet sheet;
    sheet_init(&sheet, 2 * DEVICE_BYTES);
    if (handler_ok(rq, add_device(rq->tx, &sheet, &rq->device, true))) {
        handler_tag(rq, rq->device.num, rq->device.updated_ms);
        sheet_reply(&sheet, &rq->reply, 200);
    }
    sheet_free(&sheet);
}

/* --- lists --- */

#define LIST_GROUPS_MAX 64

static bool read_sort(struct request *rq, struct app_device_query *query) {
    static const struct {
        const char *word;
        enum app_device_sort sort;
    } sorts[] = {{"deviceId", APP_SORT_ID},
                 {"deviceName", APP_SORT_NAME},
                 {"firmwareVersion", APP_SORT_VERSION},
                 {"lastConnection", APP_SORT_CONNECTION}};
    const char *sort = request_query(rq, "sortAttr");
    const char *direction = request_query(rq, "sortDir");
    bool found = sort == NULL || sort[0] == '\0';
    for (size_t i = 0; !found && i < SW_COUNT(sorts); i++) {
        if (strcmp(sort, sorts[i].word) == 0) {
            query->sort = sorts[i].sort;
            found = true;
        }
    }
    if (!found) {
        reply_error(&rq->reply, 400, "invalid_request",
                    "sortAttr: must be deviceId, deviceName, firmwareVersion or lastConnection");
        return false;
    }
    if (direction != NULL && direction[0] != '\0') {
        query->ascending = strcmp(direction, "asc") == 0;
        if (!query->ascending && strcmp(direction, "desc") != 0) {
            reply_error(&rq->reply, 400, "invalid_request", "sortDir: must be asc or desc");
            return false;
        }
    }
    return true;
}

/* page, perPage and its other spelling, and the keyset form ?after=. */
static bool read_paging(struct request *rq, struct app_device_query *query,
                        struct device_id *after) {
    int64_t page = 1, per_page = 25;
    if (!request_query_integer(rq, "page", 1, 1000000, &page) ||
        !request_query_integer(rq, "perPage", 1, 1000, &per_page) ||
        !request_query_integer(rq, "per_page", 1, 1000, &per_page)) {
        return false;
    }
    query->page = (uint32_t)page;
    query->per_page = (uint32_t)per_page;
    const char *text = request_query(rq, "after");
    if (text != NULL) {
        if (text[0] != '\0' && device_id_parse(text, strlen(text), after) != SW_OK) {
            reply_error(&rq->reply, 400, "invalid_request",
                        "after: must be a device id, as in next_after");
            return false;
        }
        query->after = after; /* all zeroes for "": from the start */
        query->sort = APP_SORT_ID;
        query->ascending = true;
    }
    return true;
}

static int64_t page_count(const struct app_device_query *query, uint64_t total) {
    uint64_t pages = (total + query->per_page - 1) / query->per_page;
    return pages > 0 ? (int64_t)pages : 1;
}

static void add_meta(struct sheet *sheet, const struct app_device_query *query,
                     const struct device_list *list) {
    sheet_key(sheet, "meta");
    sheet_mark(sheet, '{');
    sheet_integer(sheet, "total_pages", page_count(query, list->total));
    sheet_integer(sheet, "total_records", (int64_t)list->total);
    if (query->after != NULL) {
        char id[DEVICE_ID_DIGITS + 1] = "";
        if (list->count == query->per_page) {
            device_id_text(&list->items[list->count - 1].id, id);
        }
        sheet_text(sheet, "next_after", id);
    }
    sheet_mark(sheet, '}');
}

static void list_quarantined(struct request *rq, const struct app_device_query *query) {
    struct quarantine_list list = {0};
    if (query->after != NULL) {
        reply_error(&rq->reply, 400, "invalid_request", "after: not together with quarantined");
        return;
    }
    if (!handler_ok(rq, app_quarantine_list(rq->tx, query, &list))) {
        return;
    }
    json_t *pages = json_array();
    for (size_t i = 0; i < list.count; i++) {
        (void)json_array_append_new(pages, page_quarantine(&list.items[i], rq->product.id));
    }
    reply_json(&rq->reply, 200,
               json_pack("{s:o, s:[], s:{s:I, s:I}}", "devices", pages, "customers", "meta",
                         "total_pages", (json_int_t)page_count(query, (uint64_t)list.total),
                         "total_records", (json_int_t)list.total));
    free(list.items);
}

/* The entries, in brackets. */
static int add_devices(struct app_tx *tx, struct sheet *sheet, const struct device_list *list) {
    int rc = SW_OK;
    sheet_mark(sheet, '[');
    for (size_t i = 0; rc == SW_OK && i < list->count; i++) {
        sheet_entry(sheet);
        rc = add_device(tx, sheet, &list->items[i], false);
    }
    sheet_mark(sheet, ']');
    return rc;
}

static void reply_list(struct request *rq, const struct app_device_query *query, bool is_bare) {
    struct device_list list = {0};
    if (!handler_ok(rq, app_device_list(rq->tx, query, &list))) {
        return;
    }
    struct sheet sheet;
    sheet_init(&sheet, (list.count + 1) * DEVICE_BYTES);
    if (!is_bare) {
        sheet_mark(&sheet, '{');
        sheet_key(&sheet, "devices");
    }
    int rc = add_devices(rq->tx, &sheet, &list);
    if (!is_bare) {
        sheet_key(&sheet, "customers");
        sheet_mark(&sheet, '[');
        sheet_mark(&sheet, ']');
        add_meta(&sheet, query, &list);
        sheet_mark(&sheet, '}');
    }
    if (handler_ok(rq, rc)) {
        sheet_reply(&sheet, &rq->reply, 200);
    }
    sheet_free(&sheet);
    free(list.items);
}

void handle_devices_list(struct request *rq) {
    bool is_quarantined = false;
    struct device_id after = {0};
    struct app_device_query query = {.product_id = rq->product.id,
                                     .sort = APP_SORT_CONNECTION,
                                     .id_part = request_query(rq, "deviceId"),
                                     .name_part = request_query(rq, "deviceName"),
                                     .serial_part = request_query(rq, "serialNumber")};
    if (!request_query_bool(rq, "quarantined", &is_quarantined) || !read_sort(rq, &query) ||
        !read_paging(rq, &query, &after)) {
        return;
    }
    json_t *names = request_query_texts(rq, "groups");
    const char **texts = handler_texts(names);
    query.groups = texts;
    query.group_count = json_array_size(names);
    if (query.group_count > LIST_GROUPS_MAX) {
        reply_error(&rq->reply, 400, "invalid_request", "groups: at most %d", LIST_GROUPS_MAX);
    } else if (is_quarantined) {
        list_quarantined(rq, &query);
    } else {
        reply_list(rq, &query, false);
    }
    free(texts);
    json_decref(names);
}

void handle_all_devices_list(struct request *rq) {
    struct device_id after = {0};
    struct app_device_query query = {.sort = APP_SORT_CONNECTION};
    if (read_paging(rq, &query, &after)) {
        if (request_query(rq, "page") == NULL && request_query(rq, "per_page") == NULL &&
            request_query(rq, "perPage") == NULL) {
            query.per_page = 1000; /* existing clients expect all of them at once */
        }
        reply_list(rq, &query, true);
    }
}

/* --- import --- */

struct import {
    uint16_t product_id;
    struct span *texts;
    size_t count, cap;
    struct app_import_result result;
};

static int run_import(struct app_tx *tx, void *arg) {
    struct import *import = arg;
    return app_device_import(tx, import->product_id, import->texts, import->count, &import->result);
}

static bool import_add(struct import *import, struct span text) {
    if (import->count == import->cap) {
        size_t cap = import->cap == 0 ? 64 : import->cap * 2;
        struct span *grown = realloc(import->texts, cap * sizeof *grown);
        if (grown == NULL) {
            return false;
        }
        import->texts = grown;
        import->cap = cap;
    }
    import->texts[import->count++] = text;
    return true;
}

/* One column, one entry a line, with either kind of line end. */
static bool import_lines(struct import *import, struct span file) {
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf}; /* how some editors begin UTF-8 */
    bool is_marked = file.len >= sizeof mark && memcmp(file.data, mark, sizeof mark) == 0;
    size_t start = is_marked ? sizeof mark : 0;
    for (size_t i = start; i <= file.len; i++) {
        if (i < file.len && file.data[i] != '\n' && file.data[i] != '\r') {
            continue;
        }
        size_t from = start;
        size_t to = i;
        while (from < to && strchr(" \t,\"", file.data[from]) != NULL) {
            from++;
        }
        while (to > from && strchr(" \t,\"", file.data[to - 1]) != NULL) {
            to--;
        }
        if (to > from && !import_add(import, span_of(file.data + from, to - from))) {
            return false;
        }
        start = i + 1;
    }
    return true;
}

static bool import_ids(struct import *import, struct fields *fields, const json_t *ids) {
    size_t count = json_array_size(ids);
    for (size_t i = 0; i < count; i++) {
        const json_t *id = json_array_get(ids, i);
        if (!import_add(import, span_text(json_string_value(id)))) {
            fields_fail(fields, "ids", "are too many for the memory there is");
            return false;
        }
    }
    return true;
}

static json_t *page_ids(const struct device_id_list *list) {
    json_t *page = json_array();
    for (size_t i = 0; i < list->count; i++) {
        char id[DEVICE_ID_DIGITS + 1];
        device_id_text(&list->items[i], id);
        (void)json_array_append_new(page, json_string(id));
    }
    return page;
}

static void import_run(struct request *rq, struct import *import) {
    if (import->count == 0) {
        reply_error(&rq->reply, 400, "invalid_request",
                    "id: is required (or ids, or a file with one id a line)");
        return;
    }
    if (!request_write(rq, run_import, import)) {
        return;
    }
    const struct app_import_result *result = &import->result;
    json_t *invalid = json_array();
    for (size_t i = 0; i < result->invalid.count; i++) {
        const char *text = result->invalid.items[i];
        (void)json_array_append_new(invalid, page_bytes(text, strlen(text)));
    }
    reply_json(
        &rq->reply, 200,
        json_pack("{s:I, s:o, s:o, s:o, s:o, s:[]}", "updated", (json_int_t)result->updated.count,
                  "updatedDeviceIds", page_ids(&result->updated), "existingDeviceIds",
                  page_ids(&result->existing), "nonmemberDeviceIds", page_ids(&result->nonmember),
                  "invalidDeviceIds", invalid, "protectedDeviceIds"));
}

#define IMPORT_IDS_MAX 400000

void handle_devices_import(struct request *rq) {
    struct import import = {.product_id = rq->product.id};
    struct fields fields = request_fields(rq);
    fields_known(&fields, "claim_user");
    fields_known(&fields, "import_sims");
    const char *id = fields_text(&fields, "id", FIELD_OPTIONAL, 1, 64);
    json_t *ids = fields_texts(&fields, "ids", FIELD_OPTIONAL, IMPORT_IDS_MAX, 64);
    struct span file = {0};
    bool ok = fields_end(&fields) && import_ids(&import, &fields, ids);
    if (ok && id != NULL) {
        ok = import_add(&import, span_text(id));
    }
    if (ok && rq->has_body && rq->body.has_file) {
        ok = request_file(rq, &file) && import_lines(&import, file);
    }
    if (ok) {
        import_run(rq, &import);
    }
    app_import_result_free(&import.result);
    free(import.texts);
    json_decref(ids);
}

/* --- groups of many devices --- */

struct batch {
    uint16_t product_id;
    struct app_batch_groups groups;
};

static int run_batch(struct app_tx *tx, void *arg) {
    const struct batch *batch = arg;
    return app_device_batch_groups(tx, batch->product_id, &batch->groups);
}

/* false with the reply if one of them is no device id. */
static bool batch_devices(struct fields *fields, const json_t *list, struct batch *batch) {
    size_t count = json_array_size(list);
    struct device_id *ids = calloc(count > 0 ? count : 1, sizeof *ids);
    batch->groups.devices = ids;
    batch->groups.device_count = count;
    for (size_t i = 0; ids != NULL && i < count; i++) {
        const json_t *text = json_array_get(list, i);
        if (device_id_parse(json_string_value(text), json_string_length(text), &ids[i]) != SW_OK) {
            fields_fail(fields, "devices", "entry %zu is not a device id", i);
            return false;
        }
    }
    return ids != NULL;
}

void handle_devices_batch(struct request *rq) {
    enum { BATCH_GROUPS_MAX = 100, BATCH_DEVICES_MAX = 10000 };
    struct batch batch = {.product_id = rq->product.id};
    struct fields fields = request_fields(rq);
    const char *action = fields_text(&fields, "action", FIELD_REQUIRED, 1, 32);
    if (action != NULL && strcmp(action, "groups") != 0) {
        fields_fail(&fields, "action", "must be \"groups\"");
    }
    json_t *devices = fields_texts(&fields, "devices", FIELD_REQUIRED, BATCH_DEVICES_MAX, 64);
    struct fields inner = fields_inside(&fields, "metadata", FIELD_REQUIRED);
    json_t *add = fields_texts(&inner, "add", FIELD_OPTIONAL, BATCH_GROUPS_MAX, GROUP_NAME_MAX);
    json_t *remove =
        fields_texts(&inner, "remove", FIELD_OPTIONAL, BATCH_GROUPS_MAX, GROUP_NAME_MAX);
    const char **add_names = handler_texts(add);
    const char **remove_names = handler_texts(remove);
    batch.groups.add = add_names;
    batch.groups.add_count = json_array_size(add);
    batch.groups.remove = remove_names;
    batch.groups.remove_count = json_array_size(remove);
    if (add == NULL && remove == NULL) {
        fields_idle(&inner, "add, remove");
    }
    if (handler_group_names(&inner, "add", add) && fields_end(&inner) && fields_end(&fields) &&
        batch_devices(&fields, devices, &batch) && request_write(rq, run_batch, &batch)) {
        reply_json(&rq->reply, 200, json_pack("{s:b}", "ok", 1));
    }
    free((void *)(uintptr_t)batch.groups.devices);
    free(add_names);
    free(remove_names);
    json_decref(devices);
    json_decref(add);
    json_decref(remove);
}
