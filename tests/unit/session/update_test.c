/* Updates over a session: what is sent, when it commits, and how it may end. */
#include "update.h"

#include "slipway/util/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct peer *const p = &the_peer;
static struct device *const d = &the_device;

static void start_is_written_as_the_device_reads_it(void **state) {
    (void)state;
    static const struct {
        bool discard, is_asset;
        const char *end;
    } starts[] = {{false, false, "420200"}, {true, false, "42020040"}, {false, true, "420200c109"}};
    for (size_t i = 0; i < 3; i++) {
        struct session_offer wanted = {.image = span_of(update_image, 100000),
                                       .discard = starts[i].discard,
                                       .is_asset = starts[i].is_asset};
        for (uint8_t b = 0; b < 32; b++) {
            wanted.file_hash.b[b] = b;
        }
        p->session.coap_id = 0x1234;
        p->session.coap_token = 0x79;
        assert_int_equal(session_offer(&p->session, p->crypto, &wanted, p->now, &p->out), SW_OK);
        peer_collect(p);
        char hex[256] = "410212347ab153e406f1000186a04d1300";
        for (uint8_t b = 1; b < 32; b++) {
            hex_encode(span_of(&b, 1), hex + 32 + 2 * b, 3);
        }
        strcat(hex, starts[i].end);
        assert_reply(p, hex);
        session_cancel(&p->session, p->crypto, starts[i].discard, p->now, &p->out);
        peer_collect(p);
        assert_reply(p, starts[i].discard ? "410212357bb146e006fd40" : "410212357bb146e00701");
        peer_say(p, "60001235");
        uint8_t done[] = {0x41, COAP_CHANGED, 0, (uint8_t)(9 + i), 0x7b};
        peer_say_bytes(p, span_of(done, sizeof done));
        assert_int_equal(p->reply_count, 1);
    }
}

static void commit_ack_is_withheld_until_confirmed(void **state) {
    (void)state;
    uint32_t ticket = update_sent(20075);
    assert_int_equal(d->cumulative, 40);
    assert_memory_equal(d->image, update_image, 20075);
    assert_int_equal(d->chunks, 40); /* in a world without faults none twice */
    assert_non_null(device_event(&update_log, SESSION_TRANSFER_ACCEPTED));
    assert_non_null(device_event(&update_log, SESSION_TRANSFER_VERIFYING));
    assert_null(device_event(&update_log, SESSION_TRANSFER_COMMITTED));
    assert_false(d->is_applied);
    peer_confirm(p, ticket);
    assert_int_equal(p->reply_count, 2); /* in case that one is lost */
    for (size_t n = 0; n < 2; n++) {
        assert_int_equal(p->replies[n].message.type, COAP_ACK);
        assert_int_equal(p->replies[n].message.code, COAP_EMPTY);
        assert_int_equal(p->replies[n].message.id, d->commit_id);
    }
    assert_int_equal(peer_event(p, SESSION_EVENT_TRANSFER)->u.transfer.step,
                     SESSION_TRANSFER_COMMITTED);
    struct session_progress progress;
    assert_false(session_progress(&p->session, &progress));
}

/* The 2.04 as the device repeats it. */
static void say_commit(void) {
    uint8_t bytes[64];
    struct writer w = writer_of(bytes, sizeof bytes);
    struct coap_writer c =
        coap_begin(&w, COAP_CON, COAP_CHANGED, d->commit_id, span_of(&d->finish_token, 1));
    coap_put_payload(&c, span_text("{\"recv_chunks\":40}"));
    peer_say_bytes(p, writer_span(&w));
}

static void commit_ack_repeated_for_duplicates(void **state) {
    (void)state;
    uint32_t ticket = update_sent(5000);
    say_commit(); /* repeated before it is confirmed */
    assert_silence(p);
    assert_int_equal(p->event_count, 0);
    peer_confirm(p, ticket);
    assert_int_equal(p->reply_count, 2);
    for (int i = 0; i < 3; i++) { /* both acknowledgements were lost */
        p->now = mono_add_ms(p->now, 24000);
        say_commit();
        assert_int_equal(p->reply_count, 1);
        assert_int_equal(p->replies[0].message.id, d->commit_id);
        assert_int_equal(p->replies[0].message.code, COAP_EMPTY);
        assert_int_equal(p->event_count, 0);
    }
}

