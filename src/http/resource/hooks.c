/* Webhooks, under both names that existing clients use. What only the sender understands (headers,
 * templates, credentials) is checked here and kept as one JSON object. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/door.h"
#include "http/handlers.h"
#include "http/reply/pages.h"
#include "slipway/app/hook.h"
#include "slipway/crypto/secret.h"
#include "slipway/util/check.h"

#define HEADERS_MAX      32
#define HEADER_NAME_MAX  128
#define HEADER_VALUE_MAX 1024
#define TOPIC_MAX        256
#define HIDDEN           "(hidden)" /* stands for a value that is never shown again */
#define TOKEN_CHARS      "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* --- pages --- */

/* Who may read a webhook need not know its credentials. */
static void hide_secrets(json_t *page) {
    static const char *const plain[] = {"accept", "content-type", "user-agent"};
    json_t *headers = json_object_get(page, "headers");
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(headers, name, value) {
        bool is_plain = false;
        for (size_t i = 0; i < SW_COUNT(plain); i++) {
            is_plain = is_plain || strcasecmp(name, plain[i]) == 0;
        }
        if (!is_plain) {
            (void)json_string_set(value, HIDDEN);
        }
    }
    (void)json_object_del(json_object_get(page, "auth"), "password");
}

static json_t *page_hook(struct request *rq, const struct app_hook *whole, bool is_new) {
    const struct hook *hook = &whole->row;
    const char *base = rq->server->config.base_url;
    char link[256], device[DEVICE_ID_DIGITS + 1], path[32] = "/v1";
    json_t *page = json_loads(whole->spec, 0, NULL);
    json_t *head = json_pack("{s:s, s:s, s:o, s:o, s:s, s:s, s:s, s:b}", "id", hook->uid, "event",
                             hook->event, "created_at", page_time(hook->created_ms), "updated_at",
                             page_time(hook->updated_ms), "integration_type", "Webhook", "url",
                             hook->url, "requestType", hook->method, "disabled", hook->is_disabled);
    if (hook->has_device) {
        device_id_text(&hook->device, device);
        (void)json_object_set_new(head, "deviceID", json_string(device));
    }
    if (hook->product_id != 0) {
        (void)json_object_set_new(head, "product_id", json_integer(hook->product_id));
        (void)snprintf(path, sizeof path, "/v1/products/%u", hook->product_id);
    }
    if (hook->name[0] != '\0') {
        (void)json_object_set_new(head, "name", json_string(hook->name));
    }
    (void)json_object_set_new(head, "noDefaults", json_false());
    (void)json_object_set_new(head, "rejectUnauthorized", json_true());
    hide_secrets(page);
    (void)json_object_update(head, page);
    json_decref(page);
    if (is_new) {
        (void)snprintf(link, sizeof link, "%s%s/webhooks/%s", base != NULL ? base : "", path,
                       hook->uid);
        (void)json_object_set_new(head, "ok", json_true());
        (void)json_object_set_new(head, "hookUrl", json_string(link));
        (void)json_object_set_new(head, "secret", json_string(whole->secret));
    }
    return head;
}

static json_t *page_log(const struct hook_log *log) {
    char device[DEVICE_ID_DIGITS + 1] = "api";
    if (log->has_device) {
        device_id_text(&log->device, device);
    }
    json_t *page =
        json_pack("{s:s, s:o, s:{s:s, s:s}, s:I}", "type", log->is_failed ? "Error" : "Success",
                  "time", page_time(log->at_ms), "event", "event", log->event, "coreid", device,
                  "delivery", (json_int_t)log->delivery_id);
    (void)json_object_set_new(page, "status",
                              log->status != 0 ? json_integer(log->status) : json_null());
    (void)json_object_set_new(page, log->is_failed ? "error" : "response", json_string(log->text));
    return page;
}

static json_t *page_logs(const struct hook_log_list *list) {
    json_t *page = json_array();
    for (size_t i = 0; i < list->count; i++) {
        (void)json_array_append_new(page, page_log(&list->items[i]));
    }
    return page;
}

/* A webhook and how it went, of one moment. */
struct hook_detail {
    struct app_hook hook;
    struct hook_log_list logs, errors;
};

