/* OAuth tokens. The pairs of client id and secret that existing clients carry are public knowledge:
 * they say which program asks and prove nothing, so such a client alone gets no token. One that was
 * made here has a secret that proves who it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/door.h"
#include "http/handlers.h"
#include "http/reply/pages.h"
#include "http/request/admit.h"
#include "http/request/dates.h"
#include "http/request/limits.h"
#include "slipway/app/client.h"
#include "slipway/crypto/secret.h"
#include "slipway/sys/clock.h"
#include "slipway/sys/log.h"
#include "slipway/util/check.h"
#include "slipway/util/text.h"

#define PASSWORD_MAX 256

static bool client_is_known(const char *id, const char *secret) {
    static const char *const known[] = {"particle-api", "particle-cli", "particle"};
    for (size_t i = 0; i < SW_COUNT(known); i++) {
        if (strcmp(id, known[i]) == 0 && strcmp(secret, known[i]) == 0) {
            return true;
        }
    }
    return false;
}

struct grant {
    struct request *rq;
    const char *client_id, *client_secret;
    bool is_public;                    /* one of the pairs that everybody knows */
    char *basic_user, *basic_password; /* libmicrohttpd's */
    int64_t lifetime_s;
    const char *name; /* of the user */
    struct app_login login;
    char place[LIMITS_PLACE_BYTES];
    bool matches, locked;
    struct app_identity identity;
    const char *text;
    struct app_token_made made;
};

static int run_login_begin(struct app_tx *tx, void *arg) {
    struct grant *grant = arg;
    return app_login_begin(tx, grant->name, grant->place, &grant->login);
}

static int run_login_record(struct app_tx *tx, void *arg) {
    struct grant *grant = arg;
    return app_login_record(tx, grant->login.user.id, grant->place, grant->matches, &grant->locked);
}

static void log_locked(const struct request *rq, const struct grant *grant) {
    struct log_line line;
    log_begin(&line, LOG_UNUSUAL, "login_locked");
    log_text(&line, "id", rq->id);
    log_span(&line, "user", span_text(grant->login.user.name));
    log_text(&line, "from", grant->place);
    log_end(&line);
}

/* Name and password, with the count of failures that locks. false with the reply of OAuth. */
static bool login(struct request *rq, struct grant *grant, const char *password) {
    limits_place(rq->address, grant->place);
    if (!request_read(rq, run_login_begin, grant)) {
        return false;
    }
    /* The slow hash comes first in every case, so that time tells nothing. */
    grant->matches = app_login_matches(&grant->login, span_text(password));
    bool is_right = grant->matches && grant->login.user.id != 0 && !grant->login.is_locked;
    if (grant->login.user.id != 0 && !grant->login.is_locked &&
        !request_write(rq, run_login_record, grant)) {
        return false;
    }
    if (grant->locked) {
        log_locked(rq, grant);
    }
    if (!is_right) {
        reply_oauth_error(&rq->reply, 400, "invalid_grant", "User credentials are invalid");
    }
    return is_right;
}

static int run_token_create(struct app_tx *tx, void *arg) {
    struct grant *grant = arg;
    struct app_token_new request = {.user_id = grant->login.user.id,
                                    .client = grant->client_id,
                                    .lifetime_s = grant->lifetime_s,
                                    .with_refresh = true};
    return app_token_create(tx, &request, &grant->made);
}

static void reply_token(struct request *rq, struct grant *grant) {
    int64_t expires_in = grant->made.token.expires_ms == 0 ? 0 : grant->lifetime_s;
    json_t *page = json_pack("{s:s, s:s, s:I}", "token_type", "bearer", "access_token",
                             grant->made.access, "expires_in", (json_int_t)expires_in);
    if (grant->made.refresh[0] != '\0') {
        (void)json_object_set_new(page, "refresh_token", json_string(grant->made.refresh));
    }
    reply_header(&rq->reply, "Cache-Control", "no-store");
    reply_json(&rq->reply, 200, page);
    crypto_wipe(&grant->made, sizeof grant->made);
}

