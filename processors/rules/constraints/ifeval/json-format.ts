import { family } from '../constraint.ts';
import { strip } from '../text.ts';

/** `detectable_format:json_format`: all of the response is JSON, perhaps in a fenced block. */
export const jsonFormat = family(
  {},
  {
    describe: () => 'Answer in JSON alone; a fenced block around it is allowed.',
    check: (response) => {
      const json = strip(unfenced(strip(response)));
      const satisfied =
        isJson(json) || (/NaN|Infinity/.test(json) && isJson(withoutNumberNames(json)));
      return { satisfied, detail: satisfied ? 'JSON' : 'not JSON' };
    },
  },
);

/** One fence after the other is taken off the start, in this order: so does the benchmark. */
function unfenced(text: string): string {
  const fences = ['```json', '```Json', '```JSON', '```'];
  const opened = fences.reduce(
    (rest, fence) => (rest.startsWith(fence) ? rest.slice(fence.length) : rest),
    text,
  );
  return opened.endsWith('```') ? opened.slice(0, -3) : opened;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Python reads NaN, Infinity and -Infinity as numbers, so they are JSON here, too, outside of strings. */
const withoutNumberNames = (text: string): string =>
  text.replaceAll(/"[^"\\]*(?:\\[^][^"\\]*)*"?|-?Infinity|NaN/g, (part) =>
    part.startsWith('"') ? part : ' 0 ',
  );
