#include "slipway/app/fleet.h"

#include "slipway/store/catalog.h"
#include "slipway/store/fleet.h"

#include "app/internal.h"

#include <stdlib.h>
#include <string.h>

static int add_id(struct app_tx *tx, struct device_id_list *list, const struct device_id *id) {
    /* Grows at powers of two: no capacity needs to be kept. */
    if ((list->count & (list->count - 1)) == 0) {
        size_t cap = list->count == 0 ? 1 : list->count * 2;
        struct device_id *larger = reallocarray(list->items, cap, sizeof *larger);
        if (larger == NULL) {
            return fault_set(tx->fault, SW_E_MEMORY, "out of memory for an import");
        }
        list->items = larger;
    }
    list->items[list->count++] = *id;
    return SW_OK;
}

static int add_text(struct app_tx *tx, struct text_list *list, struct span text) {
    if ((list->count & (list->count - 1)) == 0) {
        size_t cap = list->count == 0 ? 1 : list->count * 2;
        char(*larger)[65] = reallocarray(list->items, cap, sizeof *larger);
        if (larger == NULL) {
            return fault_set(tx->fault, SW_E_MEMORY, "out of memory for an import");
        }
        list->items = larger;
    }
    char *out = list->items[list->count++];
    size_t len = text.len < 64 ? text.len : 64;
    for (size_t i = 0; i < len; i++) {
        out[i] = (char)(text.data[i] >= ' ' && text.data[i] < 0x7F ? text.data[i] : '?');
    }
    out[len] = '\0';
    return SW_OK;
}

void app_import_result_free(struct app_import_result *result) {
    free(result->updated.items);
    free(result->existing.items);
    free(result->nonmember.items);
    free(result->invalid.items);
    *result = (struct app_import_result){.updated = {.count = 0}};
}

/* A device that connected before anybody imported it: what it said is believed now, with its key,
 * and its next Hello says the rest. */
static int approve(struct app_tx *tx, uint16_t product_id, const struct device_id *id) {
    struct quarantine row;
    int code = store_quarantine_get(tx->store, id, &row, tx->fault);
    if (code != SW_OK) {
        return code == SW_E_NOT_FOUND ? SW_OK : code;
    }
    struct p256_point key;
    code = store_key_get(tx->store, id, &key, tx->fault);
    if (code == SW_E_NOT_FOUND) {
        /* One that was denied as a member may never have shown a key. */
        static const struct p256_point none;
        code = memcmp(row.key.b, none.b, sizeof none.b) == 0
                   ? SW_OK
                   : store_key_set(tx->store, id, &row.key, false, tx->now.ms, tx->fault);
    }
    if (code == SW_OK) {
        code = store_quarantine_delete(tx->store, id, tx->fault);
    }
    return code == SW_OK ? app_tell_device(tx, APP_NOTICE_FORGET, id, product_id) : code;
}

enum fate { FATE_LABEL, FATE_UPDATED, FATE_EXISTING, FATE_NONMEMBER };

struct entry {
    struct device_id id;
    size_t place; /* in the list that was given */
};

static int by_id(const void *left, const void *right) {
    const struct entry *a = (const struct entry *)left;
    const struct entry *b = (const struct entry *)right;
    int way = memcmp(a->id.b, b->id.b, sizeof a->id.b);
    return way != 0 ? way : a->place < b->place ? -1 : 1;
}

struct import {
    const struct product *product;
    bool is_asked; /* somebody waits in quarantine, perhaps one of these */
    const struct span *texts;
    size_t count;
    struct entry *entries; /* those texts that are ids, in the order of ids */
    size_t entry_count;
    uint8_t *fates; /* enum fate of each text */
};

static int import_id(struct app_tx *tx, const struct import *import, const struct device_id *id,
                     uint8_t *fate) {
    const struct product *product = import->product;
    *fate = FATE_UPDATED;
    int code = store_device_insert(tx->store, id, product->id, product->platform_id, tx->now.ms,
                                   tx->fault);
    if (code == SW_E_EXISTS) {
        struct device device;
        code = store_device_get(tx->store, id, &device, tx->fault);
        *fate = device.product_id == product->id ? FATE_EXISTING : FATE_NONMEMBER;
        return code;
    }
    return code == SW_OK && import->is_asked ? approve(tx, product->id, id) : code;
}

/* In the order of ids, so that each page of the indexes is changed once, by neighbours: in any
 * other order a large import changes them all, over and over. */
static int import_ids(struct app_tx *tx, struct import *import) {
    for (size_t i = 0; i < import->count; i++) {
        struct entry *entry = &import->entries[import->entry_count];
        const struct span *text = &import->texts[i];
        if (device_id_parse((const char *)text->data, text->len, &entry->id) == SW_OK) {
            entry->place = i;
            import->entry_count++;
        }
    }
    qsort(import->entries, import->entry_count, sizeof *import->entries, by_id);
    int code = SW_OK;
    for (size_t i = 0; code == SW_OK && i < import->entry_count; i++) {
        const struct entry *entry = &import->entries[i];
        code = import_id(tx, import, &entry->id, &import->fates[entry->place]);
    }
    return code;
}

static int import_label(struct app_tx *tx, const struct import *import, struct span text,
                        struct app_import_result *out) {
    struct device device;
    char label[65] = "";
    if (text.len < sizeof label && memchr(text.data, '\0', text.len) == NULL) {
        memcpy(label, text.data, text.len);
    }
    int code = store_device_by_label(tx->store, label, &device, tx->fault);
    if (code == SW_E_NOT_FOUND) {
        return add_text(tx, &out->invalid, text);
    }
    bool is_member = code == SW_OK && device.product_id == import->product->id;
    return code == SW_OK ? add_id(tx, is_member ? &out->existing : &out->nonmember, &device.id)
                         : code;
}

