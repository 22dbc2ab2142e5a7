/* Where devices stood when they were last looked for: id -> num. The index of ids would say it too,
 * but of a million devices its pages are seldom in the processor's caches, and a search there
 * touches a dozen cold lines where this touches one.
 *
 * They are hints: whoever follows one checks that the row has the id, and asks the index if it has
 * not. So nothing has to be told when devices come and go. */
#ifndef SLIPWAY_STORE_HINTS_H
#define SLIPWAY_STORE_HINTS_H

#include "slipway/model/ids.h"

struct hints;

struct hints *hints_new(void); /* empty, without room; NULL without memory */
void hints_free(struct hints *hints);

/* Room for so many devices: true if there was too little before, and what was known is forgotten.
 * The writer's thread only; 16 bytes each, HINTS_DEVICES_MAX at most. */
#define HINTS_DEVICES_MAX (UINT64_C(1) << 22)
bool hints_make_room(struct hints *hints, uint64_t devices);

/* Any thread; hints may be NULL. 0: not known. */
void hints_learn(struct hints *hints, const struct device_id *id, int64_t num);
int64_t hints_find(const struct hints *hints, const struct device_id *id);

#endif
