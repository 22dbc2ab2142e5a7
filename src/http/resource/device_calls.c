/* What needs the device itself: ping, functions, variables. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "http/devices.h"
#include "http/door.h"
#include "http/handlers.h"
#include "http/reply/pages.h"
#include "http/request/query.h"
#include "slipway/app/metric.h"

struct exists {
    const struct device_id *id;
    struct device device;
};

static int run_exists(struct app_tx *tx, void *arg) {
    struct exists *exists = arg;
    return app_device_get(tx, 0, exists->id, &exists->device);
}

bool device_find(struct request *rq, const struct device_id *id, struct device *out) {
    struct exists exists = {.id = id};
    struct reply unused = rq->reply;
    bool found = request_read(rq, run_exists, &exists);
    if (!found) {
        reply_close(&rq->reply);
        rq->reply = unused;
    }
    *out = exists.device;
    return found;
}

struct described {
    const struct device *device;
    json_t *page;
};

static int run_described(struct app_tx *tx, void *arg) {
    struct described *described = arg;
    described->page = device_described(tx, described->device);
    return SW_OK;
}

/* What the application said that it has; false with the reply when nothing can be read. NULL, if it
 * said nothing yet: then the device is asked for whatever the client wants. */
static bool read_described(struct request *rq, json_t **out) {
    struct described described = {.device = &rq->device};
    bool is_read = request_read(rq, run_described, &described);
    *out = described.page;
    return is_read;
}

static void after_ping(struct request *rq, const struct device_reply *answer) {
    reply_json(&rq->reply, 200,
               json_pack("{s:b, s:b}", "online", (int)(answer->status == SW_OK), "ok", 1));
}

void handle_devices_ping(struct request *rq) {
    struct device_command command = {.kind = DEVICE_COMMAND_PING, .device = rq->device.id};
    request_command(rq, &command, after_ping);
}

static void reply_no_function(struct request *rq) {
    reply_missing(&rq->reply, "Function %s not found", request_param(rq, "function"));
}

static void count(struct request *rq, bool is_variable, const struct device_reply *answer) {
    const struct app_call call = {.product_id = rq->device.product_id,
                                  .device_num = rq->device.num,
                                  .is_variable = is_variable,
                                  .has_failed = answer->status != SW_OK};
    app_call_count(rq->server->app, &call);
}

static void after_function(struct request *rq, const struct device_reply *answer) {
    count(rq, false, answer);
    char id[DEVICE_ID_DIGITS + 1];
    device_id_text(&rq->device.id, id);
    if (answer->status == SW_E_NOT_FOUND) {
        reply_no_function(rq);
    } else if (answer->status != SW_OK) {
        reply_json(&rq->reply, 400, json_pack("{s:b, s:s}", "ok", 0, "error", "Timed out."));
    } else {
        reply_json(&rq->reply, 200,
                   json_pack("{s:s, s:o, s:b, s:i}", "id", id, "name", page_text(rq->device.name),
                             "connected", 1, "return_value", (int)answer->return_value));
    }
}

/* Device OS leaves a call of a function that it has not without an answer. */
static bool may_have_function(struct request *rq, const char *name) {
    json_t *described = NULL;
    if (!read_described(rq, &described)) {
        return false;
    }
    bool has = described == NULL;
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(described, "f"), i, one) {
        const char *text = json_string_value(one);
        has = has || (text != NULL && strcmp(text, name) == 0);
    }
    json_decref(described);
    if (!has) {
        reply_no_function(rq);
    }
    return has;
}

void handle_device_function(struct request *rq) {
    struct fields fields = request_fields(rq);
    const char *name = request_param(rq, "function");
    const char *args = fields_lines(&fields, "args", FIELD_OPTIONAL, DEVICE_ARGUMENT_MAX);
    const char *arg = fields_lines(&fields, "arg", FIELD_OPTIONAL, DEVICE_ARGUMENT_MAX);
    const char *params = fields_lines(&fields, "params", FIELD_OPTIONAL, DEVICE_ARGUMENT_MAX);
    if (!fields_end(&fields)) {
        return;
    }
    if (strlen(name) > DEVICE_NAME_MAX) {
        reply_no_function(rq);
        return;
    }
    if (!may_have_function(rq, name)) {
        return;
    }
    const char *argument = args != NULL ? args : arg != NULL ? arg : params;
    struct device_command command = {.kind = DEVICE_COMMAND_FUNCTION,
                                     .device = rq->device.id,
                                     .name = span_text(name),
                                     .argument = span_text(argument != NULL ? argument : "")};
    request_command(rq, &command, after_function);
}

