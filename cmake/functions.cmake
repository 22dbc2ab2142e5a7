# slipway_module(name): the static library sw_<name> from src/<name>/*.c and the folders below it,
# linked with what cmake/layers.cmake lets it use; embed/ holds programs that the build itself runs.
# A module without sources yet is an interface only.
function(slipway_module name)
    set(folder ${PROJECT_SOURCE_DIR}/src/${name})
    file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.c ${folder}/*/*.c)
    list(FILTER sources EXCLUDE REGEX /embed/)
    set(used)
    foreach(module IN LISTS USES_${name})
        list(APPEND used sw_${module})
    endforeach()
    if(sources)
        add_library(sw_${name} STATIC ${sources})
        target_link_libraries(sw_${name} PUBLIC slipway_flags ${used} PRIVATE ${LIBS_${name}})
        target_include_directories(sw_${name} PRIVATE ${PROJECT_SOURCE_DIR}/src)
    else()
        add_library(sw_${name} INTERFACE)
        target_link_libraries(sw_${name} INTERFACE slipway_flags ${used})
    endif()
endfunction()

# slipway_link_quickly(target): a program whose speed nobody asks for is linked as it was compiled, as
# to optimise the libraries anew for each of a hundred tests takes minutes.
function(slipway_link_quickly target)
    if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
        set_target_properties(${target} PROPERTIES INTERPROCEDURAL_OPTIMIZATION_RELEASE OFF)
        target_link_options(${target} PRIVATE $<$<CONFIG:Release>:-fno-lto>)
    endif()
endfunction()

# slipway_unit_tests(name): one cmocka program for each tests/unit/<name>/*_test.c, registered as
# the test unit/<name>/<file>. A test may reach its own module's private headers ("name/x.h").
# Other *.c files in the folder are helpers linked into each of its programs.
function(slipway_unit_tests name)
    set(folder ${PROJECT_SOURCE_DIR}/tests/unit/${name})
    file(GLOB tests CONFIGURE_DEPENDS ${folder}/*_test.c)
    file(GLOB helpers CONFIGURE_DEPENDS ${folder}/*.c)
    if(tests)
        list(REMOVE_ITEM helpers ${tests})
    endif()
    foreach(test IN LISTS tests)
        get_filename_component(stem ${test} NAME_WE)
        set(target test_${name}_${stem})
        add_executable(${target} ${test} ${helpers})
        slipway_link_quickly(${target})
        target_link_libraries(${target} PRIVATE sw_${name} ${LIBS_${name}} test_support
                              PkgConfig::CMOCKA Threads::Threads)
        if(name STREQUAL app)
            target_link_libraries(${target} PRIVATE test_zip)
        endif()
        target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src)
        target_compile_definitions(${target} PRIVATE
            TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data"
            TEST_SHARED="${PROJECT_SOURCE_DIR}/../shared/testdata"
            SOURCE_ROOT="${PROJECT_SOURCE_DIR}")
        add_test(NAME unit/${name}/${stem} COMMAND ${target})
        set(labels unit)
        if(NOT name IN_LIST SLIPWAY_PURE)
            list(APPEND labels threads)
        endif()
        set_tests_properties(unit/${name}/${stem} PROPERTIES
            TIMEOUT 300 SKIP_RETURN_CODE 77 LABELS "${labels}")
    endforeach()
endfunction()
