# How everything is compiled. -Werror is CI's choice (-DCMAKE_COMPILE_WARNING_AS_ERROR=ON or the
# presets), never the default: a newer compiler's new warning must not break a distribution's build.
include(GNUInstallDirs)

set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

option(WARNINGS_ARE_ERRORS "Stop at the first warning" OFF)
option(HARDEN "Hardening flags, where the distribution does not set its own" OFF)
option(CRASH_POINTS "A program that tests can make die at any step (helper/base/crash.h)" OFF)
option(FUZZERS "Build the fuzzers with libFuzzer (clang only)" OFF)
set(SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize takes them: address,undefined")

# Not CMAKE_C_STANDARD: CMake knows C17 from 3.21 on only.
add_compile_options(-std=gnu17)
add_compile_options(-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
                    -Wpointer-arith -Wformat=2 -Wno-format-nonliteral -Wvla)
add_compile_definitions(_GNU_SOURCE)
if(WARNINGS_ARE_ERRORS)
  add_compile_options(-Werror)
endif()
if(HARDEN)
  add_compile_options(-fstack-protector-strong -fPIE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
  add_link_options(-pie -Wl,-z,relro,-z,now)
endif()
if(SANITIZE)
  add_compile_options(-fsanitize=${SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${SANITIZE})
endif()
if(FUZZERS)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# A layer: one static library of one folder. Layers are linked by name, so a call upwards does not
# link. Headers are included by their folder: "base/error.h", "policy/policy.h".
function(add_layer name)
  cmake_parse_arguments(LAYER "" "" "SOURCES;USES" ${ARGN})
  add_library(${name} STATIC ${LAYER_SOURCES})
  set_target_properties(${name} PROPERTIES OUTPUT_NAME vp-${name})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR}/helper ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${LAYER_USES})
endfunction()
