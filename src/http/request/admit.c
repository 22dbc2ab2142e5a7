/* The order of the checks is what a stranger may learn: without a token nothing, with a token of
 * too little scope not whether the thing exists, with another product's not what is in it. */
#include "http/request/admit.h"

#include <string.h>
#include <strings.h>

const char *admit_token(const struct request *rq, const json_t *fields) {
    static const char bearer[] = "Bearer ";
    const char *header = request_header(rq, "Authorization");
    if (header != NULL && strncasecmp(header, bearer, sizeof bearer - 1) == 0) {
        header += sizeof bearer - 1;
        return header + strspn(header, " ");
    }
    const char *query =
        MHD_lookup_connection_value(rq->connection, MHD_GET_ARGUMENT_KIND, "access_token");
    if (query != NULL) {
        return query;
    }
    return json_string_value(json_object_get(fields, "access_token"));
}

static bool admit_identity(struct app_tx *tx, struct request *rq, const char *token) {
    if (token == NULL) {
        reply_oauth_error(&rq->reply, 400, "invalid_request", "The access token was not found");
        return false;
    }
    int rc = app_token_verify(tx, token, strlen(token), &rq->identity);
    if (rc == SW_OK) {
        return true;
    }
    if (rc == SW_E_AUTH || rc == SW_E_NOT_FOUND || rc == SW_E_INPUT) {
        reply_header(&rq->reply, "WWW-Authenticate",
                     "Bearer realm=\"slipway\", error=\"invalid_token\"");
        reply_oauth_error(&rq->reply, 401, "invalid_token",
                          rc == SW_E_AUTH ? "The access token provided has expired."
                                          : "The access token provided is invalid.");
    } else {
        reply_app_error(&rq->reply, rc, &tx->error);
    }
    return false;
}

static bool admit_refuse_scope(struct request *rq) {
    reply_oauth_error(&rq->reply, 400, "unauthorized",
                      "API users are not allowed to call this endpoint");
    return false;
}

static bool admit_scope(struct request *rq) {
    const struct route *route = rq->match.route;
    if (!rq->identity.user.is_api || (route->flags & ROUTE_ANY) != 0) {
        return true;
    }
    if (route->scope == NULL || !app_identity_may(&rq->identity, route->scope)) {
        return admit_refuse_scope(rq);
    }
    return true;
}

static bool admit_product(struct app_tx *tx, struct request *rq) {
    const char *name = route_param(&rq->match, "product");
    if (name == NULL) {
        return true;
    }
    int rc = app_product_get(tx, name, &rq->product);
    if (rc == SW_E_NOT_FOUND || rc == SW_E_INPUT || rc == SW_E_RANGE) {
        reply_missing(&rq->reply, "Product not found.");
        return false;
    }
    if (rc != SW_OK) {
        reply_app_error(&rq->reply, rc, &tx->error);
    }
    return rc == SW_OK;
}

static bool admit_device(struct app_tx *tx, struct request *rq) {
    const char *name = route_param(&rq->match, "device");
    if (name == NULL) {
        return true;
    }
    int rc = SW_E_NOT_FOUND;
    struct device_id id;
    if (rq->product.id == 0) {
        rc = app_device_find(tx, name, &rq->device);
    } else if (device_id_parse(name, strlen(name), &id) == SW_OK) {
        rc = app_device_get(tx, rq->product.id, &id, &rq->device);
    }
    if (rc == SW_E_NOT_FOUND || rc == SW_E_INPUT || rc == SW_E_RANGE) {
        reply_no_device(&rq->reply);
        return false;
    }
    if (rc != SW_OK) {
        reply_app_error(&rq->reply, rc, &tx->error);
    }
    rq->has_device = rc == SW_OK;
    return rq->has_device;
}

/* An API user of one product reaches nothing outside of it, and learns nothing about the rest. */
static bool admit_own_product(struct request *rq) {
    uint16_t own = rq->identity.user.product_id;
    if (!rq->identity.user.is_api || own == 0 || (rq->match.route->flags & ROUTE_ANY) != 0) {
        return true;
    }
    uint16_t asked = rq->product.id != 0 ? rq->product.id : rq->device.product_id;
    return asked == own ? true : admit_refuse_scope(rq);
}

static void admit_check(struct app_tx *tx, const struct admit *admit) {
    struct request *rq = admit->rq;
    if ((rq->match.route->flags & ROUTE_OPEN) != 0) {
        rq->is_admitted = true;
        return;
    }
    if (!admit_identity(tx, rq, admit->token) || !admit_scope(rq)) {
        return;
    }
    /* Looked up before the check against the user's own product, which may be named by slug; what
     * was found is told only to those who pass it. */
    bool found = admit_product(tx, rq) && admit_device(tx, rq);
    if (!found && rq->identity.user.is_api && rq->identity.user.product_id != 0 &&
        rq->product.id != rq->identity.user.product_id) {
        reply_close(&rq->reply); /* nobody has said anything before */
        (void)admit_refuse_scope(rq);
        return;
    }
    if (found && admit_own_product(rq)) {
        rq->is_admitted = true;
    }
}

int admit_run(struct app_tx *tx, void *arg) {
    const struct admit *admit = arg;
    admit_check(tx, admit);
    reply_cause(&admit->rq->reply, tx->fault);
    return SW_OK;
}
