/* Mailboxes under several threads, the log's lines and its limits, clocks' text. */
#include "slipway/sys/clock.h"
#include "slipway/sys/entropy.h"
#include "slipway/sys/log.h"
#include "slipway/sys/mailbox.h"
#include "slipway/sys/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* --- mailbox --- */

static void box_keeps_order_and_limit(void **state) {
    (void)state;
    struct mailbox box;
    struct mail mails[4];
    mailbox_init(&box, 3, NULL, NULL);
    assert_null(mailbox_take_all(&box));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(mailbox_post(&box, &mails[i]), SW_OK);
    }
    assert_int_equal(mailbox_post(&box, &mails[3]), SW_E_FULL);
    struct mail *first = mailbox_wait(&box, 2, -1);
    assert_ptr_equal(first, &mails[0]);
    assert_ptr_equal(first->next, &mails[1]);
    assert_null(first->next->next);
    assert_int_equal(mailbox_post(&box, &mails[3]), SW_OK);
    first = mailbox_take_all(&box);
    assert_ptr_equal(first, &mails[2]);
    assert_ptr_equal(first->next, &mails[3]);
    mailbox_close(&box);
    assert_true(mailbox_is_closed(&box));
    assert_int_equal(mailbox_post(&box, &mails[0]), SW_E_STATE);
    mailbox_destroy(&box);
}

static void closed_box_gives_what_it_holds(void **state) {
    (void)state;
    struct mailbox box;
    struct mail mail;
    mailbox_init(&box, 1, NULL, NULL);
    assert_int_equal(mailbox_post(&box, &mail), SW_OK);
    mailbox_close(&box);
    assert_ptr_equal(mailbox_wait(&box, 0, -1), &mail);
    assert_null(mailbox_wait(&box, 0, -1));
    mailbox_destroy(&box);
}

static void wait_ends_in_time(void **state) {
    (void)state;
    struct mailbox box;
    mailbox_init(&box, 1, NULL, NULL);
    mono_time before = mono_now();
    assert_null(mailbox_wait(&box, 0, 30));
    assert_true(mono_since_us(before, mono_now()) >= 29000);
    mailbox_destroy(&box);
}

static void count_wake(void *arg) {
    ++*(int *)arg;
}

static void wake_is_called_for_the_first_only(void **state) {
    (void)state;
    struct mailbox box;
    struct mail mails[3];
    int wakes = 0;
    mailbox_init(&box, 8, count_wake, &wakes);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(mailbox_post(&box, &mails[i]), SW_OK);
    }
    assert_int_equal(wakes, 1);
    (void)mailbox_take_all(&box);
    assert_int_equal(mailbox_post(&box, &mails[0]), SW_OK);
    assert_int_equal(wakes, 2);
    (void)mailbox_take_all(&box);
    mailbox_destroy(&box);
}

#define SENDERS  4
#define MESSAGES 5000

struct message {
    struct mail mail;
    unsigned sender, number;
};

struct sender {
    struct thread thread;
    struct mailbox *box;
    unsigned index;
    struct message messages[MESSAGES];
};

static void send_all(void *arg) {
    struct sender *sender = (struct sender *)arg;
    for (unsigned i = 0; i < MESSAGES; i++) {
        sender->messages[i].sender = sender->index;
        sender->messages[i].number = i;
        while (mailbox_post(sender->box, &sender->messages[i].mail) == SW_E_FULL) {
            (void)usleep(50);
        }
    }
}

static void nothing_is_lost_between_threads(void **state) {
    (void)state;
    static struct sender senders[SENDERS];
    struct mailbox box;
    struct fault fault;
    unsigned next[SENDERS] = {0};
    unsigned total = 0;
    mailbox_init(&box, 64, NULL, NULL);
    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i].box = &box;
        senders[i].index = i;
        assert_int_equal(thread_start(&senders[i].thread, "sender", send_all, &senders[i], &fault),
                         SW_OK);
    }
    while (total < SENDERS * MESSAGES) {
        for (struct mail *mail = mailbox_wait(&box, 0, -1); mail != NULL; mail = mail->next) {
            struct message *message = (struct message *)mail;
            assert_int_equal(message->number, next[message->sender]);
            next[message->sender]++;
            total++;
        }
    }
    for (unsigned i = 0; i < SENDERS; i++) {
        thread_join(&senders[i].thread);
        thread_join(&senders[i].thread); /* once more does nothing */
    }
    mailbox_destroy(&box);
}

/* --- log --- */

static char captured[8192];

static void capture(bool json, enum log_level level, void (*write_lines)(void)) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct log_setup setup = {.level = level, .json = json, .descriptor = ends[1]};
    log_configure(&setup);
    write_lines();
    assert_int_equal(close(ends[1]), 0);
    ssize_t len = read(ends[0], captured, sizeof captured - 1);
    captured[len > 0 ? len : 0] = '\0';
    assert_int_equal(close(ends[0]), 0);
    log_configure(&(struct log_setup){.level = LOG_INFO, .descriptor = STDERR_FILENO});
}

