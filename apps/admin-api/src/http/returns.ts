import { applyDecorators, HttpCode, SetMetadata } from '@nestjs/common';
import { ApiExtension, ApiOperation, ApiResponse } from '@nestjs/swagger';
import type { z } from 'zod';

export interface ReturnsOptions {
  summary: string;
  /** Defaults to 200, or 204 without a schema. */
  status?: number;
  /** The answer also comes as CSV, with `?format=csv` or `Accept: text/csv`, and by a download link. */
  csv?: boolean;
}

export const CSV_KEY = 'omg:csv';

/** Status and schema of a route's good answer, for the wire and for the OpenAPI document at once. */
export function Returns(schema: z.ZodType | undefined, options: ReturnsOptions): MethodDecorator {
  const status = options.status ?? (schema ? 200 : 204);
  return applyDecorators(
    HttpCode(status),
    ApiOperation({ summary: options.summary }),
    SetMetadata(CSV_KEY, options.csv ?? false),
    ApiExtension('x-csv', options.csv ?? false),
    ApiResponse(schema ? { status, description: options.summary, standardSchema: schema as never } : { status, description: 'Done.' }),
  );
}