#define WHOLE_MAX 9007199254740992.0 /* 2^53: from here on a double is always whole */

/* JSON has no word for what is not a number, as failing sensors are told. */
static json_t *page_number(double number) {
    if (!isfinite(number)) {
        return json_null();
    }
    bool is_whole = fabs(number) < WHOLE_MAX && number == (double)(int64_t)number;
    return is_whole ? json_integer((int64_t)number) : json_real(number);
}

static json_t *page_value(const struct device_reply *answer) {
    switch (answer->value_kind) {
    case DEVICE_VALUE_TEXT:
        return page_bytes((const char *)answer->value.data, answer->value.len);
    case DEVICE_VALUE_NUMBER:
        return page_number(answer->number);
    case DEVICE_VALUE_BOOL:
        return json_boolean(answer->number != 0);
    case DEVICE_VALUE_NONE:
        break;
    }
    return json_null();
}

static void after_variable(struct request *rq, const struct device_reply *answer) {
    count(rq, true, answer);
    if (answer->status == SW_E_NOT_FOUND) {
        reply_missing(&rq->reply, "Variable not found");
        return;
    }
    if (answer->status != SW_OK) {
        reply_json(&rq->reply, 408, json_pack("{s:s}", "error", "Timed out."));
        return;
    }
    json_t *value = page_value(answer);
    const char *format = request_query(rq, "format");
    if (format != NULL && strcmp(format, "raw") == 0) {
        char *raw = json_is_string(value) ? strdup(json_string_value(value))
                                          : json_dumps(value, JSON_ENCODE_ANY);
        json_decref(value);
        reply_bytes(&rq->reply, 200, "text/plain; charset=utf-8", raw,
                    raw != NULL ? strlen(raw) : 0);
        return;
    }
    char id[DEVICE_ID_DIGITS + 1];
    device_id_text(&rq->device.id, id);
    reply_json(&rq->reply, 200,
               json_pack("{s:s, s:o, s:{s:o, s:s, s:b, s:o}}", "name",
                         request_param(rq, "variable"), "result", value, "coreInfo", "name",
                         page_text(rq->device.name), "deviceID", id, "connected", 1,
                         "last_handshake_at", page_time(rq->device.handshake_ms)));
}

/* A value travels without its type: that is in the description. */
static enum device_value_kind value_kind_of(const json_t *type) {
    enum { TYPE_BOOL = 1, TYPE_INTEGER = 2, TYPE_TEXT = 4, TYPE_DOUBLE = 9 };
    switch (json_integer_value(type)) {
    case TYPE_BOOL:
        return DEVICE_VALUE_BOOL;
    case TYPE_INTEGER:
    case TYPE_DOUBLE:
        return DEVICE_VALUE_NUMBER;
    case TYPE_TEXT:
        return DEVICE_VALUE_TEXT;
    default:
        return DEVICE_VALUE_NONE;
    }
}

void handle_device_variable(struct request *rq) {
    const char *name = request_param(rq, "variable");
    json_t *described = NULL;
    if (!read_described(rq, &described)) {
        return;
    }
    const json_t *type = json_object_get(json_object_get(described, "v"), name);
    struct device_command command = {.kind = DEVICE_COMMAND_VARIABLE,
                                     .device = rq->device.id,
                                     .name = span_text(name),
                                     .value_kind = value_kind_of(type)};
    bool may_have = (described == NULL || type != NULL) && strlen(name) <= DEVICE_NAME_MAX;
    json_decref(described);
    if (may_have) {
        request_command(rq, &command, after_variable);
    } else {
        reply_missing(&rq->reply, "Variable not found");
    }
}
