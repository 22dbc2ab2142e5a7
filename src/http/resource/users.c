/* Who is who: the asker, and the team of a product with its API users. */
#include <stdlib.h>
#include <string.h>

#include "http/door.h"
#include "http/handlers.h"
#include "http/reply/pages.h"
#include "slipway/crypto/secret.h"

void handle_user_get(struct request *rq) {
    reply_json(&rq->reply, 200,
               json_pack("{s:s, s:[], s:{s:s, s:s, s:b}, s:b, s:b, s:{s:b}, s:i, s:i, s:b}",
                         "username", rq->identity.user.name, "subscription_ids", "account_info",
                         "first_name", rq->identity.user.friendly_name, "last_name", "",
                         "business_account", 0, "scim_provisioned", 0, "no_password", 0, "mfa",
                         "enabled", 0, "wifi_device_count", 0, "cellular_device_count", 0,
                         "is_programmatic", (int)rq->identity.user.is_api));
}

void handle_user_identify(struct request *rq) {
    reply_json(&rq->reply, 200,
               json_pack("{s:I, s:s}", "id", (json_int_t)rq->identity.user.id, "email",
                         rq->identity.user.name));
}

static json_t *page_scopes(const struct user *user) {
    json_t *scopes = json_array();
    for (const char *at = user->scopes; *at != '\0';) {
        size_t len = strcspn(at, " ");
        if (len > 0) {
            (void)json_array_append_new(scopes, json_stringn(at, len));
        }
        at += len + (at[len] == ' ' ? 1 : 0);
    }
    return scopes;
}

static json_t *page_member(const struct user *user) {
    if (!user->is_api) {
        return json_pack("{s:s, s:{s:s, s:s}}", "username", user->name, "role", "id",
                         user->is_admin ? "administrator" : "developer", "name",
                         user->is_admin ? "Administrator" : "Developer");
    }
    return json_pack("{s:s, s:s, s:b, s:o, s:o}", "username", user->name, "friendly_name",
                     user->friendly_name, "is_programmatic", 1, "scopes", page_scopes(user),
                     "created_at", page_time(user->created_ms));
}

void handle_team_list(struct request *rq) {
    struct user_list list = {0};
    if (!handler_ok(rq, app_user_list(rq->tx, rq->product.id, &list))) {
        return;
    }
    json_t *pages = json_array();
    for (size_t i = 0; i < list.count; i++) {
        (void)json_array_append_new(pages, page_member(&list.items[i]));
    }
    free(list.items);
    reply_json(&rq->reply, 200, json_pack("{s:b, s:o}", "ok", 1, "team", pages));
}

struct member {
    struct app_api_user_new request;
    const char *name; /* NULL = create */
    json_t *scopes;
    struct user user;
    char token[TOKEN_DIGITS + 1];
};

static int run_member(struct app_tx *tx, void *arg) {
    struct member *member = arg;
    if (member->name == NULL) {
        return app_api_user_create(tx, &member->request, &member->user, member->token);
    }
    return app_api_user_edit(tx, member->name, &member->request, &member->user, member->token);
}

static void save_member(struct request *rq, struct member *member, struct fields *fields) {
    enum { SCOPES_MAX = 100 };
    member->request.product_id = rq->product.id;
    member->request.friendly_name =
        fields_text(fields, "friendly_name", FIELD_OPTIONAL, 1, NAME_BYTES - 1);
    member->scopes = fields_texts(
        fields, "scopes", member->name == NULL ? FIELD_REQUIRED : FIELD_OPTIONAL, SCOPES_MAX, 64);
    const char **scopes = handler_texts(member->scopes);
    member->request.scopes = scopes;
    member->request.scope_count = json_array_size(member->scopes);
    if (handler_may_grant(rq, fields, member->scopes) && fields_end(fields) &&
        request_write(rq, run_member, member)) {
        json_t *page = page_member(&member->user);
        (void)json_object_set_new(page, "tokens", json_pack("[{s:s}]", "token", member->token));
        reply_header(&rq->reply, "Cache-Control", "no-store");
        reply_json(
            &rq->reply, 200,
            json_pack("{s:b, s:o}", "ok", 1, member->name == NULL ? "created" : "updated", page));
    }
    crypto_wipe(member->token, sizeof member->token);
    free(scopes);
    json_decref(member->scopes);
}

struct person {
    const char *name;
    struct user user;
};

static int run_person(struct app_tx *tx, void *arg) {
    struct person *person = arg;
    return app_user_get(tx, person->name, &person->user);
}

void handle_team_create(struct request *rq) {
    struct member member = {0};
    struct fields fields = request_fields(rq);
    fields_known(&fields, "role");
    struct person person = {
        .name = fields_text(&fields, "username", FIELD_OPTIONAL, 1, USER_NAME_BYTES - 1)};
    if (person.name == NULL) {
        save_member(rq, &member, &fields);
    } else if (fields_end(&fields) && request_read(rq, run_person, &person)) {
        /* Every person of this server is on every product's team already. */
        reply_json(&rq->reply, 200, json_pack("{s:b}", "ok", 1));
    }
}

void handle_team_edit(struct request *rq) {
    struct member member = {.name = request_param(rq, "username")};
    struct fields fields = request_fields(rq);
    save_member(rq, &member, &fields);
}

void handle_team_token(struct request *rq) {
    struct member member = {.name = request_param(rq, "username")};
    struct fields none = fields_of(NULL, false, &rq->reply);
    save_member(rq, &member, &none);
}

struct removal {
    uint16_t product_id;
    const char *name;
};

static int run_remove(struct app_tx *tx, void *arg) {
    const struct removal *removal = arg;
    return app_user_remove(tx, removal->product_id, removal->name);
}

void handle_team_remove(struct request *rq) {
    struct removal removal = {.product_id = rq->product.id, .name = request_param(rq, "username")};
    if (request_write(rq, run_remove, &removal)) {
        reply_empty(&rq->reply, 204);
    }
}
