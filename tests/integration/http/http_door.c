/* The REST door alone, for its tests: store, app and http, with one make-believe device behind the
 * ports. Prints its port, runs until standard input ends.
 *
 *   http_door serve FOLDER [KEY=VALUE...]       SLIPWAY_ADMIN_TOKEN is the administrator's token,
 *                                              "admin's password" its password
 *   http_door module PLATFORM PRODUCT VERSION BYTES >FILE
 *   http_door routes                            the route table, one JSON object a line */
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http/route.h"
#include "slipway/app/app.h"
#include "slipway/app/device.h"
#include "slipway/app/token.h"
#include "slipway/crypto/secret.h"
#include "slipway/http/server.h"
#include "slipway/image/image.h"
#include "slipway/sys/log.h"
#include "slipway/util/check.h"

static void on_notice(void *arg, const struct app_notice *notice) {
    struct http_server *server = atomic_load((struct http_server * _Atomic *)arg);
    if (notice->kind == APP_NOTICE_EVENTS && server != NULL) {
        http_server_events_ready(server);
    }
}

/* Answers that came far too late: after the door had closed. */
#define LATE_MAX 1024
static struct late {
    device_reply_fn *reply;
    void *arg;
} late[LATE_MAX];
static atomic_size_t late_count;

static void answer_late(void) {
    struct device_reply answer = {.status = SW_OK};
    for (size_t i = 0; i < atomic_load(&late_count); i++) {
        late[i].reply(late[i].arg, &answer);
    }
}

/* What a device sends when it is asked for its vitals: 60 s of uptime, Wi-Fi, 75 % of signal. */
static int run_vitals(struct app_tx *tx, void *arg) {
    static const uint8_t bytes[] = {0,  4, 0, 2, 0, 4, 0,  6, 0, 60, 0, 0, 0,
                                    36, 0, 1, 0, 0, 0, 33, 0, 0, 75, 0, 0};
    struct app_plan plan;
    return app_device_describe(tx, arg, 4, 0, span_of(bytes, sizeof bytes), &plan);
}

/* Device ...01 answers, ...02 too late, all others are not there. */
static int device_command(void *ctx, const struct device_command *command, device_reply_fn *reply,
                          void *arg) {
    struct app *app = ctx;
    struct device_id id = command->device;
    uint8_t last = command->device.b[DEVICE_ID_BYTES - 1];
    if (last == 2) {
        size_t at = atomic_fetch_add(&late_count, 1);
        SW_CHECK(at < LATE_MAX);
        late[at] = (struct late){.reply = reply, .arg = arg};
        return SW_OK;
    }
    if (last != 1) {
        return SW_E_STATE;
    }
    struct device_reply answer = {.status = SW_OK};
    if (command->kind == DEVICE_COMMAND_VITALS) {
        answer.status = app_execute(app, run_vitals, &id, NULL);
    }
    if (command->kind == DEVICE_COMMAND_FUNCTION || command->kind == DEVICE_COMMAND_VARIABLE) {
        if (span_is_text(command->name, "length")) {
            answer.return_value = (int32_t)command->argument.len;
            answer.value_kind = DEVICE_VALUE_NUMBER;
            answer.number = 42;
        } else if (span_is_text(command->name, "broken") || span_is_text(command->name, "huge")) {
            answer.value_kind = DEVICE_VALUE_NUMBER;
            answer.number = span_is_text(command->name, "huge") ? 1e300 : NAN;
        } else if (span_is_text(command->name, "word")) {
            answer.value_kind = DEVICE_VALUE_TEXT;
            answer.value = span_text("hello");
        } else {
            answer.status = SW_E_NOT_FOUND;
        }
    }
    reply(arg, &answer);
    return SW_OK;
}

static bool config_set(struct http_config *config, const char **port, const char *pair) {
    const char *value = strchr(pair, '=');
    if (value == NULL) {
        return false;
    }
    size_t len = (size_t)(value++ - pair);
    struct {
        const char *key;
        unsigned *number;
        size_t *size;
        const char **text;
    } keys[] = {{"threads", &config->threads, NULL, NULL},
                {"workers", &config->workers, NULL, NULL},
                {"connections", &config->connections_max, NULL, NULL},
                {"address_connections", &config->address_connections_max, NULL, NULL},
                {"address_requests", &config->address_requests_max, NULL, NULL},
                {"address_logins", &config->address_logins_max, NULL, NULL},
                {"idle_timeout", &config->idle_timeout_s, NULL, NULL},
                {"request_timeout", &config->request_timeout_s, NULL, NULL},
                {"device_timeout", &config->device_timeout_ms, NULL, NULL},
                {"upload", NULL, &config->upload_bytes_max, NULL},
                {"body", NULL, &config->body_bytes_max, NULL},
                {"bind", NULL, NULL, &config->bind},
                {"port", NULL, NULL, port},
                {"cors", NULL, NULL, &config->cors_origins},
                {"tls_cert", NULL, NULL, &config->tls_cert_pem},
                {"tls_key", NULL, NULL, &config->tls_key_pem}};
    for (size_t i = 0; i < SW_COUNT(keys); i++) {
        if (strlen(keys[i].key) != len || memcmp(keys[i].key, pair, len) != 0) {
            continue;
        }
        if (keys[i].number != NULL) {
            *keys[i].number = (unsigned)strtoul(value, NULL, 10);
        } else if (keys[i].size != NULL) {
            *keys[i].size = strtoul(value, NULL, 10);
        } else {
            *keys[i].text = value;
        }
        return true;
    }
    return false;
}