static void grant_password(struct request *rq, struct grant *grant, struct fields *fields) {
    grant->name = fields_text(fields, "username", FIELD_REQUIRED, 1, USER_NAME_BYTES - 1);
    const char *password = fields_lines(fields, "password", FIELD_REQUIRED, PASSWORD_MAX);
    if (fields_end(fields) && login(rq, grant, password) &&
        request_write(rq, run_token_create, grant)) {
        reply_token(rq, grant);
    }
}

static int run_refresh(struct app_tx *tx, void *arg) {
    struct grant *grant = arg;
    return app_token_refresh(tx, grant->text, strlen(grant->text),
                             grant->is_public ? NULL : grant->client_id, grant->lifetime_s,
                             &grant->made);
}

static void grant_refresh(struct request *rq, struct grant *grant, struct fields *fields) {
    grant->text = fields_text(fields, "refresh_token", FIELD_REQUIRED, 1, 128);
    if (!fields_end(fields)) {
        return;
    }
    struct app_error error = {0};
    int rc = app_execute(rq->server->app, run_refresh, grant, &error);
    if (rc == SW_E_AUTH || rc == SW_E_NOT_FOUND || rc == SW_E_INPUT) {
        reply_oauth_error(&rq->reply, 400, "invalid_grant", "Refresh token is invalid");
    } else if (rc != SW_OK) {
        reply_app_error(&rq->reply, rc, &error);
    } else {
        reply_token(rq, grant);
    }
}

static int run_client(struct app_tx *tx, void *arg) {
    struct grant *grant = arg;
    int rc = app_client_verify(tx, grant->client_id, grant->client_secret, &grant->login.user);
    if (rc != SW_E_AUTH) {
        return rc;
    }
    const char *secret = grant->client_secret;
    rc = app_token_verify(tx, secret, strlen(secret), &grant->identity);
    bool is_api_user = rc == SW_OK && grant->identity.user.is_api &&
                       strcmp(grant->identity.user.name, grant->client_id) == 0;
    grant->login.user = grant->identity.user;
    return rc == SW_E_NOT_FOUND || (rc == SW_OK && !is_api_user) ? SW_E_AUTH : rc;
}

/* Whether the client is who it says: fills in whom it acts for. An API user's name and token count
 * as a client's id and secret too. false with the reply of OAuth. */
static bool client_is_proven(struct request *rq, struct grant *grant) {
    struct app_error error = {0};
    int rc = app_read(rq->server->app, rq->reader, run_client, grant, &error);
    if (rc == SW_E_AUTH) {
        reply_oauth_error(&rq->reply, 400, "invalid_client", "Client credentials are invalid");
    } else if (rc != SW_OK) {
        reply_app_error(&rq->reply, rc, &error);
    }
    return rc == SW_OK;
}

/* A token that expires, for the client itself. */
static void grant_client(struct request *rq, struct grant *grant, struct fields *fields) {
    const char *scope = fields_text(fields, "scope", FIELD_OPTIONAL, 0, 256);
    if (!fields_end(fields)) {
        return;
    }
    if (scope != NULL && scope[0] != '\0') {
        reply_oauth_error(&rq->reply, 400, "invalid_scope",
                          "There are no customers here: a client's token has the client's scopes");
    } else if (client_is_proven(rq, grant) && request_write(rq, run_token_create, grant)) {
        reply_token(rq, grant);
    }
}

