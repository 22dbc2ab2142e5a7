#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "slipway/model/device_os.h"

static void known_releases_have_names(void **state) {
    (void)state;
    assert_string_equal(device_os_name(6200), "6.2.0");
    assert_string_equal(device_os_name(5501), "5.5.0");
    assert_string_equal(device_os_name(2302), "2.3.1");
}

static void no_name_is_derived(void **state) {
    (void)state;
    assert_null(device_os_name(0));
    assert_null(device_os_name(5500));
    assert_null(device_os_name(6201));
    assert_null(device_os_name(UINT16_MAX));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_releases_have_names),
        cmocka_unit_test(no_name_is_derived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