static int read_detail(struct app_tx *tx, uint16_t product_id, const char *uid,
                       struct hook_detail *out) {
    int code = app_hook_get(tx, product_id, uid, &out->hook);
    code = code != SW_OK ? code : app_hook_log(tx, out->hook.row.id, false, &out->logs);
    return code != SW_OK ? code : app_hook_log(tx, out->hook.row.id, true, &out->errors);
}

static void detail_close(struct hook_detail *detail) {
    free(detail->logs.items);
    free(detail->errors.items);
    crypto_wipe(&detail->hook, sizeof detail->hook);
}

static json_t *page_hook_detail(struct request *rq, const struct hook_detail *detail) {
    const struct hook *hook = &detail->hook.row;
    json_t *page = page_hook(rq, &detail->hook, false);
    (void)json_object_set_new(page, "logs", page_logs(&detail->logs));
    (void)json_object_set_new(page, "errors", page_logs(&detail->errors));
    (void)json_object_set_new(page, "counters",
                              json_pack("[{s:s, s:I}, {s:s, s:I}, {s:s, s:I}, {s:s, s:I}]", "name",
                                        "sent", "count", (json_int_t)hook->sent, "name", "failed",
                                        "count", (json_int_t)hook->failed, "name", "dropped",
                                        "count", (json_int_t)hook->dropped, "name", "queued",
                                        "count", (json_int_t)hook->queued));
    bool is_webhook = strstr(rq->match.route->pattern, "/webhooks") != NULL;
    return json_pack("{s:o}", is_webhook ? "webhook" : "integration", page);
}

/* --- reading --- */

void handle_hooks_list(struct request *rq) {
    struct hook_list list = {0};
    if (!handler_ok(rq, app_hook_list(rq->tx, rq->product.id, &list))) {
        return;
    }
    json_t *pages = json_array();
    for (size_t i = 0; i < list.count; i++) {
        (void)json_array_append_new(pages, page_hook(rq, &list.items[i], false));
    }
    free(list.items);
    reply_json(&rq->reply, 200, pages);
}

/* In the words that existing clients look for. */
static bool hook_ok(struct request *rq, int code, const struct app_error *error) {
    if (code == SW_E_NOT_FOUND) {
        reply_missing(&rq->reply, "Webhook not found");
    } else if (code != SW_OK) {
        reply_app_error(&rq->reply, code, error);
    }
    return code == SW_OK;
}

void handle_hooks_get(struct request *rq) {
    struct hook_detail detail = {0};
    int code = read_detail(rq->tx, rq->product.id, request_param(rq, "hook"), &detail);
    if (hook_ok(rq, code, &rq->tx->error)) {
        reply_json(&rq->reply, 200, page_hook_detail(rq, &detail));
    }
    detail_close(&detail);
}

/* --- what a client gives --- */

static bool is_header_name(const char *name) {
    static const char *const ours[] = {"host", "content-length", "transfer-encoding", "connection",
                                       "expect"};
    size_t len = strlen(name);
    for (size_t i = 0; i < SW_COUNT(ours); i++) {
        if (strcasecmp(name, ours[i]) == 0) {
            return false;
        }
    }
    return len > 0 && len <= HEADER_NAME_MAX && strspn(name, TOKEN_CHARS) == len &&
           strncasecmp(name, "x-slipway-", 10) != 0;
}

static void check_headers(struct fields *fields, const json_t *headers) {
    const char *name = NULL;
    json_t *value = NULL;
    if (json_object_size(headers) > HEADERS_MAX) {
        fields_fail(fields, "headers", "must not be more than %d", HEADERS_MAX);
    }
    json_object_foreach((json_t *)(uintptr_t)headers, name, value) {
        if (!is_header_name(name)) {
            fields_fail(fields, "headers", "has a name that is not allowed");
        } else if (!json_is_string(value) || json_string_length(value) > HEADER_VALUE_MAX ||
                   !text_is_clean(json_string_value(value))) {
            fields_fail(fields, "headers", "must have texts of at most %d bytes as values",
                        HEADER_VALUE_MAX);
        }
    }
}

static void check_texts(struct fields *fields, const char *field, const json_t *object) {
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)(uintptr_t)object, name, value) {
        if (json_is_object(value) || json_is_array(value)) {
            fields_fail(fields, field, "must have plain values");
        }
    }
}

