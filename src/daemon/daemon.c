/* Opened in this order: log, folder, keys, database, administrator, webhooks, device door, REST
 * door. Closed in the other. The doors are last: nobody is answered before everything stands. */
#include "daemon.h"

#include "administrator.h"
#include "doors.h"
#include "tasks.h"

#include "slipway/app/event.h"
#include "slipway/sys/entropy.h"
#include "slipway/sys/log.h"
#include "slipway/util/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS    86400000
#define QUEUE_MAX 16384 /* store jobs: the gateway's and the requests' */

static const struct fsm_state life_states[LIFE_STATES] = {
    [LIFE_STARTING] = {.name = "starting", .next = FSM_NEXT(LIFE_SERVING) | FSM_NEXT(LIFE_CLOSING)},
    [LIFE_SERVING] = {.name = "serving", .next = FSM_NEXT(LIFE_DRAINING)},
    [LIFE_DRAINING] = {.name = "draining", .next = FSM_NEXT(LIFE_CLOSING)},
    [LIFE_CLOSING] = {.name = "closing", .next = FSM_NEXT(LIFE_CLOSED)},
    [LIFE_CLOSED] = {.name = "closed", .is_final = true},
};
const struct fsm life_fsm = {.name = "life", .states = life_states, .count = LIFE_STATES};

static void life_move(struct daemon *daemon, enum life to) {
    fsm_check(&life_fsm, daemon->life, to);
    daemon->life = (uint8_t)to;
    log_note(LOG_DEBUG, "life", life_states[to].name);
}

static void log_setup_from(const struct config *config) {
    struct log_setup setup = {.level = LOG_INFO, .json = config->log_json, .descriptor = 2};
    (void)log_level_parse(config->log_level, &setup.level); /* config_check has seen it */
    log_configure(&setup);
}

static struct gateway_config gateway_settings(const struct daemon *daemon) {
    const struct config *config = &daemon->config;
    const struct credentials *credentials = &daemon->credentials;
    struct gateway_config out = {
        .key = daemon->key,
        .certificates =
            credentials->chain == NULL ? span_of(NULL, 0) : span_text(credentials->chain),
        .certificate_key = credentials->key,
        .trust = credentials->trust,
        .accepts_psk = config->dtls_psk,
        .resumptions = (uint32_t)config->dtls_resumptions,
        .sessions_max = (uint32_t)config->sessions_max,
        .active_max = (uint32_t)config->sessions_active,
        .half_open_max = (uint32_t)config->dtls_handshakes,
        .half_open_source_max = (uint32_t)config->dtls_handshakes_per_address,
        .transfers_max = (uint32_t)config->updates_transfers,
        .image_bytes_max = (uint32_t)config->updates_memory,
        .rate_total_bytes_s = (uint32_t)config->updates_rate,
        .rate_device_bytes_s = (uint32_t)config->updates_rate_per_device,
        .idle_days = (uint32_t)config->sessions_idle,
        .probes_per_s = (uint32_t)config->dtls_probes,
        .offline_after_s = (uint32_t)config->sessions_offline,
        .offline_cellular_s = (uint32_t)config->sessions_offline_cellular};
    memcpy(out.seal_key, daemon->place_key, sizeof out.seal_key);
    return out;
}

/* On the writer thread: what was committed concerns devices, or whoever follows the events. */
static void daemon_notice(void *arg, const struct app_notice *notice) {
    struct daemon *daemon = arg;
    if (notice->kind == APP_NOTICE_EVENTS) {
        struct http_server *http = daemon->http;
        if (http != NULL) {
            http_server_events_ready(http);
        }
        struct hook_sender *hooks = daemon->hooks;
        if (hooks != NULL) {
            hook_sender_events_ready(hooks);
        }
        return;
    }
    struct loop *loop = daemon->loop;
    if (loop != NULL) {
        loop_notice(loop, notice);
    }
}