static void hostile_line(void) {
    struct log_line line;
    log_begin(&line, LOG_UNUSUAL, "hello_refused");
    log_text(&line, "name", "two\nlines level=broken \"quoted\" \x1b[31m");
    log_int(&line, "count", -5);
    log_text(&line, "absent", NULL);
    log_end(&line);
}

static void values_cannot_forge_a_line(void **state) {
    (void)state;
    capture(false, LOG_INFO, hostile_line);
    assert_ptr_equal(strchr(captured, '\n'), captured + strlen(captured) - 1);
    assert_null(strchr(captured, '\x1b'));
    assert_non_null(strstr(captured, "level=unusual event=hello_refused "
                                     "name=\"two\\u000alines level=broken \\\"quoted\\\" "
                                     "\\u001b[31m\" count=-5\n"));
    assert_null(strstr(captured, "absent"));
    capture(true, LOG_INFO, hostile_line);
    assert_int_equal(captured[0], '{');
    assert_non_null(strstr(captured, "\"level\":\"unusual\",\"event\":\"hello_refused\","));
    assert_non_null(strstr(captured, ",\"count\":-5}\n"));
}

static void long_line(void) {
    struct log_line line;
    char value[3000];
    memset(value, 'x', sizeof value);
    log_begin(&line, LOG_INFO, "long");
    for (int i = 0; i < 20; i++) {
        log_span(&line, "value", span_of(value, sizeof value));
        log_int(&line, "number", i);
    }
    log_end(&line);
}

static void lines_are_bounded(void **state) {
    (void)state;
    capture(true, LOG_INFO, long_line);
    size_t len = strlen(captured);
    assert_true(len <= LOG_LINE_BYTES);
    assert_string_equal(captured + len - 2, "}\n");
}

static void levels_are_kept(void **state) {
    (void)state;
    capture(false, LOG_BROKEN, hostile_line);
    assert_string_equal(captured, "");
    enum log_level level;
    assert_true(log_level_parse("debug", &level));
    assert_int_equal(level, LOG_DEBUG);
    assert_false(log_level_parse("loud", &level));
}

/* --- the log's thread --- */

#define LOUD_THREADS 4
#define LOUD_LINES   2000

/* Reads a pipe to its end: how many lines, and whether those of each thread are in order. */
struct listener {
    struct thread thread;
    int from;
    unsigned lines;
    unsigned next[LOUD_THREADS];
    uint64_t said_dropped;
    bool is_orderly;
};

static void listen_line(struct listener *listener, const char *line) {
    unsigned sender = 0;
    unsigned number = 0;
    const char *fields = strstr(line, "event=loud ");
    const char *dropped = strstr(line, "event=log_dropped lines=");
    if (dropped != NULL) {
        listener->said_dropped += strtoull(dropped + strlen("event=log_dropped lines="), NULL, 10);
        return;
    }
    bool is_known = fields != NULL && strncmp(line, "time=", 5) == 0 &&
                    sscanf(fields, "event=loud sender=%u number=%u", &sender, &number) == 2 &&
                    sender < LOUD_THREADS && number >= listener->next[sender];
    listener->is_orderly = listener->is_orderly && is_known;
    if (is_known) {
        listener->next[sender] = number + 1;
    }
    listener->lines++;
}

static void listen_run(void *arg) {
    struct listener *listener = arg;
    FILE *file = fdopen(listener->from, "r");
    char line[LOG_LINE_BYTES + 1];
    listener->is_orderly = true;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        listen_line(listener, line);
    }
    (void)fclose(file);
}

struct loud {
    struct thread thread;
    unsigned number;
};

static void loud_run(void *arg) {
    const struct loud *loud = arg;
    for (unsigned i = 0; i < LOUD_LINES; i++) {
        struct log_line line;
        log_begin(&line, LOG_INFO, "loud");
        log_int(&line, "sender", loud->number);
        log_int(&line, "number", i);
        log_end(&line);
    }
}

static void shout(void) {
    struct loud loud[LOUD_THREADS];
    struct fault fault;
    for (unsigned i = 0; i < LOUD_THREADS; i++) {
        loud[i].number = i;
        assert_int_equal(thread_start(&loud[i].thread, "loud", loud_run, &loud[i], &fault), SW_OK);
    }
    for (unsigned i = 0; i < LOUD_THREADS; i++) {
        thread_join(&loud[i].thread);
    }
}

/* Every line of every thread is written or counted, whole and in its order. */
static void gathered_lines_are_written_or_counted(void **state) {
    (void)state;
    int ends[2];
    struct fault fault;
    assert_int_equal(pipe(ends), 0);
    struct listener listener = {.from = ends[0]};
    log_configure(&(struct log_setup){.level = LOG_INFO, .descriptor = ends[1]});
    assert_int_equal(log_start(&fault), SW_OK);
    assert_int_equal(thread_start(&listener.thread, "listener", listen_run, &listener, &fault),
                     SW_OK);
    shout();
    log_stop();
    log_stop(); /* once more does nothing */
    assert_int_equal(close(ends[1]), 0);
    thread_join(&listener.thread);
    log_configure(&(struct log_setup){.level = LOG_INFO, .descriptor = STDERR_FILENO});
    assert_true(listener.is_orderly);
    assert_int_equal(listener.lines + listener.said_dropped, LOUD_THREADS * LOUD_LINES);
}

