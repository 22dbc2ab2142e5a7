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

/* The number in decimal, without a NUL, in the last bytes of `digits`: where it begins. */
#define TEXT_NUMBER_BYTES 20
const char *text_number(int64_t number, char digits[TEXT_NUMBER_BYTES], size_t *len);

/* Whether all bytes are printable ASCII other than '"' and '\\': such text stands between quotes as
 * it is, in JSON and elsewhere. */
bool text_is_plain(const char *bytes, size_t len);

/* All of the text is decimal digits, after a sign or none. False: it is not, or does not fit; *out
 * is left as it was. */
bool text_integer(const char *text, int64_t *out);

#endif
