/* Whoever starts the daemon may give token and password, each in the environment or in a file; and
 * may change them by giving others at a later start. */
#include "administrator.h"

#include "secret.h"

#include "slipway/util/hex.h"

#include <stdlib.h>
#include <string.h>

#define ADMIN_NAME "admin"

struct administrator {
    const char *token;
    struct app_login login; /* as stored; user id 0 = none yet */
    struct app_password password;
    bool is_password_new;
};

static int admin_read(struct app_tx *tx, void *arg) {
    struct administrator *admin = arg;
    return app_login_begin(tx, ADMIN_NAME, &admin->login);
}

static int admin_settle(struct app_tx *tx, void *arg) {
    const struct administrator *admin = arg;
    struct user user = admin->login.user;
    struct app_identity identity;
    struct app_token_made made;
    int status = SW_OK;
    if (user.id == 0) {
        status = app_user_create(tx, ADMIN_NAME, &admin->password, true, &user);
    } else if (admin->is_password_new) {
        status = app_user_set_password(tx, user.id, &admin->password);
    }
    if (status != SW_OK || app_token_verify(tx, admin->token, TOKEN_DIGITS, &identity) == SW_OK) {
        return status;
    }
    status = app_token_revoke_all(tx, user.id);
    const struct app_token_new request = {
        .user_id = user.id, .client = "slipwayd", .text = admin->token};
    status = status != SW_OK ? status : app_token_create(tx, &request, &made);
    crypto_wipe(&made, sizeof made);
    return status;
}

/* SW_E_NOT_FOUND: neither the environment nor the settings have one. */
static int given(const char *variable, const char *file, char out[SECRET_BYTES],
                 struct fault *fault) {
    const char *text = getenv(variable);
    if (text != NULL && text[0] != '\0') {
        size_t len = strlen(text);
        if (len >= SECRET_BYTES) {
            return fault_set(fault, SW_E_RANGE, "%s is longer than %d bytes", variable, SECRET_MAX);
        }
        memcpy(out, text, len + 1);
        return SW_OK;
    }
    return file[0] != '\0' ? secret_read(file, out, fault) : SW_E_NOT_FOUND;
}

int administrator_token(const struct folder *folder, const struct config *config,
                        char out[TOKEN_DIGITS + 1], struct fault *fault) {
    char text[SECRET_BYTES];
    uint8_t bytes[TOKEN_DIGITS / 2];
    int status = given("SLIPWAY_ADMIN_TOKEN", config->admin_token_file, text, fault);
    if (status == SW_E_NOT_FOUND) {
        return folder_secret(folder, "admin_token", out, fault);
    }
    if (status == SW_OK && hex_decode(text, strlen(text), bytes, sizeof bytes) != SW_OK) {
        const char *variable = getenv("SLIPWAY_ADMIN_TOKEN");
        bool is_variable = variable != NULL && variable[0] != '\0';
        status = fault_set(fault, SW_E_INPUT, "%s is not %d hexadecimal digits",
                           is_variable ? "SLIPWAY_ADMIN_TOKEN" : "the token of admin.token_file",
                           TOKEN_DIGITS);
    }
    if (status == SW_OK) {
        memcpy(out, text, TOKEN_DIGITS + 1);
    }
    crypto_wipe(text, sizeof text);
    crypto_wipe(bytes, sizeof bytes);
    return status;
}

static int take_password(struct app *app, const struct folder *folder, const struct config *config,
                         struct administrator *admin, struct fault *fault) {
    char text[SECRET_BYTES];
    int status = app_execute(app, admin_read, admin, NULL);
    if (status != SW_OK) {
        return fault_set(fault, status, "the administrator cannot be read");
    }
    admin->login.is_locked = false; /* of no interest to who starts the daemon */
    status = given("SLIPWAY_ADMIN_PASSWORD", config->admin_password_file, text, fault);
    if (status == SW_E_NOT_FOUND && admin->login.user.id != 0) {
        return SW_OK; /* it has one */
    }
    if (status == SW_E_NOT_FOUND) {
        status = folder_secret(folder, "admin_password", text, fault);
    }
    if (status == SW_OK && !app_login_matches(&admin->login, span_text(text))) {
        admin->is_password_new = true;
        status = app_password_hash(app, span_text(text), &admin->password);
    }
    crypto_wipe(text, sizeof text);
    return status;
}

int administrator_open(struct app *app, const struct folder *folder, const struct config *config,
                       struct fault *fault) {
    char token[TOKEN_DIGITS + 1];
    struct app_error error = {0};
    struct administrator admin = {.token = token};
    int status = administrator_token(folder, config, token, fault);
    status = status != SW_OK ? status : take_password(app, folder, config, &admin, fault);
    if (status == SW_OK) {
        status = app_execute(app, admin_settle, &admin, &error);
        if (status != SW_OK) {
            (void)fault_set(fault, status, "the administrator cannot be made: %s",
                            error.description);
        }
    }
    crypto_wipe(&admin, sizeof admin);
    crypto_wipe(token, sizeof token);
    return status;
}