static int open_store(struct daemon *daemon, struct fault *fault) {
    const struct config *config = &daemon->config;
    char path[FOLDER_PATH_MAX];
    int status = folder_file(&daemon->folder, FOLDER_DATABASE, path, fault);
    if (status != SW_OK) {
        return status;
    }
    const struct app_options options = {
        .path = path,
        .is_threaded = true,
        .queue_max = QUEUE_MAX,
        .notice = daemon_notice,
        .notice_arg = daemon,
        .synchronous_normal = strcmp(config->store_synchronous, "normal") == 0,
        .cache_bytes = (uint32_t)config->store_cache,
        .key_policy =
            strcmp(config->devices_keys, "strict") == 0 ? APP_KEY_STRICT : APP_KEY_FIRST_USE,
        .seal_key = daemon->session_key,
        .attempts_max = (uint32_t)config->updates_attempts,
        .retry_ms = config->updates_retry * 1000,
        .reboot_timeout_ms = config->updates_reboot * 1000,
        .quarantine_max = (uint32_t)config->devices_quarantine,
        .events_age_ms = config->store_events_age * DAY_MS,
        .events_max = (uint64_t)config->store_events,
        .calls_max = (uint32_t)config->store_calls,
        .updates_age_ms = config->store_updates_age * DAY_MS,
        .updates_max = (uint64_t)config->store_updates,
        .updates_keep = (uint32_t)config->store_updates_per_device,
        .vitals_age_ms = config->store_vitals_age * DAY_MS,
        .vitals_max = (uint64_t)config->store_vitals,
        .vitals_device_max = (uint32_t)config->store_vitals_per_device,
        .hook_queue_max = (uint32_t)config->hooks_queue,
        .hook_attempts_max = (uint32_t)config->hooks_attempts,
        .hook_retry_ms = config->hooks_retry,
        .hook_disable_ms = config->hooks_disable * 1000};
    return app_open(&daemon->app, &options, fault);
}

static int open_devices(struct daemon *daemon, struct fault *fault) {
    const struct config *config = &daemon->config;
    struct loop_options options = {.host = daemon->dtls_host,
                                   .receive_buffer = (uint32_t)config->dtls_receive_buffer,
                                   .send_buffer = (uint32_t)config->dtls_send_buffer,
                                   .app = daemon->app,
                                   .gateway = gateway_settings(daemon)};
    int status = host_port_parse(config->dtls_listen, daemon->dtls_host, &options.port, fault);
    struct loop *loop = NULL;
    status = status != SW_OK ? status : loop_open(&loop, &options, fault);
    crypto_wipe(&options.gateway, sizeof options.gateway);
    if (status == SW_OK) {
        daemon->dtls_port = loop_port(loop);
        daemon->loop = loop;
    }
    return status;
}

static int open_hooks(struct daemon *daemon, struct fault *fault) {
    const struct hook_config options = {.parallel = (uint32_t)daemon->config.hooks_parallel,
                                        .timeout_ms = daemon->config.hooks_timeout,
                                        .answer_max = (uint32_t)daemon->config.hooks_answer,
                                        .deny = daemon->config.hooks_deny,
                                        .allow = daemon->config.hooks_allow};
    struct hook_sender *hooks = NULL;
    int status = hook_sender_start(&hooks, daemon->app, &options, fault);
    daemon->hooks = hooks;
    return status;
}

/* The texts of the two files of HTTPS; both NULL for plain HTTP. */
struct pems {
    char *certificate, *key;
};

static int pems_read(struct pems *pems, const struct config *config, struct fault *fault) {
    *pems = (struct pems){.key = NULL};
    int status = pem_read(config->http_tls_certificate, &pems->certificate, fault);
    return status != SW_OK ? status : pem_read(config->http_tls_key, &pems->key, fault);
}

static void pems_close(struct pems *pems) {
    pem_free(pems->certificate);
    pem_free(pems->key);
}

int daemon_check(const struct config *config, struct fault *fault) {
    char host[HOST_MAX];
    uint16_t port = 0;
    struct pems pems = {.key = NULL};
    struct credentials credentials = {.chain = NULL};
    int status = host_port_parse(config->http_listen, host, &port, fault);
    status = status != SW_OK ? status : host_port_parse(config->dtls_listen, host, &port, fault);
    status = status != SW_OK ? status : pems_read(&pems, config, fault);
    status = status != SW_OK ? status : credentials_open(&credentials, config, NULL, fault);
    pems_close(&pems);
    credentials_close(&credentials);
    return status;
}

static const char *text_or_null(const char *text) {
    return text[0] == '\0' ? NULL : text;
}

static int open_rest(struct daemon *daemon, struct fault *fault) {
    const struct config *config = &daemon->config;
    struct http_ports ports = doors_ports(daemon->loop);
    struct http_server *server = NULL;
    uint16_t port = 0;
    struct pems pems = {.key = NULL};
    int status = host_port_parse(config->http_listen, daemon->http_host, &port, fault);
    status = status != SW_OK ? status : pems_read(&pems, config, fault);
    const struct http_config options = {
        .bind = daemon->http_host,
        .port = port,
        .threads = (unsigned)config->http_threads,
        .workers = (unsigned)config->http_workers,
        .connections_max = (unsigned)config->http_connections,
        .address_connections_max = (unsigned)config->http_connections_per_address,
        .address_requests_max = (unsigned)config->http_requests_per_address,
        .address_logins_max = (unsigned)config->http_logins_per_address,
        .idle_timeout_s = (unsigned)config->http_idle_timeout,
        .request_timeout_s = (unsigned)config->http_request_timeout,
        .device_timeout_ms = (unsigned)config->http_device_timeout,
        .upload_bytes_max = (size_t)config->http_upload,
        .body_bytes_max = (size_t)config->http_body,
        .import_bytes_max = (size_t)config->http_import,
        .cors_origins = text_or_null(config->http_cors_origins),
        .tls_cert_pem = pems.certificate,
        .tls_key_pem = pems.key,
        .base_url = text_or_null(config->http_base_url)};
    status =
        status != SW_OK ? status : http_server_start(&options, daemon->app, &ports, &server, fault);
    pems_close(&pems);
    if (status == SW_OK) {
        daemon->http_port = http_server_port(server);
        daemon->http = server;
    }
    return status;
}

