#include <stdlib.h>
#include <string.h>

#include "http/handlers.h"
#include "http/reply/pages.h"

static json_t *product_with_groups(struct app_tx *tx, const struct product *product) {
    struct group_list groups = {0};
    if (app_group_list(tx, product->id, NULL, &groups) != SW_OK) {
        return NULL;
    }
    json_t *page = page_product(product, &groups);
    free(groups.items);
    return page;
}

void handle_products_list(struct request *rq) {
    struct product_list list = {0};
    if (!handler_ok(rq, app_product_list(rq->tx, &list))) {
        return;
    }
    json_t *pages = json_array();
    for (size_t i = 0; i < list.count; i++) {
        (void)json_array_append_new(pages, product_with_groups(rq->tx, &list.items[i]));
    }
    free(list.items);
    reply_json(&rq->reply, 200, json_pack("{s:o}", "products", pages));
}

void handle_products_get(struct request *rq) {
    reply_json(&rq->reply, 200,
               json_pack("{s:o}", "product", product_with_groups(rq->tx, &rq->product)));
}

/* settings.require_tested_firmware: "warn" or "enforce". */
static bool read_enforce(struct fields *settings, bool *enforce) {
    const char *word = fields_text(settings, "require_tested_firmware", FIELD_OPTIONAL, 1, 16);
    if (word == NULL) {
        return false;
    }
    *enforce = strcmp(word, "enforce") == 0;
    if (!*enforce && strcmp(word, "warn") != 0) {
        fields_fail(settings, "require_tested_firmware", "must be \"warn\" or \"enforce\"");
    }
    return true;
}

struct create {
    struct app_product_new request;
    struct product product;
};

static int run_create(struct app_tx *tx, void *arg) {
    struct create *create = arg;
    return app_product_create(tx, &create->request, &create->product);
}

void handle_products_create(struct request *rq) {
    struct create create = {.request = {.quarantine = true}};
    struct app_product_new *request = &create.request;
    struct fields outer = request_fields(rq);
    /* Existing clients nest it; by hand or in a form it is easier flat. */
    struct fields fields =
        fields_has(&outer, "product") ? fields_inside(&outer, "product", FIELD_REQUIRED) : outer;
    request->name = fields_text(&fields, "name", FIELD_REQUIRED, 1, NAME_BYTES - 1);
    request->description =
        fields_lines(&fields, "description", FIELD_OPTIONAL, DESCRIPTION_BYTES - 1);
    request->platform_id =
        (uint16_t)fields_integer(&fields, "platform_id", FIELD_REQUIRED, 0, UINT16_MAX);
    struct fields settings = fields_inside(&fields, "settings", FIELD_OPTIONAL);
    fields_known(&settings, "location");
    fields_known(&settings, "known_application");
    if (fields_has(&settings, "quarantine")) {
        request->quarantine = fields_bool(&settings, "quarantine", FIELD_OPTIONAL);
    }
    (void)read_enforce(&settings, &request->enforce_tested);
    if (!fields_end(&settings) || !fields_end(&fields) || !fields_end(&outer) ||
        !request_write(rq, run_create, &create)) {
        return;
    }
    reply_header(&rq->reply, "Location", "/v1/products/%u", create.product.id);
    reply_json(&rq->reply, 201,
               json_pack("{s:b, s:o}", "ok", 1, "product", page_product(&create.product, NULL)));
}

struct edit {
    uint16_t product_id;
    struct app_product_edit edit;
    struct product product;
    json_t *page;
};

static int run_edit(struct app_tx *tx, void *arg) {
    struct edit *edit = arg;
    return app_product_edit(tx, edit->product_id, &edit->edit, &edit->product);
}

static int run_edit_page(struct app_tx *tx, void *arg) {
    struct edit *edit = arg;
    edit->page = product_with_groups(tx, &edit->product);
    return SW_OK;
}

void handle_products_edit(struct request *rq) {
    struct edit edit = {.product_id = rq->product.id};
    struct fields outer = request_fields(rq);
    struct fields fields =
        fields_has(&outer, "product") ? fields_inside(&outer, "product", FIELD_REQUIRED) : outer;
    edit.edit.name = fields_text(&fields, "name", FIELD_OPTIONAL, 1, NAME_BYTES - 1);
    edit.edit.description =
        fields_lines(&fields, "description", FIELD_OPTIONAL, DESCRIPTION_BYTES - 1);
    struct fields settings = fields_inside(&fields, "settings", FIELD_OPTIONAL);
    fields_known(&settings, "location");
    fields_known(&settings, "known_application");
    edit.edit.has_quarantine = fields_has(&settings, "quarantine");
    edit.edit.quarantine = fields_bool(&settings, "quarantine", FIELD_OPTIONAL);
    edit.edit.has_enforce_tested = read_enforce(&settings, &edit.edit.enforce_tested);
    if (edit.edit.name == NULL && edit.edit.description == NULL && !edit.edit.has_quarantine &&
        !edit.edit.has_enforce_tested && fields_end(&settings)) {
        fields_idle(&fields, "name, description, settings");
    }
    if (!fields_end(&settings) || !fields_end(&fields) || !fields_end(&outer) ||
        !request_write(rq, run_edit, &edit) || !request_read(rq, run_edit_page, &edit)) {
        return;
    }
    reply_json(&rq->reply, 200, json_pack("{s:o}", "product", edit.page));
}