/* expires_in in seconds (0 = never), or expires_at as ISO 8601. */
static void read_lifetime(struct fields *fields, struct grant *grant) {
    grant->lifetime_s = TOKEN_LIFETIME_S;
    if (fields_has(fields, "expires_in")) {
        grant->lifetime_s =
            fields_integer(fields, "expires_in", FIELD_OPTIONAL, 0, TOKEN_LIFETIME_MAX_S);
    }
    const char *at = fields_text(fields, "expires_at", FIELD_OPTIONAL, 1, 40);
    if (at != NULL) {
        int64_t until_ms = 0;
        int64_t left_s = date_parse(at, &until_ms) ? (until_ms - wall_now().ms) / 1000 : 0;
        if (left_s <= 0 || left_s > TOKEN_LIFETIME_MAX_S) {
            fields_fail(fields, "expires_at", "must be a time to come, as 2030-01-31T00:00:00Z");
        }
        grant->lifetime_s = left_s;
    }
}

static void grant_run(struct request *rq, struct grant *grant) {
    struct fields fields = request_fields(rq);
    static const char *const optional[] = {"client_id", "client_secret", "mfa_token", "otp"};
    for (size_t i = 0; i < SW_COUNT(optional); i++) {
        fields_known(&fields, optional[i]);
    }
    const char *type = fields_text(&fields, "grant_type", FIELD_REQUIRED, 1, 64);
    grant->client_id = grant->basic_user;
    grant->client_secret = grant->basic_password;
    if (grant->client_id == NULL) {
        grant->client_id = fields_text(&fields, "client_id", FIELD_OPTIONAL, 0, 128);
        grant->client_secret = fields_text(&fields, "client_secret", FIELD_OPTIONAL, 0, 128);
    }
    read_lifetime(&fields, grant);
    if (fields.failed) {
        return;
    }
    bool has_client = grant->client_id != NULL && grant->client_secret != NULL;
    grant->is_public = has_client && client_is_known(grant->client_id, grant->client_secret);
    if (!has_client) {
        reply_oauth_error(&rq->reply, 400, "invalid_client", "Client credentials are invalid");
    } else if (strcmp(type, "client_credentials") == 0) {
        grant_client(rq, grant, &fields);
    } else if (!grant->is_public && !client_is_proven(rq, grant)) {
        return;
    } else if (strcmp(type, "refresh_token") == 0) {
        grant_refresh(rq, grant, &fields);
    } else if (strcmp(type, "password") == 0 && !grant->is_public) {
        reply_oauth_error(&rq->reply, 400, "unauthorized_client",
                          "This client acts for itself: grant_type=client_credentials");
    } else if (strcmp(type, "password") == 0) {
        grant_password(rq, grant, &fields);
    } else {
        reply_oauth_error(&rq->reply, 400, "unsupported_grant_type",
                          "Grant types are password, client_credentials and refresh_token");
    }
}

static void grant_close(struct grant *grant) {
    if (grant->basic_password != NULL) {
        crypto_wipe(grant->basic_password, strlen(grant->basic_password));
    }
    MHD_free(grant->basic_user);
    MHD_free(grant->basic_password);
    crypto_wipe(&grant->login, sizeof grant->login);
}

void handle_oauth_token(struct request *rq) {
    struct grant grant = {.rq = rq};
    grant.basic_user = MHD_basic_auth_get_username_password(rq->connection, &grant.basic_password);
    if (grant.basic_password == NULL) {
        MHD_free(grant.basic_user);
        grant.basic_user = NULL;
    }
    grant_run(rq, &grant);
    grant_close(&grant);
}

/* --- what exists --- */

struct listing {
    int64_t user_id;
    struct token_list list;
};

static int run_list(struct app_tx *tx, void *arg) {
    struct listing *listing = arg;
    return app_token_list(tx, listing->user_id, &listing->list);
}

/* With HTTP Basic; false with the reply of OAuth. */
static bool login_basic(struct request *rq, struct grant *grant) {
    grant->basic_user =
        MHD_basic_auth_get_username_password(rq->connection, &grant->basic_password);
    grant->name = grant->basic_user;
    if (grant->basic_user == NULL || grant->basic_password == NULL) {
        reply_header(&rq->reply, "WWW-Authenticate", "Basic realm=\"slipway\"");
        reply_oauth_error(&rq->reply, 401, "invalid_request",
                          "Give the user's name and password with HTTP Basic");
        return false;
    }
    return login(rq, grant, grant->basic_password);
}

