/* Tokens are random, so their hash needs no salt and no stretching: 160 bits cannot be guessed, and
 * looking a hash up reveals nothing by its timing that helps to find a token with that hash. */
#include "slipway/app/token.h"

#include "slipway/crypto/secret.h"
#include "slipway/store/client.h"
#include "slipway/store/journal.h"
#include "slipway/util/hex.h"

#include "app/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REFRESH_LIFETIME_MS (INT64_C(14) * 24 * 3600 * 1000)

static bool hash_of(const char *text, size_t len, struct sha256 *out) {
    uint8_t bytes[TOKEN_DIGITS / 2];
    if (hex_decode(text, len, bytes, sizeof bytes) != SW_OK) {
        return false;
    }
    sha256_of(span_of(bytes, sizeof bytes), out);
    crypto_wipe(bytes, sizeof bytes);
    return true;
}

static int find(struct app_tx *tx, const char *text, size_t len, struct store_token *out) {
    struct sha256 hash;
    if (!hash_of(text, len, &hash)) {
        return SW_E_NOT_FOUND;
    }
    int code = store_token_by_hash(tx->store, &hash, out, tx->fault);
    if (code == SW_OK && !crypto_equal(hash.b, out->hash.b, sizeof hash.b)) {
        return SW_E_NOT_FOUND;
    }
    return code;
}

static int not_valid(struct app_tx *tx) {
    return app_fail(tx, SW_E_NOT_FOUND, "invalid_token", NULL,
                    "The access token provided is invalid.");
}

int app_token_verify(struct app_tx *tx, const char *text, size_t len, struct app_identity *out) {
    struct sha256 hash;
    struct store_token row;
    int code = hash_of(text, len, &hash) ? SW_OK : SW_E_NOT_FOUND;
    if (code == SW_OK) {
        code = store_token_owner(tx->store, &hash, &row, &out->user, tx->fault);
    }
    bool is_void = code == SW_OK && (row.token.kind != TOKEN_ACCESS ||
                                     !crypto_equal(hash.b, row.hash.b, sizeof hash.b));
    if (code == SW_E_NOT_FOUND || is_void) {
        code = not_valid(tx);
    } else if (code == SW_OK && row.token.expires_ms != 0 && row.token.expires_ms <= tx->now.ms) {
        code = app_fail(tx, SW_E_AUTH, "invalid_token", NULL,
                        "The access token provided has expired.");
    }
    if (code == SW_OK) {
        out->token = row.token;
    } else {
        memset(out, 0, sizeof *out); /* nobody's */
    }
    return code;
}

int app_token_lives(struct app_tx *tx, int64_t token_id, bool *lives) {
    struct store_token row;
    int code = store_token_get(tx->store, token_id, &row, tx->fault);
    *lives = code == SW_OK && (row.token.expires_ms == 0 || row.token.expires_ms > tx->now.ms);
    return code == SW_E_NOT_FOUND ? SW_OK : code;
}

bool app_identity_may(const struct app_identity *identity, const char *scope) {
    if (!identity->user.is_api) {
        return true;
    }
    size_t len = strlen(scope);
    for (const char *p = identity->user.scopes; len > 0 && (p = strstr(p, scope)) != NULL; p++) {
        bool starts = p == identity->user.scopes || p[-1] == ' ';
        if (starts && (p[len] == ' ' || p[len] == '\0')) {
            return true;
        }
    }
    return false;
}

/* text: 40 digits to use, or random ones when it is empty; filled in. */
static int insert(struct app_tx *tx, struct store_token *row, char text[TOKEN_DIGITS + 1]) {
    if (text[0] == '\0') {
        uint8_t bytes[TOKEN_DIGITS / 2];
        app_entropy(tx->app, bytes, sizeof bytes);
        hex_encode(span_of(bytes, sizeof bytes), text, TOKEN_DIGITS + 1);
        crypto_wipe(bytes, sizeof bytes);
    }
    if (!hash_of(text, strlen(text), &row->hash)) {
        return app_fail(tx, SW_E_INPUT, "invalid_request", "token",
                        "A token must be %d hexadecimal digits", TOKEN_DIGITS);
    }
    row->token.created_ms = tx->now.ms;
    return store_token_insert(tx->store, row, tx->fault);
}

