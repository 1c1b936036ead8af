import { TIER_BUCKETS, TIER_UNITS, tierProblems } from '@omg/domain';
import { z } from 'zod';

/** `pricing_tiers` of a catalog entry: one shape in YAML and in the admin API. Prices are USD per unit. */

const tier = z.object({
  unit: z.string().trim().toLowerCase().pipe(z.enum(TIER_UNITS)),
  price_per_unit: z.number().min(0).max(1_000_000_000),
  max_units: z.number().positive().optional(),
  metadata: z.record(z.string().max(64), z.union([z.string().max(4096), z.number(), z.boolean()]).transform(String)).optional(),
});

export const pricingTiersSchema = z.partialRecord(z.enum(TIER_BUCKETS), z.array(tier).max(64)).superRefine((buckets, context) => {
  for (const { path, message } of tierProblems(buckets)) context.addIssue({ code: 'custom', path, message });
});
