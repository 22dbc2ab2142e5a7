#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/door.h"
#include "http/handlers.h"
#include "http/reply/pages.h"
#include "http/request/query.h"

void handle_groups_list(struct request *rq) {
    struct group_list list = {0};
    const char *part = request_query(rq, "name");
    if (!handler_ok(rq, app_group_list(rq->tx, rq->product.id, part, &list))) {
        return;
    }
    json_t *pages = json_array();
    for (size_t i = 0; i < list.count; i++) {
        (void)json_array_append_new(pages, page_group(&list.items[i]));
    }
    free(list.items);
    reply_json(&rq->reply, 200, json_pack("{s:o}", "groups", pages));
}

/* The group's name in the path: any other text names no group. */
static const char *group_of_path(struct request *rq) {
    const char *name = request_param(rq, "group");
    if (!group_name_is_valid(name, strlen(name))) {
        reply_missing(&rq->reply, "Group not found.");
        return NULL;
    }
    return name;
}

void handle_groups_get(struct request *rq) {
    struct group group;
    const char *name = group_of_path(rq);
    if (name == NULL) {
        return;
    }
    int rc = app_group_get(rq->tx, rq->product.id, name, &group);
    if (rc == SW_E_NOT_FOUND) {
        reply_missing(&rq->reply, "Group not found.");
    } else if (handler_ok(rq, rc)) {
        reply_json(&rq->reply, 200, json_pack("{s:o}", "group", page_group(&group)));
    }
}

struct group_job {
    uint16_t product_id;
    const char *name; /* NULL = create */
    struct app_group_edit edit;
    struct group group;
};

static int run_group(struct app_tx *tx, void *arg) {
    struct group_job *job = arg;
    return job->name == NULL
               ? app_group_create(tx, job->product_id, &job->edit, &job->group)
               : app_group_edit(tx, job->product_id, job->name, &job->edit, &job->group);
}

static bool read_group(struct request *rq, struct app_group_edit *edit, enum field_need name) {
    struct fields fields = request_fields(rq);
    edit->name = fields_text(&fields, "name", name, 1, GROUP_NAME_MAX);
    edit->description = fields_lines(&fields, "description", FIELD_OPTIONAL, DESCRIPTION_BYTES - 1);
    edit->color = fields_text(&fields, "color", FIELD_OPTIONAL, 0, 32);
    if (edit->name != NULL && !group_name_is_valid(edit->name, strlen(edit->name))) {
        fields_fail(&fields, "name", "must have 1 to %d characters of [a-z0-9_-]", GROUP_NAME_MAX);
    }
    if (edit->color != NULL && !group_color_is_valid(edit->color)) {
        fields_fail(&fields, "color", "must be like #34495e");
    }
    if (edit->name == NULL && edit->description == NULL && edit->color == NULL) {
        fields_idle(&fields, "name, description, color");
    }
    return fields_end(&fields);
}

/* Like request_write, with the words that existing clients look for. */
static bool write_group(struct request *rq, struct group_job *job) {
    struct app_error error = {0};
    int rc = app_execute(rq->server->app, run_group, job, &error);
    if (rc == SW_E_EXISTS) {
        reply_json(&rq->reply, 400,
                   json_pack("{s:b, s:s, s:s}", "ok", 0, "error",
                             "A group with this name already exists.", "error_description",
                             "name: a group with this name already exists in the product"));
    } else if (rc == SW_E_NOT_FOUND) {
        reply_missing(&rq->reply, "Group not found.");
    } else if (rc != SW_OK) {
        reply_app_error(&rq->reply, rc, &error);
    }
    return rc == SW_OK;
}

void handle_groups_create(struct request *rq) {
    struct group_job job = {.product_id = rq->product.id};
    if (read_group(rq, &job.edit, FIELD_REQUIRED) && write_group(rq, &job)) {
        reply_header(&rq->reply, "Location", "/v1/products/%u/groups/%s", rq->product.id,
                     job.group.name);
        reply_json(&rq->reply, 201, json_pack("{s:o}", "group", page_group(&job.group)));
    }
}

void handle_groups_edit(struct request *rq) {
    struct group_job job = {.product_id = rq->product.id, .name = group_of_path(rq)};
    if (job.name != NULL && read_group(rq, &job.edit, FIELD_OPTIONAL) && write_group(rq, &job)) {
        reply_json(&rq->reply, 200, json_pack("{s:o}", "group", page_group(&job.group)));
    }
}

static int run_group_delete(struct app_tx *tx, void *arg) {
    const struct group_job *job = arg;
    return app_group_delete(tx, job->product_id, job->name);
}

void handle_groups_delete(struct request *rq) {
    struct group_job job = {.product_id = rq->product.id, .name = group_of_path(rq)};
    struct app_error error = {0};
    if (job.name == NULL) {
        return;
    }
    int rc = app_execute(rq->server->app, run_group_delete, &job, &error);
    if (rc == SW_E_NOT_FOUND) {
        reply_missing(&rq->reply, "Group not found.");
    } else if (rc != SW_OK) {
        reply_app_error(&rq->reply, rc, &error);
    } else {
        reply_empty(&rq->reply, 204);
    }
}
