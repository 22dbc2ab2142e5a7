#include "daemon/config.h"

#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int read_text(struct config *config, const char *text, struct fault *fault) {
    char path[SCRATCH_PATH_MAX];
    FILE *file = fopen(scratch_path(path, "slipway.conf"), "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    config_init(config);
    return config_read(config, path, fault);
}

static void defaults_are_sound(void **state) {
    (void)state;
    struct config config;
    struct fault fault = {0};
    config_init(&config);
    assert_int_equal(config_check(&config, &fault), SW_OK);
    assert_string_equal(config.dtls_listen, "[::]:5684");
    assert_int_equal(config.sessions_idle, 30);
    assert_false(config.log_json);
}

static void a_file_changes_what_it_names(void **state) {
    (void)state;
    struct config config;
    struct fault fault = {0};
    assert_int_equal(read_text(&config,
                               "; a comment\n[http]\nthreads = 5\nbase_url = https://x.example\n"
                               "[log]\njson = yes\n",
                               &fault),
                     SW_OK);
    assert_int_equal(config.http_threads, 5);
    assert_string_equal(config.http_base_url, "https://x.example");
    assert_true(config.log_json);
    assert_int_equal(config.http_workers, 16);
}

static void what_cannot_be_is_named(void **state) {
    (void)state;
    static const struct {
        const char *text, *word;
        int status;
    } cases[] = {
        {"[http]\nthreads = -1\n", "http.threads", SW_E_RANGE},
        {"[http]\nthreads = 65\n", "0..64", SW_E_RANGE},
        {"[http]\nthreads = 2x\n", "2x", SW_E_INPUT},
        {"[http]\nthreads = 99999999999999999999\n", "threads", SW_E_INPUT},
        {"[http]\n\nthread = 2\n", "line 3", SW_E_NOT_FOUND},
        {"threads = 2\n", "line 1: threads stands before the first [section]", SW_E_NOT_FOUND},
        {"[log]\nlevel = loud\n", "line 2: log.level: \"loud\" is none of broken", SW_E_INPUT},
        {"[devices]\nkeys = lax\n", "none of first-use, strict", SW_E_INPUT},
        {"[store]\nsynchronous =\n", "line 2: store.synchronous", SW_E_INPUT},
        {"[log]\njson = maybe\n", "log.json", SW_E_INPUT},
        {"[http]\njust words\n", "line 2", SW_E_INPUT},
    };
    for (size_t n = 0; n < sizeof cases / sizeof cases[0]; n++) {
        struct config config;
        struct fault fault = {0};
        assert_int_equal(read_text(&config, cases[n].text, &fault), cases[n].status);
        assert_non_null(strstr(fault.text, cases[n].word));
    }
    struct config config;
    struct fault fault = {0};
    config_init(&config);
    assert_int_equal(config_read(&config, "/nonexistent/slipway.conf", &fault), SW_E_IO);
    assert_non_null(strstr(fault.text, "/nonexistent/slipway.conf"));
    assert_int_equal(config_set(&config, "http.tls_key", "/k.pem", &fault), SW_OK);
    assert_int_equal(config_check(&config, &fault), SW_E_INPUT);
}

static void a_dump_reads_back_the_same(void **state) {
    (void)state;
    struct config before, after;
    struct fault fault = {0};
    char path[SCRATCH_PATH_MAX];
    config_init(&before);
    assert_int_equal(config_set(&before, "updates.transfers", "77", &fault), SW_OK);
    assert_int_equal(config_set(&before, "http.listen", "[::1]:1", &fault), SW_OK);
    assert_int_equal(config_set(&before, "log.json", "yes", &fault), SW_OK);
    FILE *out = fopen(scratch_path(path, "slipway.conf"), "we");
    assert_non_null(out);
    config_dump(&before, out);
    assert_int_equal(fclose(out), 0);
    config_init(&after);
    assert_int_equal(config_read(&after, path, &fault), SW_OK);
    assert_memory_equal(&before, &after, sizeof before);
}

static void a_reload_takes_what_it_may(void **state) {
    (void)state;
    struct config running, fresh;
    struct fault fault = {0};
    char left[128];
    config_init(&running);
    config_init(&fresh);
    assert_int_equal(config_set(&fresh, "updates.transfers", "9", &fault), SW_OK);
    assert_int_equal(config_set(&fresh, "log.level", "debug", &fault), SW_OK);
    assert_int_equal(config_set(&fresh, "http.threads", "9", &fault), SW_OK);
    assert_int_equal(config_set(&fresh, "dtls.listen", "[::]:1", &fault), SW_OK);
    assert_int_equal(config_reload(&running, &fresh, left, sizeof left), 2);
    assert_string_equal(left, "http.threads, dtls.listen");
    assert_int_equal(running.updates_transfers, 9);
    assert_string_equal(running.log_level, "debug");
    assert_int_equal(running.http_threads, 0);
    assert_string_equal(running.dtls_listen, "[::]:5684");
}

static void the_example_is_the_one_in_the_tree(void **state) {
    (void)state;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    config_example(out);
    fclose(out);
    FILE *file = fopen(SOURCE_ROOT "/config/slipway.conf.example", "re");
    assert_non_null(file);
    char *stored = calloc(1, len + 2);
    size_t got = fread(stored, 1, len + 1, file);
    fclose(file);
    assert_int_equal(got, len);
    assert_memory_equal(stored, text, len);
    free(stored);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_sound),
        cmocka_unit_test(a_file_changes_what_it_names),
        cmocka_unit_test(what_cannot_be_is_named),
        cmocka_unit_test(a_dump_reads_back_the_same),
        cmocka_unit_test(a_reload_takes_what_it_may),
        cmocka_unit_test(the_example_is_the_one_in_the_tree),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
