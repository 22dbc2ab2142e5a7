/* Changing devices: lock, mark, group, flash, remove. */
#include <stdlib.h>
#include <string.h>

#include "http/devices.h"
#include "http/door.h"
#include "http/handlers.h"
#include "http/reply/pages.h"
#include "http/request/query.h"
#include "slipway/sys/clock.h"
#include "slipway/util/check.h"

#define EDIT_GROUPS_MAX 200

struct edit {
    struct request *rq;
    struct app_device_edit edit;
    bool has_signal, signal;
    bool has_any; /* of what app_device_edit does */
    json_t *groups;
    const char **names;
    struct device device;
};

static int run_edit(struct app_tx *tx, void *arg) {
    struct edit *edit = arg;
    const struct device_id *id = &edit->rq->device.id;
    uint16_t product_id = edit->rq->device.product_id;
    int rc = app_device_get(tx, product_id, id, &edit->device);
    if (rc != SW_OK) {
        return rc;
    }
    if (!handler_unchanged(edit->rq, edit->device.num, edit->device.updated_ms)) {
        return SW_E_CONFLICT; /* its reply is made */
    }
    return app_device_edit(tx, product_id, id, &edit->edit, &edit->device);
}

static void edit_close(struct edit *edit) {
    free(edit->names);
    json_decref(edit->groups);
}

/* "1"/"0" as clients send it, or a bool. */
static void read_signal(struct fields *fields, struct edit *edit) {
    const json_t *value = fields->object != NULL ? json_object_get(fields->object, "signal") : NULL;
    fields_known(fields, "signal");
    if (value == NULL) {
        return;
    }
    const char *text = json_string_value(value);
    edit->has_signal = true;
    edit->signal = json_is_true(value) || (text != NULL && strcmp(text, "1") == 0);
    if (!edit->signal && !json_is_false(value) && !(text != NULL && strcmp(text, "0") == 0)) {
        fields_fail(fields, "signal", "must be \"1\" or \"0\"");
    }
}

static void read_lock(struct fields *fields, struct app_device_edit *edit) {
    static const char name[] = "desired_firmware_version";
    const json_t *value = fields->object != NULL ? json_object_get(fields->object, name) : NULL;
    const char *text = json_string_value(value);
    if (fields_is_null(fields, name) || (text != NULL && strcmp(text, "null") == 0)) {
        edit->lock = APP_CLEAR;
    } else if (fields_has(fields, name)) {
        edit->lock = APP_SET;
        edit->lock_version = fields_integer(fields, name, FIELD_REQUIRED, 1, VERSION_NONE - 1);
    }
}

static bool read_edit(struct request *rq, struct edit *edit) {
    struct app_device_edit *to = &edit->edit;
    struct fields fields = request_fields(rq);
    to->by = request_user(rq);
    to->name = fields_text(&fields, "name", FIELD_OPTIONAL, 1, NAME_BYTES - 1);
    /* Notes may have several lines; an empty or null one clears them. */
    to->notes = fields_is_null(&fields, "notes")
                    ? ""
                    : fields_lines(&fields, "notes", FIELD_OPTIONAL, DESCRIPTION_BYTES - 1);
    to->has_development = fields_has(&fields, "development");
    to->development = fields_bool(&fields, "development", FIELD_OPTIONAL);
    to->has_forced = fields_has(&fields, "firmware_updates_forced");
    to->forced = fields_bool(&fields, "firmware_updates_forced", FIELD_OPTIONAL);
    to->flash = fields_bool(&fields, "flash", FIELD_OPTIONAL);
    read_lock(&fields, to);
    read_signal(&fields, edit);
    edit->groups = fields_texts(&fields, "groups", FIELD_OPTIONAL, EDIT_GROUPS_MAX, GROUP_NAME_MAX);
    if (edit->groups != NULL && handler_group_names(&fields, "groups", edit->groups)) {
        edit->names = handler_texts(edit->groups);
        to->has_groups = true;
        to->groups = edit->names;
        to->group_count = json_array_size(edit->groups);
    }
    if (to->flash && to->lock == APP_KEEP && rq->device.locked_version != 0) {
        to->lock = APP_SET; /* to the version that it has already */
        to->lock_version = rq->device.locked_version;
    }
    edit->has_any = to->name != NULL || to->notes != NULL || to->has_development ||
                    to->has_forced || to->lock != APP_KEEP || to->has_groups;
    if (to->flash && to->lock != APP_SET) {
        fields_fail(&fields, "flash", "goes with desired_firmware_version (or send a file)");
    }
    if (rq->device.product_id == 0 &&
        (to->lock != APP_KEEP || to->has_groups || to->has_development)) {
        fields_fail(&fields, "id", "this device is in no product");
    }
    if (!edit->has_any && !edit->has_signal) {
        fields_idle(&fields, "name, notes, development, groups, desired_firmware_version, "
                             "firmware_updates_forced, signal");
    }
    return fields_end(&fields);
}