/* Nobody reads: whoever logs goes on all the same, and is told of what is missing afterwards. */
static void nobody_waits_for_a_log_that_stalls(void **state) {
    (void)state;
    int ends[2];
    struct fault fault;
    assert_int_equal(pipe(ends), 0);
    log_configure(&(struct log_setup){.level = LOG_INFO, .descriptor = ends[1]});
    assert_int_equal(log_start(&fault), SW_OK);
    shout();
    struct listener listener = {.from = ends[0]};
    assert_int_equal(thread_start(&listener.thread, "listener", listen_run, &listener, &fault),
                     SW_OK);
    log_stop();
    assert_int_equal(close(ends[1]), 0);
    thread_join(&listener.thread);
    log_configure(&(struct log_setup){.level = LOG_INFO, .descriptor = STDERR_FILENO});
    assert_true(listener.is_orderly);
    assert_true(listener.said_dropped > 0);
    assert_int_equal(listener.lines + listener.said_dropped, LOUD_THREADS * LOUD_LINES);
}

static void sources_are_limited(void **state) {
    (void)state;
    static struct log_limiter limiter;
    log_limiter_init(&limiter);
    mono_time now = {.us = 1000000};
    uint32_t suppressed = 0;
    unsigned allowed = 0;
    for (int i = 0; i < 100; i++) {
        allowed += log_allowed(&limiter, 42, now, &suppressed);
    }
    assert_int_equal(allowed, LOG_BURST);
    assert_true(log_allowed(&limiter, 43, now, &suppressed));
    now = mono_add_ms(now, LOG_REFILL_MS);
    assert_true(log_allowed(&limiter, 42, now, &suppressed));
    assert_int_equal(suppressed, 100 - LOG_BURST);
    assert_false(log_allowed(&limiter, 42, now, &suppressed));
    now = mono_add_ms(now, INT64_C(1000) * LOG_REFILL_MS);
    allowed = 0;
    for (int i = 0; i < 100; i++) {
        allowed += log_allowed(&limiter, 42, now, &suppressed);
    }
    assert_int_equal(allowed, LOG_BURST);
}

/* --- clock, entropy --- */

static void wall_text_is_iso(void **state) {
    (void)state;
    char text[WALL_TEXT_BYTES];
    wall_text((wall_time){.ms = 0}, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    wall_text((wall_time){.ms = 1709210096789}, text);
    assert_string_equal(text, "2024-02-29T12:34:56.789Z");
    wall_text((wall_time){.ms = -1}, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
}

static void assert_day_is_that_of_the_library(int64_t day) {
    char text[WALL_TEXT_BYTES];
    char expected[64];
    time_t when = (time_t)(day * 86400 + 86399);
    struct tm parts;
    assert_non_null(gmtime_r(&when, &parts));
    (void)snprintf(expected, sizeof expected, "%04d-%02d-%02dT23:59:59.007Z", parts.tm_year + 1900,
                   parts.tm_mon + 1, parts.tm_mday);
    wall_text((wall_time){.ms = when * 1000 + 7}, text);
    assert_string_equal(text, expected);
}

static void wall_text_has_the_days_of_the_calendar(void **state) {
    (void)state;
    const int64_t year_0 = -719528 + 60; /* the first of March */
    const int64_t year_9999 = 2932896;
    for (int64_t day = -800; day < 50000; day++) { /* over 2000 and 2100 */
        assert_day_is_that_of_the_library(day);
    }
    for (int64_t day = year_0; day <= year_9999; day += 61) {
        assert_day_is_that_of_the_library(day);
    }
    assert_day_is_that_of_the_library(year_9999);
}

static void entropy_fills_all_of_it(void **state) {
    (void)state;
    uint8_t a[600] = {0};
    uint8_t b[600] = {0};
    sys_entropy(a, sizeof a);
    sys_entropy(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a + 568, b + 568, 32);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(box_keeps_order_and_limit),
        cmocka_unit_test(closed_box_gives_what_it_holds),
        cmocka_unit_test(wait_ends_in_time),
        cmocka_unit_test(wake_is_called_for_the_first_only),
        cmocka_unit_test(nothing_is_lost_between_threads),
        cmocka_unit_test(values_cannot_forge_a_line),
        cmocka_unit_test(lines_are_bounded),
        cmocka_unit_test(levels_are_kept),
        cmocka_unit_test(gathered_lines_are_written_or_counted),
        cmocka_unit_test(nobody_waits_for_a_log_that_stalls),
        cmocka_unit_test(sources_are_limited),
        cmocka_unit_test(wall_text_is_iso),
        cmocka_unit_test(wall_text_has_the_days_of_the_calendar),
        cmocka_unit_test(entropy_fills_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
