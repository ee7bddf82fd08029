# How a folder of src/ becomes an object library, and how the registries are found.

# lathe_layer(FOLDER VISIBILITY [GEN]): the object library lathe_obj_FOLDER from src/FOLDER. A folder without sources gives no
# target, so that the tree builds while it grows. src/backend/*/gen is build-time code: it belongs to liblathe, not to
# liblathe_rt, and comes as a layer of its own (lathe_gen_layer).
function(lathe_layer folder visibility)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${folder}/*.c)
  list(FILTER sources EXCLUDE REGEX "/src/backend/[^/]+/gen/")
  lathe_object_library(${folder} ${visibility} "${sources}")
endfunction()

function(lathe_gen_layer)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/backend/*.c)
  list(FILTER sources INCLUDE REGEX "/src/backend/[^/]+/gen/")
  lathe_object_library(gen hidden "${sources}")
endfunction()

function(lathe_object_library name visibility sources)
  lathe_apply_isa(sources)
  set_property(GLOBAL PROPERTY LATHE_SOURCES_${name} "${sources}")
  if(NOT sources)
    return()
  endif()
  add_library(lathe_obj_${name} OBJECT ${sources})
  target_link_libraries(lathe_obj_${name} PRIVATE lathe_flags)
  set_target_properties(lathe_obj_${name} PROPERTIES
    POSITION_INDEPENDENT_CODE ON
    C_VISIBILITY_PRESET ${visibility}
    INTERPROCEDURAL_OPTIMIZATION ${LATHE_LTO})
endfunction()

# lathe_registry(LAYER FILE MACRO TYPE PREFIX TABLE HEADER ARRAY FOLDERS...): adds the generated FILE to the object library of
# LAYER; it lists the MACRO(stem) entries of the sources of FOLDERS. Quietly nothing while the layer or HEADER is missing.
function(lathe_registry layer file macro type prefix table header array)
  if(NOT TARGET lathe_obj_${layer} OR NOT EXISTS ${PROJECT_SOURCE_DIR}/src/${header})
    return()
  endif()
  set(sources)
  foreach(folder IN LISTS ARGN)
    get_property(more GLOBAL PROPERTY LATHE_SOURCES_${folder})
    list(APPEND sources ${more})
  endforeach()
  set(out ${PROJECT_BINARY_DIR}/generated/${file})
  set(list ${out}.list)
  list(JOIN sources "\n" text)
  file(CONFIGURE OUTPUT ${list} CONTENT "${text}\n" @ONLY)
  # Ninja looks at the output again afterwards (restat): an unchanged table rebuilds nothing.
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DLIST=${list} -DOUT=${out} -DMACRO=${macro} -DTYPE=${type} -DPREFIX=${prefix}
            -DTABLE=${table} -DHEADER=${header} -DARRAY=${array} -P ${PROJECT_SOURCE_DIR}/cmake/scan.cmake
    DEPENDS ${sources} ${list} ${PROJECT_SOURCE_DIR}/cmake/scan.cmake
    COMMENT "Scanning for ${macro}" VERBATIM)
  target_sources(lathe_obj_${layer} PRIVATE ${out})
endfunction()

# lathe_library(NAME LAYERS...): shared NAME and static NAME_static from the object libraries of LAYERS that exist.
function(lathe_library name)
  set(objects)
  foreach(layer IN LISTS ARGN)
    if(TARGET lathe_obj_${layer})
      list(APPEND objects $<TARGET_OBJECTS:lathe_obj_${layer}>)
    endif()
  endforeach()
  if(NOT objects)
    return()
  endif()
  add_library(${name}_static STATIC ${objects})
  set_target_properties(${name}_static PROPERTIES OUTPUT_NAME ${name})
  add_library(${name} SHARED ${objects})
  set(script ${PROJECT_BINARY_DIR}/generated/${name}.map)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/${name}.map.in ${script} @ONLY)
  set_target_properties(${name} PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${LATHE_SOVERSION} LINK_DEPENDS ${script})
  target_link_options(${name} PRIVATE -Wl,--version-script=${script} -Wl,-Bsymbolic-functions)
  if(NOT LATHE_SANITIZE)
    target_link_options(${name} PRIVATE -Wl,-z,defs)
  endif()
  foreach(library ${name} ${name}_static)
    set_target_properties(${library} PROPERTIES LINKER_LANGUAGE C)
    target_include_directories(${library} INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
    target_link_libraries(${library} PUBLIC m Threads::Threads ${CMAKE_DL_LIBS} lathe_link_flags)
  endforeach()
endfunction()
