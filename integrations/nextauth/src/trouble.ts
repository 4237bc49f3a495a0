/** What can go wrong without anyone signing in noticing. */

export type TroubleKind =
  | "misconfigured" // an option is missing or wrong: nothing is sent
  | "no-email" // the user has no e-mail address: nobody to write to
  | "no-address" // the client's address is not known: the mail says so
  | "request" // the request could not be read: the mail lacks address and browser
  | "refused" // the API said no: a wrong key, a wrong field
  | "limited" // the API said that this user had too many mails this hour
  | "unreachable" // the API was away, hung or failed until the time was up
  | "overloaded" // too many notifications were under way
  | "internal"; // a fault of this package

/** One trouble. It holds no personal data and may be logged. */
export interface Trouble {
  readonly kind: TroubleKind;
  /** What happened and what to do about it. */
  readonly message: string;
  /** The job that was to be made, where it was known. */
  readonly jobId?: string | undefined;
  /** The HTTP status of the last answer, where there was one. */
  readonly status?: number | undefined;
  /** The error behind it. */
  readonly cause?: unknown;
}

/** Where troubles go by default: one line each. */
export function warn(trouble: Trouble): void {
  console.warn(`yellowbooks: ${trouble.kind}: ${trouble.message}${trouble.jobId ? ` (${trouble.jobId})` : ""}`);
}
