/* The first user: there from the first start on, so that somebody can come in. */
#ifndef SLIPWAY_DAEMON_ADMINISTRATOR_H
#define SLIPWAY_DAEMON_ADMINISTRATOR_H

#include "config.h"
#include "folder.h"

/* It exists afterwards, with the token and the password that the environment or the settings give.
 * What neither gives is made at the first start and stays in the folder. */
int administrator_open(struct app *app, const struct folder *folder, const struct config *config,
                       struct fault *fault) SW_NODISCARD;

/* Its token: SLIPWAY_ADMIN_TOKEN, else the file of admin.token_file, else the folder's. */
int administrator_token(const struct folder *folder, const struct config *config,
                        char out[TOKEN_DIGITS + 1], struct fault *fault) SW_NODISCARD;

#endif
