/* OAuth clients of a product, or of the whole server. */
#include <stdlib.h>

#include "http/handlers.h"
#include "slipway/app/client.h"
#include "slipway/crypto/secret.h"

static json_t *page_client(const struct client *client) {
    json_t *page = json_pack("{s:s, s:s, s:s}", "name", client->name, "type",
                             client->is_web ? "web" : "installed", "id", client->uid);
    if (client->redirect_uri[0] != '\0') {
        (void)json_object_set_new(page, "redirect_uri", json_string(client->redirect_uri));
    }
    return page;
}

void handle_clients_list(struct request *rq) {
    struct client_list list = {0};
    if (!handler_ok(rq, app_client_list(rq->tx, rq->product.id, &list))) {
        return;
    }
    json_t *pages = json_array();
    for (size_t i = 0; i < list.count; i++) {
        (void)json_array_append_new(pages, page_client(&list.items[i]));
    }
    free(list.items);
    reply_json(&rq->reply, 200, json_pack("{s:b, s:o}", "ok", 1, "clients", pages));
}

struct saving {
    uint16_t product_id;
    const char *uid; /* NULL = create */
    struct app_client_edit edit;
    const struct user *by;
    struct client client;
    char secret[TOKEN_DIGITS + 1];
};

static int run_save(struct app_tx *tx, void *arg) {
    struct saving *saving = arg;
    return saving->uid == NULL ? app_client_create(tx, saving->product_id, &saving->edit,
                                                   saving->by, &saving->client, saving->secret)
                               : app_client_edit(tx, saving->product_id, saving->uid, &saving->edit,
                                                 &saving->client);
}

static void save(struct request *rq, struct saving *saving) {
    enum { SCOPES_MAX = 100 };
    struct fields fields = request_fields(rq);
    bool is_new = saving->uid == NULL;
    enum field_need need = is_new ? FIELD_REQUIRED : FIELD_OPTIONAL;
    saving->product_id = rq->product.id;
    saving->by = &rq->identity.user;
    saving->edit.name = fields_text(&fields, "name", need, 1, NAME_BYTES - 1);
    if (is_new) {
        saving->edit.type = fields_text(&fields, "type", need, 1, 16);
    }
    saving->edit.redirect_uri =
        fields_text(&fields, "redirect_uri", FIELD_OPTIONAL, 0, DESCRIPTION_BYTES - 1);
    json_t *list = fields_texts(&fields, "scopes", FIELD_OPTIONAL, SCOPES_MAX, 64);
    const char **scopes = handler_texts(list);
    saving->edit.scopes = scopes;
    saving->edit.scope_count = json_array_size(list);
    if (handler_may_grant(rq, &fields, list) && fields_end(&fields) &&
        request_write(rq, run_save, saving)) {
        json_t *page = page_client(&saving->client);
        if (is_new) {
            (void)json_object_set_new(page, "secret", json_string(saving->secret));
            reply_header(&rq->reply, "Cache-Control", "no-store");
        }
        reply_json(&rq->reply, 200, json_pack("{s:b, s:o}", "ok", 1, "client", page));
    }
    free(scopes);
    json_decref(list);
    crypto_wipe(saving->secret, sizeof saving->secret);
}

void handle_clients_create(struct request *rq) {
    struct saving saving = {0};
    save(rq, &saving);
}

void handle_clients_edit(struct request *rq) {
    struct saving saving = {.uid = request_param(rq, "client")};
    save(rq, &saving);
}

static int run_remove(struct app_tx *tx, void *arg) {
    const struct saving *saving = arg;
    return app_client_remove(tx, saving->product_id, saving->uid);
}

void handle_clients_remove(struct request *rq) {
    struct saving saving = {.product_id = rq->product.id, .uid = request_param(rq, "client")};
    if (request_write(rq, run_remove, &saving)) {
        reply_empty(&rq->reply, 204);
    }
}
