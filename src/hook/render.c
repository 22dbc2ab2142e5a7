/* Templates are texts in which {{name}} or {{{name}}} stands for a fact about the event, or for a
 * value of the JSON object that the event carries. They never reach header names or the host: an
 * event, which a device makes, decides what is sent and not where to. */
#include "hook/render.h"

#include "slipway/crypto/hash.h"
#include "slipway/sys/clock.h"
#include "slipway/util/check.h"
#include "slipway/util/hex.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct facts {
    json_t *defaults; /* event, data, published_at, coreid */
    json_t *data;     /* the event's own object; NULL if it carries none */
};

/* What is no UTF-8 is shown as '?', so that every event can be told. */
static json_t *text_of(const char *bytes, size_t len) {
    json_t *text = json_stringn(bytes, len);
    if (text != NULL) {
        return text;
    }
    char ascii[EVENT_DATA_BYTES];
    size_t kept = len < sizeof ascii ? len : sizeof ascii;
    for (size_t i = 0; i < kept; i++) {
        ascii[i] = ((unsigned char)bytes[i] & 0x80) == 0 ? bytes[i] : '?';
    }
    return json_stringn(ascii, kept);
}

static void facts_open(struct facts *facts, const struct event *event) {
    char at[WALL_TEXT_BYTES], device[DEVICE_ID_DIGITS + 1] = "api";
    wall_text((wall_time){.ms = event->at_ms}, at);
    if (event->has_device) {
        device_id_text(&event->device, device);
    }
    facts->defaults = json_pack(
        "{s:o, s:o, s:s, s:s}", "event", text_of(event->name, strlen(event->name)), "data",
        text_of(event->data, event->data_len), "published_at", at, "coreid", device);
    facts->data = json_loadb(event->data, event->data_len, 0, NULL);
}

static void facts_close(struct facts *facts) {
    json_decref(facts->defaults);
    json_decref(facts->data);
}

static const json_t *fact(const struct facts *facts, const char *name, size_t len) {
    static const struct {
        const char *word, *key;
    } words[] = {{"PARTICLE_EVENT_NAME", "event"},
                 {"PARTICLE_EVENT_VALUE", "data"},
                 {"PARTICLE_DEVICE_ID", "coreid"},
                 {"PARTICLE_PUBLISHED_AT", "published_at"}};
    for (size_t i = 0; i < SW_COUNT(words); i++) {
        if (strlen(words[i].word) == len && memcmp(words[i].word, name, len) == 0) {
            return json_object_get(facts->defaults, words[i].key);
        }
    }
    return json_object_getn(facts->data, name, len);
}

static void put_fact(FILE *out, const json_t *value) {
    if (json_is_string(value)) {
        (void)fwrite(json_string_value(value), 1, json_string_length(value), out);
    } else if (value != NULL) {
        (void)json_dumpf(value, out, JSON_COMPACT | JSON_ENCODE_ANY);
    }
}

/* A heap text; NULL without memory. */
static char *expand(const char *text, const struct facts *facts) {
    char *made = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&made, &len);
    if (out == NULL) {
        return NULL;
    }
    while (*text != '\0') {
        size_t braces = strncmp(text, "{{{", 3) == 0 ? 3 : strncmp(text, "{{", 2) == 0 ? 2 : 0;
        const char *end = braces > 0 ? strstr(text + braces, braces == 3 ? "}}}" : "}}") : NULL;
        if (end == NULL) {
            (void)fputc(*text++, out);
            continue;
        }
        const char *name = text + braces;
        while (*name == ' ') {
            name++;
        }
        const char *stop = end;
        while (stop > name && stop[-1] == ' ') {
            stop--;
        }
        put_fact(out, fact(facts, name, stop > name ? (size_t)(stop - name) : 0));
        text = end + braces;
    }
    if (fclose(out) != 0) {
        free(made);
        return NULL;
    }
    return made;
}

