#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/handlers.h"
#include "http/reply/pages.h"
#include "http/request/query.h"
#include "slipway/app/device.h"
#include "slipway/util/text.h"

struct upload {
    struct app_upload request;
    struct app_file file;
    struct firmware firmware;
};

static int run_check(struct app_tx *tx, void *arg) {
    struct upload *upload = arg;
    return app_upload_check(tx, &upload->request, &upload->file);
}

static int run_upload(struct app_tx *tx, void *arg) {
    struct upload *upload = arg;
    return app_upload(tx, &upload->request, &upload->file, &upload->firmware);
}

void handle_firmware_upload(struct request *rq) {
    struct upload upload = {0};
    struct app_upload *request = &upload.request;
    struct fields fields = request_fields(rq);
    fields_known(&fields, "file_type");
    request->product_id = rq->product.id;
    request->version = fields_integer(&fields, "version", FIELD_REQUIRED, 1, VERSION_NONE - 1);
    request->title = fields_text(&fields, "title", FIELD_REQUIRED, 1, TITLE_BYTES - 1);
    request->description =
        fields_lines(&fields, "description", FIELD_OPTIONAL, DESCRIPTION_BYTES - 1);
    request->mandatory = fields_bool(&fields, "mandatory", FIELD_OPTIONAL);
    request->uploaded_by = request_user(rq);
    if (!fields_end(&fields) || !request_file(rq, &request->bytes)) {
        return;
    }
    request->file_name = rq->body.file_name;
    bool is_stored = request_read(rq, run_check, &upload) && request_write(rq, run_upload, &upload);
    app_file_close(&upload.file);
    if (!is_stored) {
        return;
    }
    reply_header(&rq->reply, "Location", "/v1/products/%u/firmware/%u", rq->product.id,
                 upload.firmware.version);
    reply_json(&rq->reply, 201, page_firmware(&upload.firmware, NULL));
}

void handle_firmware_list(struct request *rq) {
    struct firmware_list list = {0};
    if (!handler_ok(rq, app_firmware_list(rq->tx, rq->product.id, &list))) {
        return;
    }
    json_t *pages = json_array();
    for (size_t i = 0; i < list.count; i++) {
        (void)json_array_append_new(pages, handler_firmware_page(rq->tx, &list.items[i]));
    }
    free(list.items);
    reply_json(&rq->reply, 200, pages);
}

/* The firmware that the path names; false with the reply. In a read view. */
static bool read_firmware(struct request *rq, struct firmware *out) {
    uint16_t version = 0;
    return request_version(rq, &version) &&
           handler_ok(rq, app_firmware_get(rq->tx, rq->product.id, version, out));
}

void handle_firmware_get(struct request *rq) {
    struct firmware firmware;
    if (!read_firmware(rq, &firmware)) {
        return;
    }
    handler_tag(rq, firmware.id, firmware.updated_ms);
    reply_json(&rq->reply, 200, handler_firmware_page(rq->tx, &firmware));
}

void handle_firmware_binary(struct request *rq) {
    struct firmware firmware;
    struct app_image image = {0};
    char tag[sizeof firmware.uid + 2];
    if (!read_firmware(rq, &firmware)) {
        return;
    }
    (void)snprintf(tag, sizeof tag, "\"%s\"", firmware.uid); /* of one upload */
    if (handler_is_known(rq, tag) ||
        !handler_ok(rq, app_firmware_load(rq->tx, &firmware, &image))) {
        return;
    }
    reply_header(&rq->reply, "Content-Disposition", "attachment; filename=\"firmware-%u.%s\"",
                 firmware.version, firmware.bundle_bytes > 0 ? "zip" : "bin");
    reply_bytes(&rq->reply, 200, "application/octet-stream", (char *)image.bytes, image.size);
}

struct edit {
    struct request *rq;
    uint16_t version;
    struct app_firmware_edit edit;
    struct firmware firmware;
    json_t *page;
};

static int run_edit(struct app_tx *tx, void *arg) {
    struct edit *edit = arg;
    uint16_t product_id = edit->rq->product.id;
    int rc = app_firmware_get(tx, product_id, edit->version, &edit->firmware);
    if (rc != SW_OK) {
        return rc;
    }
    if (!handler_unchanged(edit->rq, edit->firmware.id, edit->firmware.updated_ms)) {
        return SW_E_CONFLICT; /* its reply is made */
    }
    return app_firmware_edit(tx, product_id, edit->version, &edit->edit, &edit->firmware);
}

