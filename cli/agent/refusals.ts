// What a failed request means for something that waits on disk to be booked: try again in the next pass, or never.
import { isFileError } from '#cli/agent/files';
import { ApiError } from '#cli/api-client';
import { CommandError, EXIT } from '#cli/exit';

/**
 * Whether the API itself has judged this very request, and would judge it so again. Whatever is unsure (no answer, contended,
 * not authorised yet, an endpoint that is not ours, a gateway's 429, which has no code) is not: nothing may be given up for it.
 */
export const isFinalRefusal = (error: unknown): error is ApiError =>
  error instanceof ApiError &&
  error.code !== undefined &&
  error.code !== 'route_not_found' &&
  error.exitCode !== EXIT.notAuthorised &&
  error.status >= 400 &&
  error.status < 500;

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