/* What became of each, in the order that was given. */
static int import_tell(struct app_tx *tx, const struct import *import,
                       struct app_import_result *out) {
    int code = SW_OK;
    for (size_t i = 0; code == SW_OK && i < import->count; i++) {
        struct device_id id;
        const struct span *text = &import->texts[i];
        enum fate fate = (enum fate)import->fates[i];
        if (fate == FATE_LABEL) {
            code = import_label(tx, import, *text, out);
        } else {
            struct device_id_list *list = fate == FATE_UPDATED    ? &out->updated
                                          : fate == FATE_EXISTING ? &out->existing
                                                                  : &out->nonmember;
            code = device_id_parse((const char *)text->data, text->len, &id);
            code = code == SW_OK ? add_id(tx, list, &id) : code;
        }
    }
    return code;
}

int app_device_import(struct app_tx *tx, uint16_t product_id, const struct span *texts,
                      size_t count, struct app_import_result *out) {
    *out = (struct app_import_result){.updated = {.count = 0}};
    struct product product;
    int code = store_product_get(tx->store, product_id, &product, tx->fault);
    if (code == SW_E_NOT_FOUND) {
        return app_no_product(tx);
    }
    int64_t waiting = 0;
    if (code == SW_OK) {
        code = store_quarantine_count(tx->store, &waiting, tx->fault);
    }
    struct import import = {
        .product = &product, .is_asked = waiting > 0, .texts = texts, .count = count};
    import.entries = calloc(count + 1, sizeof *import.entries);
    import.fates = calloc(count + 1, sizeof *import.fates);
    if (code == SW_OK && (import.entries == NULL || import.fates == NULL)) {
        code = fault_set(tx->fault, SW_E_MEMORY, "out of memory for an import");
    }
    if (code == SW_OK) {
        code = import_ids(tx, &import);
    }
    if (code == SW_OK) {
        code = import_tell(tx, &import, out);
    }
    free(import.entries);
    free(import.fates);
    if (code != SW_OK) {
        app_import_result_free(out);
    }
    return code;
}

/* --- quarantine --- */

/* A member leaves the product, and stays out. */
static int deny_member(struct app_tx *tx, uint16_t product_id, const struct device_id *id) {
    struct device device;
    int code = app_device_get(tx, product_id, id, &device);
    if (code != SW_OK) {
        return code;
    }
    struct quarantine row = {.id = *id,
                             .product_id = product_id,
                             .platform_id = device.platform_id,
                             .version = device.running_version,
                             .system_version = device.system_version,
                             .last_ms = tx->now.ms};
    memcpy(row.address, device.address, sizeof row.address);
    code = store_key_get(tx->store, id, &row.key, tx->fault);
    if (code == SW_OK || code == SW_E_NOT_FOUND) {
        code = app_device_remove(tx, product_id, id);
    }
    code = code == SW_OK ? store_quarantine_put(tx->store, &row, tx->fault) : code;
    return code == SW_OK ? store_quarantine_deny(tx->store, id, product_id, tx->fault) : code;
}

int app_quarantine_deny(struct app_tx *tx, uint16_t product_id, const struct device_id *id) {
    struct product product;
    struct quarantine row;
    int code = store_product_get(tx->store, product_id, &product, tx->fault);
    if (code == SW_E_NOT_FOUND) {
        return app_no_product(tx);
    }
    if (code == SW_OK) {
        code = store_quarantine_get(tx->store, id, &row, tx->fault);
    }
    bool is_ours =
        code == SW_OK && (row.product_id == product_id ||
                          (row.product_id == 0 && row.platform_id == product.platform_id));
    if (code == SW_E_NOT_FOUND || (code == SW_OK && !is_ours)) {
        return deny_member(tx, product_id, id);
    }
    if (code == SW_OK) {
        code = store_quarantine_deny(tx->store, id, product_id, tx->fault);
    }
    return code == SW_OK ? app_tell_device(tx, APP_NOTICE_FORGET, id, product_id) : code;
}

/* --- keys --- */

int app_device_register_key(struct app_tx *tx, const struct device_id *id,
                            const struct p256_point *key) {
    if (!p256_point_is_valid(key)) {
        return app_fail(tx, SW_E_RANGE, "invalid_request", "publicKey",
                        "publicKey is not a point of the curve P-256");
    }
    struct p256_point old;
    int code = store_key_get(tx->store, id, &old, tx->fault);
    if (code == SW_OK && memcmp(old.b, key->b, sizeof old.b) == 0) {
        return SW_OK;
    }
    if (code != SW_OK && code != SW_E_NOT_FOUND) {
        return code;
    }
    code = store_key_set(tx->store, id, key, false, tx->now.ms, tx->fault);
    if (code == SW_OK) {
        code = store_session_delete_device(tx->store, id, tx->fault);
    }
    struct quarantine row;
    struct device device;
    bool is_member = code == SW_OK && store_device_get(tx->store, id, &device, tx->fault) == SW_OK;
    if (is_member && store_quarantine_get(tx->store, id, &row, tx->fault) == SW_OK) {
        code = store_quarantine_delete(tx->store, id, tx->fault);
    }
    return code == SW_OK ? app_tell_device(tx, APP_NOTICE_FORGET, id, 0) : code;
}
