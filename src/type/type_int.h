/* type_int.h - private to type. */
#ifndef RIALTO_TYPE_TYPE_INT_H
#define RIALTO_TYPE_TYPE_INT_H

#include "type/type.h"

/* "ARRAY", "DECIMAL": the kind's word without parameters. */
struct str type_kind_name(enum sql_kind kind);

/* Number of values behind .elems: elements, fields, or twice the entries of a map; 0 for all others. */
static inline uint32_t value_elem_count(struct value v)
{
    return v.kind == SQL_MAP ? v.len * 2 : v.kind == SQL_ARRAY || v.kind == SQL_STRUCT ? v.len : 0;
}

#endif
