/* routes.c - the one list of route tables: every HTTP port serves all of them. */
#include "api/api.h"

void api_routes(struct http_server *server, struct api_env *env)
{
    api_ksql_routes(server, env);
    api_connect_routes(server, env);
    api_admin_routes(server, env);
    api_metrics_routes(server, env);
    api_ui_routes(server, env);
}
