/** `GBP 15.30`, `JPY 1,530`, `KWD 1.530`: the currency decides how many digits are minor, the language how they are written. */
export function formatAmount(amountMinor: number, currency: string, language: string): string {
  const { format, digits } = formatOf(currency, language);
  const text = String(amountMinor).padStart(digits + 1, "0");
  const at = text.length - digits;
  // As decimal text: a division would round what is large.
  const decimal = digits === 0 ? text : `${text.slice(0, at)}.${text.slice(at)}`;
  return format.format(decimal as `${number}`).replaceAll("\u00a0", " ");
}

interface AmountFormat {
  readonly format: Intl.NumberFormat;
  readonly digits: number;
}

/** Remembered per currency and language: to make one costs more than everything else about a message. */
const formats = new Map<string, AmountFormat>();

// Every currency there is in every language that is spoken here, several times over.
const formatLimit = 1_000;

function formatOf(currency: string, language: string): AmountFormat {
  const name = `${currency} ${language}`;
  const known = formats.get(name);
  if (known !== undefined) return known;
  const format = new Intl.NumberFormat(language, { style: "currency", currency, currencyDisplay: "code" });
  const made = { format, digits: format.resolvedOptions().maximumFractionDigits ?? 2 };
  if (formats.size < formatLimit) formats.set(name, made);
  return made;
}
