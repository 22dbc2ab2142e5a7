#include "options.h"

#include "slipway/app/token.h"
#include "slipway/util/check.h"
#include "slipway/util/text.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const struct {
    const char *word, *second; /* NULL = one word */
    bool has_name;
    enum task task;
} tasks[] = {{"key", NULL, false, TASK_KEY},
             {"token", NULL, false, TASK_TOKEN},
             {"token", "create", true, TASK_TOKEN_CREATE},
             {"user", "add", true, TASK_USER_ADD},
             {"user", "password", true, TASK_USER_PASSWORD},
             {"user", "remove", true, TASK_USER_REMOVE},
             {"backup", NULL, false, TASK_BACKUP},
             {"--dump-config", NULL, false, TASK_DUMP},
             {"--example-config", NULL, false, TASK_EXAMPLE},
             {"--version", NULL, false, TASK_VERSION},
             {"--help", NULL, false, TASK_HELP}};

static bool same(const char *word, const char *wanted) {
    return word == NULL || wanted == NULL ? word == wanted : strcmp(word, wanted) == 0;
}

/* What is to be done: up to three words. */
static int read_task(char *const words[3], struct options *out, struct fault *fault) {
    if (words[0] == NULL) {
        return SW_OK;
    }
    for (size_t i = 0; i < SW_COUNT(tasks); i++) {
        if (!same(words[0], tasks[i].word) || !same(words[1], tasks[i].second)) {
            continue;
        }
        out->task = tasks[i].task;
        out->name = words[2];
        return tasks[i].has_name == (words[2] != NULL)
                   ? SW_OK
                   : fault_set(fault, SW_E_INPUT, "%s %s needs a name; see --help", words[0],
                               words[1]);
    }
    if (same(words[0], "user")) {
        return fault_set(fault, SW_E_INPUT, "user needs add, password or remove; see --help");
    }
    return fault_set(fault, SW_E_INPUT, "unknown word %.40s%s%.40s; see --help", words[0],
                     words[1] != NULL ? " " : "", words[1] != NULL ? words[1] : "");
}

static int read_lifetime(const char *text, struct options *out, struct fault *fault) {
    int64_t value = 0;
    out->lifetime_s = TOKEN_LIFETIME_S;
    if (text == NULL) {
        return SW_OK;
    }
    if (!text_integer(text, &value) || value < 0 || value > TOKEN_LIFETIME_MAX_S) {
        return fault_set(fault, SW_E_RANGE, "--expires-in: \"%.40s\" is not from 0 to %lld seconds",
                         text, (long long)TOKEN_LIFETIME_MAX_S);
    }
    out->lifetime_s = value;
    return SW_OK;
}

static bool is_task_word(const char *word) {
    for (size_t i = 0; i < SW_COUNT(tasks); i++) {
        if (strcmp(word, tasks[i].word) == 0) {
            return true;
        }
    }
    return word[0] != '-';
}

int options_read(int argc, char **argv, struct options *out, struct fault *fault) {
    *out = (struct options){.task = TASK_SERVE};
    const char *lifetime = NULL;
    char *words[3] = {NULL};
    size_t word_count = 0;
    const struct {
        const char *word;
        const char **value;
    } values[] = {{"--data", &out->data}, {"--http", &out->http},
                  {"--dtls", &out->dtls}, {"--config", &out->file},
                  {"--dct", &out->dct},   {"--password-file", &out->password},
                  {"--to", &out->to},     {"--expires-in", &lifetime}};
    for (int n = 1; n < argc; n++) {
        bool known = strcmp(argv[n], "--spki") == 0;
        out->spki = out->spki || known;
        for (size_t i = 0; i < SW_COUNT(values) && !known; i++) {
            known = strcmp(argv[n], values[i].word) == 0;
            if (known && n + 1 == argc) {
                return fault_set(fault, SW_E_INPUT, "%s needs a value", argv[n]);
            }
            if (known) {
                *values[i].value = argv[++n];
            }
        }
        if (!known && word_count < SW_COUNT(words) && is_task_word(argv[n])) {
            words[word_count++] = argv[n];
            known = true;
        }
        if (!known) {
            return fault_set(fault, SW_E_INPUT, "unknown word %.40s; see --help", argv[n]);
        }
    }
    int status = read_task(words, out, fault);
    status = status != SW_OK ? status : read_lifetime(lifetime, out, fault);
    bool needs_data = out->task != TASK_DUMP && out->task != TASK_EXAMPLE &&
                      out->task != TASK_VERSION && out->task != TASK_HELP;
    if (status == SW_OK && needs_data && out->data == NULL) {
        return fault_set(fault, SW_E_INPUT, "--data DIR is missing; see --help");
    }
    return status == SW_OK && out->task == TASK_BACKUP && out->to == NULL
               ? fault_set(fault, SW_E_INPUT, "--to FOLDER is missing; see --help")
               : status;
}

int options_config(const struct options *options, struct config *out, struct fault *fault) {
    config_init(out);
    int status = options->file == NULL ? SW_OK : config_read(out, options->file, fault);
    if (status == SW_OK && options->http != NULL) {
        status = config_set(out, "http.listen", options->http, fault);
    }
    if (status == SW_OK && options->dtls != NULL) {
        status = config_set(out, "dtls.listen", options->dtls, fault);
    }
    return status != SW_OK ? status : config_check(out, fault);
}

int host_port_parse(const char *text, char host[HOST_MAX], uint16_t *port, struct fault *fault) {
    const char *colon = strrchr(text, ':');
    char name[HOST_MAX];
    int64_t number = -1;
    const char *from = text[0] == '[' ? text + 1 : text;
    size_t len = colon == NULL ? 0 : (size_t)(colon - from);
    if (text[0] == '[' && len > 0) {
        len = from[len - 1] == ']' ? len - 1 : 0;
    }
    if (colon == NULL || !text_integer(colon + 1, &number) || number < 0 || number > UINT16_MAX ||
        len == 0 || len >= sizeof name) {
        return fault_set(fault, SW_E_INPUT, "\"%.60s\" is not HOST:PORT", text);
    }
    memcpy(name, from, len);
    name[len] = '\0';
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int code = getaddrinfo(name, NULL, &hints, &found);
    if (code == 0) {
        code =
            getnameinfo(found->ai_addr, found->ai_addrlen, host, HOST_MAX, NULL, 0, NI_NUMERICHOST);
        freeaddrinfo(found);
    }
    if (code != 0) {
        return fault_set(fault, SW_E_INPUT, "host \"%s\": %s", name, gai_strerror(code));
    }
    *port = (uint16_t)number;
    return SW_OK;
}

void host_port_text(const char *host, uint16_t port, char out[HOST_MAX + 8]) {
    bool is_v6 = strchr(host, ':') != NULL;
    (void)snprintf(out, HOST_MAX + 8, "%s%s%s:%u", is_v6 ? "[" : "", host, is_v6 ? "]" : "", port);
}
