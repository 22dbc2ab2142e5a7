/* Sentences for people, put together in a bounded buffer without stdio: always NUL-terminated, cut
 * where the buffer ends; and numbers that people wrote. */
#ifndef SLIPWAY_UTIL_TEXT_H
#define SLIPWAY_UTIL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    char *out;
    size_t cap; /* the NUL included */
    size_t at;
};

struct text text_of(char *out, size_t cap); /* empties it; cap >= 1 */
void text_add(struct text *text, const char *words);
void text_add_number(struct text *text, int64_t number); /* decimal */

/* All of the text is decimal digits, after a sign or none. False: it is not, or does not fit; *out
 * is left as it was. */
bool text_integer(const char *text, int64_t *out);

#endif
