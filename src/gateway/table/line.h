/* A growing first-in first-out queue of numbers. */
#ifndef SLIPWAY_GATEWAY_TABLE_LINE_H
#define SLIPWAY_GATEWAY_TABLE_LINE_H

#include "slipway/util/error.h"

#include <stdbool.h>
#include <stdint.h>

struct line {
    uint32_t *items;
    uint32_t cap, first, count; /* cap is a power of two */
};

int line_push(struct line *line, uint32_t item) SW_NODISCARD; /* SW_E_MEMORY */
bool line_pop(struct line *line, uint32_t *item);             /* false: empty */
void line_close(struct line *line);

#endif
