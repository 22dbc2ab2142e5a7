/* Where an event goes is the owner's word alone: templates reach the path, the query, the values of
 * headers and the body, and whatever they put there can neither begin another part of the URL nor
 * another header. */
#include "hook/render.h"

#include "slipway/app/template.h"
#include "slipway/crypto/hash.h"
#include "slipway/crypto/secret.h"
#include "slipway/sys/clock.h"
#include "slipway/util/check.h"
#include "slipway/util/hex.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What is no UTF-8 is shown as '?', so that every event can be told. */
static json_t *text_of(const char *bytes, size_t len) {
    json_t *text = json_stringn(bytes, len);
    if (text != NULL) {
        return text;
    }
    char *ascii = malloc(len + 1);
    for (size_t i = 0; ascii != NULL && i < len; i++) {
        ascii[i] = ((unsigned char)bytes[i] & 0x80) == 0 ? bytes[i] : '?';
    }
    text = ascii != NULL ? json_stringn(ascii, len) : NULL;
    free(ascii);
    return text;
}

static json_t *words_of(const struct event *event, const json_t *defaults) {
    static const struct {
        const char *word, *older, *key;
    } same[] = {{"PARTICLE_EVENT_NAME", "SPARK_EVENT_NAME", "event"},
                {"PARTICLE_EVENT_VALUE", "SPARK_EVENT_VALUE", "data"},
                {"PARTICLE_DEVICE_ID", "SPARK_CORE_ID", "coreid"},
                {"PARTICLE_PUBLISHED_AT", "SPARK_PUBLISHED_AT", "published_at"}};
    char *whole = json_dumps(defaults, JSON_COMPACT);
    json_t *words = json_pack("{s:I, s:s*, s:i, s:i}", "PARTICLE_EVENT_ID", (json_int_t)event->id,
                              "PARTICLE_EVENT_JSON", whole, "PRODUCT_ID", (int)event->product_id,
                              "PRODUCT_VERSION", (int)event->version);
    free(whole);
    for (size_t i = 0; i < SW_COUNT(same); i++) {
        json_t *value = json_object_get(defaults, same[i].key);
        if (json_object_set(words, same[i].word, value) != 0 ||
            json_object_set(words, same[i].older, value) != 0) {
            json_decref(words);
            return NULL;
        }
    }
    return words;
}

static int facts_open(struct rendered *r, const struct event *event) {
    char at[WALL_TEXT_BYTES], device[DEVICE_ID_DIGITS + 1] = "api";
    wall_text((wall_time){.ms = event->at_ms}, at);
    if (event->has_device) {
        device_id_text(&event->device, device);
    }
    r->defaults = json_pack(
        "{s:o, s:o, s:s, s:s}", "event", text_of(event->name, strlen(event->name)), "data",
        text_of(event->data, event->data_len), "published_at", at, "coreid", device);
    r->words = r->defaults != NULL ? words_of(event, r->defaults) : NULL;
    r->data = json_loadb(event->data, event->data_len, 0, NULL);
    return r->words != NULL ? SW_OK : SW_E_MEMORY;
}

/* A heap text; NULL: *code is why. */
static char *expand(const char *text, const struct template_facts *facts, enum template_use use,
                    int *code) {
    char *made = NULL;
    size_t len = 0;
    int expanded = template_expand(text, facts, use, &made, &len);
    *code = *code == SW_OK ? expanded : *code;
    return made;
}

static struct template_facts facts_of(const struct rendered *r) {
    return (struct template_facts){.words = r->words, .data = r->data};
}

static int object_add(json_t *object, const char *key, json_t *value,
                      const struct template_facts *facts) {
    int code = SW_OK;
    char *name = expand(key, facts, TEMPLATE_TEXT, &code);
    int failed = name == NULL ? -1 : json_object_set(object, name, value);
    free(name);
    json_decref(value);
    return failed;
}

/* A template with its texts and names expanded; a new reference, NULL without memory or past the
 * bounds. */
static json_t *expand_json(const json_t *template, const struct template_facts *facts) {
    if (json_is_string(template)) {
        int code = SW_OK;
        char *text = expand(json_string_value(template), facts, TEMPLATE_TEXT, &code);
        json_t *made = text != NULL ? json_string(text) : NULL;
        free(text);
        return made;
    }
    bool is_object = json_is_object(template);
    if (!is_object && !json_is_array(template)) {
        return json_deep_copy(template);
    }
    json_t *made = is_object ? json_object() : json_array();
    int failed = 0;
    if (is_object) {
        const char *key = NULL;
        json_t *value = NULL;
        json_object_foreach((json_t *)(uintptr_t) template, key, value) {
            failed |= object_add(made, key, expand_json(value, facts), facts);
        }
    } else {
        size_t i = 0;
        json_t *value = NULL;
        json_array_foreach((json_t *)(uintptr_t) template, i, value) {
            failed |= json_array_append_new(made, expand_json(value, facts));
        }
    }
    if (failed != 0) {
        json_decref(made);
        return NULL;
    }
    return made;
}