static void check_auth(struct fields *fields, const json_t *auth) {
    const json_t *user = json_object_get(auth, "username");
    const json_t *password = json_object_get(auth, "password");
    bool has_user = json_is_string(user) && text_is_clean(json_string_value(user)) &&
                    strchr(json_string_value(user), ':') == NULL;
    bool is_password = password == NULL ||
                       (json_is_string(password) && text_is_clean(json_string_value(password)));
    if (json_object_size(auth) > 0 && (!has_user || !is_password)) {
        fields_fail(fields, "auth", "must have a username and a password");
    }
}

/* The object named by a field into the specification; null takes it out. */
static const json_t *take_object(struct fields *fields, json_t *spec, const char *name) {
    if (fields_is_null(fields, name)) {
        (void)json_object_del(spec, name);
        return NULL;
    }
    struct fields inside = fields_inside(fields, name, FIELD_OPTIONAL);
    if (inside.object != NULL) {
        (void)json_object_set(spec, name, (json_t *)(uintptr_t)inside.object);
    }
    return inside.object;
}

static void take_flag(struct fields *fields, json_t *spec, const char *name) {
    if (fields_has(fields, name)) {
        bool value = fields_bool(fields, name, FIELD_OPTIONAL);
        (void)json_object_set_new(spec, name, json_boolean(value));
    }
}

/* A text where others have an object. False: it is none. */
static bool take_text(struct fields *fields, json_t *spec, const char *name) {
    const json_t *value = fields->object != NULL ? json_object_get(fields->object, name) : NULL;
    if (!json_is_string(value)) {
        return false;
    }
    const char *text = fields_lines(fields, name, FIELD_OPTIONAL, HOOK_SPEC_BYTES / 2);
    (void)json_object_set_new(spec, name, json_string(text != NULL ? text : ""));
    return true;
}

static void take_topic(struct fields *fields, json_t *spec, const char *name) {
    if (fields_is_null(fields, name)) {
        (void)json_object_del(spec, name);
    } else if (fields_has(fields, name)) {
        const char *topic = fields_text(fields, name, FIELD_OPTIONAL, 0, TOPIC_MAX);
        (void)json_object_set_new(spec, name, json_string(topic != NULL ? topic : ""));
    }
}

/* Whether two addresses name different servers. */
static bool is_elsewhere(const char *url, const char *other) {
    const char *host = strstr(url, "://"), *other_host = strstr(other, "://");
    size_t len = host != NULL ? (size_t)(host - url) + 3 + strcspn(host + 3, "/?#") : 0;
    size_t other_len =
        other_host != NULL ? (size_t)(other_host - other) + 3 + strcspn(other_host + 3, "/?#") : 0;
    return len != other_len || strncasecmp(url, other, len) != 0;
}

/* A value that was shown as hidden and comes back so stays as it is, but does not go with the
 * webhook to another server: who may change webhooks need not learn what they know. */
static void read_headers(struct fields *fields, json_t *spec, bool may_keep) {
    json_t *stored = json_incref(json_object_get(spec, "headers"));
    const json_t *given = take_object(fields, spec, "headers");
    const char *name = NULL;
    json_t *value = NULL;
    check_headers(fields, given);
    bool is_kept = given == NULL && json_object_size(json_object_get(spec, "headers")) > 0;
    if (given != NULL) {
        json_t *headers = json_deep_copy(given);
        json_object_foreach(headers, name, value) {
            const char *old = json_string_value(json_object_get(stored, name));
            if (old != NULL && json_is_string(value) &&
                strcmp(json_string_value(value), HIDDEN) == 0) {
                (void)json_string_set(value, old);
                is_kept = true;
            }
        }
        (void)json_object_set_new(spec, "headers", headers);
    }
    if (is_kept && !may_keep) {
        fields_fail(fields, "headers", "must be given again with a url of another server");
    }
    json_decref(stored);
}

/* The same for the password, which is left out where it is shown. */
static void read_auth(struct fields *fields, json_t *spec, bool may_keep) {
    json_t *stored = json_incref(json_object_get(spec, "auth"));
    const json_t *given = take_object(fields, spec, "auth");
    json_t *password = json_object_get(stored, "password");
    check_auth(fields, given);
    bool is_kept = given == NULL && json_object_get(json_object_get(spec, "auth"), "password");
    if (given != NULL && password != NULL && json_object_get(given, "password") == NULL &&
        json_equal(json_object_get(given, "username"), json_object_get(stored, "username"))) {
        json_t *auth = json_deep_copy(given);
        (void)json_object_set(auth, "password", password);
        (void)json_object_set_new(spec, "auth", auth);
        is_kept = true;
    }
    if (is_kept && !may_keep) {
        fields_fail(fields, "auth", "must be given again with a url of another server");
    }
    json_decref(stored);
}

