/* This program, started again as another client: it copies an image to another one, which it makes.
 */
#ifndef TESTS_LAB_BLOCKS_CLIENT_H
#define TESTS_LAB_BLOCKS_CLIENT_H

/* --copy [--offset N] [--bandwidth N] [--existing] FROM TO
 * FROM and TO are "MONITORS KEYRING POOL IMAGE" as four arguments each; the user is VP_LAB_USER.
 * Prints what is durable, a number a line, and in the end "done". */
int blocks_client_copy(int count, char *arguments[]);

#endif