/* A template with its texts expanded; a new reference, NULL without memory. */
static json_t *expand_json(const json_t *template, const struct facts *facts) {
    if (json_is_string(template)) {
        char *text = expand(json_string_value(template), facts);
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
            failed |= json_object_set_new(made, key, expand_json(value, facts));
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

/* The given object's template with the defaults that it does not name itself. */
static json_t *with_defaults(const struct rendered *r, const char *name,
                             const struct facts *facts) {
    const json_t *given = json_object_get(r->spec, name);
    json_t *made = json_is_object(given) ? expand_json(given, facts) : json_object();
    bool has_defaults = !json_is_true(json_object_get(r->spec, "noDefaults"));
    if (made != NULL && has_defaults && json_object_update_missing(made, facts->defaults) != 0) {
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

static int make_url(struct rendered *r, const struct hook *hook, const struct facts *facts) {
    CURLU *url = curl_url();
    int code = url == NULL ? SW_E_MEMORY : SW_OK;
    if (code == SW_OK && curl_url_set(url, CURLUPART_URL, hook->url, 0) != CURLUE_OK) {
        code = SW_E_INPUT;
    }
    const json_t *given = json_object_get(r->spec, "query");
    if (code == SW_OK && json_is_object(given)) {
        json_t *query = expand_json(given, facts);
        code = add_query(url, query);
        json_decref(query);
    }
    if (code == SW_OK && strcmp(hook->method, "GET") == 0 &&
        !json_is_true(json_object_get(r->spec, "noDefaults"))) {
        code = add_query(url, facts->defaults);
    }
    if (code == SW_OK && curl_url_get(url, CURLUPART_URL, &r->url, 0) != CURLUE_OK) {
        code = SW_E_MEMORY;
    }
    curl_url_cleanup(url);
    return code;
}

static int make_body(struct rendered *r, const struct hook *hook, const struct facts *facts,
                     const char **type) {
    const json_t *json = json_object_get(r->spec, "json");
    const json_t *body = json_object_get(r->spec, "body");
    *type = NULL;
    if (strcmp(hook->method, "GET") == 0) {
        return SW_OK;
    }
    if (json_is_object(json) || json_is_true(json)) {
        json_t *made = with_defaults(r, "json", facts);
        r->body = made != NULL ? json_dumps(made, JSON_COMPACT) : NULL;
        json_decref(made);
        *type = "application/json";
    } else if (json_is_string(body)) {
        r->body = expand(json_string_value(body), facts);
        *type = "text/plain; charset=utf-8";
    } else {
        json_t *made = with_defaults(r, "form", facts);
        r->body = made != NULL ? form_of(made) : NULL;
        json_decref(made);
        *type = "application/x-www-form-urlencoded";
    }
    r->body_len = r->body != NULL ? strlen(r->body) : 0;
    return r->body != NULL ? SW_OK : SW_E_MEMORY;
}

static int add_header(struct rendered *r, const char *line) {
    struct curl_slist *longer = curl_slist_append(r->headers, line);
    if (longer == NULL) {
        return SW_E_MEMORY;
    }
    r->headers = longer;
    return SW_OK;
}

static int make_headers(struct rendered *r, const struct app_hook_job *job, const char *type) {
    char line[2048], digits[SHA256_BYTES * 2 + 1];
    const char *name = NULL;
    json_t *value = NULL;
    bool has_type = type == NULL;
    int code = SW_OK;
    json_object_foreach(json_object_get(r->spec, "headers"), name, value) {
        (void)snprintf(line, sizeof line, "%s: %s", name, json_string_value(value));
        has_type = has_type || strcasecmp(name, "Content-Type") == 0;
        code = code != SW_OK ? code : add_header(r, line);
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
    (void)snprintf(line, sizeof line, "X-Slipway-Hook: %s", job->hook.uid);
    code = code != SW_OK ? code : add_header(r, line);
    (void)snprintf(line, sizeof line, "X-Slipway-Delivery: %" PRId64, job->delivery.id);
    code = code != SW_OK ? code : add_header(r, line);
    /* Without these, curl asks before it sends a long body, and waits. */
    return code != SW_OK ? code : add_header(r, "Expect:");
}

int render(const struct app_hook_job *job, struct rendered *out) {
    *out = (struct rendered){.spec = json_loads(job->hook.spec, 0, NULL)};
    if (!json_is_object(out->spec)) {
        return SW_E_INPUT;
    }
    struct facts facts;
    const char *type = NULL;
    facts_open(&facts, &job->delivery.event);
    int code = facts.defaults == NULL ? SW_E_MEMORY : make_url(out, &job->hook, &facts);
    code = code != SW_OK ? code : make_body(out, &job->hook, &facts, &type);
    code = code != SW_OK ? code : make_headers(out, job, type);
    facts_close(&facts);
    const json_t *auth = json_object_get(out->spec, "auth");
    out->user = json_string_value(json_object_get(auth, "username"));
    out->password = json_string_value(json_object_get(auth, "password"));
    out->accepts_any_certificate = json_is_false(json_object_get(out->spec, "rejectUnauthorized"));
    return code;
}

void rendered_close(struct rendered *rendered) {
    json_decref(rendered->spec);
    curl_free(rendered->url);
    free(rendered->body);
    curl_slist_free_all(rendered->headers);
    *rendered = (struct rendered){0};
}
