#ifndef COROD_BASE_FILES_H
#define COROD_BASE_FILES_H
/*
 * How many descriptors may be open: as many as the system allows for this process, but what it
 * starts gets the limit that this process was started with.
 */

/* To the hard limit. */
void files_raise(void);
/* To what it was before files_raise(), for as long as a program is started. */
void files_restore(void);

#endif
