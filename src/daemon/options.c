#include "options.h"

#include "slipway/util/check.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const struct {
    const char *word;
    enum task task;
} tasks[] = {{"key", TASK_KEY},
             {"token", TASK_TOKEN},
             {"--dump-config", TASK_DUMP},
             {"--example-config", TASK_EXAMPLE},
             {"--version", TASK_VERSION},
             {"--help", TASK_HELP}};

int options_read(int argc, char **argv, struct options *out, struct fault *fault) {
    *out = (struct options){.task = TASK_SERVE};
    const struct {
        const char *word;
        const char **value;
    } values[] = {{"--data", &out->data},
                  {"--http", &out->http},
                  {"--dtls", &out->dtls},
                  {"--config", &out->file},
                  {"--dct", &out->dct}};
    for (int n = 1; n < argc; n++) {
        bool known = strcmp(argv[n], "--spki") == 0;
        out->spki = out->spki || known;
        for (size_t i = 0; i < SW_COUNT(tasks) && !known; i++) {
            known = strcmp(argv[n], tasks[i].word) == 0;
            out->task = known ? tasks[i].task : out->task;
        }
        for (size_t i = 0; i < SW_COUNT(values) && !known; i++) {
            known = strcmp(argv[n], values[i].word) == 0;
            if (known && n + 1 == argc) {
                return fault_set(fault, SW_E_INPUT, "%s needs a value", argv[n]);
            }
            if (known) {
                *values[i].value = argv[++n];
            }
        }
        if (!known) {
            return fault_set(fault, SW_E_INPUT, "unknown word %.40s; see --help", argv[n]);
        }
    }
    bool needs_data = out->task == TASK_SERVE || out->task == TASK_KEY || out->task == TASK_TOKEN;
    return needs_data && out->data == NULL
               ? fault_set(fault, SW_E_INPUT, "--data DIR is missing; see --help")
               : SW_OK;
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
    char *end = NULL;
    long number = colon == NULL ? -1 : strtol(colon + 1, &end, 10);
    const char *from = text[0] == '[' ? text + 1 : text;
    size_t len = colon == NULL ? 0 : (size_t)(colon - from);
    if (text[0] == '[' && len > 0) {
        len = from[len - 1] == ']' ? len - 1 : 0;
    }
    if (number < 0 || number > 65535 || end == colon + 1 || *end != '\0' || len == 0 ||
        len >= sizeof name) {
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
