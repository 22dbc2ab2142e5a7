/* Sequence numbers and storage: after a crash at any point no number is used twice and nothing is
 * accepted twice. */
#include "device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct peer *const p = &the_peer;

static void say_ping(uint16_t id) {
    uint8_t ping[4] = {0x40, 0, (uint8_t)(id >> 8), (uint8_t)id};
    peer_say_bytes(p, span_of(ping, 4));
}

static void a_session_is_small(void **state) {
    (void)state;
    assert_true(sizeof(struct session) <= 256);
}

static void a_clean_stop_and_start(void **state) {
    (void)state;
    uint8_t stored[SESSION_STORED_MAX];
    struct session before;
    say_ping(5);
    p->session.updates_enabled = false;
    p->session.updates_forced = true;
    struct writer w = writer_of(stored, sizeof stored);
    assert_int_equal(session_encode(&p->session, NULL, &w), SW_OK);
    (void)session_detach(&p->session);
    before = p->session;
    mono_time other_clock = {.us = 77};
    assert_int_equal(session_decode(writer_span(&w), other_clock, &p->session), SW_OK);
    const struct session *after = &p->session;
    assert_true(after->is_known && after->is_resumed && after->is_trusted);
    assert_false(after->updates_enabled);
    assert_true(after->updates_forced);
    assert_int_equal(after->dtls.seq_out, before.dtls.seq_out);
    assert_int_equal(after->dtls.seq_in_top, before.dtls.seq_in_top);
    assert_int_equal(after->dtls.seq_in_window, before.dtls.seq_in_window);
    assert_int_equal(after->dtls.seq_out_limit, before.dtls.seq_out);
    assert_int_equal(after->coap_id, before.coap_id);
    assert_int_equal(after->hello_flags, 0xb6);
    assert_int_equal(after->binary_max, before.binary_max);
    assert_int_equal(after->chunk_bytes, 512);
    assert_true(address_equal(&after->peer, &before.peer));
    assert_true(device_id_equal(&after->device, &before.device));
    /* Nothing is reserved yet. */
    p->now = other_clock;
    p->holds_reserves = true;
    uint8_t ping[4] = {0x40, 0, 0, 6}, sealed[128];
    struct span datagram = peer_seal(p, span_of(ping, 4), sealed, sizeof sealed);
    assert_int_equal(peer_give(p, datagram), SW_E_LIMIT);
    assert_silence(p);
    struct session_reserve want;
    assert_true(session_reserve_due(&p->session, p->now, &want));
    assert_false(session_reserve_due(&p->session, p->now, &want)); /* one at a time */
    session_reserved(&p->session, &want, p->now);
    assert_int_equal(peer_give(p, datagram), SW_OK);
    assert_reply(p, "60000006");
    assert_true(peer_has_event(p, SESSION_EVENT_RESUMED)); /* first word after a restore */
    say_ping(7);
    assert_false(peer_has_event(p, SESSION_EVENT_RESUMED));
}

static void what_was_learned_outlives_the_process(void **state) {
    (void)state;
    uint8_t stored[SESSION_STORED_MAX];
    struct session out;
    p->session.rtt_ms = 240;
    struct writer w = writer_of(stored, sizeof stored);
    p->now = mono_add_ms(p->now, 25000);
    say_ping(5);
    assert_int_equal(session_encode(&p->session, NULL, &w), SW_OK);
    assert_int_equal(session_decode(writer_span(&w), p->now, &out), SW_OK);
    assert_int_equal(out.ping_s, 25);
    assert_int_equal(out.rtt_ms, 240);
    stored[0] = 2; /* as it was stored before there was a doubt */
    assert_int_equal(session_decode(span_of(stored, w.at - 2), p->now, &out), SW_OK);
    assert_int_equal(out.rtt_ms, 240);
    stored[0] = 1; /* as it was stored before there was one */
    assert_int_equal(session_decode(span_of(stored, w.at - 6), p->now, &out), SW_OK);
    assert_int_equal(out.ping_s, 0);
}

