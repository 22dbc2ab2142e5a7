/* The same course of a session, ended between every two of its steps: with the write under way
 * lost, and with it on disk but nobody told. Whatever came before, no number of the server's is
 * used twice, and nothing that was accepted is accepted again. */
#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define STEPS       160 /* before the crash, at most */
#define STEPS_AFTER 80
#define NUMBERS_MAX 65536

static struct peer *const p = &the_peer;

static bool is_used[NUMBERS_MAX]; /* numbers of the server's records */
static uint64_t newest_used;

static struct {
    size_t len;
    uint8_t bytes[256];
} accepted[STEPS + STEPS_AFTER];
static size_t accepted_count;

static struct {
    uint8_t bytes[SESSION_STORED_MAX], coming[SESSION_STORED_MAX];
    size_t len, coming_len; /* len 0: no row yet */
    bool is_writing;
    struct session_reserve want;
} disk;

static void watch(struct span datagram) {
    uint64_t number = 0;
    for (size_t i = 5; i < 11; i++) {
        number = number << 8 | datagram.data[i];
    }
    assert_true(number < NUMBERS_MAX);
    assert_false(is_used[number]);
    is_used[number] = true;
    newest_used = number > newest_used ? number : newest_used;
}

static void disk_begin(void) {
    if (!disk.is_writing && session_reserve_due(&p->session, p->now, &disk.want)) {
        struct writer w = writer_of(disk.coming, sizeof disk.coming);
        assert_int_equal(session_encode(&p->session, &disk.want, &w), SW_OK);
        disk.coming_len = w.at;
        disk.is_writing = true;
    }
}

static void disk_land(void) {
    memcpy(disk.bytes, disk.coming, sizeof disk.bytes);
    disk.len = disk.coming_len;
    disk.is_writing = false;
}

/* One at the limit is kept, as an owner does. */
static struct {
    size_t len;
    uint8_t bytes[256];
} held;

static void give_record(struct span datagram) {
    int status = peer_give(p, datagram);
    if (status == SW_E_LIMIT && held.len == 0) {
        memmove(held.bytes, datagram.data, datagram.len);
        held.len = datagram.len;
    } else if (status == SW_OK && p->why == NULL) {
        memcpy(accepted[accepted_count].bytes, datagram.data, datagram.len);
        accepted[accepted_count++].len = datagram.len;
    }
    for (size_t i = 0; i < p->event_count; i++) {
        if (p->events[i].ticket != 0) {
            peer_confirm(p, p->events[i].ticket);
            break;
        }
    }
}

static void give(struct span message, bool is_moved, uint16_t port) {
    uint8_t sealed[256];
    p->is_moved = is_moved;
    p->from.port = port;
    give_record(peer_seal(p, message, sealed, sizeof sealed));
}

/* Everything that uses up numbers of either side, and everything that the disk does. */
static void step(unsigned n) {
    uint8_t ping[4] = {0x40, 0, (uint8_t)(n >> 8), (uint8_t)n}, event[16];
    size_t len = peer_bytes("40020000b1450178ff31", event, sizeof event);
    event[2] = (uint8_t)(0x40 + (n >> 8));
    event[3] = (uint8_t)n;
    switch (n % 8) {
    case 0:
    case 4:
        give(span_of(ping, sizeof ping), false, 4000);
        break;
    case 1:
        give(span_of(event, len), false, 4000);
        break;
    case 2:
        give(span_of(ping, sizeof ping), true, (uint16_t)(4000 + n));
        break;
    case 3:
        (void)!session_ping(&p->session, p->crypto, p->now, &p->out);
        peer_collect(p);
        break;
    case 5:
        if (disk.is_writing && n % 16 == 13) { /* every second time it is late */
            disk_land();
            session_reserved(&p->session, &disk.want, p->now);
            peer_tick_at(p, p->now);
            if (held.len > 0) {
                struct span again = span_of(held.bytes, held.len);
                held.len = 0;
                give_record(again);
            }
        }
        break;
    case 6:
        peer_tick_at(p, mono_add_ms(p->now, n % 5 == 0 ? 90000 : 4000));
        break;
    default:
        give(span_of(event, len), false,
             4000); /* while a write is under way, or its limit is near */
        break;
    }
    disk_begin();
}

static void begin(void) {
    peer_open(p);
    memset(is_used, 0, sizeof is_used);
    memset(&disk, 0, sizeof disk);
    held.len = 0;
    accepted_count = 0;
    newest_used = 0;
    p->watch = watch;
    peer_known(p, 0xb6);
    p->holds_reserves = true;
    p->session.is_unsaved = true;
    disk_begin();
}

/* False: nothing was on disk, so the keys are gone with the process. */
static bool crash(bool has_landed) {
    if (has_landed && disk.is_writing) {
        disk_land();
    }
    disk.is_writing = false;
    held.len = 0;
    (void)session_close(&p->session);
    if (disk.len == 0) {
        return false;
    }
    assert_int_equal(session_decode(span_of(disk.bytes, disk.len), p->now, &p->session), SW_OK);
    session_attach(&p->session, &p->work);
    return true;
}

static void expect_no_replay(void) {
    for (size_t i = 0; i < accepted_count; i++) {
        (void)!peer_give(p, span_of(accepted[i].bytes, accepted[i].len));
        assert_silence(p);
        assert_int_equal(p->event_count, 0);
        assert_non_null(p->why);
    }
}

static void a_crash_between_any_two_steps_reuses_nothing(void **state) {
    (void)state;
    unsigned crashes = 0, heard_again = 0, spoke_again = 0;
    for (unsigned at = 0; at <= STEPS; at++) {
        for (unsigned has_landed = 0; has_landed < 2; has_landed++) {
            begin();
            for (unsigned n = 0; n < at; n++) {
                step(n);
            }
            if (!crash(has_landed == 1)) {
                peer_close(p);
                continue;
            }
            crashes++;
            expect_no_replay();
            size_t before = accepted_count;
            uint64_t used = newest_used;
            for (unsigned n = STEPS; n < STEPS + STEPS_AFTER; n++) {
                step(n);
            }
            heard_again += accepted_count > before;
            spoke_again += newest_used > used;
            /* And once more, from wherever this has led. */
            if (crash(has_landed == 0)) {
                expect_no_replay();
            }
            peer_close(p);
        }
    }
    peer_open(p);
    peer_close(p);
    assert_true(crashes > 2 * STEPS - 40);
    /* It would be easy to keep both promises by falling silent. */
    assert_int_equal(heard_again, crashes);
    assert_int_equal(spoke_again, crashes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_between_any_two_steps_reuses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
