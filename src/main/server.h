/* server.h - the whole server: every module started in order, stopped in reverse. */
#ifndef RIALTO_MAIN_SERVER_H
#define RIALTO_MAIN_SERVER_H

/* `rialto server` and `rialto run FILE.sql`: argv begins with that word. Runs until SIGINT or SIGTERM. Returns the exit
 * status: 0 stopped, 1 failed, 2 used wrongly. */
int server_main(int argc, char **argv);

#endif
