/* sim_fleet --seeds A..B [--mutant NAME --expect-failure] [--verbose] [--tell]
 * Runs each seed twice: both must go well, and in exactly the same way. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const mutant_names[MUTANTS] = {
    [MUTANT_NONE] = "none",
    [MUTANT_LOST_ROWS] = "lost-rows",
    [MUTANT_WRONG_IMAGE] = "wrong-image",
    [MUTANT_NO_LOCKS] = "no-locks",
    [MUTANT_STALE_STORE] = "stale-store",
    [MUTANT_NO_ASSETS] = "no-assets",
    [MUTANT_DEAF] = "deaf",
    [MUTANT_FULL_IS_FINE] = "full-is-fine",
    [MUTANT_UNSYNCED] = "unsynced",
    [MUTANT_STILL_CLOCK] = "still-clock",
    [MUTANT_NO_REMOVAL] = "no-removal",
};

struct outcome {
    uint64_t trace, steps, datagrams, commits, crashes, calls, assets;
    char failure[256];
};

struct arguments {
    unsigned long long first, last;
    enum world_mutant mutant;
    bool expects_failure, is_verbose, is_talking;
};

static void run_once(uint64_t seed, const struct arguments *arguments, bool is_verbose,
                     struct outcome *out) {
    static struct world world;
    world_open(&world, seed, arguments->mutant);
    world.is_talking = arguments->is_talking && is_verbose;
    if (is_verbose) {
        const struct world_profile *p = &world.profile;
        printf("seed %llu: %u devices, loss %u %%, twice %u %%, damaged %u %%, %lld ms + %lld, "
               "%u crashes, store %u %%, power %u %%, restless %u %%%s\n",
               (unsigned long long)seed, p->devices, p->loss_percent, p->duplicate_percent,
               p->corrupt_percent, (long long)p->latency_us / 1000, (long long)p->jitter_us / 1000,
               p->crashes, p->store_percent, p->power_percent, p->restless_percent,
               p->is_perfect ? ", perfect" : "");
    }
    world_run(&world);
    *out = (struct outcome){.trace = world.trace,
                            .steps = world.steps,
                            .datagrams = world.datagrams,
                            .commits = world.commits,
                            .crashes = world.crashes,
                            .calls = world.calls,
                            .assets = world.assets_sent};
    memcpy(out->failure, world.failure, sizeof out->failure);
    world_close(&world);
}

static bool run_seed(uint64_t seed, const struct arguments *arguments, struct outcome *total) {
    struct outcome first, second;
    run_once(seed, arguments, arguments->is_verbose, &first);
    run_once(seed, arguments, false, &second);
    if (arguments->is_verbose) {
        printf("  %llu steps, %llu datagrams, %llu commits, trace %016llx\n",
               (unsigned long long)first.steps, (unsigned long long)first.datagrams,
               (unsigned long long)first.commits, (unsigned long long)first.trace);
    }
    total->steps += first.steps;
    total->datagrams += first.datagrams;
    total->commits += first.commits;
    total->crashes += first.crashes;
    total->calls += first.calls;
    total->assets += first.assets;
    if (first.trace != second.trace || first.steps != second.steps) {
        printf("seed %llu: two runs differ (%016llx and %016llx)\n", (unsigned long long)seed,
               (unsigned long long)first.trace, (unsigned long long)second.trace);
        return false;
    }
    if (first.failure[0] != '\0') {
        printf("seed %llu: %s\n", (unsigned long long)seed, first.failure);
        return false;
    }
    return true;
}

static bool read_mutant(const char *name, enum world_mutant *out) {
    for (int m = 1; m < MUTANTS; m++) {
        if (strcmp(name, mutant_names[m]) == 0) {
            *out = (enum world_mutant)m;
            return true;
        }
    }
    return false;
}

static bool read_arguments(int argc, char **argv, struct arguments *out) {
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--verbose") == 0) {
            out->is_verbose = true;
        } else if (strcmp(argv[i], "--tell") == 0) {
            out->is_verbose = true;
            out->is_talking = true;
        } else if (strcmp(argv[i], "--expect-failure") == 0) {
            out->expects_failure = true;
        } else if (strcmp(argv[i], "--seeds") == 0 && has_value) {
            char *end;
            out->first = strtoull(argv[++i], &end, 10);
            out->last = strncmp(end, "..", 2) == 0 ? strtoull(end + 2, &end, 10) : out->first;
            if (*end != '\0' || out->last < out->first) {
                return false;
            }
        } else if (strcmp(argv[i], "--mutant") == 0 && has_value) {
            if (!read_mutant(argv[++i], &out->mutant)) {
                return false;
            }
        } else {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv) {
    struct arguments arguments = {.first = 1, .last = 20};
    if (!read_arguments(argc, argv, &arguments)) {
        fprintf(stderr, "usage: sim_fleet [--seeds A..B] [--verbose] [--tell] [--mutant NAME] "
                        "[--expect-failure]\nmutants:");
        for (int m = 1; m < MUTANTS; m++) {
            fprintf(stderr, " %s", mutant_names[m]);
        }
        fputc('\n', stderr);
        return EXIT_FAILURE;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    world_prepare();
    struct outcome total = {.steps = 0};
    unsigned long long failed = 0;
    bool is_found = false;
    for (unsigned long long seed = arguments.first; seed <= arguments.last && !is_found; seed++) {
        bool is_fine = run_seed(seed, &arguments, &total);
        failed += is_fine ? 0 : 1;
        is_found = !is_fine && arguments.expects_failure;
    }
    world_finish();
    if (is_found) {
        printf("the planted fault was found\n");
        return EXIT_SUCCESS;
    }
    printf("%llu seeds, %llu failed: %llu steps, %llu datagrams, %llu updates committed (%llu "
           "of them assets), %llu crashes, %llu calls\n",
           arguments.last - arguments.first + 1, failed, (unsigned long long)total.steps,
           (unsigned long long)total.datagrams, (unsigned long long)total.commits,
           (unsigned long long)total.assets, (unsigned long long)total.crashes,
           (unsigned long long)total.calls);
    return (failed > 0) != arguments.expects_failure ? EXIT_FAILURE : EXIT_SUCCESS;
}
