/** A return as it is shown to people. */

import type { StoredReturn } from "./store/order-return.ts";

/** To its buyer: what was taken of each line, and why the rest was not. */
export function shownReturn({ state, lines, findings, orderId: _, inspectedBy: __, note: ___, ...rest }: StoredReturn) {
  return {
    ...rest,
    status: state,
    lines: lines.map((line) => ({
      ...line,
      refused: findings.flatMap(({ sku, quantity, reason }) =>
        sku === line.sku && reason !== null ? [{ quantity, reason }] : [],
      ),
    })),
  };
}

/** With who looked at it, and what was found. */
export const shownToOperator = (it: StoredReturn) => {
  const { orderId, inspectedBy, note, findings } = it;
  return { ...shownReturn(it), orderId, inspectedBy, note, findings: [...findings] };
};
