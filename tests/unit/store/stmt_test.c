/* Every statement of the list: it can be prepared on the newest schema, does what its access says,
 * and reads no large table from end to end. */
#include "store/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct store *store;

static int set_up(void **state) {
    (void)state;
    struct fault fault;
    struct store_options options = {.path = ":memory:"};
    if (store_open(&store, &options, &fault) != SW_OK) {
        print_error("%s\n", fault.text);
        return -1;
    }
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    store_close(store);
    return 0;
}

static void every_statement_prepares(void **state) {
    (void)state;
    for (int name = 0; name < STMT_COUNT; name++) {
        struct fault fault = {.code = SW_OK};
        sqlite3_stmt *q = stmt(store, (enum stmt_name)name, &fault);
        if (q == NULL) {
            fail_msg("%s", fault.text);
        }
        const char *tail = stmt_sql((enum stmt_name)name);
        assert_non_null(tail);
    }
}

static void access_is_what_the_list_says(void **state) {
    (void)state;
    for (int name = 0; name < STMT_COUNT; name++) {
        sqlite3_stmt *q = stmt(store, (enum stmt_name)name, NULL);
        bool reads = sqlite3_stmt_readonly(q) != 0;
        if (reads != stmt_is_read_only((enum stmt_name)name)) {
            fail_msg("wrong access: %s", stmt_sql((enum stmt_name)name));
        }
    }
}

/* Few rows for ever: products and their parts, webhooks. user: people and API users. */
static bool may_be_scanned(const char *detail, const char *sql) {
    static const char *const small[] = {"product", "p", "hook", "user",
                                        "u2",      "g", "j",    "CONSTANT ROW"};
    char table[64];
    if (sscanf(detail, "SCAN %63s", table) != 1) {
        return true;
    }
    if (strcmp(table, "CONSTANT") == 0) {
        return true;
    }
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++) {
        if (strcmp(table, small[i]) == 0) {
            return true;
        }
    }
    /* The users' table has the same short name as the updates'. */
    if (strcmp(table, "u") == 0 && strstr(sql, "FROM user u") != NULL) {
        return true;
    }
    /* From one end of an index, and stopped by LIMIT. */
    bool is_ordered = strstr(detail, "USING INDEX") != NULL || strstr(detail, "COVERING") != NULL;
    if (is_ordered && strstr(sql, "LIMIT") != NULL) {
        return true;
    }
    /* Partial indexes hold only what is wanted. */
    if (strstr(detail, " INDEX device_online") != NULL ||
        strstr(detail, " INDEX image_one_off") != NULL) {
        return true;
    }
    /* Whole by their nature: everything is wanted, or the oldest rows by the table's own order. */
    return strstr(sql, "FROM session s") != NULL || strstr(sql, "DELETE FROM event") != NULL ||
           strstr(sql, "DELETE FROM vitals WHERE id IN") != NULL ||
           strcmp(sql, "SELECT count(*) FROM quarantine") == 0;
}