static void read_spec(struct fields *fields, json_t *spec, bool may_keep) {
    read_headers(fields, spec, may_keep);
    read_auth(fields, spec, may_keep);
    check_texts(fields, "query", take_object(fields, spec, "query"));
    check_texts(fields, "form", take_object(fields, spec, "form"));
    const json_t *json = fields->object != NULL ? json_object_get(fields->object, "json") : NULL;
    const char *text = json_string_value(json);
    if (json_is_true(json) || (text != NULL && strcmp(text, "true") == 0)) { /* as in a form */
        fields_known(fields, "json");
        (void)json_object_set_new(spec, "json", json_true());
    } else if (!take_text(fields, spec, "json")) {
        (void)take_object(fields, spec, "json");
    }
    const char *body = fields_lines(fields, "body", FIELD_OPTIONAL, HOOK_SPEC_BYTES / 2);
    if (body != NULL) {
        (void)json_object_set_new(spec, "body", json_string(body));
    } else if (fields_is_null(fields, "body")) {
        (void)json_object_del(spec, "body");
    }
    if (!take_text(fields, spec, "responseTemplate")) {
        (void)take_object(fields, spec, "responseTemplate");
    }
    take_topic(fields, spec, "responseTopic");
    take_topic(fields, spec, "errorResponseTopic");
    take_flag(fields, spec, "noDefaults");
    take_flag(fields, spec, "rejectUnauthorized");
}

struct hook_job {
    uint16_t product_id;
    const char *uid; /* NULL = create */
    struct app_hook_edit edit;
    struct device_id device;
    const char *data, *user; /* of a test */
    struct hook_detail detail;
};

static void read_device(struct fields *fields, struct hook_job *job) {
    static const char *const names[] = {"deviceId", "deviceid", "deviceID"};
    for (size_t i = 0; i < SW_COUNT(names); i++) {
        if (fields_is_null(fields, names[i])) {
            job->edit.has_device = true;
            continue;
        }
        const char *text = fields_text(fields, names[i], FIELD_OPTIONAL, 1, 64);
        if (text == NULL) {
            continue;
        }
        if (device_id_parse(text, strlen(text), &job->device) != SW_OK) {
            fields_fail(fields, names[i], "must be the id of a device");
        }
        job->edit.has_device = true;
        job->edit.device = &job->device;
    }
}

static bool read_hook(struct request *rq, struct hook_job *job, json_t *spec) {
    static const char *const methods[] = {"GET", "POST", "PUT", "DELETE"};
    static const char *const unused[] = {"mydevices", "webhookTemplate"};
    enum field_need need = job->uid == NULL ? FIELD_REQUIRED : FIELD_OPTIONAL;
    struct fields fields = request_fields(rq);
    struct app_hook_edit *edit = &job->edit;
    for (size_t i = 0; i < SW_COUNT(unused); i++) {
        fields_known(&fields, unused[i]);
    }
    edit->name = fields_text(&fields, "name", FIELD_OPTIONAL, 0, NAME_BYTES - 1);
    const char *event = fields_has(&fields, "eventName") ? "eventName" : "event"; /* older name */
    fields_known(&fields, "event");
    edit->event = fields_text(&fields, event, need, 1, EVENT_NAME_BYTES - 1);
    edit->url = fields_text(&fields, "url", need, 1, HOOK_URL_BYTES - 1);
    edit->secret =
        fields_text(&fields, "secret", FIELD_OPTIONAL, HOOK_SECRET_MIN, HOOK_SECRET_BYTES - 1);
    const char *type = fields_text(&fields, "integration_type", FIELD_OPTIONAL, 1, 64);
    if (type != NULL && strcasecmp(type, "webhook") != 0) {
        fields_fail(&fields, "integration_type", "must be Webhook");
    }
    const char *method = fields_text(&fields, "requestType", FIELD_OPTIONAL, 1, 16);
    for (size_t i = 0; method != NULL && i < SW_COUNT(methods); i++) {
        edit->method = strcasecmp(method, methods[i]) == 0 ? methods[i] : edit->method;
    }
    if (method != NULL && edit->method == NULL) {
        fields_fail(&fields, "requestType", "must be GET, POST, PUT or DELETE");
    }
    edit->has_disabled = fields_has(&fields, "disabled");
    edit->is_disabled = fields_bool(&fields, "disabled", FIELD_OPTIONAL);
    read_device(&fields, job);
    bool is_moved =
        job->uid != NULL && edit->url != NULL && is_elsewhere(job->detail.hook.row.url, edit->url);
    read_spec(&fields, spec, !is_moved);
    return fields_end(&fields);
}

