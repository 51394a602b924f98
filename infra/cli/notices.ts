import { oneLine } from '../text.ts';

/** A thousand bad lines must not bury the rest: the first ones are shown, all are counted. */
const noticesMax = 20;

export interface Notices {
  /** One line, whatever is in it. */
  readonly say: (message: string) => void;
  /** The same, for what may come in great numbers. */
  readonly bounded: (message: string) => void;
  /** Says how many were not shown. */
  readonly end: () => void;
}

export function boundedNotices(write: (line: string) => void): Notices {
  let count = 0;
  const say = (message: string) => write(oneLine(message, 1000));
  return {
    say,
    bounded(message) {
      if (++count <= noticesMax) say(message);
    },
    end() {
      if (count > noticesMax) say(`… and ${count - noticesMax} more of these.`);
    },
  };
}