static void no_large_table_is_scanned(void **state) {
    (void)state;
    for (int name = 0; name < STMT_COUNT; name++) {
        char sql[8192];
        const char *text = stmt_sql((enum stmt_name)name);
        assert_true((size_t)snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", text) < sizeof sql);
        sqlite3_stmt *plan = NULL;
        assert_int_equal(sqlite3_prepare_v2(store->db, sql, -1, &plan, NULL), SQLITE_OK);
        while (sqlite3_step(plan) == SQLITE_ROW) {
            const char *detail = (const char *)sqlite3_column_text(plan, 3);
            if (!may_be_scanned(detail, text)) {
                fail_msg("%s in: %s", detail, text);
            }
        }
        (void)sqlite3_finalize(plan);
    }
}

static void sorted_pages_come_from_an_index(void **state) {
    (void)state;
    static const enum stmt_name pages[] = {STMT_DEVICE_PAGE_ID_UP,
                                           STMT_DEVICE_PAGE_ID_DOWN,
                                           STMT_DEVICE_PAGE_NAME_UP,
                                           STMT_DEVICE_PAGE_NAME_DOWN,
                                           STMT_DEVICE_PAGE_VERSION_UP,
                                           STMT_DEVICE_PAGE_VERSION_DOWN,
                                           STMT_DEVICE_PAGE_SEEN_UP,
                                           STMT_DEVICE_PAGE_SEEN_DOWN,
                                           STMT_DEVICE_RECENT,
                                           STMT_UPDATE_LIST,
                                           STMT_UPDATE_LIST_DEVICE,
                                           STMT_EVENT_OF_PRODUCT,
                                           STMT_EVENT_OF_DEVICE,
                                           STMT_EVENT_ALL,
                                           STMT_RELEASE_LIST};
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        char sql[8192];
        (void)snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", stmt_sql(pages[i]));
        sqlite3_stmt *plan = NULL;
        assert_int_equal(sqlite3_prepare_v2(store->db, sql, -1, &plan, NULL), SQLITE_OK);
        while (sqlite3_step(plan) == SQLITE_ROW) {
            const char *detail = (const char *)sqlite3_column_text(plan, 3);
            if (strstr(detail, "TEMP B-TREE") != NULL) {
                fail_msg("%s in: %s", detail, stmt_sql(pages[i]));
            }
        }
        (void)sqlite3_finalize(plan);
    }
}

static void tables_are_strict(void **state) {
    (void)state;
    sqlite3_stmt *q = NULL;
    assert_int_equal(sqlite3_prepare_v2(store->db,
                                        "SELECT name FROM pragma_table_list WHERE schema = 'main' "
                                        "AND type = 'table' AND strict = 0 "
                                        "AND name NOT LIKE 'sqlite_%'",
                                        -1, &q, NULL),
                     SQLITE_OK);
    int step = sqlite3_step(q);
    if (step == SQLITE_ROW) {
        fail_msg("not STRICT: %s", (const char *)sqlite3_column_text(q, 0));
    }
    (void)sqlite3_finalize(q);
}

/* Whatever a parent's deletion must look through has an index: else deleting one is a scan. */
static void foreign_keys_are_indexed(void **state) {
    (void)state;
    sqlite3_stmt *q = NULL;
    assert_int_equal(sqlite3_prepare_v2(
                         store->db,
                         "SELECT t.name, f.\"from\" FROM pragma_table_list t, "
                         "pragma_foreign_key_list(t.name) f WHERE t.schema = 'main' AND f.seq = 0 "
                         "AND NOT EXISTS (SELECT 1 FROM pragma_index_list(t.name) i, "
                         "pragma_index_info(i.name) c WHERE c.seqno = 0 AND c.name = f.\"from\") "
                         "AND NOT EXISTS (SELECT 1 FROM pragma_table_info(t.name) p "
                         "WHERE p.pk = 1 AND p.name = f.\"from\")",
                         -1, &q, NULL),
                     SQLITE_OK);
    if (sqlite3_step(q) == SQLITE_ROW) {
        fail_msg("no index on %s.%s", (const char *)sqlite3_column_text(q, 0),
                 (const char *)sqlite3_column_text(q, 1));
    }
    (void)sqlite3_finalize(q);
}

static void texts_are_cut_between_characters(void **state) {
    (void)state;
    sqlite3_stmt *q;
    assert_int_equal(sqlite3_prepare_v2(store->db, "SELECT 'abc\u00e9'", -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    for (size_t cap = 1; cap <= 8; cap++) {
        char text[9];
        memset(text, '#', sizeof text);
        col_text(q, 0, text, cap);
        size_t len = cap > 5 ? 5 : cap > 3 ? 3 : cap - 1;
        assert_int_equal(strlen(text), len);
        assert_memory_equal(text, "abc\u00e9", len);
        assert_int_equal(text[cap], '#');
    }
    (void)sqlite3_finalize(q);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_statement_prepares),
        cmocka_unit_test(access_is_what_the_list_says),
        cmocka_unit_test(texts_are_cut_between_characters),
        cmocka_unit_test(no_large_table_is_scanned),
        cmocka_unit_test(sorted_pages_come_from_an_index),
        cmocka_unit_test(tables_are_strict),
        cmocka_unit_test(foreign_keys_are_indexed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
