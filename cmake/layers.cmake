# The house's layers, in one table: what each module may use, and which of them are pure (sans-I/O).
# A module links exactly what it may use; linking upward or sideways stops the configuration.
# tests/layers.cmake holds the #include lines of every file against the same table.

set(SLIPWAY_MODULES
    util model crypto sys dtls coap image rules ota session store app http gateway hook)

set(LAYER_util 0)
set(LAYER_model 1)
set(LAYER_crypto 1)
set(LAYER_sys 1)
set(LAYER_dtls 2)
set(LAYER_coap 2)
set(LAYER_image 2)
set(LAYER_rules 2)
set(LAYER_ota 3)
set(LAYER_session 4)
set(LAYER_store 4)
set(LAYER_app 5)
set(LAYER_http 6)
set(LAYER_gateway 6)
set(LAYER_hook 6)

set(USES_util)
set(USES_model util)
set(USES_crypto util)
set(USES_sys util)
set(USES_dtls util crypto)
set(USES_coap util)
set(USES_image util model crypto)
set(USES_rules util model)
set(USES_ota util model)
set(USES_session util model crypto dtls coap ota)
set(USES_store util model crypto sys)
set(USES_app util model crypto sys image rules ota store)
set(USES_http util model crypto sys app)
set(USES_gateway util model crypto sys dtls session app)
set(USES_hook util model crypto sys app)

set(SLIPWAY_PURE util model crypto dtls coap image rules ota session)

foreach(module IN LISTS SLIPWAY_MODULES)
    foreach(used IN LISTS USES_${module})
        if(NOT LAYER_${used} LESS LAYER_${module})
            message(FATAL_ERROR "layer check: ${module} (layer ${LAYER_${module}}) may not use "
                                "${used} (layer ${LAYER_${used}})")
        endif()
    endforeach()
endforeach()
