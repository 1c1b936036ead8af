import type pg from 'pg';

/** What services of a release rely on in a database: everything that a statement of theirs could meet. */
export interface SchemaShape {
  /** `table.column` to its type, whether it takes null, and whether it may be left out. */
  columns: Map<string, { type: string; takesNull: boolean; mayBeLeftOut: boolean }>;
  /** `table: definition` of keys, checks and unique indexes: what a write may fail on. */
  rules: Set<string>;
  /** `enum: label` */
  labels: Set<string>;
  /** `name(arguments)` */
  functions: Set<string>;
}

const COLUMNS = `SELECT c.relname AS table, a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type, NOT a.attnotnull AS takes_null,
    (NOT a.attnotnull OR a.atthasdef OR a.attidentity <> '') AS may_be_left_out
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped AND c.relname <> '_prisma_migrations'`;
const RULES = `SELECT c.relname AS table, pg_get_constraintdef(k.oid) AS rule FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND NOT c.relispartition AND c.relname <> '_prisma_migrations'
  UNION SELECT c.relname, regexp_replace(pg_get_indexdef(i.indexrelid), ' INDEX .* USING ', ' INDEX USING ') FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND i.indisunique AND NOT c.relispartition AND c.relname <> '_prisma_migrations'`;
const LABELS = 'SELECT t.typname AS name, e.enumlabel AS label FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid';
const FUNCTIONS = `SELECT p.proname AS name, oidvectortypes(p.proargtypes) AS arguments FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'public'`;

export async function readShape(client: pg.Client): Promise<SchemaShape> {
  const columns = await client.query<{ table: string; column: string; type: string; takes_null: boolean; may_be_left_out: boolean }>(COLUMNS);
  const rules = await client.query<{ table: string; rule: string }>(RULES);
  const labels = await client.query<{ name: string; label: string }>(LABELS);
  const functions = await client.query<{ name: string; arguments: string }>(FUNCTIONS);
  return {
    columns: new Map(
      columns.rows.map((row) => [`${row.table}.${row.column}`, { type: row.type, takesNull: row.takes_null, mayBeLeftOut: row.may_be_left_out }]),
    ),
    rules: new Set(rules.rows.map((row) => `${row.table}: ${row.rule}`)),
    labels: new Set(labels.rows.map((row) => `${row.name}: ${row.label}`)),
    functions: new Set(functions.rows.map((row) => `${row.name}(${row.arguments})`)),
  };
}

/**
 * Everything in which `after` takes away what services that were written for `before` rely on, or refuses what they write.
 * Empty: the change only expands. Dropped rules are no harm; new tables and their rules are nobody's yet.
 */
export function contractions(before: SchemaShape, after: SchemaShape): string[] {
  const tables = new Set([...before.columns.keys()].map((name) => name.slice(0, name.indexOf('.'))));
  const tableOf = (name: string): string => name.slice(0, name.search(/[.:]/));
  const found: string[] = [];
  for (const [name, old] of before.columns) {
    const now = after.columns.get(name);
    if (!now) found.push(`${name}: dropped or renamed`);
    else if (now.type !== old.type) found.push(`${name}: ${old.type} became ${now.type}`);
    else if (old.takesNull && !now.takesNull) found.push(`${name}: no longer takes null`);
    else if (old.mayBeLeftOut && !now.mayBeLeftOut) found.push(`${name}: lost its default`);
  }
  for (const [name, column] of after.columns) {
    if (!before.columns.has(name) && tables.has(tableOf(name)) && !column.mayBeLeftOut) found.push(`${name}: new, and must be given`);
  }
  for (const rule of after.rules) if (!before.rules.has(rule) && tables.has(tableOf(rule))) found.push(`${rule}: a new rule for existing writers`);
  for (const label of before.labels) if (!after.labels.has(label)) found.push(`${label}: label dropped`);
  for (const name of before.functions) if (!after.functions.has(name)) found.push(`${name}: function dropped`);
  return found.toSorted();
}
