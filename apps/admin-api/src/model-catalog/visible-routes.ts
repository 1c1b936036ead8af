/** What decides which rows of an alias count. */
export interface LayeredRoute {
  source: 'config' | 'db';
  identity: string;
  tombstone: boolean;
}

/** A row made in `/admin` replaces the configuration's row of the same identity; a tombstone hides it. */
export function visibleRoutes<T extends LayeredRoute>(rows: readonly T[]): T[] {
  const replaced = new Set(rows.filter((row) => row.source === 'db').map((row) => row.identity));
  return rows.filter((row) => !row.tombstone && (row.source === 'db' || !replaced.has(row.identity)));
}
