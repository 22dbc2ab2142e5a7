/* One table drives everything here: config.def is expanded once into rows that say where a key's
 * value lies in struct config and what it may be. */
#include "config.h"

#include "slipway/sys/log.h"
#include "slipway/util/check.h"
#include "slipway/util/text.h"

#include <errno.h>
#include <ini.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define REMARK_MAX 96 /* characters of a line of the example */

enum config_kind { CONFIG_SECTION, CONFIG_TEXT, CONFIG_NUMBER, CONFIG_FLAG };

struct config_key {
    enum config_kind kind;
    const char *section;
    const char *key;
    size_t at; /* in struct config */
    const char *text;
    int64_t number, min, max; /* a FLAG's default is its number */
    const char *unit;
    bool reloadable;
    const char *help;
};

static const struct config_key config_keys[] = {
#define SECTION(name, explained) {.kind = CONFIG_SECTION, .section = #name, .help = (explained)},
#define TEXT(name, word, fallback, again, explained)                                               \
    {.kind = CONFIG_TEXT,                                                                          \
     .section = #name,                                                                             \
     .key = #word,                                                                                 \
     .at = offsetof(struct config, name##_##word),                                                 \
     .text = (fallback),                                                                           \
     .reloadable = (again),                                                                        \
     .help = (explained)},
#define NUMBER(name, word, fallback, low, high, units, again, explained)                           \
    {.kind = CONFIG_NUMBER,                                                                        \
     .section = #name,                                                                             \
     .key = #word,                                                                                 \
     .at = offsetof(struct config, name##_##word),                                                 \
     .number = (fallback),                                                                         \
     .min = (low),                                                                                 \
     .max = (high),                                                                                \
     .unit = (units),                                                                              \
     .reloadable = (again),                                                                        \
     .help = (explained)},
#define FLAG(name, word, fallback, again, explained)                                               \
    {.kind = CONFIG_FLAG,                                                                          \
     .section = #name,                                                                             \
     .key = #word,                                                                                 \
     .at = offsetof(struct config, name##_##word),                                                 \
     .number = (fallback),                                                                         \
     .reloadable = (again),                                                                        \
     .help = (explained)},
#include "config.def"
#undef SECTION
#undef TEXT
#undef NUMBER
#undef FLAG
};

static char *config_text(struct config *config, const struct config_key *key) {
    return (char *)config + key->at;
}

static const char *config_text_of(const struct config *config, const struct config_key *key) {
    return (const char *)config + key->at;
}

static int64_t config_number_of(const struct config *config, const struct config_key *key) {
    int64_t number;
    if (key->kind == CONFIG_FLAG) {
        return *((const char *)config + key->at) != 0;
    }
    memcpy(&number, (const char *)config + key->at, sizeof number);
    return number;
}

static void config_put_number(struct config *config, const struct config_key *key, int64_t number) {
    if (key->kind == CONFIG_FLAG) {
        bool flag = number != 0;
        memcpy((char *)config + key->at, &flag, sizeof flag);
    } else {
        memcpy((char *)config + key->at, &number, sizeof number);
    }
}

void config_init(struct config *config) {
    memset(config, 0, sizeof *config);
    for (size_t n = 0; n < SW_COUNT(config_keys); n++) {
        const struct config_key *key = &config_keys[n];
        switch (key->kind) {
        case CONFIG_SECTION:
            break;
        case CONFIG_TEXT:
            SW_CHECK(strlen(key->text) < CONFIG_TEXT_MAX);
            memcpy(config_text(config, key), key->text, strlen(key->text) + 1);
            break;
        case CONFIG_NUMBER:
        case CONFIG_FLAG:
            config_put_number(config, key, key->number);
            break;
        }
    }
}

static const struct config_key *config_find(const char *name) {
    const char *dot = strchr(name, '.');
    for (size_t n = 0; dot != NULL && n < SW_COUNT(config_keys); n++) {
        const struct config_key *key = &config_keys[n];
        if (key->kind != CONFIG_SECTION && strlen(key->section) == (size_t)(dot - name) &&
            memcmp(key->section, name, (size_t)(dot - name)) == 0 &&
            strcmp(key->key, dot + 1) == 0) {
            return key;
        }
    }
    return NULL;
}

static int config_set_number(struct config *config, const struct config_key *key, const char *value,
                             struct fault *fault) {
    int64_t number = 0;
    if (!text_integer(value, &number)) {
        return fault_set(fault, SW_E_INPUT, "%s.%s: \"%.40s\" is not a number", key->section,
                         key->key, value);
    }
    if (number < key->min || number > key->max) {
        return fault_set(fault, SW_E_RANGE, "%s.%s: %lld is not in %lld..%lld", key->section,
                         key->key, (long long)number, (long long)key->min, (long long)key->max);
    }
    config_put_number(config, key, number);
    return SW_OK;
}

/* Settings that take one of a few words. */
static const struct config_choice {
    const char *name;
    const char *words[4];
} config_choices[] = {{"log.level", {"broken", "unusual", "info", "debug"}},
                      {"devices.keys", {"first-use", "strict"}},
                      {"store.synchronous", {"full", "normal"}}};

static int config_choose(const struct config_choice *choice, const char *value,
                         struct fault *fault) {
    char words[128] = "";
    size_t used = 0;
    for (size_t n = 0; n < SW_COUNT(choice->words) && choice->words[n] != NULL; n++) {
        if (strcmp(choice->words[n], value) == 0) {
            return SW_OK;
        }
        int wrote = snprintf(words + used, sizeof words - used, "%s%s", n == 0 ? "" : ", ",
                             choice->words[n]);
        used += (size_t)wrote < sizeof words - used ? (size_t)wrote : 0;
    }
    return fault_set(fault, SW_E_INPUT, "%s: \"%.40s\" is none of %s", choice->name, value, words);
}

int config_set(struct config *config, const char *name, const char *value, struct fault *fault) {
    const struct config_key *key = config_find(name);
    if (key == NULL && name[0] == '.') {
        return fault_set(fault, SW_E_NOT_FOUND, "%.80s stands before the first [section]",
                         name + 1);
    }
    if (key == NULL) {
        return fault_set(fault, SW_E_NOT_FOUND, "there is no setting %.80s", name);
    }
    if (key->kind == CONFIG_NUMBER) {
        return config_set_number(config, key, value, fault);
    }
    if (key->kind == CONFIG_FLAG) {
        bool yes = strcmp(value, "yes") == 0 || strcmp(value, "true") == 0;
        if (!yes && strcmp(value, "no") != 0 && strcmp(value, "false") != 0) {
            return fault_set(fault, SW_E_INPUT, "%s: \"%.40s\" is neither yes nor no", name, value);
        }
        config_put_number(config, key, yes);
        return SW_OK;
    }
    if (strlen(value) >= CONFIG_TEXT_MAX) {
        return fault_set(fault, SW_E_RANGE, "%s: longer than %d bytes", name, CONFIG_TEXT_MAX - 1);
    }
    for (size_t n = 0; n < SW_COUNT(config_choices); n++) {
        int status = strcmp(config_choices[n].name, name) == 0
                         ? config_choose(&config_choices[n], value, fault)
                         : SW_OK;
        if (status != SW_OK) {
            return status;
        }
    }
    memcpy(config_text(config, key), value, strlen(value) + 1);
    return SW_OK;
}

struct config_reading {
    struct config *config;
    struct fault *fault;
    int status;
};

static int config_line(void *ctx, const char *section, const char *key, const char *value) {
    struct config_reading *reading = ctx;
    char name[128];
    int length = snprintf(name, sizeof name, "%s.%s", section, key);
    if (reading->status == SW_OK) {
        reading->status = length < 0 || (size_t)length >= sizeof name
                              ? fault_set(reading->fault, SW_E_INPUT, "a key is too long")
                              : config_set(reading->config, name, value, reading->fault);
    }
    return reading->status == SW_OK ? 1 : 0;
}

int config_read(struct config *config, const char *path, struct fault *fault) {
    struct config_reading reading = {.config = config, .fault = fault};
    int line = ini_parse(path, config_line, &reading);
    if (line == 0) {
        return SW_OK;
    }
    char place[CONFIG_TEXT_MAX];
    if (line < 0) {
        return fault_set(fault, SW_E_IO, "%s cannot be read: %s", path, strerror(errno));
    }
    if (reading.status == SW_OK) {
        reading.status = fault_set(fault, SW_E_INPUT, "not \"key = value\"");
    }
    (void)snprintf(place, sizeof place, "%s line %d", path, line);
    fault_prefix(fault, place);
    return reading.status;
}

int config_check(const struct config *config, struct fault *fault) {
    if ((config->http_tls_certificate[0] == '\0') != (config->http_tls_key[0] == '\0')) {
        return fault_set(fault, SW_E_INPUT,
                         "http.tls_certificate and http.tls_key go together: one is missing");
    }
    return SW_OK;
}

unsigned config_reload(struct config *config, const struct config *fresh, char *left, size_t cap) {
    unsigned count = 0;
    size_t used = 0;
    SW_CHECK(cap > 0);
    left[0] = '\0';
    for (size_t n = 0; n < SW_COUNT(config_keys); n++) {
        const struct config_key *key = &config_keys[n];
        if (key->kind == CONFIG_SECTION) {
            continue;
        }
        bool same = key->kind == CONFIG_TEXT
                        ? strcmp(config_text_of(config, key), config_text_of(fresh, key)) == 0
                        : config_number_of(config, key) == config_number_of(fresh, key);
        if (same) {
            continue;
        }
        if (!key->reloadable) {
            int wrote = snprintf(left + used, cap - used, "%s%s.%s", count == 0 ? "" : ", ",
                                 key->section, key->key);
            if (wrote > 0 && (size_t)wrote < cap - used) {
                used += (size_t)wrote;
            }
            count++;
        } else if (key->kind == CONFIG_TEXT) {
            memcpy(config_text(config, key), config_text_of(fresh, key), CONFIG_TEXT_MAX);
        } else {
            config_put_number(config, key, config_number_of(fresh, key));
        }
    }
    return count;
}

static void config_print(FILE *out, const char *before, const struct config_key *key,
                         const struct config *config) {
    switch (key->kind) {
    case CONFIG_SECTION:
        break;
    case CONFIG_TEXT:
        fprintf(out, "%s%s = %s\n", before, key->key, config_text_of(config, key));
        break;
    case CONFIG_NUMBER:
        fprintf(out, "%s%s = %lld\n", before, key->key, (long long)config_number_of(config, key));
        break;
    case CONFIG_FLAG:
        fprintf(out, "%s%s = %s\n", before, key->key,
                config_number_of(config, key) != 0 ? "yes" : "no");
        break;
    }
}

void config_dump(const struct config *config, FILE *out) {
    for (size_t n = 0; n < SW_COUNT(config_keys); n++) {
        if (config_keys[n].kind == CONFIG_SECTION) {
            fprintf(out, "%s[%s]\n", n == 0 ? "" : "\n", config_keys[n].section);
        } else {
            config_print(out, "", &config_keys[n], config);
        }
    }
}

/* A remark, in lines of at most REMARK_MAX characters. */
static void print_remark(FILE *out, const char *text) {
    while (*text != '\0') {
        size_t len = strlen(text);
        if (len > REMARK_MAX) {
            len = REMARK_MAX;
            while (text[len] != ' ') {
                SW_CHECK(len > 0);
                len--;
            }
        }
        fprintf(out, "# %.*s\n", (int)len, text);
        text += len + (text[len] == ' ');
    }
}

void config_example(FILE *out) {
    struct config defaults;
    config_init(&defaults);
    fputs(
        "# Settings of slipwayd, with their defaults. Read with --config FILE; the command line's\n"
        "# --http and --dtls go before it. A key marked (reload) is taken over on SIGHUP, others\n"
        "# need a restart.\n",
        out);
    for (size_t n = 0; n < SW_COUNT(config_keys); n++) {
        const struct config_key *key = &config_keys[n];
        if (key->kind == CONFIG_SECTION) {
            fputc('\n', out);
            print_remark(out, key->help);
            fprintf(out, "[%s]\n", key->section);
            continue;
        }
        char text[512], range[96] = "";
        if (key->kind == CONFIG_NUMBER) {
            (void)snprintf(range, sizeof range, " %lld to %lld%s%s.", (long long)key->min,
                           (long long)key->max, key->unit[0] == '\0' ? "" : " ", key->unit);
        }
        int len = snprintf(text, sizeof text, "%s%s%s", key->help, range,
                           key->reloadable ? " (reload)" : "");
        SW_CHECK(len > 0 && (size_t)len < sizeof text);
        fputc('\n', out);
        print_remark(out, text);
        config_print(out, "#", key, &defaults);
    }
}
