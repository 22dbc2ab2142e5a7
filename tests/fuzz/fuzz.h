/* The entry of every fuzz program, and a check that stays on: a broken invariant is a crash. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "slipway/util/check.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
