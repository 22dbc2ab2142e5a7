#include "slipway/app/product.h"

#include "slipway/model/platform.h"
#include "slipway/store/catalog.h"

#include "app/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct app_text_rule name_rule = {.field = "name", .required = true};
static const struct app_text_rule description_rule = {.field = "description", .is_long = true};

static int choose_id(struct app_tx *tx, uint16_t wanted, uint16_t *id) {
    if (wanted != 0) {
        if (wanted < PRODUCT_ID_FIRST || wanted > PRODUCT_ID_LAST) {
            return app_fail(tx, SW_E_RANGE, "invalid_request", "id", "id must be from %d to %d",
                            PRODUCT_ID_FIRST, PRODUCT_ID_LAST);
        }
        struct product other;
        int code = store_product_get(tx->store, wanted, &other, tx->fault);
        if (code == SW_OK) {
            return app_fail(tx, SW_E_EXISTS, "invalid_request", "id",
                            "A product with id %u already exists", (unsigned)wanted);
        }
        *id = wanted;
        return code == SW_E_NOT_FOUND ? SW_OK : code;
    }
    int64_t last = 0;
    int code = store_product_last_id(tx->store, &last, tx->fault);
    if (code == SW_OK && last >= PRODUCT_ID_LAST) {
        return app_fail(tx, SW_E_FULL, "invalid_request", "id", "There is no free product id left");
    }
    *id = (uint16_t)(last < PRODUCT_ID_FIRST ? PRODUCT_ID_FIRST : last + 1);
    return code;
}

int app_product_create(struct app_tx *tx, const struct app_product_new *request,
                       struct product *out) {
    struct product product = {.platform_id = request->platform_id,
                              .quarantine = request->quarantine,
                              .enforce_tested = request->enforce_tested,
                              .created_ms = tx->now.ms,
                              .updated_ms = tx->now.ms};
    int code = app_take_text(tx, &name_rule, request->name, product.name, sizeof product.name);
    if (code == SW_OK) {
        code = app_take_text(tx, &description_rule, request->description, product.description,
                             sizeof product.description);
    }
    if (code == SW_OK && platform_find(request->platform_id) == NULL) {
        code = app_fail(tx, SW_E_RANGE, "invalid_request", "platform_id",
                        "platform_id: %u is not a platform that this server knows",
                        (unsigned)request->platform_id);
    }
    if (code == SW_OK) {
        code = choose_id(tx, request->id, &product.id);
    }
    if (code != SW_OK) {
        return code;
    }
    slug_from_name(product.name, product.slug, sizeof product.slug);
    code = store_product_insert(tx->store, &product, tx->fault);
    if (code == SW_E_EXISTS) {
        return app_fail(tx, code, "invalid_request", "name",
                        "name: a product with the slug %s already exists", product.slug);
    }
    *out = product;
    return code;
}

int app_product_get(struct app_tx *tx, const char *id_or_slug, struct product *out) {
    char *end = NULL;
    bool is_number = id_or_slug[0] >= '0' && id_or_slug[0] <= '9';
    unsigned long id = is_number ? strtoul(id_or_slug, &end, 10) : 0;
    int code = SW_E_NOT_FOUND;
    if (is_number && *end == '\0' && id <= UINT16_MAX) {
        code = store_product_get(tx->store, (uint16_t)id, out, tx->fault);
    }
    if (code == SW_E_NOT_FOUND) {
        code = store_product_by_slug(tx->store, id_or_slug, out, tx->fault);
    }
    return code == SW_E_NOT_FOUND ? app_no_product(tx) : code;
}

int app_product_list(struct app_tx *tx, struct product_list *out) {
    return store_product_list(tx->store, &out->items, &out->count, tx->fault);
}

int app_product_edit(struct app_tx *tx, uint16_t product_id, const struct app_product_edit *edit,
                     struct product *out) {
    struct product product;
    int code = store_product_get(tx->store, product_id, &product, tx->fault);
    if (code == SW_E_NOT_FOUND) {
        return app_no_product(tx);
    }
    if (code == SW_OK && edit->name != NULL) {
        code = app_take_text(tx, &name_rule, edit->name, product.name, sizeof product.name);
    }
    if (code == SW_OK && edit->description != NULL) {
        code = app_take_text(tx, &description_rule, edit->description, product.description,
                             sizeof product.description);
    }
    if (code != SW_OK) {
        return code;
    }
    product.quarantine = edit->has_quarantine ? edit->quarantine : product.quarantine;
    product.enforce_tested =
        edit->has_enforce_tested ? edit->enforce_tested : product.enforce_tested;
    product.updated_ms = tx->now.ms;
    code = store_product_update(tx->store, &product, tx->fault);
    *out = product;
    return code;
}
