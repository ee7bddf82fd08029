# What an installation holds besides libraries and headers: manual page and completions (printed by the command itself), the CMake package, examples;
# and the Debian package that CPack makes of it (`cpack -G DEB` in the build folder, or `make deb`).
include(CMakePackageConfigHelpers)

# ---- Pages and completions, from the one table of options ----
if(TARGET lathe_cmd AND NOT CMAKE_CROSSCOMPILING AND NOT LATHE_SANITIZE)
  set(pages ${PROJECT_BINARY_DIR}/generated/pages)
  file(MAKE_DIRECTORY ${pages})
  set(made)
  foreach(row "lathe.1|manual" "lathe|completion;bash" "_lathe|completion;zsh" "lathe.fish|completion;fish")
    string(REGEX MATCH "^[^|]+" file "${row}")
    string(REGEX REPLACE "^[^|]+\\|" "" words "${row}")
    add_custom_command(OUTPUT ${pages}/${file} COMMAND $<TARGET_FILE:lathe_cmd> help ${words} > ${pages}/${file} DEPENDS lathe_cmd VERBATIM)
    list(APPEND made ${pages}/${file})
  endforeach()
  add_custom_target(lathe_pages ALL DEPENDS ${made})
  install(FILES ${pages}/lathe.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
  install(FILES ${pages}/lathe DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
  install(FILES ${pages}/_lathe DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
  install(FILES ${pages}/lathe.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
endif()

# ---- find_package(Lathe): Lathe::lathe builds and runs, Lathe::lathe_rt runs plans only; Lathe::lathe_static, Lathe::lathe_rt_static ----
set(LATHE_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/Lathe)
install(EXPORT LatheTargets NAMESPACE Lathe:: DESTINATION ${LATHE_PACKAGE_DIR})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/LatheConfig.cmake.in ${PROJECT_BINARY_DIR}/generated/LatheConfig.cmake
  INSTALL_DESTINATION ${LATHE_PACKAGE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/generated/LatheConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/generated/LatheConfig.cmake ${PROJECT_BINARY_DIR}/generated/LatheConfigVersion.cmake
  DESTINATION ${LATHE_PACKAGE_DIR})

install(DIRECTORY ${PROJECT_SOURCE_DIR}/examples/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md")

# ---- The Debian package ----
set(CPACK_PACKAGE_NAME lathe)
set(CPACK_PACKAGE_CONTACT "The Lathe project")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Turns ONNX models into fast engines")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "An inference optimizer and runtime: imports ONNX models, optimizes their graphs,
 chooses how to run every step on the machine at hand, writes plans, runs them,
 and explains every decision. Holds the command, the libraries and the headers.")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_GENERATOR DEB)
set(CPACK_SOURCE_GENERATOR TXZ)
include(CPack)
