#include "http/openapi.h"

const char openapi_json[] = "{}";
