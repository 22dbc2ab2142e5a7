/* The first start: somebody must be able to come in. */
#include "slipway/app/token.h"
#include "slipway/crypto/secret.h"

#include "app/internal.h"

#define ADMIN_NAME "admin"

struct administrator {
    const char *token;
    struct app_login login; /* as stored; user id 0 = none yet */
    struct app_password password;
    bool is_password_new;
};

static int read_login(struct app_tx *tx, void *arg) {
    struct administrator *admin = (struct administrator *)arg;
    return app_login_begin(tx, ADMIN_NAME, "", &admin->login);
}

static int settle(struct app_tx *tx, void *arg) {
    const struct administrator *admin = (const struct administrator *)arg;
    struct user user = admin->login.user;
    struct app_identity identity;
    struct app_token_made made;
    int code = SW_OK;
    if (user.id == 0) {
        code = app_user_create(tx, ADMIN_NAME, &admin->password, true, &user);
    } else if (admin->is_password_new) {
        code = app_user_set_password(tx, user.id, &admin->password);
    }
    if (code != SW_OK || app_token_verify(tx, admin->token, TOKEN_DIGITS, &identity) == SW_OK) {
        return code;
    }
    code = app_token_revoke_all(tx, user.id);
    const struct app_token_new request = {
        .user_id = user.id, .client = "slipwayd", .text = admin->token};
    code = code != SW_OK ? code : app_token_create(tx, &request, &made);
    crypto_wipe(&made, sizeof made);
    return code;
}

static int execute(struct app *app, app_run_fn *run, struct administrator *admin,
                   struct fault *fault) {
    struct app_error error;
    int code = app_execute(app, run, admin, &error);
    return code == SW_OK ? SW_OK
                         : fault_set(fault, code, "the administrator: %s",
                                     error.cause[0] != '\0' ? error.cause : error.description);
}

int app_administrator_exists(struct app *app, bool *exists, struct fault *fault) {
    struct administrator admin = {.token = NULL};
    int code = execute(app, read_login, &admin, fault);
    *exists = admin.login.user.id != 0;
    crypto_wipe(&admin, sizeof admin);
    return code;
}

int app_administrator(struct app *app, const char *token, const char *password,
                      struct fault *fault) {
    struct administrator admin = {.token = token};
    int code = execute(app, read_login, &admin, fault);
    admin.login.is_locked = false; /* of no interest to who starts the server */
    if (code == SW_OK && password != NULL &&
        !app_login_matches(&admin.login, span_text(password))) {
        admin.is_password_new = true;
        code = app_password_hash(app, span_text(password), &admin.password);
        (void)fault_set(fault, code, "the administrator's password cannot be hashed");
    }
    if (code == SW_OK) {
        code = execute(app, settle, &admin, fault);
    }
    crypto_wipe(&admin, sizeof admin);
    return code;
}
