import { strip } from './text.ts';

/** A response as it would be without something that often stands in the way of a constraint. */
interface Variant {
  readonly name: string;
  readonly text: string;
}

/**
 * The other seven of the benchmark's eight transformations: without the first line (`Sure, here it is:`), without the
 * last (`I hope this helps!`), without both, each also without asterisks. The response itself is the eighth.
 */
export function variantsOf(response: string): readonly Variant[] {
  const first = response.indexOf('\n');
  const last = response.lastIndexOf('\n');
  const lines = [
    ['without its first line', first < 0 ? '' : response.slice(first + 1)],
    ['without its last line', last < 0 ? '' : response.slice(0, last)],
    ['without its first and last line', response.slice(first + 1, Math.max(first + 1, last))],
  ] as const;
  const cut = lines.map(([name, text]) => ({ name, text: strip(text) }));
  const plain = (text: string) => text.replaceAll('*', '');
  return [
    { name: 'without asterisks', text: plain(response) },
    ...cut,
    ...cut.map(({ name, text }) => ({ name: `${name} and asterisks`, text: plain(text) })),
  ];
}