static void commit_that_could_not_be_kept_is_told_again(void **state) {
    (void)state;
    session_refuse(&p->session, update_sent(5000));
    say_commit();
    assert_silence(p);
    const struct session_event *event = peer_event(p, SESSION_EVENT_TRANSFER);
    assert_int_equal(event->u.transfer.step, SESSION_TRANSFER_COMMIT);
    peer_confirm(p, event->ticket);
    assert_int_equal(p->reply_count, 2);
}

static void commit_of_a_forgotten_transfer_is_the_owners_to_decide(void **state) {
    (void)state;
    d->commit_id = 77;
    d->finish_token = 9;
    say_commit(); /* meant for a process before this one */
    assert_silence(p);
    const struct session_event *event = peer_event(p, SESSION_EVENT_TRANSFER);
    assert_int_equal(event->u.transfer.step, SESSION_TRANSFER_COMMIT);
    session_refuse(&p->session, event->ticket);
    say_commit();
    assert_silence(p);
    peer_confirm(p, peer_event(p, SESSION_EVENT_TRANSFER)->ticket);
    assert_int_equal(p->reply_count, 2);
    assert_int_equal(p->replies[0].message.id, 77);
}

static void a_commit_of_a_forgotten_transfer_leaves_the_next_alone(void **state) {
    (void)state;
    d->commit_id = 77;
    d->finish_token = 9;
    say_commit();
    uint32_t ticket = peer_event(p, SESSION_EVENT_TRANSFER)->ticket;
    assert_int_equal(update_offer(5000), SW_OK);
    peer_confirm(p, ticket);
    struct session_progress progress;
    assert_true(session_progress(&p->session, &progress));
}

static void a_commit_that_nobody_confirms_ends(void **state) {
    (void)state;
    (void)update_sent(5000);
    update_log.count = 0;
    update_run_s(300);
    assert_int_equal(update_failed()->u.transfer.failure, OTA_FAILURE_TIMEOUT);
    assert_false(d->is_applied);
    assert_int_equal(update_offer(100), SW_OK); /* and another may begin */
}

static void transfer_over_a_lossy_link(void **state) {
    (void)state;
    for (unsigned seed = 1; seed <= 20; seed++) {
        update_greeted(NULL);
        rng_seed(&d->rng, seed);
        d->loss = 2 * seed;
        peer_confirm(p, update_sent(60001));
        assert_memory_equal(d->image, update_image, 60001);
        peer_close(p);
    }
    peer_open(p);
}

static void resumes_where_the_device_says(void **state) {
    (void)state;
    d->offset = 3333;
    peer_confirm(p, update_sent(20000));
    assert_int_equal(device_event(&update_log, SESSION_TRANSFER_ACCEPTED)->u.transfer.offset, 3333);
    assert_memory_equal(d->image + 3333, update_image + 3333, 20000 - 3333);
    assert_int_equal(d->chunks, (20000 - 3333 + 511) / 512);
    update_greeted(NULL);
    d->offset = 20000; /* everything is there */
    peer_confirm(p, update_sent(20000));
    assert_int_equal(d->chunks, 0);
}

static void disabled_updates_are_a_refusal_not_a_failure_of_the_device(void **state) {
    (void)state;
    d->start_error = "{\"code\":-1380,\"message\":\"Firmware updates are disabled\"}";
    assert_int_equal(update_offer(5000), SW_OK);
    device_answer(d, p, &update_log);
    assert_int_equal(update_failed()->u.transfer.failure, OTA_FAILURE_DISABLED);
    assert_int_equal(update_failed()->u.transfer.device_error, -1380);
    assert_true(p->session.is_known);
    assert_false(p->session.updates_enabled);
    assert_int_equal(d->chunks, 0);
    d->start_error = NULL;
    update_log.count = 0;
    peer_confirm(p, update_sent(5000));
}

static void bad_options_are_refused_piggybacked(void **state) {
    (void)state;
    p->session.coap_id = 0x1012;
    p->session.coap_token = 0x3d;
    assert_int_equal(update_offer(4096), SW_OK);
    peer_say(p, "61a310123eff7b22636f6465223a2d3234302c226d657373616765223a22496e76616c6964206368"
                "756e6b2073697a653a20323536227d");
    const struct session_event *event = peer_event(p, SESSION_EVENT_TRANSFER);
    assert_int_equal(event->u.transfer.step, SESSION_TRANSFER_FAILED);
    assert_int_equal(event->u.transfer.failure, OTA_FAILURE_REFUSED);
    assert_int_equal(event->u.transfer.device_error, -240);
    assert_silence(p);
}

