// What a failed request means for something that waits on disk to be booked: try again in the next pass, or never.
import { ApiError } from '#cli/api-client';
import { CommandError, EXIT } from '#cli/exit';

/** 4xx that say nothing about the request itself: RFC 9110 15.5.9, RFC 8470 5.2, RFC 6585 4. */
const ASK_AGAIN: ReadonlySet<number> = new Set([408, 425, 429]);

/**
 * Whether the API itself has judged this very request, and would judge it so again. Whatever is unsure (no answer, contended,
 * not authorised yet, an endpoint that is not ours) is not: nothing may be given up for it.
 */
export const isFinalRefusal = (error: unknown): error is ApiError =>
  error instanceof ApiError &&
  error.code !== undefined &&
  error.code !== 'route_not_found' &&
  error.exitCode !== EXIT.notAuthorised &&
  error.status >= 400 &&
  error.status < 500 &&
  !ASK_AGAIN.has(error.status);

/**
 * The words of a failure that the next pass may outlive: the API's, or a file system's.
 * @throws the error itself if it is a bug
 */
export const sentenceOf = (error: unknown): string => {
  if (error instanceof CommandError || isFileError(error)) return error.message;
  throw error;
};

/** Whether the failure is only that nobody answers: the agent says that once for all that it asks. */
export const isSilence = (error: unknown): boolean => error instanceof CommandError && error.exitCode === EXIT.unreachable;

/** A system call that failed, as node:fs tells it. */
export const isFileError = (error: unknown): error is NodeJS.ErrnoException => error instanceof Error && 'syscall' in error;
