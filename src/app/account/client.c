/* A client acts through a programmatic user: admission, scopes, tokens and their end are the same
 * for both. Only the way to a token differs. */
#include "slipway/app/client.h"

#include "slipway/crypto/secret.h"
#include "slipway/store/client.h"
#include "slipway/store/journal.h"
#include "slipway/util/check.h"
#include "slipway/util/hex.h"

#include "app/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCOPES_MAX 64

/* What would outlive the client: ways in that it could make. */
static bool hands_out_ways_in(const char *scope) {
    static const char *const words[] = {"clients:create", "clients:update", "teams.users:invite",
                                        "teams.users:update"};
    for (size_t i = 0; i < SW_COUNT(words); i++) {
        if (strcmp(words[i], scope) == 0) {
            return true;
        }
    }
    return false;
}

static int no_client(struct app_tx *tx) {
    return app_fail(tx, SW_E_NOT_FOUND, "not_found", NULL, "Client not found.");
}

/* Those asked for, else all that it can have. */
static int take_scopes(struct app_tx *tx, const struct app_client_edit *fields,
                       const struct user *by, char *out, size_t cap) {
    const char *all[SCOPES_MAX];
    size_t count = 0;
    if (fields->scopes == NULL) {
        const struct app_identity giver = {.user = *by};
        for (const char *const *scope = app_scopes(); *scope != NULL && count < SCOPES_MAX;
             scope++) {
            if (!hands_out_ways_in(*scope) && app_identity_may(&giver, *scope)) {
                all[count++] = *scope;
            }
        }
        return app_take_scopes(tx, all, count, out, cap);
    }
    for (size_t i = 0; i < fields->scope_count; i++) {
        if (hands_out_ways_in(fields->scopes[i])) {
            return app_fail(tx, SW_E_RANGE, "invalid_request", "scopes",
                            "scopes: %.64s is not for clients", fields->scopes[i]);
        }
    }
    return app_take_scopes(tx, fields->scopes, fields->scope_count, out, cap);
}

static int take_type(struct app_tx *tx, const char *type, bool *is_web) {
    *is_web = type != NULL && strcmp(type, "web") == 0;
    return type != NULL && (*is_web || strcmp(type, "installed") == 0)
               ? SW_OK
               : app_fail(tx, SW_E_RANGE, "invalid_request", "type",
                          "type must be installed or web");
}

static int take_fields(struct app_tx *tx, const struct app_client_edit *fields,
                       struct client *client) {
    static const struct app_text_rule name_rule = {.field = "name", .required = true};
    static const struct app_text_rule uri_rule = {.field = "redirect_uri"};
    int code = SW_OK;
    if (fields->name != NULL || client->name[0] == '\0') {
        code = app_take_text(tx, &name_rule, fields->name, client->name, sizeof client->name);
    }
    if (code == SW_OK && fields->redirect_uri != NULL) {
        code = app_take_text(tx, &uri_rule, fields->redirect_uri, client->redirect_uri,
                             sizeof client->redirect_uri);
    }
    return code;
}

/* The user's row, whose name is the client's. */
static int insert_user(struct app_tx *tx, const struct client *client, struct store_user *row) {
    row->user.is_api = true;
    row->user.product_id = client->product_id;
    row->user.created_ms = tx->now.ms;
    memcpy(row->user.friendly_name, client->name, sizeof client->name);
    app_unique_name(tx, client->name, '-', "", row->user.name);
    return store_user_insert(tx->store, row, tx->fault);
}

static void make_secret(const struct app_tx *tx, struct client *client,
                        char text[TOKEN_DIGITS + 1]) {
    uint8_t bytes[TOKEN_DIGITS / 2];
    app_entropy(tx->app, bytes, sizeof bytes);
    hex_encode(span_of(bytes, sizeof bytes), text, TOKEN_DIGITS + 1);
    sha256_of(span_of(bytes, sizeof bytes), &client->secret);
    crypto_wipe(bytes, sizeof bytes);
}

