# The one table of instruction-set suffixes.
#
# A kernel file says what it needs in its name: gemm_f32_6x16__avx2.c is compiled with the flags of `avx2` and is left
# out on other processors. Everything else is compiled for the plain baseline of the architecture (never -march=native);
# which kernels run is decided at run time by CPUID.
#
#   row: suffix  processors  flags added to the baseline
set(LATHE_ISA_avx2_CPU x86_64)
set(LATHE_ISA_avx2_FLAGS -mavx2 -mfma -mf16c -mbmi -mbmi2)
set(LATHE_ISA_avx512_CPU x86_64)
set(LATHE_ISA_avx512_FLAGS ${LATHE_ISA_avx2_FLAGS} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd
    -mprefer-vector-width=512)
set(LATHE_ISA_vnni_CPU x86_64)
set(LATHE_ISA_vnni_FLAGS ${LATHE_ISA_avx512_FLAGS} -mavx512vnni)
set(LATHE_ISA_avxvnni_CPU x86_64)
set(LATHE_ISA_avxvnni_FLAGS ${LATHE_ISA_avx2_FLAGS} -mavxvnni)
set(LATHE_ISA_avx512bf16_CPU x86_64)
set(LATHE_ISA_avx512bf16_FLAGS ${LATHE_ISA_avx512_FLAGS} -mavx512bf16)
set(LATHE_ISA_avx512fp16_CPU x86_64)
set(LATHE_ISA_avx512fp16_FLAGS ${LATHE_ISA_avx512_FLAGS} -mavx512fp16)
set(LATHE_ISA_amx_CPU x86_64)
set(LATHE_ISA_amx_FLAGS ${LATHE_ISA_vnni_FLAGS} -mamx-tile -mamx-int8 -mamx-bf16)
set(LATHE_ISA_neon_CPU aarch64)
set(LATHE_ISA_neon_FLAGS "")

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
  set(LATHE_CPU x86_64)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(LATHE_CPU aarch64)
else()
  set(LATHE_CPU ${CMAKE_SYSTEM_PROCESSOR})
endif()

# Gives the kernel files of the list named by `list_var` their flags, and drops those of other processors from it.
function(lathe_apply_isa list_var)
  set(kept)
  foreach(file IN LISTS ${list_var})
    get_filename_component(name ${file} NAME)
    if(name MATCHES "__([a-z0-9]+)\\.c$")
      set(isa ${CMAKE_MATCH_1})
      if(NOT DEFINED LATHE_ISA_${isa}_CPU)
        message(FATAL_ERROR "${file}: cmake/isa.cmake has no row for the suffix '__${isa}'")
      endif()
      if(NOT LATHE_ISA_${isa}_CPU STREQUAL LATHE_CPU)
        continue()
      endif()
      # Kernel files stay out of link-time optimization: their flags and their bits are their own.
      set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS "${LATHE_ISA_${isa}_FLAGS};-fno-lto")
    endif()
    list(APPEND kept ${file})
  endforeach()
  set(${list_var} ${kept} PARENT_SCOPE)
endfunction()