static void failed_validation_is_a_rejection(void **state) {
    (void)state;
    d->finish_error = "{\"code\":-1330,\"message\":\"x\"}";
    assert_int_equal(update_offer(5000), SW_OK);
    device_answer(d, p, &update_log);
    assert_int_equal(update_failed()->u.transfer.failure, OTA_FAILURE_REJECTED);
    assert_int_equal(update_failed()->u.transfer.device_error, -1330);
    assert_null(device_event(&update_log, SESSION_TRANSFER_COMMIT));
}

static void rst_for_a_chunk_aborts_the_transfer_and_no_more(void **state) {
    (void)state;
    assert_int_equal(update_offer(50000), SW_OK);
    d->loss = 100; /* hears nothing of the chunks */
    device_answer(d, p, &update_log);
    assert_int_equal(d->chunks, 16);
    peer_say(p, "70008003");
    const struct session_event *event = peer_event(p, SESSION_EVENT_TRANSFER);
    assert_int_equal(event->u.transfer.step, SESSION_TRANSFER_FAILED);
    assert_int_equal(event->u.transfer.failure, OTA_FAILURE_RESET);
    assert_false(peer_has_event(p, SESSION_EVENT_CLOSED));
    assert_true(p->session.is_known);
    peer_say(p, "70008004");
    assert_int_equal(p->event_count, 0);
}

static void a_device_that_comes_back_in_mid_transfer_is_offered_it_again(void **state) {
    (void)state;
    assert_int_equal(update_offer(50000), SW_OK);
    d->loss = 100;
    device_answer(d, p, &update_log);
    p->is_moved = true;
    p->from.port++;
    peer_say(p, "40000070");
    const struct session_event *event = peer_event(p, SESSION_EVENT_TRANSFER);
    assert_int_equal(event->u.transfer.failure, OTA_FAILURE_RESTARTED);
    assert_true(peer_has_event(p, SESSION_EVENT_RESUMED));
    p->is_moved = false;
    d->loss = 0;
    update_log.count = 0;
    d->offset = 512 * 7;
    peer_confirm(p, update_sent(50000));
}

static void a_new_address_alone_does_not_disturb_a_transfer(void **state) {
    (void)state;
    assert_int_equal(update_offer(50000), SW_OK);
    d->loss = 100;
    device_answer(d, p, &update_log);
    p->from.port++;                    /* its NAT found another port */
    peer_say(p, "50020070b141e006e9"); /* UpdateAck: none yet */
    assert_true(peer_has_event(p, SESSION_EVENT_RESUMED));
    assert_false(peer_has_event(p, SESSION_EVENT_TRANSFER));
    d->loss = 0;
    update_run_s(60);
    assert_non_null(device_event(&update_log, SESSION_TRANSFER_COMMIT));
}

/* Device OS 3.1 to 3.3 does not mark the records of a resumed session. In an update it never pings,
 * and the next chunk would be answered with an RST, which counts against it. */
static void who_pings_from_elsewhere_has_lost_its_transfer(void **state) {
    (void)state;
    assert_int_equal(update_offer(50000), SW_OK);
    p->from.port++;
    peer_say(p, "40000070"); /* not yet: the start may never have reached it */
    assert_false(peer_has_event(p, SESSION_EVENT_TRANSFER));
    d->loss = 100;
    update_run_s(5);
    assert_int_equal(d->chunks > 0, true);
    p->from.port++;
    peer_say(p, "40000071");
    const struct session_event *event = peer_event(p, SESSION_EVENT_TRANSFER);
    assert_int_equal(event->u.transfer.step, SESSION_TRANSFER_FAILED);
    assert_int_equal(event->u.transfer.failure, OTA_FAILURE_RESTARTED);
    assert_true(peer_has_event(p, SESSION_EVENT_RESUMED));
}

static void silence_after_the_start(void **state) {
    (void)state;
    mono_time begun = p->now;
    assert_int_equal(update_offer(50000), SW_OK);
    unsigned transmissions = 1;
    struct peer_reply first = p->replies[0];
    for (;;) {
        peer_tick_at(p, session_deadline(&p->session));
        if (peer_has_event(p, SESSION_EVENT_TRANSFER)) {
            break;
        }
        if (p->reply_count == 0) {
            continue; /* another of its deadlines */
        }
        assert_int_equal(p->reply_count, 1);
        assert_int_equal(p->replies[0].len, first.len);
        assert_memory_equal(p->replies[0].bytes, first.bytes, first.len); /* bit for bit */
        transmissions++;
    }
    assert_int_equal(transmissions, 4);
    int64_t waited_ms = mono_since_us(begun, p->now) / 1000;
    assert_true(waited_ms >= 60000 && waited_ms <= 90000);
    assert_true(peer_has_event(p, SESSION_EVENT_UNREACHABLE));
    assert_int_equal(peer_event(p, SESSION_EVENT_TRANSFER)->u.transfer.failure,
                     OTA_FAILURE_TIMEOUT);
    assert_true(peer_is_idle(p, mono_add_ms(p->now, 100200)));
}

