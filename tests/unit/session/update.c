#include "update.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct peer *const p = &the_peer;
static struct device *const d = &the_device;

struct device the_device;
struct device_log update_log;
uint8_t update_image[DEVICE_IMAGE_MAX];

int update_greeted(void **state) {
    (void)peer_greeted(state);
    memset(d, 0, sizeof *d);
    d->id = 100;
    rng_seed(&d->rng, 7);
    update_log.count = 0;
    for (size_t i = 0; i < sizeof update_image; i++) {
        update_image[i] = (uint8_t)(i * 31 + (i >> 9));
    }
    return 0;
}

int update_legacy(void **state) {
    (void)update_greeted(state);
    d->is_legacy = true;
    p->session.hello_flags = 0x36;
    return 0;
}

int update_offer(size_t len) {
    struct session_offer wanted = {.image = span_of(update_image, len)};
    for (size_t i = 0; i < sizeof wanted.file_hash.b; i++) {
        wanted.file_hash.b[i] = (uint8_t)i;
    }
    int status = session_offer(&p->session, p->crypto, &wanted, p->now, &p->out);
    peer_collect(p);
    return status;
}

void update_run_s(int64_t seconds) {
    device_run(d, p, mono_add_ms(p->now, seconds * 1000), &update_log);
}

const struct session_event *update_failed(void) {
    const struct session_event *event = device_event(&update_log, SESSION_TRANSFER_FAILED);
    assert_non_null(event);
    return event;
}

uint32_t update_sent(size_t len) {
    assert_int_equal(update_offer(len), SW_OK);
    device_answer(d, p, &update_log);
    update_run_s(600);
    const struct session_event *event = device_event(&update_log, SESSION_TRANSFER_COMMIT);
    assert_non_null(event);
    return event->ticket;
}