int daemon_open(struct daemon *daemon, struct fault *fault) {
    log_setup_from(&daemon->config);
    int status = log_start(fault);
    status = status != SW_OK ? status : folder_open(&daemon->folder, daemon->options.data, fault);
    status = status != SW_OK ? status : folder_server_key(&daemon->folder, &daemon->key, fault);
    status =
        status != SW_OK ? status : folder_session_key(&daemon->folder, daemon->session_key, fault);
    status = status != SW_OK
                 ? status
                 : folder_place_key(&daemon->folder, daemon->session_key, daemon->place_key, fault);
    status = status != SW_OK ? status : open_store(daemon, fault);
    status = status != SW_OK
                 ? status
                 : credentials_open(&daemon->credentials, &daemon->config, daemon->key, fault);
    status = status != SW_OK
                 ? status
                 : administrator_open(daemon->app, &daemon->folder, &daemon->config, fault);
    status = status != SW_OK ? status : open_hooks(daemon, fault);
    status = status != SW_OK ? status : open_devices(daemon, fault);
    status = status != SW_OK ? status : open_rest(daemon, fault);
    if (status == SW_OK) {
        life_move(daemon, LIFE_SERVING);
    }
    return status;
}

/* The files are read again, also when their names are the same. */
static int reload_certificate(struct daemon *daemon, const struct config *fresh,
                              struct fault *fault) {
    bool is_secure = daemon->config.http_tls_certificate[0] != '\0';
    struct pems pems;
    if (is_secure != (fresh->http_tls_certificate[0] != '\0')) {
        return fault_set(fault, SW_E_STATE,
                         "http.tls_certificate: HTTPS is turned on and off by a restart");
    }
    int status = pems_read(&pems, fresh, fault);
    if (status == SW_OK && is_secure) {
        status = http_server_certificate(daemon->http, pems.certificate, pems.key, fault);
    }
    pems_close(&pems);
    return status;
}

int daemon_reload(struct daemon *daemon, struct fault *fault) {
    struct config fresh;
    char left[512];
    int status = options_config(&daemon->options, &fresh, fault);
    status = status != SW_OK ? status : reload_certificate(daemon, &fresh, fault);
    if (status != SW_OK) {
        return status;
    }
    unsigned count = config_reload(&daemon->config, &fresh, left, sizeof left);
    log_setup_from(&daemon->config);
    struct gateway_config gateway = gateway_settings(daemon);
    status = loop_configure(daemon->loop, &gateway);
    crypto_wipe(&gateway, sizeof gateway);
    if (count > 0) {
        log_note(LOG_UNUSUAL, "reload_needs_restart", left);
    }
    return status == SW_OK ? SW_OK : fault_set(fault, status, "the device door is busy");
}

bool daemon_drain(struct daemon *daemon) {
    int64_t limit_ms = daemon->config.daemon_drain * 1000;
    life_move(daemon, LIFE_DRAINING);
    /* REST first: what it still commits may concern devices. */
    bool all = http_server_drain(daemon->http, limit_ms) == 0;
    return loop_drain(daemon->loop, limit_ms) && all;
}

void daemon_close(struct daemon *daemon) {
    life_move(daemon, LIFE_CLOSING);
    struct http_server *http = daemon->http;
    daemon->http = NULL;
    http_server_stop(http);
    /* The loop ends when its jobs are back, so the writer goes on until then; and the writer may
     * still tell it something until it ends itself. */
    loop_stop(daemon->loop);
    hook_sender_stop(daemon->hooks);
    app_close(daemon->app);
    hook_sender_free(daemon->hooks);
    loop_free(daemon->loop);
    crypto_key_free(daemon->key);
    crypto_wipe(daemon->session_key, sizeof daemon->session_key);
    crypto_wipe(daemon->place_key, sizeof daemon->place_key);
    credentials_close(&daemon->credentials);
    folder_close(&daemon->folder);
    life_move(daemon, LIFE_CLOSED);
    log_stop();
}
