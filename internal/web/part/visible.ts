// What programs print, made safe to look at.

/**
 * Shows what would move the cursor, colour a terminal or turn the direction of
 * writing as a dot: page/algorithm/logs.go does the same.
 */
export function visible(text: string): string {
  return text.replace(/\r\n/g, "\n").replace(/[^\P{Cc}\n\t]|\p{Bidi_Control}/gu, "·");
}
