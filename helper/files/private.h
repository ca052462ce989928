/* Shared by the files of helper/files only. */
#ifndef VP_FILES_PRIVATE_H
#define VP_FILES_PRIVATE_H

#include "files/files.h"

/* The error for errno after this could not be done with the file. */
int files_fail(const char *path, const char *what, int number, struct error *error);

#endif
