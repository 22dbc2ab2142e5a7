# The fleet program without a server: the same seed names the same devices, and what cannot work is
# refused in one line.
execute_process(COMMAND ${SIM} --print-ids --devices 3 --seed 7 OUTPUT_VARIABLE first
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${SIM} --print-ids --devices 3 --seed 7 OUTPUT_VARIABLE again
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${SIM} --print-ids --devices 3 --seed 8 OUTPUT_VARIABLE other
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${SIM} --print-keys --devices 1 --platform p2 OUTPUT_VARIABLE key
                COMMAND_ERROR_IS_FATAL ANY)
if(NOT first STREQUAL again OR first STREQUAL other)
    message(FATAL_ERROR "ids do not follow from the seed: ${first} ${again} ${other}")
endif()
if(NOT first MATCHES "^(e00fce68[0-9a-f]+\n)+$" OR NOT key MATCHES "^0a10aced2021[0-9a-f]+ 3059301306")
    message(FATAL_ERROR "not the ids of such devices: ${first} ${key}")
endif()
file(WRITE ${FOLDER}/sim-ids.txt "${first}")
execute_process(COMMAND ${SIM} --print-ids --ids ${FOLDER}/sim-ids.txt --devices 100
                OUTPUT_VARIABLE listed COMMAND_ERROR_IS_FATAL ANY)
if(NOT listed STREQUAL first)
    message(FATAL_ERROR "a list of ids is not taken as it is: ${listed}")
endif()
foreach(arguments "--devices;0;--print-ids" "--platform;photon;--print-ids" "--print-ids;again"
                  "--server;127.0.0.1:1" "--disable-updates;123;--print-ids"
                  "--print-ids;--ids;${FOLDER}/absent.txt"
                  "--server;127.0.0.1;--server-key;${CMAKE_CURRENT_LIST_FILE}")
    execute_process(COMMAND ${SIM} ${arguments} RESULT_VARIABLE status OUTPUT_QUIET
                    ERROR_VARIABLE said)
    if(status EQUAL 0 OR NOT said MATCHES "^slipway-sim: [^\n]+\n$")
        message(FATAL_ERROR "not refused in one line: ${arguments}: ${said}")
    endif()
endforeach()
