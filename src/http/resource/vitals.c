/* Devices' diagnostics: asked for, the last, all of them, what they mean, and how they went. */
#include "slipway/app/vitals.h"

#include <stdlib.h>
#include <string.h>

#include "http/door.h"
#include "http/handlers.h"
#include "http/reply/pages.h"
#include "http/request/dates.h"

static void after_update(struct request *rq, const struct device_reply *answer) {
    if (answer->status == SW_OK) {
        reply_json(&rq->reply, 200, json_pack("{s:b}", "ok", 1));
    } else {
        reply_json(&rq->reply, 500,
                   json_pack("{s:b, s:i, s:[{s:s}]}", "ok", 0, "code", 500, "errors", "error",
                             "Timed out, didn't hear back from device service"));
    }
}

void handle_vitals_update(struct request *rq) {
    struct device_command command = {.kind = DEVICE_COMMAND_VITALS, .device = rq->device.id};
    request_command(rq, &command, after_update);
}

/* Takes the payload's reference. */
static json_t *page_vitals(struct request *rq, const struct app_vitals *vitals, json_t *payload) {
    char id[DEVICE_ID_DIGITS + 1];
    device_id_text(&rq->device.id, id);
    return json_pack("{s:o, s:s, s:o}", "updated_at", page_time(vitals->at_ms), "deviceID", id,
                     "payload", payload);
}

void handle_vitals_last(struct request *rq) {
    struct app_vitals vitals;
    int rc = app_vitals_last(rq->tx, rq->device.num, &vitals);
    if (rc == SW_E_NOT_FOUND) {
        reply_missing(&rq->reply, "The device has sent no diagnostics yet.");
    } else if (handler_ok(rq, rc)) {
        reply_json(&rq->reply, 200,
                   json_pack("{s:o}", "diagnostics", page_vitals(rq, &vitals, vitals.payload)));
    }
}

struct history {
    int64_t device_num, start_ms, end_ms;
    struct app_vitals_list list;
};

static int run_history(struct app_tx *tx, void *arg) {
    struct history *history = arg;
    return app_vitals_list(tx, history->device_num, history->start_ms, history->end_ms,
                           &history->list);
}

/* false with the reply. A month of vitals is much to read, so it happens on a worker. */
static bool read_history(struct request *rq, struct app_vitals_list *list) {
    struct history history = {.device_num = rq->device.num};
    struct app_error error = {0};
    if (!dates_read(rq, &history.start_ms, &history.end_ms)) {
        return false;
    }
    int rc = app_read(rq->server->app, rq->reader, run_history, &history, &error);
    *list = history.list;
    if (rc == SW_E_RANGE) {
        dates_refuse(rq, error.description);
    } else if (rc != SW_OK) {
        reply_app_error(&rq->reply, rc, &error);
    }
    return rc == SW_OK;
}

/* --- CSV --- */

struct text {
    char *bytes;
    size_t len, cap;
    bool failed;
};

static void append(struct text *text, const char *bytes, size_t len) {
    if (text->len + len + 1 > text->cap) {
        size_t cap = text->cap * 2 + len + 4096;
        char *larger = realloc(text->bytes, cap);
        if (larger == NULL) {
            text->failed = true;
            return;
        }
        text->bytes = larger;
        text->cap = cap;
    }
    memcpy(text->bytes + text->len, bytes, len);
    text->len += len;
}

static void append_text(struct text *text, const char *bytes) {
    append(text, bytes, strlen(bytes));
}

/* Numbers as they are; words have neither commas nor quotes; an error is a missing value. */
static void append_value(struct text *text, const json_t *value) {
    if (json_is_string(value)) {
        append_text(text, json_string_value(value));
    } else if (json_is_number(value)) {
        char digits[40];
        size_t len = json_dumpb(value, digits, sizeof digits, JSON_ENCODE_ANY);
        append(text, digits, len < sizeof digits ? len : 0);
    }
}

static void append_row(struct text *text, const struct app_vitals *vitals, const char *id) {
    json_t *at = page_time(vitals->at_ms);
    append_text(text, json_string_value(at));
    json_decref(at);
    append_text(text, ",");
    append_text(text, id);
    for (const struct vital *vital = app_vitals_known(); vital->path != NULL; vital++) {
        append_text(text, ",");
        append_value(text, app_vitals_value(vitals->payload, vital->path));
    }
    append_text(text, "\r\n");
}

