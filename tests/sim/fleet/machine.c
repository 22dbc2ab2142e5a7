/* What goes wrong with the machine that the server runs on, but for its end: its disk is full or
 * has errors for a while, its clock is set. */
#include "world.h"

#include "slipway/util/check.h"

#define SECOND_US INT64_C(1000000)
#define WALL_MS   INT64_C(1700000000000)

wall_time world_wall(struct world *world) {
    int64_t ms = WALL_MS + world->now.us / 1000 + world->skew_ms;
    if (world->mutant == MUTANT_STILL_CLOCK && ms < world->wall_ms) {
        ms = world->wall_ms;
    }
    world->wall_ms = ms;
    return (wall_time){.ms = ms};
}

void world_set_clock(struct world *world, int64_t skew_ms) {
    world_tell(world, "the clock is set by %.3f s", (double)(skew_ms - world->skew_ms) / 1e3);
    world->skew_ms = skew_ms;
    world->skewed = world->now;
}

void machine_trouble_disk(struct world *world) {
    bool is_over = disk_now() != DISK_FINE;
    if (!is_over && world->is_healed) {
        return;
    }
    disk_turn(is_over ? DISK_FINE : rng_below(&world->rng, 2) == 0 ? DISK_FULL : DISK_SICK);
    world_tell(world, "the disk is %s",
               disk_now() == DISK_FINE   ? "well again"
               : disk_now() == DISK_FULL ? "full"
                                         : "sick");
    if (!is_over) {
        world_event_put(
            world, world_event_new(
                       world, EVENT_DISK,
                       mono_add_us(world->now, rng_between(&world->rng, SECOND_US, 40 * SECOND_US)),
                       span_of(NULL, 0)));
    }
}

/* By a time server, by an operator's mistake, by a battery that is empty. */
void machine_set_clock(struct world *world) {
    static const int64_t steps_ms[] = {
        2000, 30000, 600000, 3600000, INT64_C(86400000), INT64_C(2592000000), INT64_C(31536000000)};
    int64_t step_ms = steps_ms[rng_below(&world->rng, SW_COUNT(steps_ms))];
    bool is_back = rng_below(&world->rng, 2) == 0;
    bool is_right = rng_below(&world->rng, 4) == 0;
    world_set_clock(world, is_right ? 0 : world->skew_ms + (is_back ? -step_ms : step_ms));
}
