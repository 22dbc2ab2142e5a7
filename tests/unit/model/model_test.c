#include "slipway/model/ids.h"
#include "slipway/model/module.h"
#include "slipway/model/platform.h"
#include "slipway/model/update.h"
#include "slipway/util/check.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_device_id_reads_either_case(void **state) {
    (void)state;
    struct device_id a, b;
    char text[DEVICE_ID_DIGITS + 1];
    assert_int_equal(device_id_parse("e00fce6812ABcdef01234567", 24, &a), SW_OK);
    assert_int_equal(device_id_parse("E00FCE6812abCDEF01234567", 24, &b), SW_OK);
    assert_true(device_id_equal(&a, &b));
    device_id_text(&a, text);
    assert_string_equal(text, "e00fce6812abcdef01234567");
    b.b[11] ^= 1;
    assert_false(device_id_equal(&a, &b));
}

static void test_device_id_refuses_other_text(void **state) {
    (void)state;
    struct device_id id;
    const char *bad[] = {"", "e00fce6812abcdef0123456", "e00fce6812abcdef012345678",
                         "e00fce6812abcdef0123456g", "e00fce6812abcdef 1234567"};
    for (size_t i = 0; i < SW_COUNT(bad); i++) {
        assert_int_equal(device_id_parse(bad[i], strlen(bad[i]), &id), SW_E_INPUT);
    }
}

static void test_version_range(void **state) {
    (void)state;
    assert_false(version_is_valid(-1));
    assert_false(version_is_valid(0));
    assert_true(version_is_valid(1));
    assert_true(version_is_valid(65534));
    assert_false(version_is_valid(VERSION_NONE));
    assert_false(version_is_valid(65537));
}

static void test_group_names(void **state) {
    (void)state;
    char longest[GROUP_NAME_MAX + 1];
    memset(longest, 'a', sizeof longest);
    assert_true(group_name_is_valid("beta-testers_2", 14));
    assert_true(group_name_is_valid(longest, GROUP_NAME_MAX));
    assert_false(group_name_is_valid(longest, GROUP_NAME_MAX + 1));
    assert_false(group_name_is_valid("", 0));
    assert_false(group_name_is_valid("Beta", 4));
    assert_false(group_name_is_valid("be ta", 5));
    assert_false(group_name_is_valid("b\xc3\xa9ta", 5));
    assert_false(group_name_is_valid("a\0b", 3));
}

static void test_slugs(void **state) {
    (void)state;
    static const struct {
        const char *name, *slug;
    } cases[] = {
        {"Harbour Sensor", "harbour-sensor"},
        {"  Two -- words!! ", "two-words"},
        {"", "product"},
        {"\xe6\xb8\xaf", "product"},
        {"123", "product-123"},
        {"1-2", "1-2"},
        {"v2", "v2"},
        {"a23456789012345678901234567890 tail", "a23456789012345678901234567890"},
        {"a234567890123456789012345678901234", "a234567890123456789012345678901"},
        {"12345678901234567890123456789012345", "product-12345678901234567890123"},
    };
    for (size_t i = 0; i < SW_COUNT(cases); i++) {
        char slug[32];
        slug_from_name(cases[i].name, slug, sizeof slug);
        assert_string_equal(slug, cases[i].slug);
    }
}

static void test_platforms_are_distinct(void **state) {
    (void)state;
    for (const struct platform *a = platform_all(); a->name != NULL; a++) {
        assert_ptr_equal(platform_find(a->id), a);
        for (const struct platform *b = a + 1; b->name != NULL; b++) {
            assert_int_not_equal(a->id, b->id);
            assert_string_not_equal(a->name, b->name);
        }
    }
    assert_null(platform_find(99));
    assert_string_equal(platform_find(13)->title, "Boron");
    assert_true(platform_find(32)->is_rtl && !platform_find(26)->is_rtl);
    assert_false(platform_find(6)->is_served);
}

static void test_modules(void **state) {
    (void)state;
    assert_string_equal(module_function_name(MODULE_USER_PART), "user_part");
    assert_string_equal(module_function_name(10), "unknown");
    assert_int_equal(module_function_find("bootloader"), MODULE_BOOTLOADER);
    assert_int_equal(module_function_find("unknown"), MODULE_NONE);
    struct module_states states = {.count = 2};
    states.items[0] = (struct module_state){.function = 5, .index = 1, .store = 1, .version = 3};
    states.items[1] = (struct module_state){.function = 5, .index = 1, .store = 0, .version = 4};
    assert_int_equal(module_states_find(&states, 5, 1)->version, 4);
    assert_null(module_states_find(&states, 5, 2));
    states.count = 1;
    assert_null(module_states_find(&states, 5, 1));
}

static void test_update_machine_is_sound(void **state) {
    (void)state;
    assert_null(fsm_audit(&update_fsm, FSM_NEXT(UPDATE_PLANNED) | FSM_NEXT(UPDATE_DEFERRED)));
    assert_non_null(fsm_audit(&update_fsm, 0));
    for (int i = 0; i < UPDATE_STATES; i++) {
        enum update_state from = (enum update_state)i;
        assert_int_equal(update_state_find(update_state_name(from)), i);
        if (!update_state_is_open(from)) {
            assert_int_equal(update_fsm.states[i].next, 0);
            continue;
        }
        assert_true(update_state_allows(from, UPDATE_SUCCEEDED));
        assert_true(update_state_allows(from, UPDATE_FAILED));
        bool is_committed = from == UPDATE_REBOOTING;
        assert_int_equal(update_state_allows(from, UPDATE_CANCELLED), !is_committed);
        assert_int_equal(update_state_allows(from, UPDATE_SUPERSEDED), !is_committed);
    }
    assert_false(update_state_allows(UPDATE_PLANNED, UPDATE_SENDING));
    assert_false(update_state_allows(UPDATE_OFFERED, UPDATE_REBOOTING));
    assert_false(update_state_allows(UPDATE_DEFERRED, UPDATE_OFFERED));
    assert_int_equal(update_state_find("stuck"), -1);
}

static void test_update_causes(void **state) {
    (void)state;
    for (int i = 0; i < UPDATE_CAUSES; i++) {
        assert_int_equal(update_cause_find(update_cause_name((enum update_cause)i)), i);
    }
    assert_int_equal(update_cause_find("whim"), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_device_id_reads_either_case),
        cmocka_unit_test(test_device_id_refuses_other_text),
        cmocka_unit_test(test_version_range),
        cmocka_unit_test(test_group_names),
        cmocka_unit_test(test_slugs),
        cmocka_unit_test(test_platforms_are_distinct),
        cmocka_unit_test(test_modules),
        cmocka_unit_test(test_update_machine_is_sound),
        cmocka_unit_test(test_update_causes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
