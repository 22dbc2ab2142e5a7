/* Rows of OAuth clients. Conventions as in store/catalog.h. */
#ifndef SLIPWAY_STORE_CLIENT_H
#define SLIPWAY_STORE_CLIENT_H

#include "slipway/store/record.h"
#include "slipway/store/store.h"

/* created_ms is the time; sets id. SW_E_EXISTS: the uid is taken. */
int store_client_insert(struct store *store, struct client *client,
                        struct fault *fault) SW_NODISCARD;
int store_client_by_uid(struct store *store, const char *uid, struct client *out,
                        struct fault *fault) SW_NODISCARD;
/* Oldest first. */
int store_client_list(struct store *store, uint16_t product_id, struct client **items,
                      size_t *count, struct fault *fault) SW_NODISCARD;
/* Name and redirect_uri. It goes when its user goes. */
int store_client_edit(struct store *store, const struct client *client,
                      struct fault *fault) SW_NODISCARD;

#endif