static void what_is_not_a_stored_session(void **state) {
    (void)state;
    uint8_t stored[SESSION_STORED_MAX];
    struct session out;
    struct writer w = writer_of(stored, sizeof stored);
    assert_int_equal(session_encode(&p->session, NULL, &w), SW_OK);
    for (size_t len = 0; len < w.at; len++) {
        assert_int_not_equal(session_decode(span_of(stored, len), p->now, &out), SW_OK);
    }
    stored[0] = 4;
    assert_int_equal(session_decode(span_of(stored, w.at), p->now, &out), SW_E_VERSION);
    uint8_t small[32];
    w = writer_of(small, sizeof small);
    assert_int_equal(session_encode(&p->session, NULL, &w), SW_E_FULL);
}

/* A quiet device must not find itself locked out after a crash: little is reserved ahead of it. */
static void a_quiet_device_has_little_reserved(void **state) {
    (void)state;
    for (uint16_t i = 0; i < 200; i++) {
        say_ping(i); /* busy at first */
    }
    assert_true(p->session.dtls.seq_in_limit - p->session.dtls.seq_in_top >= 8);
    assert_true(session_deadline(&p->session).us <= p->now.us + 10 * 1000000);
    peer_tick_at(p, mono_add_ms(p->now, 10000));
    assert_int_equal(p->session.dtls.seq_in_limit - p->session.dtls.seq_in_top, 2);
    peer_tick_at(p, session_deadline(&p->session));
    assert_true(session_deadline(&p->session).us == MONO_NEVER.us);
    unsigned before = p->reserves;
    for (uint16_t i = 0; i < 20; i++) {
        p->now = mono_add_ms(p->now, 25000);
        say_ping(i);
        assert_true(p->session.dtls.seq_in_limit - p->session.dtls.seq_in_top <= 2);
    }
    assert_int_equal(p->reserves - before, 10); /* every other ping */
}

static void a_busy_device_has_more_reserved_each_time(void **state) {
    (void)state;
    unsigned before = p->reserves;
    for (unsigned i = 0; i < 20000; i++) {
        say_ping((uint16_t)i);
        p->now = mono_add_us(p->now, 500);
    }
    uint64_t ahead = p->session.dtls.seq_in_limit - p->session.dtls.seq_in_top;
    assert_true(ahead <= 512 && ahead > 250);
    assert_true(p->reserves - before < 100);
}

static void lowering_holds_before_it_is_on_disk(void **state) {
    (void)state;
    struct session_reserve want;
    for (uint16_t i = 0; i < 200; i++) {
        say_ping(i);
    }
    p->holds_reserves = true;
    uint64_t top = p->session.dtls.seq_in_top;
    p->now = mono_add_ms(p->now, 60000);
    assert_true(session_reserve_due(&p->session, p->now, &want));
    assert_int_equal(want.seq_in_limit, top + 2);
    assert_int_equal(p->session.dtls.seq_in_limit, top + 2);
    say_ping(1);
    say_ping(2);
    uint8_t ping[4] = {0x40, 0, 0, 3}, sealed[128];
    struct span datagram = peer_seal(p, span_of(ping, 4), sealed, sizeof sealed);
    assert_int_equal(peer_give(p, datagram), SW_E_LIMIT);
    session_reserved(&p->session, NULL, p->now); /* the disk failed */
    assert_true(session_reserve_due(&p->session, p->now, &want));
    session_reserved(&p->session, &want, p->now);
    assert_int_equal(peer_give(p, datagram), SW_OK);
    assert_reply(p, "60000003");
}

/* While nothing can be saved, the session's timer does not stand still. */
static void a_reservation_that_cannot_be_saved_does_not_spin(void **state) {
    (void)state;
    for (uint16_t i = 0; i < 200; i++) {
        say_ping(i);
    }
    (void)session_detach(&p->session);
    p->holds_reserves = true;
    unsigned ticks = 0;
    mono_time end = mono_add_ms(p->now, 100000);
    while (session_deadline(&p->session).us < end.us) {
        mono_time next = session_deadline(&p->session);
        assert_true(next.us > p->now.us);
        peer_tick_at(p, next);
        ticks++;
    }
    assert_in_range(ticks, 1, 10);
}

