const opening = '<think>';
const closing = '</think>';

/**
 * Keeps a reasoning model's thoughts apart from its answer: they are never judged, and never a side of a pair.
 *
 * Thoughts are what stands between a leading `<think>` and the next `</think>`; everything, if it is never closed
 * (the answer was cut while the model still thought); and what stands before a `</think>` that nothing opened,
 * because many chat templates put the opening mark into the prompt.
 *
 * @returns the answer as it came, not trimmed, and the trimmed thoughts; null if there are none.
 */
export function splitReasoning(content: string): {
  readonly text: string;
  readonly reasoning: string | null;
} {
  const thoughts: string[] = [];
  let position = unopened(content);
  if (position > 0) thoughts.push(content.slice(0, position - closing.length));
  for (;;) {
    const start = afterBlanks(content, position);
    if (!content.startsWith(opening, start)) break;
    const end = content.indexOf(closing, start);
    thoughts.push(content.slice(start + opening.length, end < 0 ? undefined : end));
    position = end < 0 ? content.length : end + closing.length;
  }
  const reasoning = thoughts
    .map((thought) => thought.trim())
    .filter((thought) => thought !== '')
    .join('\n');
  return { text: content.slice(position), reasoning: reasoning || null };
}

/** Where the answer starts after a `</think>` that nothing opened; 0 if there is none. */
function unopened(content: string): number {
  const end = content.indexOf(closing);
  if (end < 0) return 0;
  const start = content.indexOf(opening);
  return start >= 0 && start < end ? 0 : end + closing.length;
}

function afterBlanks(content: string, position: number): number {
  let start = position;
  while (start < content.length && content.charAt(start).trim() === '') start++;
  return start;
}
