/* api/openapi.yaml, as the build put it into the program. */
#ifndef SLIPWAY_HTTP_OPENAPI_H
#define SLIPWAY_HTTP_OPENAPI_H

extern const char openapi_json[]; /* NUL-terminated JSON */

#endif
