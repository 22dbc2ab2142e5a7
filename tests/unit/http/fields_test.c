#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/request/fields.h"

struct fixture {
    struct reply reply;
    json_t *object;
    struct fields fields;
};

static struct fixture *given(struct fixture *fixture, const char *text, bool is_form) {
    *fixture = (struct fixture){0};
    fixture->object = json_loads(text, 0, NULL);
    assert_non_null(fixture->object);
    fixture->fields = fields_of(fixture->object, is_form, &fixture->reply);
    return fixture;
}

static void done(struct fixture *fixture) {
    reply_close(&fixture->reply);
    json_decref(fixture->object);
}

/* The request was refused with 400 and a description that has this text. */
static void assert_refused(struct fixture *fixture, const char *text) {
    assert_false(fields_end(&fixture->fields));
    assert_int_equal(fixture->reply.status, 400);
    json_t *body = json_loads(fixture->reply.body, 0, NULL);
    assert_non_null(body);
    assert_true(json_is_false(json_object_get(body, "ok")));
    assert_string_equal(json_string_value(json_object_get(body, "error")), "invalid_request");
    const char *description = json_string_value(json_object_get(body, "error_description"));
    if (strstr(description, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", description, text);
    }
    json_decref(body);
    done(fixture);
}

static void integers_have_bounds(void **state) {
    (void)state;
    struct fixture f;
    given(&f, "{\"version\":65534}", false);
    assert_int_equal(fields_integer(&f.fields, "version", FIELD_REQUIRED, 1, 65534), 65534);
    assert_true(fields_end(&f.fields));
    done(&f);
    static const char *const bad[] = {
        "{\"version\":0}",
        "{\"version\":65535}",
        "{\"version\":2147483648}",
        "{\"version\":-1}",
        "{\"version\":1.0}",
        "{\"version\":\"1\"}",
        "{\"version\":true}",
        "{\"version\":[1]}",
        "{\"version\":{}}",
        "{\"version\":1e3}",
        "{\"version\":9223372036854775807}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        given(&f, bad[i], false);
        assert_int_equal(fields_integer(&f.fields, "version", FIELD_REQUIRED, 1, 65534), 0);
        assert_refused(&f, "version: must be an integer from 1 to 65534");
    }
}

static void forms_are_coerced(void **state) {
    (void)state;
    struct fixture f;
    given(&f, "{\"a\":\"12\",\"b\":\"true\",\"c\":\"0\",\"d\":\"null\",\"e\":\"x,y\"}", true);
    assert_int_equal(fields_integer(&f.fields, "a", FIELD_REQUIRED, 1, 99), 12);
    assert_true(fields_bool(&f.fields, "b", FIELD_REQUIRED));
    assert_false(fields_bool(&f.fields, "c", FIELD_REQUIRED));
    assert_true(fields_is_null(&f.fields, "d"));
    assert_false(fields_has(&f.fields, "d"));
    json_t *list = fields_texts(&f.fields, "e", FIELD_REQUIRED, 5, 5);
    assert_int_equal(json_array_size(list), 2);
    json_decref(list);
    assert_true(fields_end(&f.fields));
    done(&f);
    static const char *const bad[] = {"{\"a\":\"\"}", "{\"a\":\" 1\"}", "{\"a\":\"1x\"}",
                                      "{\"a\":\"0x1\"}", "{\"a\":\"99999999999999999999\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        given(&f, bad[i], true);
        (void)fields_integer(&f.fields, "a", FIELD_OPTIONAL, INT64_MIN, INT64_MAX);
        assert_refused(&f, "a: must be an integer");
    }
}

static void required_means_there_and_not_null(void **state) {
    (void)state;
    struct fixture f;
    given(&f, "{}", false);
    assert_null(fields_text(&f.fields, "title", FIELD_REQUIRED, 1, 10));
    assert_refused(&f, "title: is required");
    given(&f, "{\"title\":null}", false);
    assert_null(fields_text(&f.fields, "title", FIELD_REQUIRED, 1, 10));
    assert_refused(&f, "title: must not be null");
    given(&f, "{\"title\":null}", false);
    assert_null(fields_text(&f.fields, "title", FIELD_OPTIONAL, 1, 10));
    assert_true(fields_end(&f.fields));
    done(&f);
    f.fields = fields_of(NULL, false, &f.reply);
    f.object = NULL;
    (void)fields_bool(&f.fields, "flash", FIELD_REQUIRED);
    assert_refused(&f, "flash: is required");
}

static void texts_are_clean_and_bounded(void **state) {
    (void)state;
    static const struct {
        const char *json, *says;
    } bad[] = {{"{\"t\":\"\"}", "must not be empty"},
               {"{\"t\":\"toolong\"}", "at most 5 bytes"},
               {"{\"t\":\"a\\nb\"}", "control characters"},
               {"{\"t\":\"\\u007f\"}", "control characters"},
               {"{\"t\":5}", "must be text"}};
    struct fixture f;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        given(&f, bad[i].json, false);
        assert_null(fields_text(&f.fields, "t", FIELD_OPTIONAL, 1, 5));
        assert_refused(&f, bad[i].says);
    }
    given(&f, "{\"t\":\"a\\nb\"}", false);
    assert_string_equal(fields_lines(&f.fields, "t", FIELD_OPTIONAL, 5), "a\nb");
    assert_true(fields_end(&f.fields));
    done(&f);
}