/* The texts of a list, each once. */
static json_t *page_once(const json_t *texts) {
    json_t *page = json_array();
    size_t count = json_array_size(texts);
    for (size_t i = 0; i < count; i++) {
        json_t *text = json_array_get(texts, i);
        bool is_new = true;
        for (size_t k = 0; k < i; k++) {
            is_new = is_new && json_equal(json_array_get(texts, k), text) == 0;
        }
        if (is_new) {
            (void)json_array_append(page, text);
        }
    }
    return page;
}

/* Every field that was changed is echoed: clients merge the reply into what they show. */
static json_t *edit_page(const struct edit *edit) {
    const struct app_device_edit *did = &edit->edit;
    const struct device *device = &edit->device;
    char id[DEVICE_ID_DIGITS + 1];
    device_id_text(&device->id, id);
    json_t *page = json_pack("{s:s}", "id", id);
    if (did->name != NULL) {
        (void)json_object_set_new(page, "name", json_string(device->name));
    }
    if (did->notes != NULL) {
        (void)json_object_set_new(page, "notes", page_text(device->notes));
    }
    if (did->has_development) {
        (void)json_object_set_new(page, "development", json_boolean(device->development));
    }
    if (did->lock != APP_KEEP) {
        (void)json_object_set_new(page, "desired_firmware_version",
                                  page_version(device->locked_version));
    }
    if (did->has_groups) {
        (void)json_object_set_new(page, "groups", page_once(edit->groups));
    }
    if (did->has_forced) {
        (void)json_object_set_new(page, "firmware_updates_forced",
                                  json_boolean(device->updates_forced));
    }
    if (edit->has_any) {
        (void)json_object_set_new(page, "updated_at", page_time(device->updated_ms));
    }
    return page;
}

static void after_signal(struct request *rq, const struct device_reply *answer) {
    if (answer->status != SW_OK) {
        reply_json(&rq->reply, 408, json_pack("{s:s}", "error", "Timed out."));
        return;
    }
    json_t *page = rq->page;
    rq->page = NULL;
    (void)json_object_set_new(page, "connected", json_true());
    (void)json_object_set_new(page, "signaling", json_boolean(rq->command.flag));
    reply_json(&rq->reply, 200, page);
}

/* --- flash of a file --- */

struct flash {
    struct request *rq;
    struct app_flash request;
    struct span bytes;
    struct app_file file;
    struct update update;
};

static int run_flash_check(struct app_tx *tx, void *arg) {
    struct flash *flash = arg;
    return app_one_off_check(tx, flash->rq->device.platform_id, flash->bytes, &flash->file);
}

static int run_flash(struct app_tx *tx, void *arg) {
    struct flash *flash = arg;
    return app_device_flash(tx, &flash->request, &flash->update);
}

static void reply_flash_timeout(struct request *rq) {
    reply_json(&rq->reply, 500,
               json_pack("{s:b, s:i, s:[s]}", "ok", 0, "code", 500, "errors", "Request Timed Out"));
}

static void edit_flash(struct request *rq) {
    struct flash flash = {.rq = rq};
    struct fields fields = request_fields(rq);
    static const char *const known[] = {"file_type", "latest", "build_target_version", "app_id",
                                        "platform_id"};
    for (size_t i = 0; i < SW_COUNT(known); i++) {
        fields_known(&fields, known[i]);
    }
    if (!fields_end(&fields) || !request_file(rq, &flash.bytes)) {
        return;
    }
    flash.request.device = rq->device.id;
    flash.request.file = &flash.file;
    flash.request.file_name = rq->body.file_name;
    flash.request.by = request_user(rq);
    if (!request_read(rq, run_flash_check, &flash)) {
        return;
    }
    if (!rq->device.is_online) {
        app_file_close(&flash.file);
        reply_flash_timeout(rq); /* what existing clients know for "it is not there" */
        return;
    }
    bool is_begun = request_write(rq, run_flash, &flash);
    app_file_close(&flash.file);
    if (!is_begun) {
        return;
    }
    char id[DEVICE_ID_DIGITS + 1];
    device_id_text(&rq->device.id, id);
    reply_json(&rq->reply, 200,
               json_pack("{s:s, s:s, s:b, s:I}", "id", id, "status", "Update started", "ok", 1,
                         "update_id", (json_int_t)flash.update.id));
}

