#ifndef COROD_COROD_H
#define COROD_COROD_H
/* The daemon as a whole: everything of corod(8) but main(). */

/* Runs the daemon until it is told to stop; the exit status: 0, 1 (it could not start or go on), 2
 * (usage). */
int corod_main(int argc, char **argv);

#endif
