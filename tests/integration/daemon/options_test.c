#include "daemon/options.h"
#include "daemon/tasks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void addresses_are_read_and_written(void **state) {
    (void)state;
    static const struct {
        const char *text, *host, *back;
        uint16_t port;
    } good[] = {{"127.0.0.1:8080", "127.0.0.1", "127.0.0.1:8080", 8080},
                {"[::1]:5684", "::1", "[::1]:5684", 5684},
                {"[::]:0", "::", "[::]:0", 0},
                {"0.0.0.0:65535", "0.0.0.0", "0.0.0.0:65535", 65535}};
    static const char *const bad[] = {"",
                                      ":80",
                                      "127.0.0.1",
                                      "127.0.0.1:",
                                      "127.0.0.1:65536",
                                      "127.0.0.1:-1",
                                      "127.0.0.1:80x",
                                      "127.0.0.1: 80",
                                      "[]:80",
                                      "[::1:80",
                                      "no such host.invalid:1"};
    for (size_t n = 0; n < sizeof good / sizeof good[0]; n++) {
        char host[HOST_MAX], back[HOST_MAX + 8];
        uint16_t port;
        struct fault fault = {0};
        assert_int_equal(host_port_parse(good[n].text, host, &port, &fault), SW_OK);
        assert_string_equal(host, good[n].host);
        assert_int_equal(port, good[n].port);
        host_port_text(host, port, back);
        assert_string_equal(back, good[n].back);
    }
    for (size_t n = 0; n < sizeof bad / sizeof bad[0]; n++) {
        char host[HOST_MAX];
        uint16_t port;
        struct fault fault = {0};
        assert_int_equal(host_port_parse(bad[n], host, &port, &fault), SW_E_INPUT);
    }
}

/* Splits a command line at its spaces, in place: the options borrow their texts from it. */
static int read_line(char *line, struct options *out) {
    char *words[16];
    int count = 0;
    struct fault fault = {0};
    for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " ")) {
        words[count++] = word;
    }
    return options_read(count, words, out, &fault);
}

static void the_command_line_wins(void **state) {
    (void)state;
    char line[] = "slipwayd --data /d --http 127.0.0.1:1 --dtls 127.0.0.1:2";
    char unknown[] = "slipwayd --data /d --frobnicate";
    char missing[] = "slipwayd --http 127.0.0.1:1";
    char cut[] = "slipwayd --data";
    char key[] = "slipwayd key --data /d --dct ota.example";
    struct options options;
    struct config config;
    struct fault fault = {0};
    assert_int_equal(read_line(line, &options), SW_OK);
    assert_int_equal(options_config(&options, &config, &fault), SW_OK);
    assert_string_equal(config.http_listen, "127.0.0.1:1");
    assert_string_equal(config.dtls_listen, "127.0.0.1:2");
    assert_int_equal(read_line(unknown, &options), SW_E_INPUT);
    assert_int_equal(read_line(missing, &options), SW_E_INPUT);
    assert_int_equal(read_line(cut, &options), SW_E_INPUT);
    assert_int_equal(read_line(key, &options), SW_OK);
    assert_int_equal(options.task, TASK_KEY);
    assert_string_equal(options.dct, "ota.example");
}

static void tasks_have_their_words(void **state) {
    (void)state;
    static const struct {
        const char *line;
        int status;
        enum task task;
    } lines[] = {{"slipwayd token --data /d", SW_OK, TASK_TOKEN},
                 {"slipwayd token create ann --data /d", SW_OK, TASK_TOKEN_CREATE},
                 {"slipwayd --data /d user add ann", SW_OK, TASK_USER_ADD},
                 {"slipwayd user password ann --data /d", SW_OK, TASK_USER_PASSWORD},
                 {"slipwayd user remove ann --data /d", SW_OK, TASK_USER_REMOVE},
                 {"slipwayd user password --data /d", SW_E_INPUT, TASK_USER_PASSWORD},
                 {"slipwayd user --data /d", SW_E_INPUT, TASK_SERVE},
                 {"slipwayd user add ann secret --data /d", SW_E_INPUT, TASK_SERVE},
                 {"slipwayd token create ann --data /d --expires-in 1x", SW_E_RANGE, TASK_SERVE},
                 {"slipwayd user add ann", SW_E_INPUT, TASK_USER_ADD}};
    for (size_t n = 0; n < sizeof lines / sizeof lines[0]; n++) {
        char line[128];
        struct options options;
        (void)snprintf(line, sizeof line, "%s", lines[n].line);
        assert_int_equal(read_line(line, &options), lines[n].status);
        if (lines[n].status == SW_OK) {
            assert_int_equal(options.task, lines[n].task);
        }
    }
}

/* What a device finds in its configuration: offsets and paddings as Device OS reads them. */
static void the_blob_for_devices_is_laid_out(void **state) {
    (void)state;
    struct p256_point point = {.b = {4}};
    uint8_t out[DCT_BYTES];
    static const uint8_t spki_head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48};
    assert_int_equal(dct_encode(&point, "192.0.2.7", out), SW_OK);
    assert_memory_equal(out, spki_head, sizeof spki_head);
    assert_int_equal(out[91], 0xff);
    assert_int_equal(out[191], 0xff);
    static const uint8_t v4[] = {0, 4, 192, 0, 2, 7, 0xff};
    assert_memory_equal(out + 192, v4, sizeof v4);
    assert_int_equal(out[258] << 8 | out[259], 5684);
    assert_int_equal(out[319], 0xff);

    assert_int_equal(dct_encode(&point, "ota.example", out), SW_OK);
    assert_int_equal(out[192], 1);
    assert_int_equal(out[193], 11);
    assert_memory_equal(out + 194, "ota.example\xff", 12);
    char long_name[66];
    memset(long_name, 'a', 64);
    long_name[64] = '\0';
    assert_int_equal(dct_encode(&point, long_name, out), SW_E_RANGE);
    long_name[63] = '\0';
    assert_int_equal(dct_encode(&point, long_name, out), SW_OK);
    assert_int_equal(dct_encode(&point, "", out), SW_E_RANGE);
    assert_int_equal(dct_encode(&point, "a b", out), SW_E_RANGE);
    assert_int_equal(dct_encode(&point, "0.0.0.0", out), SW_E_RANGE);
    assert_int_equal(dct_encode(&point, "255.255.255.255", out), SW_E_RANGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_written),
        cmocka_unit_test(the_command_line_wins),
        cmocka_unit_test(tasks_have_their_words),
        cmocka_unit_test(the_blob_for_devices_is_laid_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
