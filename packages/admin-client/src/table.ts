export type Cell = string | number | boolean | null | undefined;

/** Columns as wide as their widest cell; what is absent is a dash. Control characters of names cannot reach the terminal. */
export function formatTable(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const texts = [header, ...rows.map((row) => row.map(cellText))];
  const widths = header.map((_, column) => Math.max(...texts.map((row) => row[column]!.length)));
  return texts.map((row) => `${row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column]!))).join('  ')}\n`).join('');
}

function cellText(cell: Cell): string {
  if (cell === null || cell === undefined) return '-';
  // 1e-7 is no amount that people read.
  if (typeof cell === 'number' && !Number.isInteger(cell)) return cell.toFixed(9).replace(/0+$/, '');
  return String(cell).replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}
