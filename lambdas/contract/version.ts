/** The version of API, command and agent. A test keeps it equal to package.json's. */
export const VERSION = '0.1.0';
