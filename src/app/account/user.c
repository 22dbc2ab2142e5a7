#include "slipway/app/token.h"
#include "slipway/crypto/secret.h"
#include "slipway/store/client.h"
#include "slipway/store/journal.h"
#include "slipway/util/check.h"
#include "slipway/util/hex.h"

#include "app/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const scopes[] = {"clients:create",
                                     "clients:list",
                                     "clients:remove",
                                     "clients:update",
                                     "configuration:get",
                                     "configuration:update",
                                     "customers:create",
                                     "customers:list",
                                     "customers:remove",
                                     "customers:update",
                                     "devices:get",
                                     "devices:list",
                                     "devices:import",
                                     "devices:ping",
                                     "devices:release",
                                     "devices:remove",
                                     "devices:update",
                                     "devices.diagnostics:get",
                                     "devices.diagnostics:update",
                                     "devices.diagnostics.metadata:get",
                                     "devices.diagnostics.summary:get",
                                     "devices.function:call",
                                     "devices.variable:get",
                                     "events:get",
                                     "events:send",
                                     "firmware:create",
                                     "firmware:get",
                                     "firmware:list",
                                     "firmware:release",
                                     "firmware:remove",
                                     "firmware:update",
                                     "firmware.binary:get",
                                     "groups:create",
                                     "groups:get",
                                     "groups:list",
                                     "groups:remove",
                                     "groups:update",
                                     "groups.impact:get",
                                     "integrations:create",
                                     "integrations:get",
                                     "integrations:list",
                                     "integrations:remove",
                                     "integrations:test",
                                     "integrations:update",
                                     "locations:get",
                                     "organization:get",
                                     "products:get",
                                     "products:list",
                                     "teams.users:invite",
                                     "teams.users:list",
                                     "teams.users:remove",
                                     "teams.users:update",
                                     NULL};

const char *const *app_scopes(void) {
    return scopes;
}

int app_password_hash(const struct app *app, struct span password, struct app_password *out) {
    app_entropy(app, out->salt, sizeof out->salt);
    return crypto_scrypt(password, span_of(out->salt, sizeof out->salt), out->hash);
}

static int take_name(struct app_tx *tx, const char *name, char out[USER_NAME_BYTES]) {
    static const struct app_text_rule rule = {.field = "username", .required = true};
    return app_take_text(tx, &rule, name, out, USER_NAME_BYTES);
}

static int no_user(struct app_tx *tx) {
    return app_fail(tx, SW_E_NOT_FOUND, "not_found", "username", "User not found.");
}

int app_user_create(struct app_tx *tx, const char *name, const struct app_password *password,
                    bool is_admin, struct user *out) {
    struct store_user row = {.user = {.is_admin = is_admin, .created_ms = tx->now.ms},
                             .has_password = true};
    int code = take_name(tx, name, row.user.name);
    if (code != SW_OK) {
        return code;
    }
    memcpy(row.salt, password->salt, sizeof row.salt);
    memcpy(row.hash, password->hash, sizeof row.hash);
    code = store_user_insert(tx->store, &row, tx->fault);
    if (code == SW_E_EXISTS) {
        code = app_fail(tx, code, "invalid_request", "username", "User %s already exists",
                        row.user.name);
    }
    *out = row.user;
    crypto_wipe(&row, sizeof row);
    return code;
}

int app_user_get(struct app_tx *tx, const char *name, struct user *out) {
    struct store_user row;
    int code = store_user_by_name(tx->store, name, &row, tx->fault);
    if (code == SW_OK) {
        *out = row.user;
        crypto_wipe(&row, sizeof row);
    }
    return code == SW_E_NOT_FOUND ? no_user(tx) : code;
}

int app_user_set_password(struct app_tx *tx, int64_t user_id, const struct app_password *password) {
    struct store_user row = {.user = {.id = user_id}};
    memcpy(row.salt, password->salt, sizeof row.salt);
    memcpy(row.hash, password->hash, sizeof row.hash);
    int code = store_user_set_password(tx->store, &row, tx->fault);
    crypto_wipe(&row, sizeof row);
    /* Whoever knew the old one may hold tokens; what was guessed wrong is no matter any more. */
    if (code == SW_OK) {
        code = store_token_delete_user(tx->store, user_id, tx->fault);
    }
    struct store_login all = {.user_id = user_id, .place = "", .since_ms = INT64_MAX};
    if (code == SW_OK) {
        code = store_login_forget(tx->store, &all, tx->fault);
    }
    return code == SW_E_NOT_FOUND ? no_user(tx) : code;
}

/* Places that fail, over which a user is locked everywhere: see app_login_begin. */
#define LOGIN_PLACES 10