/* A record that was kept back and never given again may not keep the reservation asking. */
static void a_missed_record_that_never_comes_back(void **state) {
    (void)state;
    uint8_t ping[4] = {0x40, 0, 0, 9}, sealed[128];
    struct session_reserve want;
    say_ping(1);
    p->holds_reserves = true;
    p->device.seq_out += 1000;
    (void)peer_seal(p, span_of(ping, 4), sealed, sizeof sealed);
    struct span datagram = peer_seal(p, span_of(ping, 4), sealed, sizeof sealed);
    assert_int_equal(peer_give(p, datagram), SW_E_LIMIT);
    p->now = mono_add_ms(p->now, 20000);
    unsigned asked = 0;
    for (; asked < 5 && session_reserve_due(&p->session, p->now, &want); asked++) {
        session_reserved(&p->session, &want, p->now);
    }
    assert_int_equal(asked, 2); /* for it, and back again */
    assert_int_equal(p->session.dtls.seq_in_limit - p->session.dtls.seq_in_top, 2);
}

static void without_outgoing_numbers_nothing_is_sent(void **state) {
    (void)state;
    p->holds_reserves = true;
    p->session.dtls.seq_out_limit = p->session.dtls.seq_out;
    struct session_offer offer = {.image = span_text("firmware")};
    say_ping(1);
    assert_silence(p);
    assert_int_equal(session_offer(&p->session, p->crypto, &offer, p->now, &p->out), SW_OK);
    peer_collect(p);
    assert_silence(p);
    struct session_reserve want;
    assert_true(session_reserve_due(&p->session, p->now, &want));
    session_reserved(&p->session, &want, p->now);
    peer_tick_at(p, session_deadline(&p->session));
    assert_int_equal(p->reply_count, 1);
    assert_true(coap_path_is(&p->replies[0].message, 'S'));
}

/* --- crashes --- */

#define DATAGRAMS_MAX 4096

static struct {
    size_t len;
    uint8_t bytes[256];
} accepted[DATAGRAMS_MAX];
static size_t accepted_count;
static mono_time con_used[SESSION_CHUNK_ID_FIRST]; /* 0: never */

static struct device device;
static uint8_t image[DEVICE_IMAGE_MAX];

/* What the disk has, and what is on its way there. */
struct disk {
    uint8_t bytes[SESSION_STORED_MAX], coming[SESSION_STORED_MAX];
    size_t len, coming_len;
    bool is_writing;
    struct session_reserve want;
};

static void disk_step(struct disk *disk, struct rng *rng) {
    if (disk->is_writing && rng_below(rng, 3) == 0) {
        memcpy(disk->bytes, disk->coming, sizeof disk->bytes);
        disk->len = disk->coming_len;
        disk->is_writing = false;
        session_reserved(&p->session, &disk->want, p->now);
    }
    if (session_reserve_due(&p->session, p->now, &disk->want)) {
        struct writer w = writer_of(disk->coming, sizeof disk->coming);
        assert_false(disk->is_writing);
        assert_int_equal(session_encode(&p->session, &disk->want, &w), SW_OK);
        disk->coming_len = w.at;
        disk->is_writing = true;
    }
}

/* Every confirmable message of ours has an id of its own for EXCHANGE_LIFETIME (RFC 7252 section
 * 4.8.2), across crashes too. */
static bool is_used_id(const struct coap_message *m) {
    mono_time at = con_used[m->type == COAP_CON ? m->id : 0];
    return m->type == COAP_CON && at.us != 0 && mono_since_us(at, p->now) < 247 * INT64_C(1000000);
}

static void note_ids(void) {
    for (size_t i = 0; i < p->reply_count; i++) {
        const struct coap_message *m = &p->replies[i].message;
        if (m->type == COAP_CON) {
            con_used[m->id] = p->now;
        }
    }
}

