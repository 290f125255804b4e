/* main.c - the program: `rialto server` and `rialto run` here, all other sub-commands in cli. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "main/docs.h"
#include "main/server.h"

int main(int argc, char **argv)
{
    if (argc >= 2 && (strcmp(argv[1], "server") == 0 || strcmp(argv[1], "run") == 0))
        return server_main(argc - 1, argv + 1);
    return cli_run(argc, argv, &rialto_docs);
}
