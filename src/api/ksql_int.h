/* ksql_int.h - what ksql.c and ksql_rows.c share. */
#ifndef RIALTO_API_KSQL_INT_H
#define RIALTO_API_KSQL_INT_H

#include "api/api.h"

/* The version that ksqlDB's clients see: they ask for at least 6.0 of its platform numbering. */
#define KSQL_VERSION "8.1.0"

struct ksql_request {
    struct str sql;
    struct map properties, variables; /* name -> struct str * in the request's arena */
};

/* Reads the JSON body. False with *err, which ksql_reply_error answers. */
bool ksql_request_parse(struct http_request *req, const char *sql_member, const char *properties_member,
                        struct ksql_request *out, struct err *err);
void ksql_request_fini(struct ksql_request *request);

/* The error object; entities may be empty. ksql_reply_error gives the request back. */
void ksql_error_json(const struct err *err, struct str statement_text, struct str entities, struct buf *out);
void ksql_reply_error(struct http_request *req, const struct err *err, struct str statement_text,
                      struct str entities);

void ksql_post_query(struct http_request *req, void *arg);
void ksql_post_query_stream(struct http_request *req, void *arg);
void ksql_post_close_query(struct http_request *req, void *arg);

#endif
