#include <stdlib.h>
#include <string.h>

#include "http/handlers.h"
#include "http/reply/pages.h"
#include "http/request/query.h"
#include "slipway/util/check.h"

struct release_job {
    struct app_release request;
    struct app_release_result result;
    json_t *page;
};

static int run_release(struct app_tx *tx, void *arg) {
    struct release_job *job = arg;
    return app_release(tx, &job->request, &job->result);
}

static int run_release_page(struct app_tx *tx, void *arg) {
    struct release_job *job = arg;
    job->page = handler_firmware_page(tx, &job->result.firmware);
    return SW_OK;
}

#define RELEASE_GROUPS_MAX 1000

void handle_firmware_release(struct request *rq) {
    struct release_job job = {.request = {.product_id = rq->product.id, .by = request_user(rq)}};
    struct fields fields = request_fields(rq);
    job.request.version = fields_integer(&fields, "version", FIELD_REQUIRED, 1, VERSION_NONE - 1);
    if (fields_has(&fields, "product_default")) {
        job.request.product_default =
            fields_bool(&fields, "product_default", FIELD_OPTIONAL) ? APP_TRUE : APP_FALSE;
    }
    /* Left out, both mean something; as null, neither should. */
    static const char *const targets[] = {"product_default", "groups"};
    for (size_t i = 0; i < SW_COUNT(targets); i++) {
        if (fields_is_null(&fields, targets[i])) {
            fields_fail(&fields, targets[i], "must not be null");
        }
    }
    json_t *groups =
        fields_texts(&fields, "groups", FIELD_OPTIONAL, RELEASE_GROUPS_MAX, GROUP_NAME_MAX);
    const char **names = handler_texts(groups);
    job.request.has_groups = groups != NULL;
    job.request.groups = names;
    job.request.group_count = json_array_size(groups);
    bool intelligent = fields_bool(&fields, "intelligent", FIELD_OPTIONAL);
    bool immediate = fields_bool(&fields, "immediate", FIELD_OPTIONAL); /* its older name */
    job.request.immediate = intelligent || immediate;
    if (fields_end(&fields) && request_write(rq, run_release, &job) &&
        request_read(rq, run_release_page, &job)) {
        json_t *warnings = json_array();
        if (job.result.is_untested) {
            (void)json_array_append_new(
                warnings,
                json_pack("{s:s, s:s}", "code", "untested", "message",
                          "No device of the product has run this version yet: try it on one "
                          "(lock it) before a release."));
        }
        (void)json_object_set_new(job.page, "warnings", warnings);
        (void)json_object_set_new(job.page, "changed", json_boolean(job.result.changed));
        reply_json(&rq->reply, 200, job.page);
    }
    free(names);
    json_decref(groups);
}

void handle_releases_list(struct request *rq) {
    int64_t version = 0, before = 0, max = 25;
    struct release_list list = {0};
    if (!request_query_integer(rq, "version", 1, VERSION_NONE - 1, &version) ||
        !request_query_integer(rq, "before", 1, INT64_MAX, &before) ||
        !request_query_integer(rq, "per_page", 1, 1000, &max) ||
        !handler_ok(rq, app_release_history(rq->tx, rq->product.id, (uint16_t)version, before,
                                            (size_t)max, &list))) {
        return;
    }
    json_t *pages = json_array();
    for (size_t i = 0; i < list.count; i++) {
        (void)json_array_append_new(pages, page_release(&list.items[i]));
    }
    json_t *next =
        list.count == (size_t)max ? json_integer(list.items[list.count - 1].id) : json_null();
    free(list.items);
    reply_json(&rq->reply, 200, json_pack("{s:o, s:o}", "releases", pages, "next_before", next));
}

static void impact_reply(struct request *rq, const struct app_release *request) {
    struct app_impact impact = {0};
    if (!handler_ok(rq, app_impact(rq->tx, request, &impact))) {
        return;
    }
    json_t *by_version = json_array();
    for (size_t i = 0; i < impact.count; i++) {
        (void)json_array_append_new(by_version,
                                    json_pack("{s:o, s:I}", "version",
                                              page_version(impact.by_version[i].version), "total",
                                              (json_int_t)impact.by_version[i].count));
    }
    free(impact.by_version);
    reply_json(&rq->reply, 200,
               json_pack("{s:{s:{s:I, s:o}}}", "devices", "firmware_update", "total",
                         (json_int_t)impact.total, "by_version", by_version));
}

void handle_impact(struct request *rq) {
    struct app_release request = {.product_id = rq->product.id};
    bool is_default = false;
    const char *action = request_query(rq, "action");
    if (action != NULL && strcmp(action, "edit_groups_for_firmware") != 0) {
        reply_error(&rq->reply, 400, "invalid_request",
                    "action: only edit_groups_for_firmware is known");
        return;
    }
    if (!request_query_integer(rq, "firmware_version", 1, VERSION_NONE - 1, &request.version) ||
        !request_query_bool(rq, "product_default", &is_default)) {
        return;
    }
    if (request.version == 0) {
        reply_error(&rq->reply, 400, "invalid_request", "firmware_version: is required");
        return;
    }
    if (request_query(rq, "product_default") != NULL) {
        request.product_default = is_default ? APP_TRUE : APP_FALSE;
    }
    json_t *groups = request_query_texts(rq, "groups");
    const char **names = handler_texts(groups);
    request.groups = names;
    request.group_count = json_array_size(groups);
    request.has_groups = groups != NULL;
    if (request.group_count > RELEASE_GROUPS_MAX) {
        reply_error(&rq->reply, 400, "invalid_request", "groups: at most %d", RELEASE_GROUPS_MAX);
    } else {
        impact_reply(rq, &request);
    }
    free(names);
    json_decref(groups);
}