/* "a=1&b=2" of an object's texts; NULL without memory. */
static char *form_of(const json_t *object) {
    char *made = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&made, &len);
    const char *key = NULL;
    json_t *value = NULL;
    bool is_first = true;
    if (out == NULL) {
        return NULL;
    }
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        char *text = json_is_string(value) ? strdup(json_string_value(value))
                                           : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        char *name = curl_easy_escape(NULL, key, 0);
        char *escaped = text != NULL ? curl_easy_escape(NULL, text, 0) : NULL;
        (void)fprintf(out, "%s%s=%s", is_first ? "" : "&", name != NULL ? name : "",
                      escaped != NULL ? escaped : "");
        is_first = false;
        curl_free(name);
        curl_free(escaped);
        free(text);
    }
    if (fclose(out) != 0) {
        free(made);
        return NULL;
    }
    return made;
}

static int add_defaults(const struct rendered *r, json_t *object) {
    bool has_defaults = !json_is_true(json_object_get(r->spec, "noDefaults"));
    return has_defaults ? json_object_update_missing(object, r->defaults) : 0;
}

/* The given object's template with the defaults that it does not name itself. */
static json_t *with_defaults(const struct rendered *r, const char *name) {
    const struct template_facts facts = facts_of(r);
    const json_t *given = json_object_get(r->spec, name);
    json_t *made = json_is_object(given) ? expand_json(given, &facts) : json_object();
    if (made != NULL && add_defaults(r, made) != 0) {
        json_decref(made);
        return NULL;
    }
    return made;
}

/* Appends an object to the query of the address. */
static int add_query(CURLU *url, const json_t *object) {
    char *query = object != NULL ? form_of(object) : NULL;
    int code = query == NULL ? SW_E_MEMORY : SW_OK;
    if (code == SW_OK && query[0] != '\0' &&
        curl_url_set(url, CURLUPART_QUERY, query, CURLU_APPENDQUERY) != CURLUE_OK) {
        code = SW_E_INPUT;
    }
    free(query);
    return code;
}

/* A value that is "." or ".." would move the path: whoever takes those out of it on the way would
 * send it elsewhere. */
static bool has_dots(const char *path) {
    for (const char *at = path; (at = strchr(at, '/')) != NULL; at++) {
        size_t len = strcspn(at + 1, "/");
        if ((len == 1 || len == 2) && strspn(at + 1, ".") >= len) {
            return true;
        }
    }
    return false;
}

static int check_url(struct rendered *r, CURLU *url) {
    char *host = NULL, *path = NULL;
    int code = curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                       curl_url_get(url, CURLUPART_PATH, &path, 0) == CURLUE_OK
                   ? SW_OK
                   : SW_E_MEMORY;
    if (code == SW_OK) {
        (void)snprintf(r->host, sizeof r->host, "%s", host);
        code = has_dots(path) ? SW_E_INPUT : SW_OK;
    }
    curl_free(host);
    curl_free(path);
    return code;
}

static int make_url(struct rendered *r, const struct hook *hook) {
    const struct template_facts facts = facts_of(r);
    int code = SW_OK;
    char *text = expand(hook->url, &facts, TEMPLATE_URL, &code);
    CURLU *url = curl_url();
    code = code == SW_OK && url == NULL ? SW_E_MEMORY : code;
    if (code == SW_OK && curl_url_set(url, CURLUPART_URL, text, CURLU_PATH_AS_IS) != CURLUE_OK) {
        code = SW_E_INPUT;
    }
    free(text);
    code = code != SW_OK ? code : check_url(r, url);
    const json_t *given = json_object_get(r->spec, "query");
    if (code == SW_OK && json_is_object(given)) {
        json_t *query = expand_json(given, &facts);
        code = add_query(url, query);
        json_decref(query);
    }
    if (code == SW_OK && strcmp(hook->method, "GET") == 0 &&
        !json_is_true(json_object_get(r->spec, "noDefaults"))) {
        code = add_query(url, r->defaults);
    }
    if (code == SW_OK && curl_url_get(url, CURLUPART_URL, &r->url, 0) != CURLUE_OK) {
        code = SW_E_MEMORY;
    }
    curl_url_cleanup(url);
    return code;
}

