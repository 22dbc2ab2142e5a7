/* Pre-shared keys of devices. A key goes in, or is made here and told once; none ever comes out. */
#include <string.h>

#include "http/door.h"
#include "http/handlers.h"
#include "slipway/app/proof.h"
#include "slipway/crypto/secret.h"
#include "slipway/util/hex.h"

#define MADE_BYTES 32

struct psk_edit {
    const struct request *rq;
    uint8_t len; /* 0: removed */
    uint8_t key[APP_PSK_MAX];
};

static int run_psk(struct app_tx *tx, void *arg) {
    const struct psk_edit *edit = arg;
    uint16_t product_id = edit->rq->product.id;
    const struct device_id *id = &edit->rq->device.id;
    return edit->len > 0 ? app_device_psk_set(tx, product_id, id, span_of(edit->key, edit->len))
                         : app_device_psk_remove(tx, product_id, id);
}

static bool read_psk(struct request *rq, struct psk_edit *edit, bool *is_made) {
    struct fields fields = request_fields(rq);
    const char *text = fields_text(&fields, "psk", FIELD_OPTIONAL, 1, 2 * APP_PSK_MAX);
    size_t digits = text == NULL ? 0 : strlen(text);
    *is_made = text == NULL;
    edit->len = (uint8_t)(*is_made ? MADE_BYTES : digits / 2);
    if (*is_made) {
        app_entropy(rq->server->app, edit->key, MADE_BYTES);
    } else if (digits < 2 * APP_PSK_MIN ||
               hex_decode(text, digits, edit->key, edit->len) != SW_OK) {
        fields_fail(&fields, "psk", "must be %d to %d bytes in hexadecimal", APP_PSK_MIN,
                    APP_PSK_MAX);
    }
    return fields_end(&fields);
}

void handle_devices_psk_set(struct request *rq) {
    struct psk_edit edit = {.rq = rq};
    bool is_made = false;
    if (read_psk(rq, &edit, &is_made) && request_write(rq, run_psk, &edit)) {
        char id[DEVICE_ID_DIGITS + 1], psk[2 * MADE_BYTES + 1];
        device_id_text(&rq->device.id, id);
        json_t *page = json_pack("{s:b, s:s, s:s}", "ok", 1, "id", id, "identity", id);
        if (is_made) {
            hex_encode(span_of(edit.key, edit.len), psk, sizeof psk);
            (void)json_object_set_new(page, "psk", json_string(psk));
            crypto_wipe(psk, sizeof psk);
        }
        reply_header(&rq->reply, "Cache-Control", "no-store");
        reply_json(&rq->reply, 200, page);
    }
    crypto_wipe(&edit, sizeof edit);
}

void handle_devices_psk_remove(struct request *rq) {
    struct psk_edit edit = {.rq = rq};
    struct fields fields = request_fields(rq);
    if (fields_end(&fields) && request_write(rq, run_psk, &edit)) {
        reply_json(&rq->reply, 200, json_pack("{s:b}", "ok", 1));
    }
}