static int fail(const struct fault *fault) {
    (void)fprintf(stderr, "http_door: %s\n", fault->text);
    return 1;
}

/* Settings name files; the door takes what is in them. */
static bool read_pem(const char **setting, char *out, size_t cap) {
    if (*setting == NULL) {
        return true;
    }
    FILE *file = fopen(*setting, "rb");
    if (file == NULL) {
        return false;
    }
    size_t len = fread(out, 1, cap - 1, file);
    (void)fclose(file);
    out[len] = '\0';
    *setting = out;
    return len > 0;
}

static int serve(int count, char **pairs, const char *folder) {
    struct fault fault = {0};
    struct http_config config = {0};
    const char *port = NULL;
    for (int i = 0; i < count; i++) {
        if (!config_set(&config, &port, pairs[i])) {
            (void)fprintf(stderr, "http_door: unknown setting %s\n", pairs[i]);
            return 2;
        }
    }
    if (port != NULL) {
        config.port = (uint16_t)strtoul(port, NULL, 10);
    }
    static char certificate[16384], key[16384];
    if (!read_pem(&config.tls_cert_pem, certificate, sizeof certificate) ||
        !read_pem(&config.tls_key_pem, key, sizeof key)) {
        (void)fprintf(stderr, "http_door: a PEM file cannot be read\n");
        return 2;
    }
    const char *level = getenv("HTTP_DOOR_LOG");
    struct log_setup log = {.level = LOG_UNUSUAL, .descriptor = 2};
    if (level != NULL) {
        (void)log_level_parse(level, &log.level);
    }
    log_configure(&log);
    struct http_server *server = NULL;
    struct http_server *_Atomic listener = NULL; /* the writer runs before there is a door */
    char path[512];
    (void)snprintf(path, sizeof path, "%s/slipway.db", folder);
    static const uint8_t seal_key[SEAL_KEY_BYTES] = {7};
    struct app_options options = {.path = path,
                                  .is_threaded = true,
                                  .seal_key = seal_key,
                                  .synchronous_normal = true,
                                  .notice = on_notice,
                                  .notice_arg = &listener};
    struct app *app = NULL;
    if (app_open(&app, &options, &fault) != SW_OK) {
        return fail(&fault);
    }
    static const char usual[] = "adadadadadadadadadadadadadadadadadadadad";
    const char *given = getenv("SLIPWAY_ADMIN_TOKEN");
    struct http_ports ports = {.ctx = app, .device_command = device_command};
    if (app_administrator(app, given != NULL ? given : usual, "admin's password", &fault) !=
            SW_OK ||
        http_server_start(&config, app, &ports, &server, &fault) != SW_OK) {
        app_close(app);
        return fail(&fault);
    }
    atomic_store(&listener, server);
    (void)printf("%u\n", http_server_port(server));
    (void)fflush(stdout);
    char byte = 0;
    while (read(0, &byte, 1) > 0) {
    }
    (void)http_server_drain(server, 2000);
    atomic_store(&listener, NULL);
    http_server_stop(server);
    answer_late();
    app_close(app);
    return 0;
}

static int module(char **numbers) {
    size_t len = strtoul(numbers[3], NULL, 10);
    uint8_t *body = calloc(len + 1, 1);
    uint8_t *out = malloc(len + 4096);
    if (body == NULL || out == NULL) {
        free(body);
        free(out);
        return 1;
    }
    for (size_t i = 0; i < len; i++) {
        body[i] = (uint8_t)(i * 31);
    }
    struct image_recipe recipe = {.platform_id = (uint16_t)strtoul(numbers[0], NULL, 10),
                                  .function = MODULE_USER_PART,
                                  .index = 1,
                                  .module_version = 6,
                                  .product_id = (uint16_t)strtoul(numbers[1], NULL, 10),
                                  .product_version = (uint16_t)strtoul(numbers[2], NULL, 10),
                                  .body = span_of(body, len)};
    int n = image_write_module(&recipe, out, len + 4096);
    bool ok = n > 0 && fwrite(out, 1, (size_t)n, stdout) == (size_t)n && fflush(stdout) == 0;
    free(body);
    free(out);
    return ok ? 0 : 1;
}

static int list_routes(void) {
    for (size_t i = 0; i < route_count; i++) {
        const struct route *r = &routes[i];
        (void)printf("{\"method\":\"%s\",\"path\":\"%s\",\"name\":\"%s\",\"scope\":\"%s\","
                     "\"open\":%s,\"any\":%s,\"stream\":%s,\"file\":%s,\"form\":%s}\n",
                     method_name(r->method), r->pattern, r->name, r->scope != NULL ? r->scope : "",
                     (r->flags & ROUTE_OPEN) != 0 ? "true" : "false",
                     (r->flags & ROUTE_ANY) != 0 ? "true" : "false",
                     (r->flags & ROUTE_STREAM) != 0 ? "true" : "false",
                     (r->flags & ROUTE_FILE) != 0 ? "true" : "false",
                     (r->flags & ROUTE_FORM) != 0 ? "true" : "false");
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc >= 3 && strcmp(argv[1], "serve") == 0) {
        return serve(argc - 3, argv + 3, argv[2]);
    }
    if (argc == 6 && strcmp(argv[1], "module") == 0) {
        return module(argv + 2);
    }
    if (argc == 2 && strcmp(argv[1], "routes") == 0) {
        return list_routes();
    }
    (void)fprintf(stderr, "usage: http_door serve FOLDER [KEY=VALUE...]\n"
                          "       http_door routes\n"
                          "       http_door module PLATFORM PRODUCT VERSION BYTES\n");
    return 2;
}