static struct store_login login_of(const struct app_tx *tx, int64_t user_id, const char *place) {
    int64_t lockout_ms = tx->app->options.lockout_ms;
    return (struct store_login){.user_id = user_id,
                                .place = place,
                                .since_ms = tx->now.ms - lockout_ms,
                                .until_ms = tx->now.ms + lockout_ms};
}

static int login_is_locked(struct app_tx *tx, const struct store_login *login, bool *out) {
    struct store_login_failures failures = {0};
    uint32_t max = tx->app->options.failed_logins_max;
    int code = store_login_failures(tx->store, login, &failures, tx->fault);
    *out = failures.here >= max || failures.everywhere >= LOGIN_PLACES * max;
    return code;
}

int app_login_begin(struct app_tx *tx, const char *name, const char *place, struct app_login *out) {
    *out = (struct app_login){.is_locked = false};
    struct store_user row;
    int code = store_user_by_name(tx->store, name, &row, tx->fault);
    if (code == SW_OK && row.has_password) {
        out->user = row.user;
        memcpy(out->stored.salt, row.salt, sizeof row.salt);
        memcpy(out->stored.hash, row.hash, sizeof row.hash);
        struct store_login login = login_of(tx, row.user.id, place);
        code = login_is_locked(tx, &login, &out->is_locked);
    }
    crypto_wipe(&row, sizeof row);
    return code == SW_E_NOT_FOUND ? SW_OK : code;
}

bool app_login_matches(const struct app_login *login, struct span password) {
    uint8_t hash[sizeof login->stored.hash];
    bool hashed = crypto_scrypt(password, span_of(login->stored.salt, sizeof login->stored.salt),
                                hash) == SW_OK;
    bool is_same = crypto_equal(hash, login->stored.hash, sizeof hash);
    crypto_wipe(hash, sizeof hash);
    return hashed && is_same && login->user.id != 0 && !login->is_locked;
}

int app_login_record(struct app_tx *tx, int64_t user_id, const char *place, bool success,
                     bool *locked) {
    struct store_login login = login_of(tx, user_id, place);
    *locked = false;
    if (success) {
        struct store_login_failures failures = {0};
        int code = store_login_failures(tx->store, &login, &failures, tx->fault);
        return code != SW_OK || failures.here == 0
                   ? code
                   : store_login_forget(tx->store, &login, tx->fault);
    }
    /* What is over goes first: it counts no more, and so no user has many rows. */
    struct store_login over = login;
    over.place = "";
    int code = store_login_forget(tx->store, &over, tx->fault);
    if (code == SW_OK) {
        code = store_login_failed(tx->store, &login, tx->now.ms, tx->fault);
    }
    return code == SW_OK ? login_is_locked(tx, &login, locked) : code;
}

/* --- API users --- */

/* Of parts that a cloud has and this server not: taken, so that scripts need no change, and good
 * for nothing. */
static bool is_scope_elsewhere(const char *word) {
    static const char *const families[] = {"service_agreements", "sims"};
    for (size_t i = 0; i < SW_COUNT(families); i++) {
        size_t len = strlen(families[i]);
        if (strncmp(word, families[i], len) == 0 && (word[len] == ':' || word[len] == '.')) {
            return true;
        }
    }
    return false;
}

int app_take_scopes(struct app_tx *tx, const char *const *words, size_t count, char *out,
                    size_t cap) {
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        bool is_known = is_scope_elsewhere(words[i]);
        for (size_t k = 0; scopes[k] != NULL && !is_known; k++) {
            is_known = strcmp(scopes[k], words[i]) == 0;
        }
        if (!is_known) {
            return app_fail(tx, SW_E_RANGE, "invalid_request", "scopes",
                            "scopes: %.64s is not a scope", words[i]);
        }
        int len = snprintf(out + at, cap - at, "%s%s", i > 0 ? " " : "", words[i]);
        if ((size_t)len >= cap - at) {
            return app_fail(tx, SW_E_RANGE, "invalid_request", "scopes", "scopes: too many");
        }
        at += (size_t)len;
    }
    return SW_OK;
}

