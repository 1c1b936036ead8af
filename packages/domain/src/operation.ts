/** What a client can ask for. A provider's capabilities and a route's modality are told in the same words. */
export const OPERATIONS = ['chat', 'embeddings', 'images'] as const;
export type Operation = (typeof OPERATIONS)[number];
