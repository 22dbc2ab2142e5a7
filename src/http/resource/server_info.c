/* The server about itself, and the fixed answers that existing clients expect to find. */
#include <stdlib.h>
#include <string.h>

#include "http/door.h"
#include "http/handlers.h"
#include "http/openapi.h"
#include "http/reply/pages.h"
#include "slipway/model/platform.h"
#include "slipway/sys/clock.h"
#include "slipway/util/check.h"

void handle_health(struct request *rq) {
    const struct http_server *server = rq->server;
    bool is_serving =
        (server->ports.is_serving == NULL || server->ports.is_serving(server->ports.ctx)) &&
        !atomic_load(&server->is_draining);
    reply_header(&rq->reply, "Cache-Control", "no-store");
    reply_json(&rq->reply, is_serving ? 200 : 503,
               json_pack("{s:b, s:s, s:s, s:I}", "ok", (int)is_serving, "status",
                         is_serving ? "serving" : "not_serving", "version", SLIPWAY_VERSION,
                         "uptime_s",
                         (json_int_t)(mono_since_us(server->started, mono_now()) / 1000000)));
}

void handle_server_metrics(struct request *rq) {
    const struct http_ports *ports = &rq->server->ports;
    if (ports->metrics == NULL) {
        reply_error(&rq->reply, 404, "not_found", "There are no metrics here");
        return;
    }
    char *text = ports->metrics(ports->ctx);
    if (text == NULL) {
        reply_app_error(&rq->reply, SW_E_MEMORY, NULL);
        return;
    }
    reply_header(&rq->reply, "Cache-Control", "no-store");
    reply_bytes(&rq->reply, 200, "text/plain; version=0.0.4", text, strlen(text));
}

void handle_openapi(struct request *rq) {
    reply_bytes(&rq->reply, 200, NULL, strdup(openapi_json), strlen(openapi_json));
}

void handle_orgs_list(struct request *rq) {
    reply_json(&rq->reply, 200, json_pack("{s:[]}", "organizations"));
}

/* Nothing is compiled here; clients only want to know the platforms. */
void handle_build_targets(struct request *rq) {
    json_t *platforms = json_object();
    for (const struct platform *p = platform_all(); p->name != NULL; p++) {
        (void)json_object_set_new(platforms, p->title, json_integer(p->id));
    }
    reply_json(
        &rq->reply, 200,
        json_pack("{s:[], s:o, s:{}}", "targets", "platforms", platforms, "default_versions"));
}

void handle_serial_number(struct request *rq) {
    struct device device;
    int rc = app_device_labelled(rq->tx, request_param(rq, "serial"), &device);
    if (rc == SW_E_NOT_FOUND) {
        reply_missing(&rq->reply, "Serial number not found.");
    } else if (handler_ok(rq, rc)) {
        char id[DEVICE_ID_DIGITS + 1];
        device_id_text(&device.id, id);
        reply_json(&rq->reply, 200,
                   json_pack("{s:b, s:s, s:s, s:o, s:i}", "ok", 1, "deviceID", id, "device_id", id,
                             "iccid", page_text(device.iccid), "platform_id",
                             (int)device.platform_id));
    }
}

/* --- keys of devices --- */

struct provision {
    struct device_id id;
    struct p256_point key;
};

static int run_provision(struct app_tx *tx, void *arg) {
    const struct provision *provision = arg;
    return app_device_register_key(tx, &provision->id, &provision->key);
}

void handle_provisioning(struct request *rq) {
    struct provision provision;
    const char *id = request_param(rq, "id");
    struct fields fields = request_fields(rq);
    static const char *const known[] = {"deviceID", "order", "filename", "product_id",
                                        "platform_id"};
    for (size_t i = 0; i < SW_COUNT(known); i++) {
        fields_known(&fields, known[i]);
    }
    const char *algorithm = fields_text(&fields, "algorithm", FIELD_OPTIONAL, 1, 16);
    const char *pem = fields_lines(&fields, "publicKey", FIELD_REQUIRED, 4096);
    if (device_id_parse(id, strlen(id), &provision.id) != SW_OK) {
        reply_no_device(&rq->reply);
        return;
    }
    /* Both words are in use for the same. */
    if (algorithm != NULL && strcmp(algorithm, "ec") != 0 && strcmp(algorithm, "ecc") != 0) {
        fields_fail(&fields, "algorithm", "must be \"ec\"");
    }
    if (pem != NULL && (p256_point_from_pem(span_text(pem), &provision.key) != SW_OK ||
                        !p256_point_is_valid(&provision.key))) {
        fields_fail(&fields, "publicKey", "must be a P-256 public key as PEM");
    }
    if (fields_end(&fields) && request_write(rq, run_provision, &provision)) {
        char text[DEVICE_ID_DIGITS + 1];
        device_id_text(&provision.id, text);
        reply_json(&rq->reply, 200, json_pack("{s:b, s:s}", "ok", 1, "id", text));
    }
}
