import { z } from 'zod';
import { text, timeSchema } from './common.js';

/** Links that download a report in a browser tab, where no header can be sent. */

/** The last parameter of such a link. */
export const DOWNLOAD_TOKEN_PARAM = 'download_token';

export const downloadLinkRequestSchema = z.object({
  /** Path and query of a route that answers CSV, such as `/admin/usage/summary?period=30d`. */
  path: text(4096),
});
/** `url` is relative to the address of the admin API. */
export const downloadLinkSchema = z.object({ url: z.string(), expires_at: timeSchema });
