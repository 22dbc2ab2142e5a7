/* A webhook's settings, an event and an answer of any kind: lines of the path, the settings, the
 * answer, and the rest is the event's data. Wherever the settings let the event in, it reaches no
 * other server, begins no other header, and makes no more than may come out. */
#include "fuzz.h"
#include "hook/render.h"
#include "slipway/app/template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ORIGIN "https://user@h.test:81/"

/* Up to the next line's end; a heap text. */
static char *take_line(struct span *rest) {
    size_t len = 0;
    while (len < rest->len && rest->data[len] != '\n') {
        len++;
    }
    char *line = malloc(len + 1);
    SW_CHECK(line != NULL);
    memcpy(line, rest->data, len);
    line[len] = '\0';
    size_t used = len < rest->len ? len + 1 : len;
    *rest = span_of(rest->data + used, rest->len - used);
    return line;
}

/* What the REST door refuses never comes this far. */
static bool is_acceptable(const char *path, const char *spec) {
    for (const char *c = path; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~' || *c == '\\') {
            return false;
        }
    }
    json_t *json = json_loads(spec, 0, NULL);
    const json_t *headers = json_object_get(json, "headers");
    const char *name = NULL;
    json_t *value = NULL;
    bool is_good = json_is_object(json) && template_fault(path) == NULL;
    json_object_foreach((json_t *)(uintptr_t)headers, name, value) {
        is_good =
            is_good && json_is_string(value) && name[0] != '\0' &&
            strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") == strlen(name);
    }
    json_decref(json);
    return is_good;
}

static void check_request(const struct rendered *r) {
    SW_CHECK(strncmp(r->url, ORIGIN, strlen(ORIGIN)) == 0);
    SW_CHECK(strcmp(r->host, "h.test") == 0);
    for (const char *c = r->url; *c != '\0'; c++) {
        SW_CHECK(*c > ' ' && *c != 0x7f);
    }
    for (const struct curl_slist *at = r->headers; at != NULL; at = at->next) {
        for (const char *c = at->data; *c != '\0'; c++) {
            SW_CHECK((unsigned char)*c >= ' ' && *c != 0x7f);
        }
    }
    SW_CHECK(r->body == NULL ? r->body_len == 0 : r->body_len == strlen(r->body));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct app_hook_job job;
    struct span rest = span_of(data, size);
    char *path = take_line(&rest), *spec = take_line(&rest), *answer = take_line(&rest);
    struct event *event = &job.delivery.event;
    if (strlen(path) + sizeof ORIGIN <= sizeof job.hook.row.url &&
        strlen(spec) < sizeof job.hook.spec && is_acceptable(path, spec)) {
        (void)snprintf(job.hook.row.url, sizeof job.hook.row.url, ORIGIN "%s", path);
        (void)snprintf(job.hook.row.method, sizeof job.hook.row.method, "%s",
                       size % 2 == 0 ? "POST" : "GET");
        (void)snprintf(job.hook.spec, sizeof job.hook.spec, "%s", spec);
        (void)snprintf(event->name, sizeof event->name, "e/%.40s", answer);
        event->data_len = rest.len < sizeof event->data ? rest.len : sizeof event->data - 1;
        if (event->data_len > 0) {
            memcpy(event->data, rest.data, event->data_len);
        }
        struct rendered r;
        struct retold told;
        if (render(&job, &r) == SW_OK) {
            check_request(&r);
            if (retell(&r, span_text(answer), &told) == SW_OK) {
                SW_CHECK(told.answer == NULL || told.answer_len == strlen(told.answer));
            }
            retold_close(&told);
        }
        rendered_close(&r);
    }
    free(path);
    free(spec);
    free(answer);
    return 0;
}
