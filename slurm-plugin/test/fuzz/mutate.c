// SPDX-License-Identifier: GPL-2.0-or-later
/* Where there is no libFuzzer: mutates the seeds of the folders named, -runs=N times. The same runs find the same things. */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INPUT_MAX 4096
#define SEEDS_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *seeds[SEEDS_MAX];
static size_t sizes[SEEDS_MAX], count;
static uint64_t state = 0x9e3779b97f4a7c15ULL;

/* xorshift64 */
static uint32_t _random(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32) % below;
}

static void _read_folder(const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;

	while (folder && (entry = readdir(folder)) && count < SEEDS_MAX) {
		uint8_t text[INPUT_MAX];
		int fd = openat(dirfd(folder), entry->d_name, O_RDONLY);
		ssize_t n = fd < 0 || entry->d_name[0] == '.' ? -1 : read(fd, text, sizeof(text));

		if (fd >= 0)
			close(fd);
		if (n <= 0 || !(seeds[count] = malloc((size_t)n)))
			continue;
		memcpy(seeds[count], text, (size_t)n);
		sizes[count++] = (size_t)n;
	}
	if (folder)
		closedir(folder);
}

static size_t _mutate(uint8_t *data, size_t size)
{
	static const uint8_t odd[] = { 0, 0xff, '"', '\\', '{', '}', '[', ',', ':', '=', '#', '\n', '-', '9', 0x1e, 0xc3, 0xed };
	size_t at = size ? _random((uint32_t)size) : 0;

	switch (_random(6)) {
	case 0:
		data[at] ^= (uint8_t)(1u << _random(8));
		return size ? size : 1;
	case 1:
		data[at] = odd[_random(sizeof(odd))];
		return size ? size : 1;
	case 2: /* insert */
		if (size == INPUT_MAX)
			return size;
		memmove(data + at + 1, data + at, size - at);
		data[at] = odd[_random(sizeof(odd))];
		return size + 1;
	case 3: /* cut out */
		if (size > 1) {
			size_t n = 1 + _random((uint32_t)(size - at > 16 ? 16 : size - at));

			memmove(data + at, data + at + n, size - at - n);
			return size - n;
		}
		return size;
	case 4: { /* a piece of another seed */
		size_t other = _random((uint32_t)count), from = _random((uint32_t)sizes[other]), n = sizes[other] - from;

		n = n > INPUT_MAX - at ? INPUT_MAX - at : n;
		memcpy(data + at, seeds[other] + from, n);
		return at + n > size ? at + n : size;
	}
	default: /* double a piece */
		if (size < 2 || size * 2 > INPUT_MAX)
			return size;
		memcpy(data + size, data + at, size - at);
		return size + size - at;
	}
}

int main(int argc, char **argv)
{
	uint8_t data[INPUT_MAX];
	long runs = 100000;

	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "-runs=", 6) == 0)
			runs = strtol(argv[i] + 6, NULL, 10);
		else if (argv[i][0] != '-')
			_read_folder(argv[i]);
	}
	if (!count)
		return 1;
	for (size_t i = 0; i < count; i++)
		LLVMFuzzerTestOneInput(seeds[i], sizes[i]);
	for (long i = 0; i < runs; i++) {
		size_t seed = _random((uint32_t)count), size = sizes[seed];
		uint8_t *exact;

		memcpy(data, seeds[seed], size);
		for (uint32_t n = 1 + _random(8); n > 0; n--)
			size = _mutate(data, size);
		/* Of its very size, so that the sanitiser sees a byte too far. */
		exact = malloc(size ? size : 1);
		if (!exact)
			return 1;
		memcpy(exact, data, size);
		LLVMFuzzerTestOneInput(exact, size);
		free(exact);
	}
	fprintf(stderr, "Done %ld runs of %zu seeds\n", runs, count);
	for (size_t i = 0; i < count; i++)
		free(seeds[i]);
	return 0;
}