/* A text that becomes JSON only with what is put into it. */
static int make_json_of_text(struct rendered *r, const char *template) {
    const struct template_facts facts = facts_of(r);
    int code = SW_OK;
    char *text = expand(template, &facts, TEMPLATE_TEXT, &code);
    json_t *made = text != NULL ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    code = code == SW_OK && made == NULL ? SW_E_INPUT : code;
    if (json_is_object(made) && add_defaults(r, made) == 0) {
        r->body = json_dumps(made, JSON_COMPACT);
        free(text);
    } else {
        r->body = text;
    }
    json_decref(made);
    return code;
}

static int make_body(struct rendered *r, const struct hook *hook, const char **type) {
    const struct template_facts facts = facts_of(r);
    const json_t *json = json_object_get(r->spec, "json");
    const json_t *body = json_object_get(r->spec, "body");
    int code = SW_OK;
    *type = NULL;
    if (strcmp(hook->method, "GET") == 0) {
        return SW_OK;
    }
    if (json_is_string(json)) {
        code = make_json_of_text(r, json_string_value(json));
        *type = "application/json";
    } else if (json_is_object(json) || json_is_true(json)) {
        json_t *made = with_defaults(r, "json");
        r->body = made != NULL ? json_dumps(made, JSON_COMPACT) : NULL;
        json_decref(made);
        *type = "application/json";
    } else if (json_is_string(body)) {
        r->body = expand(json_string_value(body), &facts, TEMPLATE_TEXT, &code);
        *type = "text/plain; charset=utf-8";
    } else {
        json_t *made = with_defaults(r, "form");
        r->body = made != NULL ? form_of(made) : NULL;
        json_decref(made);
        *type = "application/x-www-form-urlencoded";
    }
    r->body_len = r->body != NULL ? strlen(r->body) : 0;
    return code == SW_OK && r->body == NULL ? SW_E_MEMORY : code;
}

static int add_header(struct rendered *r, const char *line) {
    struct curl_slist *longer = curl_slist_append(r->headers, line);
    if (longer == NULL) {
        return SW_E_MEMORY;
    }
    r->headers = longer;
    return SW_OK;
}

/* "name: value" with the value's template expanded; nothing in it can end the line. */
static int add_given_header(struct rendered *r, const char *name, const char *template) {
    const struct template_facts facts = facts_of(r);
    char *line = NULL, *value = NULL;
    size_t value_len = 0;
    int code = template_expand(template, &facts, TEMPLATE_TEXT, &value, &value_len);
    if (code == SW_OK) {
        for (size_t i = 0; i < value_len; i++) {
            unsigned char c = (unsigned char)value[i];
            value[i] = c < 0x20 || c == 0x7f ? ' ' : value[i];
        }
        /* curl takes "name:" for a header to be left out, "name;" for one without a value. */
        bool is_empty = value[strspn(value, " ")] == '\0';
        int len = is_empty ? asprintf(&line, "%s;", name) : asprintf(&line, "%s: %s", name, value);
        code = len < 0 ? SW_E_MEMORY : add_header(r, line);
        if (len >= 0) {
            free(line);
        }
    }
    free(value);
    return code;
}

static int make_headers(struct rendered *r, const struct app_hook_job *job, const char *type) {
    char line[256], digits[SHA256_BYTES * 2 + 1];
    const char *name = NULL;
    json_t *value = NULL;
    bool has_type = type == NULL;
    int code = SW_OK;
    json_object_foreach(json_object_get(r->spec, "headers"), name, value) {
        has_type = has_type || strcasecmp(name, "Content-Type") == 0;
        code = code != SW_OK ? code : add_given_header(r, name, json_string_value(value));
    }
    if (!has_type) {
        (void)snprintf(line, sizeof line, "Content-Type: %s", type);
        code = code != SW_OK ? code : add_header(r, line);
    }
    struct sha256 mac;
    hmac_sha256(span_text(job->hook.secret), span_of(r->body != NULL ? r->body : "", r->body_len),
                &mac);
    hex_encode(span_of(mac.b, sizeof mac.b), digits, sizeof digits);
    (void)snprintf(line, sizeof line, "X-Slipway-Signature: sha256=%s", digits);
    code = code != SW_OK ? code : add_header(r, line);
    (void)snprintf(line, sizeof line, "X-Slipway-Hook: %s", job->hook.row.uid);
    code = code != SW_OK ? code : add_header(r, line);
    (void)snprintf(line, sizeof line, "X-Slipway-Delivery: %" PRId64, job->delivery.id);
    code = code != SW_OK ? code : add_header(r, line);
    /* Without these, curl asks before it sends a long body, and waits. */
    return code != SW_OK ? code : add_header(r, "Expect:");
}

