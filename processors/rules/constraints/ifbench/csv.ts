const [newline, carriageReturn, quote] = ['\n', '\r', '"'];

/**
 * Rows of fields as Python's csv module reads them: an empty line is a row without fields, and a quotation mark within
 * a field that does not begin with one is a character. Null where a line end stands within a field without quotes.
 */
export function csvRows(text: string, delimiter: string): readonly (readonly string[])[] | null {
  const rows: string[][] = [];
  let row: string[] = [];
  let field = '';
  let state: 'row' | 'field' | 'plain' | 'quoted' | 'closed' | 'over' = 'row';
  const endField = () => {
    row.push(field);
    field = '';
  };
  for (let index = 0; index < text.length; index++) {
    const character = text.charAt(index);
    const endsLine = character === newline || character === carriageReturn;
    if (state === 'over' && !endsLine) return null;
    if (state === 'quoted') {
      if (character === quote) state = 'closed';
      else field += character;
    } else if (endsLine) {
      // An empty line has no field, and the end of one that has ended has none either.
      if (state !== 'row' && state !== 'over') endField();
      state = 'over';
    } else if (character === delimiter) {
      endField();
      state = 'field';
    } else if (character === quote && state === 'closed') {
      field += quote;
      state = 'quoted';
    } else if (character === quote && (state === 'row' || state === 'field')) state = 'quoted';
    else {
      field += character;
      state = 'plain';
    }
    if (state === 'over' && character === newline) {
      rows.push(row);
      row = [];
      state = 'row';
    }
  }
  if (state === 'over') rows.push(row);
  else if (state !== 'row') {
    endField();
    rows.push(row);
  }
  return rows;
}