static void a_small_outbox_only_slows_it(void **state) {
    (void)state;
    p->out.box.cap = 2 * SESSION_DATAGRAM_MAX;
    peer_confirm(p, update_sent(100000));
    assert_int_equal(d->chunks, (100000 + 511) / 512);
    p->out.box.cap = sizeof p->box;
}

static void one_tick_fills_the_outbox(void **state) {
    (void)state;
    p->session.coap_id = 0x1001;
    p->session.coap_token = 0x10;
    assert_int_equal(update_offer(50000), SW_OK);
    peer_say(p, "60001001");
    p->out.box.cap = 4 * 560; /* four chunks of 512 bytes; one place is the acknowledgement's */
    peer_say(p, "4141000b11e206f8010040");
    assert_int_equal(p->reply_count, 4);
    assert_int_equal(session_deadline(&p->session).us, p->now.us); /* go on at once */
    p->out.box.cap = sizeof p->box;
    peer_tick_at(p, p->now);
    assert_int_equal(p->reply_count, 13); /* sixteen are let out at first */
    assert_true(session_deadline(&p->session).us > p->now.us);
}

static void offers_are_checked(void **state) {
    (void)state;
    struct session_offer wanted = {.image = span_of(update_image, 1000)};
    struct session_offer bad = wanted;
    p->session.is_trusted = false;
    assert_int_equal(update_offer(1000), SW_E_DENIED);
    p->session.is_trusted = true;
    assert_int_equal(update_offer(0), SW_E_RANGE);
    bad.chunk_bytes = 508;
    assert_int_equal(session_offer(&p->session, p->crypto, &bad, p->now, &p->out), SW_E_RANGE);
    p->session.binary_max = 999;
    assert_int_equal(update_offer(1000), SW_E_RANGE); /* larger than it announced */
    p->session.binary_max = 1000;
    assert_int_equal(update_offer(1000), SW_OK);
    assert_int_equal(update_offer(1000), SW_E_BUSY);
    session_cancel(&p->session, p->crypto, false, p->now, &p->out);
    peer_collect(p);
    assert_int_equal(update_offer(1000), SW_E_BUSY); /* until the device knows */
}

static void cancelling(void **state) {
    (void)state;
    assert_int_equal(update_offer(50000), SW_OK);
    d->loss = 100;
    device_answer(d, p, &update_log);
    session_cancel(&p->session, p->crypto, false, p->now, &p->out);
    peer_collect(p);
    const struct session_event *event = peer_event(p, SESSION_EVENT_TRANSFER);
    assert_int_equal(event->u.transfer.failure, OTA_FAILURE_CANCELLED);
    device_answer(d, p, &update_log);
    assert_false(d->is_started);
    d->loss = 0;
    update_log.count = 0;
    peer_confirm(p, update_sent(5000));
}

static void cancelling_vetoes_an_unconfirmed_commit(void **state) {
    (void)state;
    uint32_t ticket = update_sent(5000);
    session_cancel(&p->session, p->crypto, true, p->now, &p->out);
    peer_collect(p);
    session_refuse(&p->session, ticket);
    assert_int_equal(p->reply_count, 1);
    assert_int_equal(p->replies[0].message.type, COAP_CON);
    say_commit();
    assert_silence(p);
    assert_false(d->is_applied);
}

static void message_id_wrap(void **state) {
    (void)state;
    p->session.coap_id = SESSION_CHUNK_ID_FIRST - 1;
    p->session.chunk_id = 0xfffe;
    assert_int_equal(update_offer(5000), SW_OK);
    assert_int_equal(p->replies[0].message.id, SESSION_CHUNK_ID_FIRST - 1);
    device_answer(d, p, &update_log); /* which checks that chunks keep to their range */
    assert_true(d->is_finished);
    assert_int_equal(p->session.coap_id, 1); /* UpdateFinish was 0 */
    assert_int_equal(p->session.chunk_id, 0x8000 + 8);
}

