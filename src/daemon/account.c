/* People and their tokens without the REST door: for the first of them, and for whoever lost the
 * last way in. Passwords never stand on a command line, which others can read. */
#include "secret.h"
#include "tasks.h"

#include "slipway/app/token.h"
#include "slipway/crypto/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define PASSWORD_MIN 8

struct account {
    const struct options *options;
    struct app *app;
    char password_text[SECRET_BYTES];
    struct app_password password;
    struct app_token_made made;
};

/* --- the password --- */

/* Without echo, and with the interrupt key as a character: so the terminal is always set back. */
static int ask(int terminal, const char *question, char out[SECRET_BYTES], struct fault *fault) {
    struct termios usual, silent;
    if (tcgetattr(terminal, &usual) != 0) {
        return fault_set(fault, SW_E_IO, "the terminal cannot be made silent");
    }
    silent = usual;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
    silent.c_lflag |= ECHONL;
    (void)tcsetattr(terminal, TCSAFLUSH, &silent);
    (void)!write(terminal, question, strlen(question));
    int status = secret_read_line(terminal, out, fault);
    (void)tcsetattr(terminal, TCSAFLUSH, &usual);
    return status;
}

static int ask_twice(struct account *account, struct fault *fault) {
    char again[SECRET_BYTES] = "";
    int status = ask(STDIN_FILENO, "New password: ", account->password_text, fault);
    status = status != SW_OK ? status : ask(STDIN_FILENO, "Again: ", again, fault);
    if (status == SW_OK && strcmp(again, account->password_text) != 0) {
        status = fault_set(fault, SW_E_INPUT, "the two passwords differ");
    }
    crypto_wipe(again, sizeof again);
    return status;
}

static int read_password(struct account *account, struct fault *fault) {
    const char *file = account->options->password;
    if (file == NULL) {
        return isatty(STDIN_FILENO) ? ask_twice(account, fault)
                                    : secret_read_line(STDIN_FILENO, account->password_text, fault);
    }
    return secret_read(file, account->password_text, fault);
}

static int take_password(struct account *account, struct fault *fault) {
    const char *text = account->password_text;
    int status = read_password(account, fault);
    if (status == SW_OK && strlen(text) < PASSWORD_MIN) {
        status =
            fault_set(fault, SW_E_RANGE, "the password is shorter than %d bytes", PASSWORD_MIN);
    }
    for (size_t i = 0; status == SW_OK && text[i] != '\0'; i++) {
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) {
            status = fault_set(fault, SW_E_INPUT, "the password has a control character");
        }
    }
    if (status == SW_OK) {
        status = app_password_hash(account->app, span_text(text), &account->password);
        (void)fault_set(fault, status, "the password cannot be hashed");
    }
    return status;
}

/* --- what is done --- */

static int run_add(struct app_tx *tx, void *arg) {
    const struct account *account = arg;
    struct user user;
    return app_user_create(tx, account->options->name, &account->password, false, &user);
}

static int run_password(struct app_tx *tx, void *arg) {
    const struct account *account = arg;
    struct user user;
    int code = app_user_get(tx, account->options->name, &user);
    if (code == SW_OK && user.is_api) {
        code = app_fail(tx, SW_E_DENIED, "not_allowed", "username",
                        "%.100s is an API user: it has a token and no password", user.name);
    }
    return code == SW_OK ? app_user_set_password(tx, user.id, &account->password) : code;
}

static int run_remove(struct app_tx *tx, void *arg) {
    const struct account *account = arg;
    return app_user_remove(tx, 0, account->options->name);
}

static int run_token(struct app_tx *tx, void *arg) {
    struct account *account = arg;
    struct user user;
    int code = app_user_get(tx, account->options->name, &user);
    const struct app_token_new request = {
        .user_id = user.id, .client = "slipwayd", .lifetime_s = account->options->lifetime_s};
    return code == SW_OK ? app_token_create(tx, &request, &account->made) : code;
}

static int perform(struct account *account, struct fault *fault) {
    struct app_error error = {0};
    enum task task = account->options->task;
    bool is_token = task == TASK_TOKEN_CREATE;
    app_run_fn *run = is_token                     ? run_token
                      : task == TASK_USER_REMOVE   ? run_remove
                      : task == TASK_USER_PASSWORD ? run_password
                                                   : run_add;
    bool needs_password = task == TASK_USER_ADD || task == TASK_USER_PASSWORD;
    int status = needs_password ? take_password(account, fault) : SW_OK;
    if (status != SW_OK) {
        return status;
    }
    status = app_execute(account->app, run, account, &error);
    if (status != SW_OK) {
        return fault_set(fault, status, "%s",
                         error.cause[0] != '\0' ? error.cause : error.description);
    }
    if (is_token) {
        (void)puts(account->made.access);
    }
    return SW_OK;
}

static int open_app(struct account *account, struct folder *folder, struct fault *fault) {
    char path[FOLDER_PATH_MAX];
    int status = folder_open(folder, account->options->data, fault);
    bool is_served = status == SW_E_BUSY;
    if (status != SW_OK && !is_served) {
        return status;
    }
    /* A daemon that finds a database wants the keys that were there before it. */
    status = is_served ? SW_OK : folder_make_keys(folder, fault);
    status = status != SW_OK ? status : folder_file(folder, FOLDER_DATABASE, path, fault);
    const struct app_options options = {.path = path, .is_guest = is_served};
    return status == SW_OK ? app_open(&account->app, &options, fault) : status;
}

int task_account(const struct options *options) {
    struct account account = {.options = options};
    struct folder folder = {.lock = -1};
    struct fault fault = {0};
    int status = open_app(&account, &folder, &fault);
    status = status != SW_OK ? status : perform(&account, &fault);
    app_close(account.app);
    folder_close(&folder);
    crypto_wipe(&account, sizeof account);
    if (status != SW_OK) {
        (void)fprintf(stderr, "slipwayd: %s\n", fault.text);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