int app_token_create(struct app_tx *tx, const struct app_token_new *request,
                     struct app_token_made *out) {
    *out = (struct app_token_made){.access = ""};
    struct store_token row = {.token = {.kind = TOKEN_ACCESS, .user_id = request->user_id}};
    if (request->lifetime_s < 0 || request->lifetime_s > TOKEN_LIFETIME_MAX_S) {
        return app_fail(tx, SW_E_RANGE, "invalid_request", "expires_in",
                        "expires_in must be from 0 (never) to ten years, in seconds");
    }
    row.token.expires_ms = request->lifetime_s > 0 ? tx->now.ms + request->lifetime_s * 1000 : 0;
    (void)snprintf(row.token.client, sizeof row.token.client, "%s",
                   request->client != NULL ? request->client : "");
    if (request->text != NULL) {
        (void)snprintf(out->access, sizeof out->access, "%s", request->text);
    }
    if (request->with_refresh) {
        uint8_t pair[7];
        app_entropy(tx->app, pair, sizeof pair);
        for (size_t i = 0; i < sizeof pair; i++) {
            row.pair = row.pair << 8 | pair[i];
        }
        row.pair += row.pair == 0;
    }
    int code = insert(tx, &row, out->access);
    out->token = row.token;
    if (code == SW_OK && request->with_refresh) {
        struct store_token refresh = {.token = row.token, .pair = row.pair};
        refresh.token.kind = TOKEN_REFRESH;
        refresh.token.expires_ms = tx->now.ms + REFRESH_LIFETIME_MS;
        code = insert(tx, &refresh, out->refresh);
    }
    if (code == SW_OK) {
        code = store_token_delete_expired(tx->store, tx->now.ms - REFRESH_LIFETIME_MS, tx->fault);
    }
    return code;
}

/* What a client of its own was given is for nobody else; the public pairs share theirs. */
static int is_for_client(struct app_tx *tx, const struct token *token, const char *client,
                         bool *out) {
    struct client owner;
    int code = store_client_by_uid(tx->store, token->client, &owner, tx->fault);
    bool is_owned = code == SW_OK;
    *out = client != NULL ? strcmp(client, token->client) == 0 : !is_owned;
    return code == SW_E_NOT_FOUND ? SW_OK : code;
}

int app_token_refresh(struct app_tx *tx, const char *text, size_t len, const char *client,
                      int64_t lifetime_s, struct app_token_made *out) {
    struct store_token row;
    int code = find(tx, text, len, &row);
    bool is_void =
        code == SW_OK && (row.token.kind != TOKEN_REFRESH || row.token.expires_ms <= tx->now.ms);
    bool is_its = true;
    if (code == SW_OK) {
        code = is_for_client(tx, &row.token, client, &is_its);
    }
    is_void = is_void || !is_its;
    if (code == SW_E_NOT_FOUND || (code == SW_OK && is_void)) {
        return app_fail(tx, SW_E_AUTH, "invalid_grant", "refresh_token",
                        "Refresh token is invalid");
    }
    if (code == SW_OK) {
        code = store_token_delete(tx->store, &row, tx->fault);
    }
    struct app_token_new request = {.user_id = row.token.user_id,
                                    .client = row.token.client,
                                    .lifetime_s = lifetime_s,
                                    .with_refresh = true};
    return code == SW_OK ? app_token_create(tx, &request, out) : code;
}

int app_token_revoke(struct app_tx *tx, const char *text, size_t len) {
    struct store_token row;
    int code = find(tx, text, len, &row);
    if (code == SW_E_NOT_FOUND) {
        return not_valid(tx);
    }
    return code == SW_OK ? store_token_delete(tx->store, &row, tx->fault) : code;
}

int app_token_revoke_listed(struct app_tx *tx, int64_t user_id, int64_t id) {
    struct store_token row;
    int code = store_token_get(tx->store, id, &row, tx->fault);
    bool is_listed =
        code == SW_OK && row.token.user_id == user_id && row.token.kind == TOKEN_ACCESS;
    if (code == SW_E_NOT_FOUND || (code == SW_OK && !is_listed)) {
        return not_valid(tx);
    }
    return code == SW_OK ? store_token_delete(tx->store, &row, tx->fault) : code;
}

int app_token_revoke_all(struct app_tx *tx, int64_t user_id) {
    return store_token_delete_user(tx->store, user_id, tx->fault);
}

int app_token_list(struct app_tx *tx, int64_t user_id, struct token_list *out) {
    *out = (struct token_list){.count = 0};
    struct store_token *rows = NULL;
    size_t count = 0;
    int code = store_token_list(tx->store, user_id, &rows, &count, tx->fault);
    if (code == SW_OK && count > 0) {
        out->items = calloc(count, sizeof *out->items);
        if (out->items == NULL) {
            code = fault_set(tx->fault, SW_E_MEMORY, "out of memory for tokens");
        } else {
            for (size_t i = 0; i < count; i++) {
                out->items[i] = rows[i].token;
            }
            out->count = count;
        }
    }
    free(rows);
    return code;
}