static int make_auth(struct rendered *r) {
    const struct template_facts facts = facts_of(r);
    const json_t *auth = json_object_get(r->spec, "auth");
    const char *user = json_string_value(json_object_get(auth, "username"));
    const char *password = json_string_value(json_object_get(auth, "password"));
    int code = SW_OK;
    r->user = user != NULL ? expand(user, &facts, TEMPLATE_TEXT, &code) : NULL;
    r->password = password != NULL ? expand(password, &facts, TEMPLATE_TEXT, &code) : NULL;
    return code;
}

int render(const struct app_hook_job *job, struct rendered *out) {
    *out = (struct rendered){.spec = json_loads(job->hook.spec, 0, NULL)};
    if (!json_is_object(out->spec)) {
        return SW_E_INPUT;
    }
    const char *type = NULL;
    int code = facts_open(out, &job->delivery.event);
    code = code != SW_OK ? code : make_url(out, &job->hook.row);
    code = code != SW_OK ? code : make_body(out, &job->hook.row, &type);
    code = code != SW_OK ? code : make_headers(out, job, type);
    code = code != SW_OK ? code : make_auth(out);
    out->accepts_any_certificate = json_is_false(json_object_get(out->spec, "rejectUnauthorized"));
    return code == SW_E_RANGE ? SW_E_INPUT : code;
}

static void wipe_free(char *text) {
    if (text != NULL) {
        crypto_wipe(text, strlen(text));
        free(text);
    }
}

void rendered_close(struct rendered *rendered) {
    json_decref(rendered->spec);
    json_decref(rendered->words);
    json_decref(rendered->defaults);
    json_decref(rendered->data);
    curl_free(rendered->url);
    free(rendered->body);
    wipe_free(rendered->user);
    wipe_free(rendered->password);
    curl_slist_free_all(rendered->headers);
    *rendered = (struct rendered){0};
}

/* --- answers --- */

static char *expand_topic(const struct rendered *r, const char *name, int *code) {
    const struct template_facts facts = facts_of(r);
    const char *template = json_string_value(json_object_get(r->spec, name));
    return template != NULL ? expand(template, &facts, TEMPLATE_TEXT, code) : NULL;
}

static char *text_copy(struct span bytes, size_t *len) {
    json_t *text = text_of((const char *)bytes.data, bytes.len);
    char *made = json_is_string(text) ? strdup(json_string_value(text)) : NULL;
    *len = made != NULL ? strlen(made) : 0;
    json_decref(text);
    return made;
}

static char *retell_by(const struct rendered *r, const json_t *template, struct span answer,
                       int *code) {
    json_t *said = json_loadb((const char *)answer.data, answer.len, JSON_DECODE_ANY, NULL);
    const struct template_facts facts = {.words = r->words, .data = said};
    char *made = NULL;
    if (json_is_string(template)) {
        made = expand(json_string_value(template), &facts, TEMPLATE_TEXT, code);
    } else {
        json_t *whole = expand_json(template, &facts);
        made = whole != NULL ? json_dumps(whole, JSON_COMPACT) : NULL;
        *code = *code == SW_OK && whole == NULL ? SW_E_RANGE : *code;
        json_decref(whole);
    }
    json_decref(said);
    return made;
}

int retell(const struct rendered *r, struct span answer, struct retold *out) {
    const json_t *template = json_object_get(r->spec, "responseTemplate");
    int code = SW_OK;
    *out = (struct retold){0};
    out->topic = expand_topic(r, "responseTopic", &code);
    out->error_topic = expand_topic(r, "errorResponseTopic", &code);
    bool has_template = json_is_object(template) || json_string_length(template) > 0;
    if (code == SW_OK && answer.len > 0) {
        out->answer = has_template ? retell_by(r, template, answer, &code)
                                   : text_copy(answer, &out->answer_len);
        code = code == SW_OK && out->answer == NULL ? SW_E_MEMORY : code;
        out->answer_len = out->answer != NULL ? strlen(out->answer) : 0;
    }
    return code;
}

void retold_close(struct retold *retold) {
    free(retold->topic);
    free(retold->error_topic);
    free(retold->answer);
    *retold = (struct retold){0};
}
