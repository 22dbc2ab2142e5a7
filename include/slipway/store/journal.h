/* Rows of events, users and tokens. Conventions as in store/catalog.h. */
#ifndef SLIPWAY_STORE_JOURNAL_H
#define SLIPWAY_STORE_JOURNAL_H

#include "slipway/store/record.h"
#include "slipway/store/store.h"

/* Appends; sets event->id. */
int store_event_append(struct store *store, struct event *event, struct fault *fault) SW_NODISCARD;
int store_event_last(struct store *store, int64_t *id, struct fault *fault) SW_NODISCARD;
struct store_event_filter {
    int64_t after_id, until_id; /* after < id <= until */
    uint16_t product_id;        /* 0 = all; not with device */
    const struct device_id *device;
    uint32_t max;
};
int store_event_list(struct store *store, const struct store_event_filter *filter,
                     struct event **items, size_t *count, struct fault *fault) SW_NODISCARD;
/* Of the oldest max, drops those up to the id floor or from before that time. */
int store_event_prune(struct store *store, int64_t floor_id, int64_t before_ms, uint32_t max,
                      uint32_t *count, struct fault *fault) SW_NODISCARD;

struct store_user {
    struct user user;
    bool has_password;
    uint8_t salt[16], hash[32];
};
/* created_ms is the time; sets user.id. */
int store_user_insert(struct store *store, struct store_user *row,
                      struct fault *fault) SW_NODISCARD;
int store_user_get(struct store *store, int64_t id, struct store_user *out,
                   struct fault *fault) SW_NODISCARD;
int store_user_by_name(struct store *store, const char *name, struct store_user *out,
                       struct fault *fault) SW_NODISCARD;
/* People first, then the API users of the product. */
int store_user_list(struct store *store, uint16_t product_id, struct store_user **items,
                    size_t *count, struct fault *fault) SW_NODISCARD;
int store_user_set_password(struct store *store, const struct store_user *row,
                            struct fault *fault) SW_NODISCARD;
/* Wrong passwords of a user, by the place that they came from. Those until since_ms are over, and
 * those from until_ms on, of before the clock was set back. */
struct store_login {
    int64_t user_id;
    const char *place; /* "" = none, and may not fail */
    int64_t since_ms, until_ms;
};
struct store_login_failures {
    uint32_t here, everywhere;
};
int store_login_failures(struct store *store, const struct store_login *login,
                         struct store_login_failures *out, struct fault *fault) SW_NODISCARD;
int store_login_failed(struct store *store, const struct store_login *login, int64_t now_ms,
                       struct fault *fault) SW_NODISCARD;
/* Those of the place, and what is over. */
int store_login_forget(struct store *store, const struct store_login *login,
                       struct fault *fault) SW_NODISCARD;
/* Friendly name and scopes. */
int store_user_edit(struct store *store, const struct user *user, struct fault *fault) SW_NODISCARD;
int store_user_delete(struct store *store, int64_t id, struct fault *fault) SW_NODISCARD;

struct store_token {
    struct token token;
    int64_t pair; /* what was given out together; 0 = alone */
    struct sha256 hash;
};
/* created_ms is the time; sets token.id. */
int store_token_insert(struct store *store, struct store_token *row,
                       struct fault *fault) SW_NODISCARD;
int store_token_by_hash(struct store *store, const struct sha256 *hash, struct store_token *out,
                        struct fault *fault) SW_NODISCARD;
int store_token_get(struct store *store, int64_t id, struct store_token *out,
                    struct fault *fault) SW_NODISCARD;
/* A token with its user: asked by every request, so a reader keeps those that it saw last. */
int store_token_owner(struct store *store, const struct sha256 *hash, struct store_token *token,
                      struct user *user, struct fault *fault) SW_NODISCARD;
/* Access tokens of a user, oldest first. */
int store_token_list(struct store *store, int64_t user_id, struct store_token **items,
                     size_t *count, struct fault *fault) SW_NODISCARD;
/* It and what was given out with it. */
int store_token_delete(struct store *store, const struct store_token *row,
                       struct fault *fault) SW_NODISCARD;
int store_token_delete_user(struct store *store, int64_t user_id, struct fault *fault) SW_NODISCARD;
int store_token_delete_expired(struct store *store, int64_t now_ms,
                               struct fault *fault) SW_NODISCARD;

#endif
