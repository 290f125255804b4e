# Caldrop: built by npm from ui/ into the build directory, then embedded as one C file. Without RIALTO_UI the table of
# files is empty and /ui/ says so. Nothing is written into the source tree, and nothing is done while ui/ is unchanged.
set(ui_files_c ${gen_dir}/ui_files.c)
if(RIALTO_UI)
    set(ui_build ${CMAKE_BINARY_DIR}/ui)
    file(GLOB_RECURSE ui_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/ui/src/* ${CMAKE_SOURCE_DIR}/ui/public/*)
    list(APPEND ui_sources ${CMAKE_SOURCE_DIR}/ui/index.html ${CMAKE_SOURCE_DIR}/ui/vite.config.ts
         ${CMAKE_SOURCE_DIR}/ui/tsconfig.json)
    set(ui_lock ${CMAKE_SOURCE_DIR}/ui/package.json ${CMAKE_SOURCE_DIR}/ui/package-lock.json)
    add_custom_command(
        OUTPUT ${ui_build}/installed
        COMMAND ${CMAKE_COMMAND} -E make_directory ${ui_build}
        COMMAND ${CMAKE_COMMAND} -E copy ${ui_lock} ${ui_build}
        COMMAND npm ci --no-audit --no-fund --loglevel=error --prefix ${ui_build}
        COMMAND ${CMAKE_COMMAND} -E touch ${ui_build}/installed
        DEPENDS ${ui_lock}
        COMMENT "Fetching the packages of the page" VERBATIM)
    add_custom_command(
        OUTPUT ${ui_files_c}
        COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/embed_ui.py ${CMAKE_SOURCE_DIR}/ui ${ui_build} ${ui_files_c}
        DEPENDS ${ui_build}/installed ${ui_sources} ${CMAKE_SOURCE_DIR}/tools/embed_ui.py
        COMMENT "Building the page" VERBATIM)
else()
    file(WRITE ${ui_files_c}.new "#include \"api/ui_files.h\"\n\nconst struct ui_file ui_files[1];\nconst size_t ui_file_count = 0;\n")
    configure_file(${ui_files_c}.new ${ui_files_c} COPYONLY)
endif()
list(APPEND sources ${ui_files_c})
