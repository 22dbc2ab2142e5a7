/* Whoever starts the daemon may give token and password, each in the environment or in a file; and
 * may change them by giving others at a later start. */
#include "administrator.h"

#include "secret.h"

#include "slipway/util/hex.h"

#include <stdlib.h>
#include <string.h>

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

/* *out is false where it has a password that shall stay. */
static int take_password(struct app *app, const struct folder *folder, const struct config *config,
                         char text[SECRET_BYTES], bool *out, struct fault *fault) {
    bool exists = false;
    int status = app_administrator_exists(app, &exists, fault);
    if (status != SW_OK) {
        return status;
    }
    status = given("SLIPWAY_ADMIN_PASSWORD", config->admin_password_file, text, fault);
    *out = status != SW_E_NOT_FOUND || !exists;
    if (status == SW_E_NOT_FOUND) {
        status = exists ? SW_OK : folder_secret(folder, "admin_password", text, fault);
    }
    return status;
}

int administrator_open(struct app *app, const struct folder *folder, const struct config *config,
                       struct fault *fault) {
    char token[TOKEN_DIGITS + 1], password[SECRET_BYTES] = "";
    bool has_password = false;
    int status = administrator_token(folder, config, token, fault);
    status = status != SW_OK ? status
                             : take_password(app, folder, config, password, &has_password, fault);
    status = status != SW_OK ? status
                             : app_administrator(app, token, has_password ? password : NULL, fault);
    crypto_wipe(password, sizeof password);
    crypto_wipe(token, sizeof token);
    return status;
}
