#include "http/request/query.h"
#include "slipway/util/text.h"

#include <stdio.h>
#include <string.h>

const char *request_query(struct request *rq, const char *name) {
    if (rq->query_count < QUERY_NAMES_MAX) {
        rq->query_names[rq->query_count++] = name;
    }
    return MHD_lookup_connection_value(rq->connection, MHD_GET_ARGUMENT_KIND, name);
}

bool request_query_integer(struct request *rq, const char *name, int64_t min, int64_t max,
                           int64_t *out) {
    const char *text = request_query(rq, name);
    if (text == NULL) {
        return true;
    }
    int64_t value = 0;
    if (!text_integer(text, &value) || value < min || value > max) {
        reply_error(&rq->reply, 400, "invalid_request", "%s: must be an integer from %lld to %lld",
                    name, (long long)min, (long long)max);
        return false;
    }
    *out = value;
    return true;
}

bool request_query_bool(struct request *rq, const char *name, bool *out) {
    const char *text = request_query(rq, name);
    if (text == NULL) {
        return true;
    }
    if (!texts_bool(text, out)) {
        reply_error(&rq->reply, 400, "invalid_request", "%s: must be true or false", name);
        return false;
    }
    return true;
}

struct texts {
    const char *name;
    json_t *list;
};

static enum MHD_Result take_texts(void *arg, enum MHD_ValueKind kind, const char *key,
                                  const char *value) {
    struct texts *texts = arg;
    (void)kind;
    size_t len = strlen(texts->name);
    if (strncmp(key, texts->name, len) != 0 || (key[len] != '\0' && strcmp(key + len, "[]") != 0)) {
        return MHD_YES;
    }
    if (texts->list == NULL) {
        texts->list = json_array();
    }
    json_t *more = texts_split(value != NULL ? value : "");
    (void)json_array_extend(texts->list, more);
    json_decref(more);
    return MHD_YES;
}

json_t *request_query_texts(struct request *rq, const char *name) {
    struct texts texts = {.name = name};
    (void)request_query(rq, name);
    (void)MHD_get_connection_values(rq->connection, MHD_GET_ARGUMENT_KIND, take_texts, &texts);
    return texts.list;
}

static enum MHD_Result check_slip(void *arg, enum MHD_ValueKind kind, const char *key,
                                  const char *value) {
    struct request *rq = arg;
    (void)kind;
    (void)value;
    const char *meant = name_meant(rq->query_names, rq->query_count, key);
    if (meant == NULL) {
        return MHD_YES;
    }
    char shown[64];
    (void)snprintf(shown, sizeof shown, "%s", key);
    reply_close(&rq->reply);
    reply_error(&rq->reply, 400, "invalid_request", "%s: is not a parameter here; did you mean %s?",
                shown, meant);
    return MHD_NO;
}

void query_end(struct request *rq) {
    bool is_answered = rq->reply.status == 200 && !rq->reply.is_stream;
    if (rq->has_query && is_answered && rq->match.route->method == METHOD_GET) {
        (void)MHD_get_connection_values(rq->connection, MHD_GET_ARGUMENT_KIND, check_slip, rq);
    }
}