static void message_ids_of_confirmable_messages_do_not_repeat(void **state) {
    (void)state;
    static uint8_t used[SESSION_CHUNK_ID_FIRST];
    memset(used, 0, sizeof used);
    for (unsigned i = 0; i < 3000; i++) {
        assert_int_equal(session_tell_pending(&p->session, p->crypto, i % 2 == 0, p->now, &p->out),
                         SW_OK);
        peer_collect(p);
        assert_int_equal(p->reply_count, 1);
        uint16_t id = p->replies[0].message.id;
        assert_true(id < SESSION_CHUNK_ID_FIRST);
        assert_int_equal(used[id]++, 0);
        uint8_t ack[4] = {0x60, 0, (uint8_t)(id >> 8), (uint8_t)id};
        peer_say_bytes(p, span_of(ack, 4));
    }
}

static void a_metered_transfer_sends_what_is_granted(void **state) {
    (void)state;
    struct session_offer wanted = {.image = span_of(update_image, 20000), .is_metered = true};
    struct session_progress progress;
    assert_int_equal(session_offer(&p->session, p->crypto, &wanted, p->now, &p->out), SW_OK);
    peer_collect(p);
    device_answer(d, p, &update_log);
    assert_int_equal(d->chunks, 0);
    for (unsigned chunks = 0; chunks < 40; chunks += 2) {
        assert_true(session_progress(&p->session, &progress));
        assert_true(progress.is_starved);
        session_grant(&p->session, progress.granted + 2 * 512, p->now);
        assert_true(session_deadline(&p->session).us <= p->now.us);
        peer_tick_at(p, p->now);
        device_answer(d, p, &update_log);
        assert_int_equal(d->chunks, chunks + 2 < 40 ? chunks + 2 : 40);
    }
    update_run_s(10);
    assert_memory_equal(d->image, update_image, 20000);
    assert_non_null(device_event(&update_log, SESSION_TRANSFER_COMMIT));
}

static void a_grant_without_bounds_unmeters(void **state) {
    (void)state;
    struct session_offer wanted = {.image = span_of(update_image, 20000), .is_metered = true};
    session_grant(&p->session, 512, p->now); /* no transfer: nothing to grant for */
    assert_int_equal(session_offer(&p->session, p->crypto, &wanted, p->now, &p->out), SW_OK);
    peer_collect(p);
    session_grant(&p->session, SESSION_UNMETERED, p->now);
    device_answer(d, p, &update_log);
    update_run_s(10);
    assert_int_equal(d->chunks, 40);
}

int main(void) {
#define KNOWN(test) cmocka_unit_test_setup_teardown(test, update_greeted, peer_done)
    const struct CMUnitTest tests[] = {
        KNOWN(start_is_written_as_the_device_reads_it),
        KNOWN(commit_ack_is_withheld_until_confirmed),
        KNOWN(commit_ack_repeated_for_duplicates),
        KNOWN(commit_that_could_not_be_kept_is_told_again),
        KNOWN(commit_of_a_forgotten_transfer_is_the_owners_to_decide),
        KNOWN(a_commit_of_a_forgotten_transfer_leaves_the_next_alone),
        KNOWN(a_commit_that_nobody_confirms_ends),
        KNOWN(transfer_over_a_lossy_link),
        KNOWN(resumes_where_the_device_says),
        KNOWN(disabled_updates_are_a_refusal_not_a_failure_of_the_device),
        KNOWN(bad_options_are_refused_piggybacked),
        KNOWN(failed_validation_is_a_rejection),
        KNOWN(rst_for_a_chunk_aborts_the_transfer_and_no_more),
        KNOWN(a_device_that_comes_back_in_mid_transfer_is_offered_it_again),
        KNOWN(a_new_address_alone_does_not_disturb_a_transfer),
        KNOWN(who_pings_from_elsewhere_has_lost_its_transfer),
        KNOWN(silence_after_the_start),
        KNOWN(a_small_outbox_only_slows_it),
        KNOWN(one_tick_fills_the_outbox),
        KNOWN(offers_are_checked),
        KNOWN(cancelling),
        KNOWN(cancelling_vetoes_an_unconfirmed_commit),
        KNOWN(message_id_wrap),
        KNOWN(message_ids_of_confirmable_messages_do_not_repeat),
        KNOWN(a_metered_transfer_sends_what_is_granted),
        KNOWN(a_grant_without_bounds_unmeters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