static int run_edit_page(struct app_tx *tx, void *arg) {
    struct edit *edit = arg;
    edit->page = handler_firmware_page(tx, &edit->firmware);
    return SW_OK;
}

void handle_firmware_edit(struct request *rq) {
    struct edit edit = {.rq = rq};
    struct fields fields = request_fields(rq);
    edit.edit.title = fields_text(&fields, "title", FIELD_OPTIONAL, 1, TITLE_BYTES - 1);
    edit.edit.description =
        fields_lines(&fields, "description", FIELD_OPTIONAL, DESCRIPTION_BYTES - 1);
    edit.edit.has_mandatory = fields_has(&fields, "mandatory");
    edit.edit.mandatory = fields_bool(&fields, "mandatory", FIELD_OPTIONAL);
    if (edit.edit.title == NULL && edit.edit.description == NULL && !edit.edit.has_mandatory) {
        fields_idle(&fields, "title, description, mandatory");
    }
    if (!request_version(rq, &edit.version) || !fields_end(&fields) ||
        !request_write(rq, run_edit, &edit) || !request_read(rq, run_edit_page, &edit)) {
        return;
    }
    handler_tag(rq, edit.firmware.id, edit.firmware.updated_ms);
    reply_json(&rq->reply, 200, edit.page);
}

struct removal {
    struct request *rq;
    uint16_t version;
};

static int run_delete(struct app_tx *tx, void *arg) {
    const struct removal *removal = arg;
    struct firmware firmware;
    uint16_t product_id = removal->rq->product.id;
    int rc = app_firmware_get(tx, product_id, removal->version, &firmware);
    if (rc == SW_OK && !handler_unchanged(removal->rq, firmware.id, firmware.updated_ms)) {
        return SW_E_CONFLICT; /* its reply is made */
    }
    return rc != SW_OK ? rc : app_firmware_delete(tx, product_id, removal->version);
}

void handle_firmware_delete(struct request *rq) {
    struct removal removal = {.rq = rq};
    if (request_version(rq, &removal.version) && request_write(rq, run_delete, &removal)) {
        reply_empty(&rq->reply, 204);
    }
}

/* --- the library of Device OS parts --- */

static json_t *page_system(const struct image_record *image) {
    return json_pack("{s:I, s:s, s:i, s:s, s:i, s:i, s:I, s:o}", "id", (json_int_t)image->id,
                     "name", image->name, "platform_id", (int)image->platform_id, "function",
                     module_function_name(image->function), "index", (int)image->index,
                     "module_version", (int)image->module_version, "size", (json_int_t)image->size,
                     "uploaded_on", page_time(image->created_ms));
}

void handle_system_firmware_list(struct request *rq) {
    int64_t platform = 0;
    struct image_list list = {0};
    if (!request_query_integer(rq, "platform_id", 0, UINT16_MAX, &platform) ||
        !handler_ok(rq, app_system_list(rq->tx, (uint16_t)platform, &list))) {
        return;
    }
    json_t *pages = json_array();
    for (size_t i = 0; i < list.count; i++) {
        (void)json_array_append_new(pages, page_system(&list.items[i]));
    }
    free(list.items);
    reply_json(&rq->reply, 200, json_pack("{s:o}", "system_firmware", pages));
}

struct system_upload {
    struct app_system_upload request;
    struct image_record image;
};

static int run_system_upload(struct app_tx *tx, void *arg) {
    struct system_upload *upload = arg;
    return app_system_upload(tx, &upload->request, &upload->image);
}

void handle_system_firmware_upload(struct request *rq) {
    struct system_upload upload = {0};
    struct fields fields = request_fields(rq);
    upload.request.name = fields_text(&fields, "name", FIELD_REQUIRED, 1, 32);
    if (fields_end(&fields) && request_file(rq, &upload.request.bytes) &&
        request_write(rq, run_system_upload, &upload)) {
        reply_json(&rq->reply, 201, page_system(&upload.image));
    }
}

static int run_system_delete(struct app_tx *tx, void *arg) {
    return app_system_delete(tx, *(const int64_t *)arg);
}

void handle_system_firmware_delete(struct request *rq) {
    int64_t id = 0;
    if (!text_integer(request_param(rq, "image"), &id)) {
        reply_error(&rq->reply, 404, "not_found", "There is no such file.");
    } else if (request_write(rq, run_system_delete, &id)) {
        reply_empty(&rq->reply, 204);
    }
}
