import { found, mark, wholeNumber } from '../arguments.ts';
import { family } from '../constraint.ts';
import { blanks, counted, literally, quoted } from '../text.ts';

/** `detectable_format:multiple_sections`: at least so many sections, each with its number after the splitter. */
export const multipleSections = family<{ section_spliter: string; num_sections: number }>(
  { section_spliter: mark('Section'), num_sections: wholeNumber },
  {
    describe: ({ section_spliter: splitter, num_sections: wanted }) =>
      `Write at least ${counted(wanted, 'section')}, each after ${quoted(`${splitter} X`)}.`,
    check: (response, { section_spliter: splitter, num_sections: wanted }) => {
      const pattern = new RegExp(`${literally(splitter)}[${blanks}]?\\p{Nd}+`, 'gu');
      const sections = response.match(pattern)?.length ?? 0;
      return {
        satisfied: sections >= wanted,
        detail: found(sections, `${quoted(splitter)} section`, 'at least', wanted),
      };
    },
  },
);