void app_unique_name(const struct app_tx *tx, const char *text, char joint, const char *end,
                     char out[USER_NAME_BYTES]) {
    char part[33];
    size_t at = 0;
    for (const char *p = text; *p != '\0' && at < sizeof part - 1; p++) {
        char c = (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        part[at++] = (char)(is_plain ? c : '-');
    }
    part[at] = '\0';
    uint8_t random[5];
    char digits[2 * sizeof random + 1];
    app_entropy(tx->app, random, sizeof random);
    hex_encode(span_of(random, sizeof random), digits, sizeof digits);
    (void)snprintf(out, USER_NAME_BYTES, "%s%c%s%s", part, joint, digits, end);
}

static int give_token(struct app_tx *tx, int64_t user_id, char token[TOKEN_DIGITS + 1]) {
    struct app_token_new request = {.user_id = user_id, .client = "api"};
    struct app_token_made made;
    int code = app_token_create(tx, &request, &made);
    memcpy(token, made.access, sizeof made.access);
    crypto_wipe(&made, sizeof made);
    return code;
}

static const struct app_text_rule friendly_rule = {.field = "friendly_name", .required = true};

int app_api_user_create(struct app_tx *tx, const struct app_api_user_new *request, struct user *out,
                        char token[TOKEN_DIGITS + 1]) {
    struct store_user row = {
        .user = {.is_api = true, .product_id = request->product_id, .created_ms = tx->now.ms}};
    int code = app_take_text(tx, &friendly_rule, request->friendly_name, row.user.friendly_name,
                             sizeof row.user.friendly_name);
    if (code == SW_OK) {
        code = app_take_scopes(tx, request->scopes, request->scope_count, row.user.scopes,
                               sizeof row.user.scopes);
    }
    if (code == SW_OK) {
        app_unique_name(tx, row.user.friendly_name, '+', "@api.slipway", row.user.name);
        code = store_user_insert(tx->store, &row, tx->fault);
    }
    *out = row.user;
    return code == SW_OK ? give_token(tx, row.user.id, token) : code;
}

/* The user behind an OAuth client is no member of a team. */
static int find_member(struct app_tx *tx, const char *name, struct store_user *out) {
    struct client client;
    int code = store_client_by_uid(tx->store, name, &client, tx->fault);
    if (code != SW_E_NOT_FOUND) {
        return code == SW_OK ? SW_E_NOT_FOUND : code;
    }
    return store_user_by_name(tx->store, name, out, tx->fault);
}

int app_api_user_edit(struct app_tx *tx, const char *name, const struct app_api_user_new *request,
                      struct user *out, char token[TOKEN_DIGITS + 1]) {
    struct store_user row;
    int code = find_member(tx, name, &row);
    bool is_ours = code == SW_OK && row.user.is_api &&
                   (request->product_id == 0 || row.user.product_id == request->product_id);
    if (code == SW_E_NOT_FOUND || (code == SW_OK && !is_ours)) {
        return no_user(tx);
    }
    if (code == SW_OK && request->friendly_name != NULL) {
        code = app_take_text(tx, &friendly_rule, request->friendly_name, row.user.friendly_name,
                             sizeof row.user.friendly_name);
    }
    if (code == SW_OK && request->scopes != NULL) {
        code = app_take_scopes(tx, request->scopes, request->scope_count, row.user.scopes,
                               sizeof row.user.scopes);
    }
    if (code == SW_OK) {
        code = store_user_edit(tx->store, &row.user, tx->fault);
    }
    if (code == SW_OK) {
        code = store_token_delete_user(tx->store, row.user.id, tx->fault);
    }
    *out = row.user;
    return code == SW_OK ? give_token(tx, row.user.id, token) : code;
}

int app_user_remove(struct app_tx *tx, uint16_t product_id, const char *name) {
    struct store_user row;
    int code = find_member(tx, name, &row);
    bool is_foreign = code == SW_OK && row.user.is_api && row.user.product_id != product_id;
    if (code == SW_E_NOT_FOUND || is_foreign) {
        return no_user(tx);
    }
    if (code == SW_OK && row.user.is_admin) {
        return app_fail(tx, SW_E_DENIED, "not_allowed", "username",
                        "username: the administrator cannot be removed");
    }
    if (code == SW_OK && !row.user.is_api && product_id != 0) {
        return app_fail(tx, SW_E_DENIED, "not_allowed", "username",
                        "username: people are on the team of every product");
    }
    return code == SW_OK ? store_user_delete(tx->store, row.user.id, tx->fault) : code;
}

int app_user_list(struct app_tx *tx, uint16_t product_id, struct user_list *out) {
    *out = (struct user_list){.count = 0};
    struct store_user *rows = NULL;
    size_t count = 0;
    int code = store_user_list(tx->store, product_id, &rows, &count, tx->fault);
    if (code == SW_OK && count > 0) {
        out->items = calloc(count, sizeof *out->items);
        if (out->items == NULL) {
            code = fault_set(tx->fault, SW_E_MEMORY, "out of memory for users");
        } else {
            for (size_t i = 0; i < count; i++) {
                out->items[i] = rows[i].user;
            }
            out->count = count;
        }
    }
    if (rows != NULL) {
        crypto_wipe(rows, count * sizeof *rows);
    }
    free(rows);
    return code;
}