static void crash_at_every_step(void **state) {
    (void)state;
    unsigned restarts = 0, taken = 0, refused = 0;
    for (unsigned seed = 1; seed <= 60; seed++) {
        struct rng rng;
        rng_seed(&rng, seed);
        peer_greeted(NULL);
        struct disk disk = {0};
        accepted_count = 0;
        p->holds_reserves = true;
        memset(con_used, 0, sizeof con_used);
        for (unsigned step = 0; step < 300; step++) {
            p->now =
                mono_add_ms(p->now, (int64_t)rng_below(&rng, rng_below(&rng, 9) ? 300 : 90000));
            disk_step(&disk, &rng);
            if (disk.len > 0 && rng_below(&rng, 40) == 0) {
                (void)session_close(&p->session);
                assert_int_equal(session_decode(span_of(disk.bytes, disk.len), p->now, &p->session),
                                 SW_OK);
                session_attach(&p->session, &p->work);
                disk.is_writing = rng_below(&rng, 2) == 0 && disk.is_writing;
                if (disk.is_writing) { /* it got there after all */
                    memcpy(disk.bytes, disk.coming, sizeof disk.bytes);
                    disk.len = disk.coming_len;
                    assert_int_equal(
                        session_decode(span_of(disk.bytes, disk.len), p->now, &p->session), SW_OK);
                    session_attach(&p->session, &p->work);
                    disk.is_writing = false;
                }
                restarts++;
                for (size_t i = 0; i < accepted_count; i++) { /* nothing is accepted twice */
                    assert_int_not_equal(peer_give(p, span_of(accepted[i].bytes, accepted[i].len)),
                                         SW_E_LIMIT);
                    assert_silence(p);
                    assert_int_equal(p->event_count, 0);
                    assert_non_null(p->why);
                }
                device = (struct device){.id = (uint16_t)(1000 + step * 10)};
            }
            if (rng_below(&rng, 12) == 0) {
                struct session_offer offer = {.image = span_of(image, 9000)};
                (void)!session_offer(&p->session, p->crypto, &offer, p->now, &p->out);
                peer_collect(p);
                for (size_t i = 0; i < p->reply_count; i++) {
                    assert_false(is_used_id(&p->replies[i].message));
                }
                note_ids();
                continue;
            }
            uint8_t message[16] = {0x40, 0, (uint8_t)(step >> 8), (uint8_t)step}, sealed[256];
            size_t len = 4;
            if (rng_below(&rng, 2) == 0) {
                len = peer_bytes("40020000b1450178ff31", message, sizeof message);
                message[2] = (uint8_t)(0x40 + (step >> 8));
                message[3] = (uint8_t)step;
            }
            struct span datagram = peer_seal(p, span_of(message, len), sealed, sizeof sealed);
            int status = peer_give(p, datagram);
            while (status == SW_E_LIMIT) { /* kept until the numbers are reserved */
                disk_step(&disk, &rng);
                status = peer_give(p, datagram);
            }
            note_ids();
            if (status == SW_OK && p->why == NULL) {
                assert_true(accepted_count < DATAGRAMS_MAX);
                memcpy(accepted[accepted_count].bytes, datagram.data, datagram.len);
                accepted[accepted_count++].len = datagram.len;
                taken++;
            } else {
                refused++;
            }
            for (size_t i = 0; i < p->event_count; i++) {
                struct session_event event = p->events[i];
                if (event.ticket != 0) {
                    peer_confirm(p, event.ticket);
                    note_ids();
                    break;
                }
            }
        }
        peer_close(p);
    }
    peer_open(p);
    print_message("%u restarts, %u records taken, %u not\n", restarts, taken, refused);
    assert_true(restarts > 300);
    assert_true(taken > refused * 2); /* and the device is not locked out by it */
}

int main(void) {
#define KNOWN(test) cmocka_unit_test_setup_teardown(test, peer_greeted, peer_done)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_is_small),
        KNOWN(a_clean_stop_and_start),
        KNOWN(what_was_learned_outlives_the_process),
        KNOWN(what_is_not_a_stored_session),
        KNOWN(a_quiet_device_has_little_reserved),
        KNOWN(a_busy_device_has_more_reserved_each_time),
        KNOWN(lowering_holds_before_it_is_on_disk),
        KNOWN(a_reservation_that_cannot_be_saved_does_not_spin),
        KNOWN(a_missed_record_that_never_comes_back),
        KNOWN(without_outgoing_numbers_nothing_is_sent),
        KNOWN(crash_at_every_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
