/* Who may ask: users, API users and their tokens. Tokens are 40 hexadecimal digits outside and
 * SHA-256 hashes inside. */
#ifndef SLIPWAY_APP_TOKEN_H
#define SLIPWAY_APP_TOKEN_H

#include "slipway/app/app.h"

#define TOKEN_DIGITS         40
#define TOKEN_LIFETIME_S     7776000 /* 90 days, what existing clients ask for */
#define TOKEN_LIFETIME_MAX_S (INT64_C(10) * 366 * 24 * 3600) /* ten years */

/* Whose token, or why not: SW_E_NOT_FOUND (unknown or revoked), SW_E_AUTH (expired); then *out is
 * nobody's, all zeroes. For readers. */
struct app_identity {
    struct user user;
    struct token token;
};
int app_token_verify(struct app_tx *tx, const char *text, size_t len,
                     struct app_identity *out) SW_NODISCARD;
/* Whether a token that was verified is still good: not revoked, with its user or by a change of
 * scopes, nor expired. */
int app_token_lives(struct app_tx *tx, int64_t token_id, bool *lives) SW_NODISCARD;
/* Whether a scope word is in the list; admins and people have all of them. */
bool app_identity_may(const struct app_identity *identity, const char *scope);

struct app_token_new {
    int64_t user_id;
    const char *client;
    int64_t lifetime_s; /* at most TOKEN_LIFETIME_MAX_S; 0 = never expires */
    bool with_refresh;  /* also a refresh token, 14 days */
    const char *text;   /* NULL = a random one; else 40 digits (the administrator's) */
};
struct app_token_made {
    char access[TOKEN_DIGITS + 1];
    char refresh[TOKEN_DIGITS + 1]; /* "" without */
    struct token token;
};
int app_token_create(struct app_tx *tx, const struct app_token_new *request,
                     struct app_token_made *out) SW_NODISCARD;
/* Trades a refresh token for a new pair; the old pair is gone. client: the id of the OAuth client
 * that asks, which can only trade its own; NULL for programs without one, which cannot trade those.
 * SW_E_AUTH. */
int app_token_refresh(struct app_tx *tx, const char *text, size_t len, const char *client,
                      int64_t lifetime_s, struct app_token_made *out) SW_NODISCARD;
int app_token_revoke(struct app_tx *tx, const char *text, size_t len) SW_NODISCARD;
/* By its number in the list of the user's. NOT_FOUND. */
int app_token_revoke_listed(struct app_tx *tx, int64_t user_id, int64_t id) SW_NODISCARD;
int app_token_revoke_all(struct app_tx *tx, int64_t user_id) SW_NODISCARD;
struct token_list {
    struct token *items; /* free() */
    size_t count;
};
int app_token_list(struct app_tx *tx, int64_t user_id, struct token_list *out) SW_NODISCARD;

/* --- users --- */
struct app_password { /* salted scrypt */
    uint8_t salt[16];
    uint8_t hash[32];
};
/* The slow part (50 to 100 ms), never inside a job. */
int app_password_hash(const struct app *app, struct span password,
                      struct app_password *out) SW_NODISCARD;

int app_user_create(struct app_tx *tx, const char *name, const struct app_password *password,
                    bool is_admin, struct user *out) SW_NODISCARD;
int app_user_get(struct app_tx *tx, const char *name, struct user *out) SW_NODISCARD;
int app_user_set_password(struct app_tx *tx, int64_t user_id,
                          const struct app_password *password) SW_NODISCARD;
/* Logging in takes three steps, so that the slow hash is on the asker's own thread: read what is
 * stored (the same time for unknown names: *out is then a decoy), compare, record the outcome. */
struct app_login {
    struct user user; /* id 0 = no such user */
    struct app_password stored;
    bool is_locked;
};
/* place: the address that the asker comes from. Too many failures from one place lock the user for
 * that place only, so that nobody locks out somebody else; ten times as many, from wherever they
 * came, lock for all: then somebody guesses with many machines. Tokens go on in any case. */
int app_login_begin(struct app_tx *tx, const char *name, const char *place,
                    struct app_login *out) SW_NODISCARD;
bool app_login_matches(const struct app_login *login, struct span password);
/* A write job: counts failures, clears those of the place after a success. *locked: this failure
 * was one too many. */
int app_login_record(struct app_tx *tx, int64_t user_id, const char *place, bool success,
                     bool *locked) SW_NODISCARD;

/* --- API users: programmatic, one product (0 = all), scopes, one token that never expires --- */
struct app_api_user_new {
    uint16_t product_id;
    const char *friendly_name;
    const char *const *scopes; /* each must be one that the REST dialect knows */
    size_t scope_count;
};
int app_api_user_create(struct app_tx *tx, const struct app_api_user_new *request, struct user *out,
                        char token[TOKEN_DIGITS + 1]) SW_NODISCARD;
/* Replaces name and scopes (NULL name = stays, scopes NULL = stay) and the token. */
int app_api_user_edit(struct app_tx *tx, const char *name, const struct app_api_user_new *request,
                      struct user *out, char token[TOKEN_DIGITS + 1]) SW_NODISCARD;
/* An API user of the product, or (product 0) a person; never the administrator. */
int app_user_remove(struct app_tx *tx, uint16_t product_id, const char *name) SW_NODISCARD;
struct user_list {
    struct user *items; /* free() */
    size_t count;
};
/* People first, then the API users of the product. */
int app_user_list(struct app_tx *tx, uint16_t product_id, struct user_list *out) SW_NODISCARD;

/* The administrator, "admin": exists afterwards with this token (40 digits) and this password (NULL
 * = stays; not for the first time). Another one of either ends its other tokens. Not in a job. */
int app_administrator(struct app *app, const char *token, const char *password,
                      struct fault *fault) SW_NODISCARD;
int app_administrator_exists(struct app *app, bool *exists, struct fault *fault) SW_NODISCARD;

#endif