/* --- writing --- */

static int run_hook(struct app_tx *tx, void *arg) {
    struct hook_job *job = arg;
    return job->uid == NULL
               ? app_hook_create(tx, job->product_id, &job->edit, &job->detail.hook)
               : app_hook_edit(tx, job->product_id, job->uid, &job->edit, &job->detail.hook);
}

static bool write_hook(struct request *rq, struct hook_job *job, json_t *spec) {
    struct app_error error = {0};
    char *text = json_dumps(spec, JSON_COMPACT);
    job->edit.spec = text;
    bool is_written =
        text != NULL && hook_ok(rq, app_execute(rq->server->app, run_hook, job, &error), &error);
    if (text == NULL) {
        reply_app_error(&rq->reply, SW_E_MEMORY, NULL);
    }
    free(text);
    return is_written;
}

void handle_hooks_create(struct request *rq) {
    struct hook_job job = {.product_id = rq->product.id};
    json_t *spec = json_object();
    if (read_hook(rq, &job, spec) && write_hook(rq, &job, spec)) {
        reply_json(&rq->reply, 201, page_hook(rq, &job.detail.hook, true));
    }
    json_decref(spec);
    detail_close(&job.detail);
}

static int run_hook_get(struct app_tx *tx, void *arg) {
    struct hook_job *job = arg;
    return read_detail(tx, job->product_id, job->uid, &job->detail);
}

void handle_hooks_edit(struct request *rq) {
    struct hook_job job = {.product_id = rq->product.id, .uid = request_param(rq, "hook")};
    struct app_error error = {0};
    if (hook_ok(rq, app_read(rq->server->app, rq->reader, run_hook_get, &job, &error), &error)) {
        struct app_hook seen = job.detail.hook;
        json_t *spec = json_loads(seen.spec, 0, NULL);
        job.edit.seen = &seen;
        if (read_hook(rq, &job, spec) && write_hook(rq, &job, spec)) {
            reply_json(&rq->reply, 200, page_hook_detail(rq, &job.detail));
        }
        json_decref(spec);
        crypto_wipe(&seen, sizeof seen);
    }
    detail_close(&job.detail);
}

static int run_hook_delete(struct app_tx *tx, void *arg) {
    const struct hook_job *job = arg;
    return app_hook_delete(tx, job->product_id, job->uid);
}

void handle_hooks_delete(struct request *rq) {
    struct hook_job job = {.product_id = rq->product.id, .uid = request_param(rq, "hook")};
    struct app_error error = {0};
    if (hook_ok(rq, app_execute(rq->server->app, run_hook_delete, &job, &error), &error)) {
        reply_empty(&rq->reply, 204);
    }
}

static int run_hook_test(struct app_tx *tx, void *arg) {
    const struct hook_job *job = arg;
    return app_hook_test(tx, job->product_id, job->uid, job->data, job->user);
}

void handle_hooks_test(struct request *rq) {
    struct hook_job job = {.product_id = rq->product.id,
                           .uid = request_param(rq, "hook"),
                           .data = "test",
                           .user = request_user(rq)};
    struct app_error error = {0};
    struct fields fields = request_fields(rq);
    const char *data = fields_lines(&fields, "data", FIELD_OPTIONAL, EVENT_DATA_BYTES - 1);
    job.data = data != NULL ? data : job.data;
    if (fields_end(&fields) &&
        hook_ok(rq, app_execute(rq->server->app, run_hook_test, &job, &error), &error)) {
        reply_json(&rq->reply, 200, json_pack("{s:b}", "ok", 1));
    }
}
