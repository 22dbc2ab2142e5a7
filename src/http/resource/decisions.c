/* Questions that only this server answers: why a device gets what it gets, and how its updates
 * went. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/handlers.h"
#include "http/reply/pages.h"
#include "http/request/query.h"
#include "slipway/util/check.h"
#include "slipway/util/text.h"

void handle_devices_decision(struct request *rq) {
    struct app_decision decision;
    if (handler_ok(rq, app_decision(rq->tx, &rq->device.id, &decision))) {
        json_t *page = page_decision(&decision);
        char id[DEVICE_ID_DIGITS + 1];
        device_id_text(&rq->device.id, id);
        (void)json_object_set_new(page, "device_id", json_string(id));
        reply_json(&rq->reply, 200, page);
    }
}

static bool read_state(struct request *rq, int *state) {
    const char *word = request_query(rq, "state");
    *state = word != NULL ? update_state_find(word) : -1;
    if (word == NULL || *state >= 0) {
        return true;
    }
    char names[256];
    size_t at = 0;
    for (int i = 0; i < UPDATE_STATES; i++) {
        int len = snprintf(names + at, sizeof names - at, "%s%s", i == 0 ? "" : ", ",
                           update_state_name((enum update_state)i));
        at += (size_t)len < sizeof names - at ? (size_t)len : 0;
    }
    reply_error(&rq->reply, 400, "invalid_request", "state: must be one of %s", names);
    return false;
}

static bool read_query(struct request *rq, struct app_update_query *query) {
    int64_t version = 0, max = 25;
    if (!read_state(rq, &query->state) || !request_query_bool(rq, "open", &query->open_only) ||
        !request_query_integer(rq, "version", 1, VERSION_NONE - 1, &version) ||
        !request_query_integer(rq, "before", 1, INT64_MAX, &query->before_id) ||
        !request_query_integer(rq, "per_page", 1, 1000, &max)) {
        return false;
    }
    query->version = (uint16_t)version;
    query->max = (uint32_t)max;
    return true;
}

static void reply_updates(struct request *rq, const struct app_update_query *query,
                          bool with_timeline) {
    struct update_list list = {0};
    if (!handler_ok(rq, app_update_list(rq->tx, query, &list))) {
        return;
    }
    json_t *pages = json_array();
    for (size_t i = 0; i < list.count; i++) {
        struct update_step_list steps = {0};
        bool has_steps =
            with_timeline && app_update_history(rq->tx, list.items[i].id, &steps) == SW_OK;
        (void)json_array_append_new(pages, page_update(&list.items[i], has_steps ? &steps : NULL));
        free(steps.items);
    }
    json_t *next =
        list.count == query->max ? json_integer(list.items[list.count - 1].id) : json_null();
    free(list.items);
    reply_json(&rq->reply, 200, json_pack("{s:o, s:o}", "updates", pages, "next_before", next));
}

void handle_devices_updates(struct request *rq) {
    struct app_update_query query = {.product_id = rq->device.product_id, .device = &rq->device.id};
    if (read_query(rq, &query)) {
        reply_updates(rq, &query, true);
    }
}

void handle_updates_list(struct request *rq) {
    struct app_update_query query = {.product_id = rq->product.id};
    struct device_id id;
    static const char *const names[] = {"device",
                                        "deviceId"}; /* the other one as in lists of them */
    for (size_t i = 0; i < SW_COUNT(names); i++) {
        const char *device = request_query(rq, names[i]);
        if (device == NULL) {
            continue;
        }
        if (device_id_parse(device, strlen(device), &id) != SW_OK) {
            reply_error(&rq->reply, 400, "invalid_request", "%s: is not a device id", names[i]);
            return;
        }
        query.device = &id;
    }
    if (read_query(rq, &query)) {
        reply_updates(rq, &query, false);
    }
}

struct cancel {
    uint16_t product_id;
    int64_t update_id;
};

static int run_cancel(struct app_tx *tx, void *arg) {
    const struct cancel *cancel = arg;
    struct update update;
    int rc = app_update_get(tx, cancel->update_id, &update);
    if (rc == SW_OK && update.product_id != cancel->product_id) {
        rc = SW_E_NOT_FOUND;
    }
    return rc != SW_OK ? rc : app_update_cancel(tx, cancel->update_id);
}

void handle_updates_cancel(struct request *rq) {
    struct cancel cancel = {.product_id = rq->product.id};
    if (!text_integer(request_param(rq, "update"), &cancel.update_id)) {
        reply_error(&rq->reply, 404, "not_found", "There is no such update.");
    } else if (request_write(rq, run_cancel, &cancel)) {
        reply_empty(&rq->reply, 204);
    }
}
