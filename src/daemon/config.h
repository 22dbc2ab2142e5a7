/* The settings of slipwayd: defaults, then the file, then the command line. */
#ifndef SLIPWAY_DAEMON_CONFIG_H
#define SLIPWAY_DAEMON_CONFIG_H

#include "slipway/util/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define CONFIG_TEXT_MAX 256 /* bytes, with the NUL */

struct config {
#define SECTION(name, help)
#define TEXT(section, key, fallback, reloadable, help)                   char section##_##key[CONFIG_TEXT_MAX];
#define NUMBER(section, key, fallback, min, max, unit, reloadable, help) int64_t section##_##key;
#define FLAG(section, key, fallback, reloadable, help)                   bool section##_##key;
#include "config.def"
#undef SECTION
#undef TEXT
#undef NUMBER
#undef FLAG
};

void config_init(struct config *config);
/* Sets one key ("http.listen") from its text. SW_E_NOT_FOUND for a key that does not exist,
 * SW_E_RANGE or SW_E_INPUT for a value that it cannot have; the fault names both. */
int config_set(struct config *config, const char *name, const char *value,
               struct fault *fault) SW_NODISCARD;
/* Reads an INI file over what is there; the fault names the line. On error *config is half changed:
 * read into a copy. */
int config_read(struct config *config, const char *path, struct fault *fault) SW_NODISCARD;
/* What takes more than one key to judge. */
int config_check(const struct config *config, struct fault *fault) SW_NODISCARD;

/* Takes over the reloadable keys of `fresh`. Returns how many others differ and were left; their
 * names go to `left` (cap bytes, cut if longer). */
unsigned config_reload(struct config *config, const struct config *fresh, char *left, size_t cap);

/* The settings as an INI file that reads back the same. */
void config_dump(const struct config *config, FILE *out);
/* The example file: every key commented out, with its default, unit, range and meaning. */
void config_example(FILE *out);

#endif
