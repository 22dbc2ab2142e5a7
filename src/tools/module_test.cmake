# What the tool makes, the tool reads back; what is no module, it refuses.
set(file ${FOLDER}/tool-test.bin)
foreach(platform boron p2 tracker)
    execute_process(COMMAND ${TOOL} make --platform ${platform} --version 7 --size 5000 --seed 1
                            --system 5501 ${file} COMMAND_ERROR_IS_FATAL ANY OUTPUT_QUIET)
    file(SIZE ${file} size)
    execute_process(COMMAND ${TOOL} show ${file} --json OUTPUT_VARIABLE shown
                    COMMAND_ERROR_IS_FATAL ANY)
    string(JSON name GET ${shown} platform)
    string(JSON version GET ${shown} product_version)
    string(JSON needed GET ${shown} dependencies 0 version)
    if(NOT size EQUAL 5000 OR NOT name STREQUAL platform OR NOT version EQUAL 7
       OR NOT needed EQUAL 5501)
        message(FATAL_ERROR "made for ${platform}, but read: ${shown}")
    endif()
endforeach()
# An application with assets, and the bundle of both.
file(WRITE ${FOLDER}/cat.txt "a picture of a cat")
file(WRITE ${FOLDER}/dog.txt "a picture of a dog")
execute_process(COMMAND ${TOOL} make --platform boron --version 8 --size 3000 --asset ${FOLDER}/cat.txt
                        --asset ${FOLDER}/dog.txt ${file} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${TOOL} show ${file} --json OUTPUT_VARIABLE shown COMMAND_ERROR_IS_FATAL ANY)
string(JSON name GET ${shown} assets 1 name)
string(JSON hash GET ${shown} assets 1 sha256)
file(SHA256 ${FOLDER}/dog.txt expected)
if(NOT name STREQUAL "dog.txt" OR NOT hash STREQUAL expected)
    message(FATAL_ERROR "made with assets, but read: ${shown}")
endif()
execute_process(COMMAND ${TOOL} bundle ${FOLDER}/tool-test.zip ${file} ${FOLDER}/cat.txt ${FOLDER}/dog.txt
                COMMAND_ERROR_IS_FATAL ANY)
file(REMOVE_RECURSE ${FOLDER}/unpacked)
file(ARCHIVE_EXTRACT INPUT ${FOLDER}/tool-test.zip DESTINATION ${FOLDER}/unpacked)
file(SHA256 ${FOLDER}/unpacked/assets/dog.txt hash)
if(NOT hash STREQUAL expected OR NOT EXISTS ${FOLDER}/unpacked/tool-test.bin)
    message(FATAL_ERROR "the bundle does not hold what was put into it")
endif()
foreach(arguments "bundle;${FOLDER}/x.zip" "bundle;${FOLDER}/x.zip;${file};${FOLDER}/absent"
                  "make;--platform;boron;--asset;${FOLDER}/absent;${file}" "show;${CMAKE_CURRENT_LIST_FILE}" "show;${FOLDER}/absent.bin" "make;--version;7;${file}"
                  "make;--platform;boron;--version;70000;${file}" "make;--platform;boron;--size;10;${file}" "bake")
    execute_process(COMMAND ${TOOL} ${arguments} RESULT_VARIABLE status OUTPUT_QUIET
                    ERROR_VARIABLE said)
    if(status EQUAL 0 OR said STREQUAL "")
        message(FATAL_ERROR "not refused: ${arguments}")
    endif()
endforeach()
