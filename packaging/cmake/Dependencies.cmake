# Each library as an imported target. librados and librbd ship no .pc file everywhere, so they are
# looked for by header and library.
find_package(PkgConfig REQUIRED)
pkg_check_modules(LIBVIRT REQUIRED IMPORTED_TARGET libvirt>=7.0)
pkg_check_modules(LIBXML2 REQUIRED IMPORTED_TARGET libxml-2.0)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3>=3.24)
pkg_check_modules(JSONC REQUIRED IMPORTED_TARGET json-c)
pkg_check_modules(NBD REQUIRED IMPORTED_TARGET libnbd>=1.6)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto>=1.1)
pkg_check_modules(SYSTEMD IMPORTED_TARGET libsystemd)

foreach(library rados rbd)
  string(TOUPPER ${library} upper)
  find_library(${upper}_LIBRARY ${library} REQUIRED)
  add_library(Ceph::${library} UNKNOWN IMPORTED)
  set_target_properties(Ceph::${library} PROPERTIES IMPORTED_LOCATION ${${upper}_LIBRARY})
endforeach()
find_path(RADOS_INCLUDE_DIR rados/librados.h REQUIRED)
find_path(RBD_INCLUDE_DIR rbd/librbd.h REQUIRED)
set_target_properties(Ceph::rados PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${RADOS_INCLUDE_DIR})
set_target_properties(Ceph::rbd PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${RBD_INCLUDE_DIR}
                                           INTERFACE_LINK_LIBRARIES Ceph::rados)
