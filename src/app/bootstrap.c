/* The first start: somebody must be able to come in. */
#include "slipway/app/token.h"
#include "slipway/crypto/secret.h"
#include "slipway/store/journal.h"
#include "slipway/util/hex.h"

#include "app/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ADMIN_NAME   "admin"
#define ADMIN_CLIENT "admin"
#define ADMIN_FILE   "admin-token"

struct bootstrap {
    const char *token; /* given or made; NULL = none */
    struct app_password password;
    bool is_first; /* there was nobody */
};

static int ask_first(struct app_tx *tx, void *arg) {
    struct bootstrap *boot = (struct bootstrap *)arg;
    int64_t people = 0;
    int code = store_user_count(tx->store, &people, tx->fault);
    boot->is_first = people == 0;
    return code;
}

/* The token that was set before is replaced if it is another one. */
static int set_token(struct app_tx *tx, int64_t user_id, const char *text) {
    struct app_identity identity;
    int code = app_token_verify(tx, text, strlen(text), &identity);
    tx->error = (struct app_error){.code = SW_OK};
    if (code == SW_OK && identity.user.id == user_id) {
        return SW_OK;
    }
    struct store_token *rows = NULL;
    size_t count = 0;
    code = store_token_list(tx->store, user_id, &rows, &count, tx->fault);
    for (size_t i = 0; code == SW_OK && i < count; i++) {
        if (strcmp(rows[i].token.client, ADMIN_CLIENT) == 0) {
            code = store_token_delete(tx->store, &rows[i], tx->fault);
        }
    }
    free(rows);
    struct app_token_new request = {.user_id = user_id, .client = ADMIN_CLIENT, .text = text};
    struct app_token_made made;
    return code == SW_OK ? app_token_create(tx, &request, &made) : code;
}

static int make_admin(struct app_tx *tx, void *arg) {
    struct bootstrap *boot = (struct bootstrap *)arg;
    struct user admin;
    int code = boot->is_first ? app_user_create(tx, ADMIN_NAME, &boot->password, true, &admin)
                              : app_user_get(tx, ADMIN_NAME, &admin);
    return code == SW_OK ? set_token(tx, admin.id, boot->token) : code;
}

/* Readable by its owner alone, from its first byte on; written before the token counts. */
static int write_secret(const char *folder, const char *text, struct fault *fault) {
    char path[4096];
    int len = snprintf(path, sizeof path, "%s/%s", folder, ADMIN_FILE);
    if (len < 0 || (size_t)len >= sizeof path) {
        return fault_set(fault, SW_E_RANGE, "the data folder's path is too long");
    }
    (void)unlink(path); /* of a first start that did not get to its end */
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) {
        return fault_set(fault, SW_E_IO, "%s: %s", path, strerrordesc_np(errno));
    }
    size_t size = strlen(text);
    bool good = write(file, text, size) == (ssize_t)size && fsync(file) == 0;
    good = close(file) == 0 && good;
    return good ? SW_OK : fault_set(fault, SW_E_IO, "%s: cannot be written", path);
}

static int first_start(struct app *app, const char *folder, struct bootstrap *boot, bool *written,
                       struct fault *fault) {
    uint8_t random[16];
    char password[2 * sizeof random + 1];
    char token[TOKEN_DIGITS + 1] = "";
    app_entropy(app, random, sizeof random);
    hex_encode(span_of(random, sizeof random), password, sizeof password);
    int code = app_password_hash(app, span_text(password), &boot->password);
    if (code != SW_OK) {
        return fault_set(fault, code, "cannot hash a password");
    }
    char text[256];
    if (boot->token == NULL) {
        uint8_t bytes[TOKEN_DIGITS / 2];
        app_entropy(app, bytes, sizeof bytes);
        hex_encode(span_of(bytes, sizeof bytes), token, sizeof token);
        crypto_wipe(bytes, sizeof bytes);
        boot->token = token;
        (void)snprintf(text, sizeof text, "username %s\npassword %s\ntoken %s\n", ADMIN_NAME,
                       password, token);
        code = write_secret(folder, text, fault);
        *written = code == SW_OK;
    }
    struct app_error error;
    if (code == SW_OK) {
        code = app_execute(app, make_admin, boot, &error);
        if (code != SW_OK) {
            (void)fault_set(fault, code, "cannot create the administrator: %s", error.description);
        }
    }
    crypto_wipe(text, sizeof text);
    crypto_wipe(password, sizeof password);
    crypto_wipe(token, sizeof token);
    boot->token = NULL;
    return code;
}

int app_bootstrap(struct app *app, const char *folder, const char *token, bool *written,
                  struct fault *fault) {
    struct bootstrap boot = {.token = token};
    struct app_error error;
    *written = false;
    uint8_t bytes[TOKEN_DIGITS / 2];
    if (token != NULL && hex_decode(token, strlen(token), bytes, sizeof bytes) != SW_OK) {
        return fault_set(fault, SW_E_INPUT,
                         "the administrator's token must be %d hexadecimal digits", TOKEN_DIGITS);
    }
    int code = app_execute(app, ask_first, &boot, &error);
    if (code == SW_OK && boot.is_first) {
        code = first_start(app, folder, &boot, written, fault);
    } else if (code == SW_OK && token != NULL) {
        code = app_execute(app, make_admin, &boot, &error);
        if (code != SW_OK) {
            (void)fault_set(fault, code, "cannot set the administrator's token: %s",
                            error.description);
        }
    } else if (code != SW_OK) {
        (void)fault_set(fault, code, "cannot read the users: %s", error.description);
    }
    crypto_wipe(&boot, sizeof boot);
    return code;
}
