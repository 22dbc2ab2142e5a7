/* The dialect of webhooks' templates, and its bounds. */
#include "slipway/app/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int expand(const char *text, const char *data, enum template_use use, char **out) {
    json_t *words = json_pack("{s:s, s:i}", "WORD", "<w>", "n", 7);
    json_t *json = data != NULL ? json_loads(data, JSON_DECODE_ANY, NULL) : NULL;
    const struct template_facts facts = {.words = words, .data = json};
    size_t len = 0;
    int code = template_expand(text, &facts, use, out, &len);
    if (code == SW_OK) {
        assert_int_equal(strlen(*out), len);
    } else {
        assert_null(*out);
    }
    json_decref(words);
    json_decref(json);
    return code;
}

static void becomes(const char *text, const char *data, enum template_use use, const char *wanted) {
    char *got = NULL;
    assert_int_equal(expand(text, data, use, &got), SW_OK);
    assert_string_equal(got, wanted);
    free(got);
}

#define DATA                                                                                       \
    "{\"a\":{\"aa\":\"x\",\"ab\":1.5},\"b\":\"<&>\\\"'\",\"c\":[{\"ca\":\"1\"},{\"ca\":\"2\"}],"   \
    "\"e\":\"\",\"f\":false,\"z\":0,\"l\":[],\"n\":8,\"t\":true,\"o\":null}"

static void values(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"plain", "plain"},
        {"{{{a.aa}}}", "x"},
        {"{{ a.ab }}|{{{ a.ab }}}", "1.5|1.5"},
        {"{{b}}", "&lt;&amp;&gt;&quot;&#39;"},
        {"{{{b}}}{{&b}}", "<&>\"'<&>\"'"},
        {"{{{c.0.ca}}}{{{c.1.ca}}}{{{c.2.ca}}}{{{c.x.ca}}}", "12"},
        {"{{{a}}}", "{\"aa\":\"x\",\"ab\":1.5}"},
        {"{{none}}{{{a.none.x}}}{{{o}}}", ""},
        {"{{{WORD}}}{{{n}}}", "<w>7"}, /* words go before the event's own */
        {"{{t}}{{f}}", "truefalse"},
        {"{{! a remark }}x", "x"},
        {"{{", "{{"},
        {"{{{x", "{{{x"},
        {"{{x", "{{x"},
        {"}}", "}}"},
        {"{{}}", ""},
        {"{x}", "{x}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        becomes(cases[i][0], DATA, TEMPLATE_TEXT, cases[i][1]);
    }
    becomes("{{{a}}}{{{.}}}", NULL, TEMPLATE_TEXT, "");
    becomes("{{{.}}}", "\"whole\"", TEMPLATE_TEXT, "whole");
    becomes("{{{1.x}}}", "[0,{\"x\":5}]", TEMPLATE_TEXT, "5");
}

static void sections(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"{{#b}}[{{{b}}}]{{/b}}{{^b}}no{{/b}}", "[<&>\"']"},
        {"{{#none}}yes{{/none}}{{^none}}no{{/none}}", "no"},
        {"{{#c}}{{{ca}}}~{{/c}}", "1~2~"},
        {"{{#c}}{{#a}}{{{aa}}}{{{ca}}}{{/a}}{{/c}}", "x1x2"},
        {"{{#a}}{{{aa}}}{{/a}}{{{aa}}}", "x"},
        {"{{#e}}e{{/e}}{{#f}}f{{/f}}{{#z}}z{{/z}}{{#l}}l{{/l}}{{#o}}o{{/o}}{{#t}}t{{/t}}", "t"},
        {"{{^l}}{{^c}}c{{/c}}l{{/l}}", "l"},
        {"{{#none}}{{#c}}x{{/c}}{{/none}}y", "y"},
        {"{{#t}}open", "open"},
        {"{{/t}}stray", "stray"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        becomes(cases[i][0], DATA, TEMPLATE_TEXT, cases[i][1]);
    }
    becomes("{{#.}}<{{{.}}}>{{/.}}", "[1,\"a\",null]", TEMPLATE_TEXT, "<1><a><>");
}

static void places(void **state) {
    (void)state;
    const char *data = "{\"v\":\"a/b?c=d&e#f .%\\r\\n\\u00fc~\"}";
    becomes("/x?{{{v}}}", data, TEMPLATE_URL, "/x?a%2Fb%3Fc%3Dd%26e%23f%20.%25%0D%0A%C3%BC~");
    becomes("{{v}}", data, TEMPLATE_URL, "a%2Fb%3Fc%3Dd%26e%23f%20.%25%0D%0A%C3%BC~");
    char *got = NULL;
    json_t *nul = json_pack("{s:s#}", "v", "a\0b", 3);
    const struct template_facts facts = {.data = nul};
    size_t len = 0;
    assert_int_equal(template_expand("{{{v}}}", &facts, TEMPLATE_TEXT, &got, &len), SW_OK);
    assert_int_equal(len, 3);
    assert_memory_equal(got, "a\0b", 4);
    free(got);
    json_decref(nul);
}

/* 30 elements four levels deep would be looked at 810,000 times, a list of lists more often. */
static void work_and_output_are_bounded(void **state) {
    (void)state;
    char list[256] = "{\"l\":[", *got = NULL;
    for (int i = 0; i < 30; i++) {
        (void)snprintf(list + strlen(list), sizeof list - strlen(list), "%s1", i > 0 ? "," : "");
    }
    (void)snprintf(list + strlen(list), sizeof list - strlen(list), "]}");
    const char *loops =
        "{{#l}}{{#l}}{{#l}}{{#l}}{{#l}}{{#l}}{{none}}{{/l}}{{/l}}{{/l}}{{/l}}{{/l}}{{/l}}";
    assert_int_equal(expand(loops, list, TEMPLATE_TEXT, &got), SW_E_RANGE);
    assert_int_equal(
        expand("{{#l}}{{#l}}{{#l}}{{#l}}xx{{/l}}{{/l}}{{/l}}{{/l}}", list, TEMPLATE_TEXT, &got),
        SW_E_RANGE);
    char deep[(TEMPLATE_DEPTH + 1) * 6 + 1];
    for (size_t i = 0; i <= TEMPLATE_DEPTH; i++) {
        (void)snprintf(deep + i * 6, sizeof deep - i * 6, "{{#t}}");
    }
    assert_int_equal(expand(deep + 6, DATA, TEMPLATE_TEXT, &got), SW_OK);
    free(got);
    assert_int_equal(expand(deep, DATA, TEMPLATE_TEXT, &got), SW_E_RANGE);
}

static void faults_are_named(void **state) {
    (void)state;
    static const char *const good[] = {
        "", "{{a}}", "{{{", "{{#a}}{{^b}}{{/b}}{{/a}}", "{{! }}", "{{#a}}{{!/b}}{{/a}}"};
    static const char *const bad[] = {"{{#a}}", "{{/a}}",      "{{#a}}{{/b}}",
                                      "{{>a}}", "{{=<% %>=}}", "{{#a}}{{#b}}{{/a}}{{/b}}"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_null(template_fault(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_non_null(template_fault(bad[i]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),           cmocka_unit_test(sections),
        cmocka_unit_test(places),           cmocka_unit_test(work_and_output_are_bounded),
        cmocka_unit_test(faults_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
