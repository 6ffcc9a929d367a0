import { normalizeEmail } from "./account.ts";
import type { AccountsPorts } from "./ports.ts";

/**
 * Whether this is the account that the configuration keeps. What the configuration says of it would come back at the next
 * start, so nothing of that is changed here.
 */
export const isConfigured = ({ operator }: Pick<AccountsPorts, "operator">, email: string | null): boolean =>
  operator !== undefined && email === normalizeEmail(operator.email);
