#ifndef COROD_STORE_FAULTS_H
#define COROD_STORE_FAULTS_H
/*
 * In builds with fault points: a layer between SQLite and the files, so that reads, writes and
 * syncs of the database and its log can fail by name (the STORE_FILE_… rows of errinj.def).
 *
 * $COROD_UNSYNCED names a file of 16 bytes, which is mapped: the range of the log, as two int64_t
 * (first, behind the last; equal: none), that was written and not synced yet. A test that plays the
 * death of a machine may do there what it likes.
 */
#include "config.h"

#ifdef COROD_ERRINJ
/* Becomes SQLite's default. Once, after sqlite3_initialize(). */
void faults_install(void);
#endif

#endif
