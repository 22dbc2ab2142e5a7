/* What is written field by field is what jansson would have written: reading it and writing it
 * again gives the same bytes. */
#include "http/reply/pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "slipway/util/rng.h"

/* The value that was read; checked to be written the same by jansson. */
static json_t *read_back(const struct sheet *sheet) {
    assert_false(sheet->failed);
    json_error_t error;
    json_t *value = json_loadb(sheet->text, sheet->len, JSON_REJECT_DUPLICATES, &error);
    if (value == NULL) {
        fail_msg("%s in %.*s", error.text, (int)sheet->len, sheet->text);
    }
    char *again = json_dumps(value, JSON_COMPACT | JSON_PRESERVE_ORDER);
    assert_non_null(again);
    assert_int_equal(strlen(again), sheet->len);
    assert_memory_equal(again, sheet->text, sheet->len);
    free(again);
    return value;
}

static void fields_are_written_like_jansson_does(void **state) {
    (void)state;
    static const char *const texts[] = {"plain",
                                        "with \"quotes\" and \\",
                                        "line\nend\ttab\r",
                                        "\x01\x1f",
                                        "\x7f/",
                                        "gr\xc3\xbc\xc3\x9f",
                                        "\xe2\x82\xac \xf0\x9f\x9a\x80",
                                        " "};
    static const int64_t numbers[] = {0, 1, -1, 9, 10, 65535, INT64_MAX, INT64_MIN};
    struct sheet sheet;
    sheet_init(&sheet, 1);
    sheet_mark(&sheet, '{');
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char key[] = "text-0";
        key[5] = (char)('0' + i);
        sheet_text(&sheet, key, texts[i]);
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char key[] = "number-0";
        key[7] = (char)('0' + i);
        sheet_integer(&sheet, key, numbers[i]);
    }
    sheet_text(&sheet, "empty", "");
    sheet_text(&sheet, "none", NULL);
    sheet_bool(&sheet, "yes", true);
    sheet_bool(&sheet, "no", false);
    sheet_version(&sheet, "version", 7);
    sheet_version(&sheet, "no_version", 0);
    sheet_time(&sheet, "time", 1795000000123);
    sheet_time(&sheet, "never", 0);
    sheet_key(&sheet, "list");
    sheet_mark(&sheet, '[');
    sheet_entry(&sheet);
    sheet_mark(&sheet, '{');
    sheet_mark(&sheet, '}');
    sheet_entry(&sheet);
    sheet_number(&sheet, 5);
    sheet_mark(&sheet, ']');
    sheet_mark(&sheet, '}');
    json_t *value = read_back(&sheet);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char key[] = "text-0";
        key[5] = (char)('0' + i);
        assert_string_equal(json_string_value(json_object_get(value, key)), texts[i]);
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char key[] = "number-0";
        key[7] = (char)('0' + i);
        assert_int_equal(json_integer_value(json_object_get(value, key)), numbers[i]);
    }
    assert_true(json_is_null(json_object_get(value, "empty")));
    assert_true(json_is_null(json_object_get(value, "none")));
    assert_true(json_is_null(json_object_get(value, "no_version")));
    assert_string_equal(json_string_value(json_object_get(value, "time")),
                        "2026-11-18T11:06:40.123Z");
    json_decref(value);
    sheet_free(&sheet);
}

static void random_text(struct rng *rng, char *out, size_t cap) {
    size_t len = rng_below(rng, cap);
    rng_fill(rng, out, len);
    for (size_t i = 0; i < len; i++) {
        bool is_plain = rng_below(rng, 3) != 0;
        out[i] = is_plain ? (char)('a' + (out[i] & 15)) : out[i] == '\0' ? '"' : out[i];
    }
    out[len] = '\0';
}

/* Whatever devices and operators put into them, also bytes that are no UTF-8. */
static void devices_are_written_like_jansson_does(void **state) {
    (void)state;
    struct rng rng;
    rng_seed(&rng, 7);
    struct group_set *set = calloc(1, sizeof *set + 3 * sizeof set->groups[0]);
    struct device *device = calloc(1, sizeof *device);
    assert_non_null(set);
    assert_non_null(device);
    for (int round = 0; round < 2000; round++) {
        rng_fill(&rng, device->id.b, sizeof device->id.b);
        device->product_id = (uint16_t)rng_below(&rng, 2);
        device->system_version = (uint16_t)rng_below(&rng, 6000);
        device->running_version = (uint16_t)rng_below(&rng, 3);
        device->locked_version = (uint16_t)rng_below(&rng, 3);
        device->handshake_ms = rng_between(&rng, 0, 4000000000000);
        device->has_app_hash = rng_below(&rng, 2) == 0;
        device->is_online = rng_below(&rng, 2) == 0;
        random_text(&rng, device->name, sizeof device->name);
        random_text(&rng, device->notes, 40);
        random_text(&rng, device->iccid, sizeof device->iccid);
        random_text(&rng, device->address, 20);
        set->count = rng_below(&rng, 4);
        for (size_t i = 0; i < set->count; i++) {
            random_text(&rng, set->groups[i].name, 12);
        }
        struct page_device_facts facts = {
            .groups = set, .targeted_version = 3, .is_detail = rng_below(&rng, 2) == 0};
        struct sheet sheet;
        sheet_init(&sheet, 16);
        page_device(&sheet, device, &facts);
        json_t *page = read_back(&sheet);
        char id[DEVICE_ID_DIGITS + 1];
        device_id_text(&device->id, id);
        assert_string_equal(json_string_value(json_object_get(page, "id")), id);
        assert_int_equal(json_array_size(json_object_get(page, "groups")),
                         device->product_id != 0 ? set->count : 0);
        json_t *name = page_bytes(device->name, strlen(device->name));
        if (device->name[0] != '\0') {
            assert_string_equal(json_string_value(json_object_get(page, "name")),
                                json_string_value(name));
        }
        json_decref(name);
        json_decref(page);
        sheet_free(&sheet);
    }
    free(device);
    free(set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_written_like_jansson_does),
        cmocka_unit_test(devices_are_written_like_jansson_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