static void lists_are_checked_entry_by_entry(void **state) {
    (void)state;
    static const struct {
        const char *json, *says;
    } bad[] = {{"{\"groups\":\"a\"}", "must be a list"},
               {"{\"groups\":[\"a\",1]}", "must be text"},
               {"{\"groups\":[\"\"]}", "must not be empty"},
               {"{\"groups\":[\"a\",\"b\",\"c\"]}", "at most 2 entries"}};
    struct fixture f;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        given(&f, bad[i].json, false);
        assert_null(fields_texts(&f.fields, "groups", FIELD_OPTIONAL, 2, 64));
        assert_refused(&f, bad[i].says);
    }
    given(&f, "{\"groups\":[]}", false);
    json_t *list = fields_texts(&f.fields, "groups", FIELD_OPTIONAL, 2, 64);
    assert_non_null(list);
    json_decref(list);
    done(&f);
}

static void slips_are_refused_and_strangers_ignored(void **state) {
    (void)state;
    struct fixture f;
    given(&f, "{\"prodct_default\":true}", false);
    fields_known(&f.fields, "product_default");
    assert_refused(&f, "did you mean product_default?");
    given(&f, "{\"productDefault\":true}", false);
    fields_known(&f.fields, "product_default");
    assert_refused(&f, "did you mean product_default?");
    given(&f, "{\"flahs\":true}", false);
    fields_known(&f.fields, "flash");
    assert_refused(&f, "did you mean flash?");
    given(&f, "{\"file_type\":\"binary\",\"ip\":1,\"x\":2}", false);
    fields_known(&f.fields, "id");
    fields_known(&f.fields, "title");
    assert_true(fields_end(&f.fields));
    done(&f);
}

static void the_first_error_is_the_one_that_is_told(void **state) {
    (void)state;
    struct fixture f;
    given(&f, "{\"a\":\"x\",\"b\":\"y\"}", false);
    (void)fields_integer(&f.fields, "a", FIELD_OPTIONAL, 0, 9);
    (void)fields_integer(&f.fields, "b", FIELD_OPTIONAL, 0, 9);
    assert_refused(&f, "a: must be");
}

static void objects_inside_share_the_reply(void **state) {
    (void)state;
    struct fixture f;
    given(&f, "{\"product\":{\"name\":7}}", false);
    struct fields inside = fields_inside(&f.fields, "product", FIELD_REQUIRED);
    (void)fields_text(&inside, "name", FIELD_REQUIRED, 1, 10);
    assert_false(fields_end(&inside));
    assert_int_equal(f.reply.status, 400);
    done(&f);
    given(&f, "{\"product\":[]}", false);
    inside = fields_inside(&f.fields, "product", FIELD_REQUIRED);
    assert_true(inside.failed);
    assert_refused(&f, "product: must be an object");
}

static void distances(void **state) {
    (void)state;
    assert_int_equal(edit_distance("flash", "flash", 2), 0);
    assert_int_equal(edit_distance("Flash", "flash", 2), 0);
    assert_int_equal(edit_distance("flahs", "flash", 2), 1);
    assert_int_equal(edit_distance("flas", "flash", 2), 1);
    assert_int_equal(edit_distance("kitten", "sitting", 3), 3);
    assert_int_equal(edit_distance("kitten", "sitting", 2), 3);
    assert_int_equal(edit_distance("", "", 2), 0);
    assert_int_equal(edit_distance("", "ab", 2), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_have_bounds),
        cmocka_unit_test(forms_are_coerced),
        cmocka_unit_test(required_means_there_and_not_null),
        cmocka_unit_test(texts_are_clean_and_bounded),
        cmocka_unit_test(lists_are_checked_entry_by_entry),
        cmocka_unit_test(slips_are_refused_and_strangers_ignored),
        cmocka_unit_test(the_first_error_is_the_one_that_is_told),
        cmocka_unit_test(objects_inside_share_the_reply),
        cmocka_unit_test(distances),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
