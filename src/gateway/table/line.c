#include "gateway/table/line.h"

#include <stdlib.h>

#define LINE_MIN 64U

int line_push(struct line *line, uint32_t item) {
    if (line->count == line->cap) {
        uint32_t cap = line->cap == 0 ? LINE_MIN : line->cap * 2;
        uint32_t *items = malloc(cap * sizeof *items);
        if (items == NULL) {
            return SW_E_MEMORY;
        }
        for (uint32_t n = 0; n < line->count; n++) {
            items[n] = line->items[(line->first + n) & (line->cap - 1)];
        }
        free(line->items);
        *line = (struct line){.items = items, .cap = cap, .count = line->count};
    }
    line->items[(line->first + line->count++) & (line->cap - 1)] = item;
    return SW_OK;
}

bool line_pop(struct line *line, uint32_t *item) {
    if (line->count == 0) {
        return false;
    }
    *item = line->items[line->first];
    line->first = (line->first + 1) & (line->cap - 1);
    line->count--;
    if (line->count == 0 && line->cap > LINE_MIN) {
        line_close(line);
    }
    return true;
}

void line_close(struct line *line) {
    free(line->items);
    *line = (struct line){0};
}