void handle_devices_edit(struct request *rq) {
    /* Looked at again where it is changed; this is for what changes something else. */
    if (!handler_unchanged(rq, rq->device.num, rq->device.updated_ms)) {
        return;
    }
    if (rq->has_body && rq->body.has_file) {
        edit_flash(rq);
        return;
    }
    struct edit edit = {.rq = rq, .device = rq->device};
    if (read_edit(rq, &edit) && (!edit.has_any || request_write(rq, run_edit, &edit))) {
        if (edit.has_any) {
            handler_tag(rq, edit.device.num, edit.device.updated_ms);
        }
        if (edit.has_signal) {
            rq->page = edit_page(&edit);
            struct device_command command = {
                .kind = DEVICE_COMMAND_SIGNAL, .device = rq->device.id, .flag = edit.signal};
            request_command(rq, &command, after_signal);
        } else {
            reply_json(&rq->reply, 200, edit_page(&edit));
        }
    }
    edit_close(&edit);
}

/* --- removal --- */

struct removal {
    struct request *rq;
    struct device_id id;
    bool deny;
};

/* Denying a member takes it out and keeps it out. */
static int run_remove(struct app_tx *tx, void *arg) {
    const struct removal *removal = arg;
    uint16_t product_id = removal->rq->product.id;
    struct device device;
    int rc = app_device_get(tx, product_id, &removal->id, &device);
    if (rc == SW_OK && !handler_unchanged(removal->rq, device.num, device.updated_ms)) {
        return SW_E_CONFLICT; /* its reply is made */
    }
    if (rc != SW_OK && rc != SW_E_NOT_FOUND) { /* it may wait in quarantine */
        return rc;
    }
    return removal->deny ? app_quarantine_deny(tx, product_id, &removal->id)
                         : app_device_remove(tx, product_id, &removal->id);
}

void handle_devices_remove(struct request *rq) {
    struct removal removal = {.rq = rq};
    const char *id = request_param(rq, "id");
    struct fields fields = request_fields(rq);
    removal.deny = fields_bool(&fields, "deny", FIELD_OPTIONAL);
    bool is_read = fields_has(&fields, "deny") || request_query_bool(rq, "deny", &removal.deny);
    if (!is_read || !fields_end(&fields)) {
        return;
    }
    struct app_error error = {0};
    int rc = device_id_parse(id, strlen(id), &removal.id);
    if (rc == SW_OK) {
        rc = app_execute(rq->server->app, run_remove, &removal, &error);
    }
    if (rc == SW_E_NOT_FOUND || rc == SW_E_INPUT) {
        reply_no_device(&rq->reply);
    } else if (rc != SW_OK) {
        reply_app_error(&rq->reply, rc, &error);
    } else {
        reply_empty(&rq->reply, 204);
    }
}

void handle_devices_release_owner(struct request *rq) {
    reply_json(&rq->reply, 200, json_pack("{s:b}", "ok", 1));
}

/* --- a user's own devices: here everybody's --- */

void handle_all_devices_claim(struct request *rq) {
    struct fields fields = request_fields(rq);
    fields_known(&fields, "request_transfer");
    const char *id = fields_text(&fields, "id", FIELD_REQUIRED, 1, 64);
    struct device_id parsed;
    if (!fields_end(&fields)) {
        return;
    }
    struct device device;
    bool is_id = device_id_parse(id, strlen(id), &parsed) == SW_OK;
    if (!is_id || !device_find(rq, &parsed, &device)) {
        reply_json(&rq->reply, 404,
                   json_pack("{s:b, s:[s]}", "ok", 0, "errors", "device does not exist"));
        return;
    }
    char text[DEVICE_ID_DIGITS + 1];
    device_id_text(&parsed, text);
    reply_json(&rq->reply, 200,
               json_pack("{s:I, s:s, s:b, s:b}", "user_id", (json_int_t)rq->identity.user.id, "id",
                         text, "connected", (int)device.is_online, "ok", 1));
}

void handle_all_devices_unclaim(struct request *rq) {
    reply_json(&rq->reply, 200, json_pack("{s:b}", "ok", 1));
}
