#include "gateway/handshake/lobby.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static unsigned enter(struct lobby *lobby, enum lobby_room room, uint32_t number, int64_t at_ms) {
    const struct gateway_arrival item = {
        .from = {.port = (uint16_t)number}, .path = 3, .bytes = span_of(&number, sizeof number)};
    return lobby_enter(lobby, room, &item, (mono_time){.us = at_ms * 1000});
}

static void leaves(struct lobby *lobby, enum lobby_room room, uint32_t number) {
    assert_true(lobby_waits(lobby, room));
    const struct lobby_guest *guest = lobby_leave(lobby, room);
    assert_int_equal(guest->from.port, (uint16_t)number);
    assert_int_equal(guest->path, 3);
    assert_int_equal(guest->len, sizeof number);
    assert_memory_equal(guest->bytes, &number, sizeof number);
}

static void rooms_have_their_order(void **state) {
    (void)state;
    struct lobby lobby = {0};
    for (uint32_t n = 0; n < 5; n++) {
        for (unsigned room = 0; room < LOBBY_ROOMS; room++) {
            assert_int_equal(enter(&lobby, (enum lobby_room)room, 10 * room + n, 0), 0);
        }
    }
    for (uint32_t n = 0; n < 5; n++) {
        leaves(&lobby, LOBBY_BEGUN, n);
        leaves(&lobby, LOBBY_PROVEN, 10 + 4 - n);
        leaves(&lobby, LOBBY_STRANGERS, 20 + 4 - n);
    }
    assert_true(lobby_is_empty(&lobby));
    lobby_close(&lobby);
}

static void a_full_room_loses_its_oldest(void **state) {
    (void)state;
    for (unsigned room = 0; room < LOBBY_ROOMS; room++) {
        struct lobby lobby = {0};
        for (uint32_t n = 0; n < LOBBY_SEATS; n++) {
            assert_int_equal(enter(&lobby, (enum lobby_room)room, n, 0), 0);
        }
        for (uint32_t n = 0; n < 10; n++) {
            assert_int_equal(enter(&lobby, (enum lobby_room)room, LOBBY_SEATS + n, 0), 1);
        }
        for (uint32_t n = 0; n < LOBBY_SEATS; n++) {
            leaves(&lobby, (enum lobby_room)room,
                   room == LOBBY_BEGUN ? 10 + n : LOBBY_SEATS + 9 - n);
        }
        assert_false(lobby_waits(&lobby, (enum lobby_room)room));
        lobby_close(&lobby);
    }
}

static void the_stale_ones_go(void **state) {
    (void)state;
    struct lobby lobby = {0};
    assert_int_equal(lobby_tidy(&lobby, (mono_time){.us = 0}), 0);
    for (uint32_t n = 0; n < 6; n++) {
        assert_int_equal(enter(&lobby, (enum lobby_room)(n % LOBBY_ROOMS), n, 1000 * n), 0);
    }
    assert_int_equal(lobby_tidy(&lobby, (mono_time){.us = (LOBBY_STALE_MS - 1) * 1000}), 0);
    assert_int_equal(lobby_tidy(&lobby, (mono_time){.us = (LOBBY_STALE_MS + 2000) * 1000}), 3);
    leaves(&lobby, LOBBY_BEGUN, 3);
    assert_int_equal(lobby_tidy(&lobby, (mono_time){.us = (LOBBY_STALE_MS + 5000) * 1000}), 2);
    assert_true(lobby_is_empty(&lobby));
    lobby_close(&lobby);
}

static void what_is_too_long_does_not_wait(void **state) {
    (void)state;
    static const uint8_t bytes[LOBBY_BYTES + 1];
    struct lobby lobby = {0};
    struct gateway_arrival item = {.bytes = span_of(bytes, sizeof bytes)};
    assert_int_equal(lobby_enter(&lobby, LOBBY_PROVEN, &item, (mono_time){.us = 0}), 1);
    assert_null(lobby.guests);
    item.bytes.len = LOBBY_BYTES;
    assert_int_equal(lobby_enter(&lobby, LOBBY_PROVEN, &item, (mono_time){.us = 0}), 0);
    lobby_close(&lobby);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rooms_have_their_order),
        cmocka_unit_test(a_full_room_loses_its_oldest),
        cmocka_unit_test(the_stale_ones_go),
        cmocka_unit_test(what_is_too_long_does_not_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
