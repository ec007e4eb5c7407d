/** Whatever somebody threw, as text. Never throws itself: of `Object.create(null)`, or a getter that fails, no text can be made. */
export function textOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  } catch {
    return 'something was thrown of which no text can be made';
  }
}
