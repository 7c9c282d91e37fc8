# Every package comes from the distribution; deploy/packages.txt is the list that the scripts install.
find_package(Threads REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(nlohmann_json CONFIG REQUIRED)
pkg_check_modules(pcre2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
find_package(RocksDB CONFIG REQUIRED)

# oneDNN's own config file asks for OpenCL headers that nothing here uses.
find_library(LECTERN_DNNL_LIBRARY dnnl REQUIRED)
find_path(LECTERN_DNNL_INCLUDE_DIR oneapi/dnnl/dnnl.hpp REQUIRED)
add_library(lectern_dnnl INTERFACE)
target_link_libraries(lectern_dnnl INTERFACE ${LECTERN_DNNL_LIBRARY})
target_include_directories(lectern_dnnl SYSTEM INTERFACE ${LECTERN_DNNL_INCLUDE_DIR})

if(LECTERN_SERVICES)
  find_package(Protobuf REQUIRED)  # before gRPC: module mode defines protobuf::protoc
  find_package(gRPC CONFIG REQUIRED)
  find_package(prometheus-cpp CONFIG REQUIRED)
  pkg_check_modules(sqlite3 REQUIRED IMPORTED_TARGET sqlite3)
  pkg_check_modules(gumbo REQUIRED IMPORTED_TARGET gumbo)
endif()
if(BUILD_TESTING)
  find_package(GTest CONFIG REQUIRED)
endif()
