# Structs and field tables of the messages in spec/. The header is written at configure time already, because every
# module above may include it; later changes of spec/ run the generator again.
file(GLOB wire_specs CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/spec/kafka/*.msg ${CMAKE_SOURCE_DIR}/spec/rialto/*.msg)
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${wire_specs} ${CMAKE_SOURCE_DIR}/tools/gen_wire.py)
execute_process(COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/gen_wire.py ${gen_dir} ${wire_specs}
                COMMAND_ERROR_IS_FATAL ANY)
list(APPEND sources ${gen_dir}/wire_tables.c)
