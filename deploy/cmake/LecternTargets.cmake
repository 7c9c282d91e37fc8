# lectern_library, lectern_executable and lectern_test: one target per folder, our warnings on our code only.

# Compiler settings of our own C++; generated code does not link this.
add_library(lectern_build INTERFACE)
target_include_directories(lectern_build INTERFACE ${CMAKE_SOURCE_DIR})
# -Wrestrict: g++ 12 reports std::string's own assignment under -O3 (GCC bug 105651).
target_compile_options(lectern_build INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wconversion -Werror>
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>,$<CONFIG:Release>>:-Wno-restrict>
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${LECTERN_DEV}>>:-O1 -UNDEBUG>)

# Sanitizers apply to everything that is compiled, so that no instrumented code meets bare code of ours.
if(LECTERN_SANITIZE)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${LECTERN_SANITIZE}>
                      $<$<COMPILE_LANGUAGE:CXX>:-fno-omit-frame-pointer>
                      $<$<COMPILE_LANGUAGE:CXX>:-O1>)
  add_link_options(-fsanitize=${LECTERN_SANITIZE})
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

# lectern_library(name [HEADERS h...] [SOURCES cc...] [PUBLIC dep...] [PRIVATE dep...])
# HEADERS are verified to compile on their own (target all_verify_interface_header_sets).
function(lectern_library name)
  cmake_parse_arguments(arg "" "" "HEADERS;SOURCES;PUBLIC;PRIVATE" ${ARGN})
  if(arg_SOURCES)
    add_library(${name} STATIC ${arg_SOURCES})
    set(scope PUBLIC)
    target_link_libraries(${name} PUBLIC lectern_build ${arg_PUBLIC} PRIVATE ${arg_PRIVATE})
  else()
    add_library(${name} INTERFACE)
    set(scope INTERFACE)
    target_link_libraries(${name} INTERFACE lectern_build ${arg_PUBLIC})
  endif()
  target_sources(${name} ${scope} FILE_SET HEADERS BASE_DIRS ${CMAKE_SOURCE_DIR} FILES ${arg_HEADERS})
  set_target_properties(${name} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
  add_library(lectern::${name} ALIAS ${name})
endfunction()

# lectern_executable(name SOURCES cc... DEPS dep...)
function(lectern_executable name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE lectern_build ${arg_DEPS})
endfunction()

# lectern_test(name SOURCES cc... DEPS dep... [LABELS unit|integration|gpu|e2e] [TIMEOUT s])
# The test is compiled with LECTERN_SOURCE_DIR set to the root of the source tree.
function(lectern_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE lectern_build ${arg_DEPS} GTest::gtest_main GTest::gmock)
  target_compile_definitions(${name} PRIVATE LECTERN_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT}
    ENVIRONMENT "LSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/lsan.supp")
endfunction()
