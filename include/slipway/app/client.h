/* OAuth clients: programs with an id and a secret that buy tokens in their own name. What a client
 * may do is what its scopes allow, within its product; it can make no further way in for others, so
 * its removal ends everything it had. */
#ifndef SLIPWAY_APP_CLIENT_H
#define SLIPWAY_APP_CLIENT_H

#include "slipway/app/token.h"

struct app_client_edit { /* NULL = stays (edit) or is left out (create) */
    const char *name, *type, *redirect_uri;
    const char *const *scopes;
    size_t scope_count;
};
/* by: who creates it; an API user's client has at most its scopes. Without scopes it has all that
 * it can have. The secret is 40 digits, shown once. */
int app_client_create(struct app_tx *tx, uint16_t product_id, const struct app_client_edit *fields,
                      const struct user *by, struct client *out,
                      char secret[TOKEN_DIGITS + 1]) SW_NODISCARD;
struct client_list {
    struct client *items; /* free() */
    size_t count;
};
int app_client_list(struct app_tx *tx, uint16_t product_id, struct client_list *out) SW_NODISCARD;
/* Its scopes count from its next request on. The type stays. SW_E_NOT_FOUND. */
int app_client_edit(struct app_tx *tx, uint16_t product_id, const char *uid,
                    const struct app_client_edit *edit, struct client *out) SW_NODISCARD;
/* Its tokens end with it. */
int app_client_remove(struct app_tx *tx, uint16_t product_id, const char *uid) SW_NODISCARD;

/* Whose id and secret these are: out->user; SW_E_AUTH if nobody's. */
int app_client_verify(struct app_tx *tx, const char *uid, const char *secret,
                      struct user *out) SW_NODISCARD;

#endif
