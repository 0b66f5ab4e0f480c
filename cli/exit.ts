// How a command ends. The numbers are part of the public contract, because scripts branch on them.

export const EXIT = {
  ok: 0,
  failed: 1,
  /** The line or the configuration is wrong: nothing was asked of the API. */
  usage: 2,
  /** The budget said no. */
  refused: 3,
  /** 403, or no credentials to ask with. */
  notAuthorised: 4,
  /** Nobody answered. */
  unreachable: 5,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** A command that ends here, with one sentence for its user that names the mend. */
export class CommandError extends Error {
  override readonly name: string = 'CommandError';

  constructor(
    readonly exitCode: ExitCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export const usageError = (message: string, options?: ErrorOptions): CommandError => new CommandError(EXIT.usage, message, options);

export const failure = (message: string, options?: ErrorOptions): CommandError => new CommandError(EXIT.failed, message, options);

/** One line that no terminal acts upon: what others wrote may hold line breaks and escape sequences. */
export const oneLine = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is replaced here
  text.trim().replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, ' ');
