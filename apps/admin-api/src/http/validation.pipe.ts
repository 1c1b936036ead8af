import { Injectable, StandardSchemaValidationPipe, type ArgumentMetadata } from '@nestjs/common';
import { AdminError, uuidSchema } from '@omg/contracts';

interface Issue {
  message: string;
  path?: readonly (PropertyKey | { key: PropertyKey })[];
}

const ISSUES_SHOWN_MAX = 10;

/** Checks every `@Body({ schema })`, `@Query({ schema })` and `@Param(name, { schema })`; the handler gets the parsed value. */
@Injectable()
export class ZodValidationPipe extends StandardSchemaValidationPipe {
  constructor() {
    super({ exceptionFactory: (issues) => new AdminError('invalid_request', { message: describeIssues(issues) }) });
  }

  /** An id in the path that is none has a code of its own, the same whoever looks at it first: this or the guard. */
  override async transform<T>(value: T, metadata: ArgumentMetadata): Promise<T> {
    if (metadata.type === 'param' && metadata.schema === uuidSchema && !uuidSchema.safeParse(value).success) throw new AdminError('invalid_id');
    return super.transform(value, metadata) as Promise<T>;
  }
}

function describeIssues(issues: readonly Issue[]): string {
  const lines = issues.slice(0, ISSUES_SHOWN_MAX).map((issue) => {
    const path = (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
    return path ? `${path.slice(0, 120)}: ${issue.message}` : issue.message;
  });
  if (issues.length > ISSUES_SHOWN_MAX) lines.push(`and ${issues.length - ISSUES_SHOWN_MAX} more`);
  return lines.join('; ');
}