static void reply_csv(struct request *rq, const struct app_vitals_list *list) {
    struct text text = {0};
    char id[DEVICE_ID_DIGITS + 1];
    device_id_text(&rq->device.id, id);
    append_text(&text, "updated_at,deviceID");
    for (const struct vital *vital = app_vitals_known(); vital->path != NULL; vital++) {
        append_text(&text, ",");
        append_text(&text, vital->path);
    }
    append_text(&text, "\r\n");
    for (size_t i = 0; i < list->count && !text.failed; i++) {
        append_row(&text, &list->items[i], id);
    }
    if (text.failed) {
        free(text.bytes);
        reply_app_error(&rq->reply, SW_E_MEMORY, NULL);
    } else {
        reply_bytes(&rq->reply, 200, "text/csv; charset=utf-8", text.bytes, text.len);
    }
}

void handle_vitals_list(struct request *rq) {
    struct app_vitals_list list = {0};
    if (!read_history(rq, &list)) {
        return;
    }
    const char *accept = request_header(rq, "Accept");
    if (accept != NULL && strstr(accept, "text/csv") != NULL) {
        reply_csv(rq, &list);
    } else {
        json_t *pages = json_array();
        for (size_t i = 0; i < list.count; i++) {
            (void)json_array_append_new(
                pages, page_vitals(rq, &list.items[i], json_incref(list.items[i].payload)));
        }
        reply_json(&rq->reply, 200, json_pack("{s:o}", "diagnostics", pages));
    }
    app_vitals_free(&list);
}

/* --- what they mean, and how they went --- */

void handle_vitals_metadata(struct request *rq) {
    json_t *root = json_object();
    for (const struct vital *vital = app_vitals_known(); vital->path != NULL; vital++) {
        bool is_text = vital->form == VITAL_WORD || vital->form == VITAL_DIGITS;
        json_t *page =
            json_pack("{s:s, s:s, s:{s:s}}", "title", vital->title, "type",
                      is_text ? "string" : "number", "messages", "description", vital->is_about);
        if (vital->units != NULL) {
            (void)json_object_set_new(page, "units", json_pack("{s:s}", "title", vital->units));
        }
        app_vitals_put(root, vital->path, page);
    }
    reply_json(&rq->reply, 200, json_pack("{s:o}", "diagnostics_metadata", root));
}

static json_t *page_summary(const struct app_vitals_list *list, const struct vital *vital) {
    double low = 0, high = 0, sum = 0, last = 0;
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        const json_t *value = app_vitals_value(list->items[i].payload, vital->path);
        if (json_is_number(value)) {
            last = json_number_value(value);
            low = count == 0 || last < low ? last : low;
            high = count == 0 || last > high ? last : high;
            sum += last;
            count++;
        }
    }
    return count == 0 ? NULL
                      : json_pack("{s:I, s:f, s:f, s:f, s:f}", "count", (json_int_t)count, "min",
                                  low, "max", high, "mean", sum / (double)count, "last", last);
}

void handle_vitals_summary(struct request *rq) {
    struct app_vitals_list list = {0};
    if (!read_history(rq, &list)) {
        return;
    }
    char id[DEVICE_ID_DIGITS + 1];
    device_id_text(&rq->device.id, id);
    json_t *values = json_object();
    for (const struct vital *vital = app_vitals_known(); vital->path != NULL; vital++) {
        json_t *page = page_summary(&list, vital);
        if (page != NULL) {
            (void)json_object_set_new(values, vital->path, page);
        }
    }
    reply_json(&rq->reply, 200,
               json_pack("{s:{s:s, s:I, s:o, s:o, s:o}}", "diagnostics_summary", "deviceID", id,
                         "count", (json_int_t)list.count, "first_at",
                         page_time(list.count > 0 ? list.items[0].at_ms : 0), "last_at",
                         page_time(list.count > 0 ? list.items[list.count - 1].at_ms : 0), "values",
                         values));
    app_vitals_free(&list);
}
