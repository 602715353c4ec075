// Makes fsync and fdatasync take as long as a slow disk. For LD_PRELOAD.
//
// The file that SLOW_DISK names holds the milliseconds by which each call is longer.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void wait_as_told(void) {
	const char *path = getenv("SLOW_DISK");
	int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0) return;
	char text[32];
	ssize_t length = read(file, text, sizeof text - 1);
	close(file);
	if (length <= 0) return;
	text[length] = 0;
	long millis = strtol(text, NULL, 10);
	struct timespec left = {millis / 1000, millis % 1000 * 1000000};
	while (nanosleep(&left, &left) != 0) {}
}

static int later(const char *name, int file) {
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
	wait_as_told();
	return real(file);
}

int fsync(int file) { return later("fsync", file); }

int fdatasync(int file) { return later("fdatasync", file); }