int app_client_create(struct app_tx *tx, uint16_t product_id, const struct app_client_edit *fields,
                      const struct user *by, struct client *out, char secret[TOKEN_DIGITS + 1]) {
    *out = (struct client){.product_id = product_id, .created_ms = tx->now.ms};
    struct store_user row = {.has_password = false};
    int code = take_fields(tx, fields, out);
    if (code == SW_OK) {
        code = take_type(tx, fields->type, &out->is_web);
    }
    if (code == SW_OK) {
        code = take_scopes(tx, fields, by, row.user.scopes, sizeof row.user.scopes);
    }
    if (code == SW_OK) {
        code = insert_user(tx, out, &row);
    }
    if (code == SW_OK) {
        out->user_id = row.user.id;
        (void)snprintf(out->uid, sizeof out->uid, "%.64s", row.user.name);
        make_secret(tx, out, secret);
        code = store_client_insert(tx->store, out, tx->fault);
    }
    return code;
}

int app_client_list(struct app_tx *tx, uint16_t product_id, struct client_list *out) {
    *out = (struct client_list){.count = 0};
    return store_client_list(tx->store, product_id, &out->items, &out->count, tx->fault);
}

static int find(struct app_tx *tx, uint16_t product_id, const char *uid, struct client *out) {
    int code = store_client_by_uid(tx->store, uid, out, tx->fault);
    bool is_ours = code == SW_OK && out->product_id == product_id;
    return code == SW_E_NOT_FOUND || (code == SW_OK && !is_ours) ? no_client(tx) : code;
}

int app_client_edit(struct app_tx *tx, uint16_t product_id, const char *uid,
                    const struct app_client_edit *edit, struct client *out) {
    struct store_user row;
    int code = find(tx, product_id, uid, out);
    if (code == SW_OK) {
        code = take_fields(tx, edit, out);
    }
    if (code == SW_OK) {
        code = store_client_edit(tx->store, out, tx->fault);
    }
    if (code == SW_OK) {
        code = store_user_get(tx->store, out->user_id, &row, tx->fault);
    }
    if (code == SW_OK) {
        memcpy(row.user.friendly_name, out->name, sizeof out->name);
        if (edit->scopes != NULL) {
            code = take_scopes(tx, edit, &row.user, row.user.scopes, sizeof row.user.scopes);
        }
    }
    return code == SW_OK ? store_user_edit(tx->store, &row.user, tx->fault) : code;
}

int app_client_remove(struct app_tx *tx, uint16_t product_id, const char *uid) {
    struct client client;
    int code = find(tx, product_id, uid, &client);
    return code == SW_OK ? store_user_delete(tx->store, client.user_id, tx->fault) : code;
}

int app_client_verify(struct app_tx *tx, const char *uid, const char *secret, struct user *out) {
    struct client client;
    struct sha256 hash;
    uint8_t bytes[TOKEN_DIGITS / 2] = {0};
    bool is_hex = hex_decode(secret, strlen(secret), bytes, sizeof bytes) == SW_OK;
    sha256_of(span_of(bytes, sizeof bytes), &hash);
    crypto_wipe(bytes, sizeof bytes);
    int code = store_client_by_uid(tx->store, uid, &client, tx->fault);
    bool is_right = code == SW_OK && crypto_equal(hash.b, client.secret.b, sizeof hash.b) && is_hex;
    if (code == SW_E_NOT_FOUND || (code == SW_OK && !is_right)) {
        return app_fail(tx, SW_E_AUTH, "invalid_client", NULL, "Client credentials are invalid");
    }
    struct store_user row;
    if (code == SW_OK) {
        code = store_user_get(tx->store, client.user_id, &row, tx->fault);
    }
    if (code == SW_OK) {
        *out = row.user;
        crypto_wipe(&row, sizeof row);
    }
    return code;
}