/* Tokens are kept as hashes: the list cannot show them. */
void handle_tokens_list(struct request *rq) {
    struct grant grant = {.rq = rq};
    if (login_basic(rq, &grant)) {
        struct listing listing = {.user_id = grant.login.user.id};
        if (request_read(rq, run_list, &listing)) {
            json_t *pages = json_array();
            for (size_t i = 0; i < listing.list.count; i++) {
                const struct token *token = &listing.list.items[i];
                (void)json_array_append_new(
                    pages,
                    json_pack("{s:I, s:n, s:o, s:s}", "id", (json_int_t)token->id, "token",
                              "expires_at", page_time(token->expires_ms), "client", token->client));
            }
            free(listing.list.items);
            reply_json(&rq->reply, 200, pages);
        }
    }
    grant_close(&grant);
}

void handle_tokens_current(struct request *rq) {
    json_t *scopes = json_array();
    char words[sizeof rq->identity.user.scopes];
    memcpy(words, rq->identity.user.scopes, sizeof words);
    char *rest = NULL;
    for (char *word = strtok_r(words, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest)) {
        (void)json_array_append_new(scopes, json_string(word));
    }
    reply_json(&rq->reply, 200,
               json_pack("{s:o, s:s, s:o, s:[]}", "expires_at",
                         page_time(rq->identity.token.expires_ms), "client",
                         rq->identity.token.client, "scopes", scopes, "orgs"));
}

struct ending {
    const char *text;    /* the token; NULL: by its number */
    int64_t user_id, id; /* as listed */
};

static int run_revoke(struct app_tx *tx, void *arg) {
    const struct ending *ending = arg;
    return ending->text != NULL ? app_token_revoke(tx, ending->text, strlen(ending->text))
                                : app_token_revoke_listed(tx, ending->user_id, ending->id);
}

static void end_token(struct request *rq, struct ending ending) {
    struct app_error error = {0};
    int rc = app_execute(rq->server->app, run_revoke, &ending, &error);
    if (rc == SW_E_NOT_FOUND || rc == SW_E_INPUT || rc == SW_E_AUTH) {
        reply_missing(&rq->reply, "Token not found");
    } else if (rc != SW_OK) {
        reply_app_error(&rq->reply, rc, &error);
    } else {
        reply_json(&rq->reply, 200, json_pack("{s:b}", "ok", 1));
    }
}

void handle_tokens_revoke_current(struct request *rq) {
    const json_t *fields = rq->has_body ? rq->body.fields : NULL;
    end_token(rq, (struct ending){.text = admit_token(rq, fields)});
}

/* Whoever knows a token may end it: existing clients send nothing else. Who knows only its number
 * in the list shows the password again. */
void handle_tokens_revoke(struct request *rq) {
    enum { NUMBER_DIGITS_MAX = 19 };
    struct ending ending = {.text = request_param(rq, "token")};
    struct grant grant = {.rq = rq};
    bool is_number =
        strlen(ending.text) <= NUMBER_DIGITS_MAX && text_integer(ending.text, &ending.id);
    if (is_number && login_basic(rq, &grant)) {
        ending.user_id = grant.login.user.id;
        ending.text = NULL;
    }
    if (rq->reply.status == 0) {
        end_token(rq, ending);
    }
    grant_close(&grant);
}

static int run_revoke_all(struct app_tx *tx, void *arg) {
    return app_token_revoke_all(tx, *(const int64_t *)arg);
}

void handle_tokens_revoke_all(struct request *rq) {
    int64_t user_id = rq->identity.user.id;
    if (request_write(rq, run_revoke_all, &user_id)) {
        reply_json(&rq->reply, 200, json_pack("{s:b}", "ok", 1));
    }
}
