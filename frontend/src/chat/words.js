// How figures and times are written, as flowground/ui/page/words.py writes them.

/** 0.42 → "420 ms", 1.23 → "1.2 s", 12.3 → "12 s", 75 → "1 min 15 s"; nothing for null. */
export function writeSeconds(value) {
  if (value == null) return "";
  if (value < 10) {
    if (value >= 0.995) return `${value.toFixed(1)} s`;
    return value >= 0.0005 ? `${Math.round(value * 1000)} ms` : "under 1 ms";
  }
  const whole = Math.round(value);
  return whole >= 60 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${whole} s`;
}

/** For what is guessed. 0.2 → "1 s", 75 → "2 min". */
export function roundSeconds(value) {
  return value < 59.5 ? `${Math.max(1, Math.round(value))} s` : `${Math.ceil(value / 60)} min`;
}

/** "1 step", "1,204 tokens". */
export function count(number, word) {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}

/** {input: 4, output: 2} → "6 tokens"; nothing for null. */
export function writeTokens(tokens) {
  return tokens == null ? "" : count(tokens.input + tokens.output, "token");
}

/** Bytes in the unit a person would take, powers of 1000. */
export function writeSize(size) {
  if (size >= 1e9) return `${(size / 1e9).toFixed(1)} GB`;
  return size >= 1e6 ? `${Math.round(size / 1e6)} MB` : `${Math.max(1, Math.floor(size / 1000))} kB`;
}

/** Parts that are not empty, with a dot between them. */
export function join(...parts) {
  return parts.filter(Boolean).join(" · ");
}

/** "14:05" by this browser's clock and customs. */
export function writeTime(at) {
  return new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

/** "3 Dec 2026" by this browser's clock. */
export function writeDay(at) {
  const day = new Date(at);
  const today = new Date();
  const before = new Date(today.getFullYear(), today.getMonth(), today.getDate() - 1);
  if (day.toDateString() === today.toDateString()) return "Today";
  if (day.toDateString() === before.toDateString()) return "Yesterday";
  return `${day.getDate()} ${day.toLocaleDateString("en", { month: "short" })} ${day.getFullYear()}`;
}

/** Both, for who points at a time. */
export function writeMoment(at) {
  return `${writeDay(at)}, ${writeTime(at)}`;
}
